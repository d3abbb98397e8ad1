"""English as it is written into words as they are spoken: "Dr. Lee paid $3.50" -> "doctor lee paid three dollars fifty"

Numbers are read by num2words. What has no sound (quotation marks, brackets) is left out; what makes a pause becomes one
of , . ? ! and what nobody can read aloud stays, for the alphabet to name it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial

PAUSES = ",.?!"
ABBREVIATIONS = {
    "mr": "mister",
    "mrs": "missis",
    "ms": "miz",
    "dr": "doctor",
    "prof": "professor",
    "st": "saint",
    "jr": "junior",
    "sr": "senior",
    "vs": "versus",
    "etc": "et cetera",
    "no": "number",
    "vol": "volume",
    "fig": "figure",
    "capt": "captain",
    "col": "colonel",
    "gen": "general",
    "lt": "lieutenant",
    "sgt": "sergeant",
    "rev": "reverend",
    "hon": "honorable",
    "esq": "esquire",
    "co": "company",
    "ltd": "limited",
    "inc": "incorporated",
    "dept": "department",
    "approx": "approximately",
    "jan": "january",
    "feb": "february",
    "aug": "august",
    "sept": "september",
    "oct": "october",
    "nov": "november",
    "dec": "december",
}
ONLY_BEFORE_A_NUMBER = {"no", "vol", "fig"}
ONLY_AFTER_A_NAME = {"co", "ltd", "inc", "jr", "sr"}
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "₩": ("won", "won", "jeon", "jeon"),
    "¥": ("yen", "yen", "sen", "sen"),
}
SIGNS = {
    "&": "and",
    "@": "at",
    "%": "percent",
    "+": "plus",
    "=": "equals",
    "°": "degrees",
    "×": "times",
    "÷": "divided by",
    "#": "number",
    "/": "slash",
    "£": "pounds",
    "€": "euros",
    "$": "dollars",
    "₩": "won",
    "¥": "yen",
}
UNITS = {"km": "kilometers", "kg": "kilograms", "cm": "centimeters", "mm": "millimeters", "hz": "hertz"}
MOST_DIGITS = 15
"""A number of more digits is read digit by digit."""
_NUMBER = r"\d{1,3}(?:,\d{3})+(?!\d)|\d+"


def english(text: str) -> str:
    """The words and pauses of a text, in small letters, a blank between words and none before a pause."""
    text = _plain(text)
    text = _abbreviations(text)
    text = _numbers(text)
    for sign, word in SIGNS.items():
        text = text.replace(sign, f" {word} ")
    text = re.sub(r"\b(?:[A-Z]\.){2,}|\b[A-Z]{2,5}\b", _initials, text)
    return _pauses(text.lower())


def _plain(text: str) -> str:
    """Compatibility forms replaced, accents taken off Latin letters, one kind of apostrophe and dash."""
    text = unicodedata.normalize("NFKC", text)
    text = re.sub("[\u2018\u2019\u02bc`\u00b4]", "'", text)
    text = re.sub("\\s+[\u2010-\u2015\u2212-]+\\s+|[\u2013\u2014\u2015]|--+", ", ", text)
    text = re.sub("[\u2010\u2011\u2212]", "-", text)
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not ("\u0300" <= c <= "\u036f"))
    return unicodedata.normalize("NFC", bare)


def _abbreviations(text: str) -> str:
    def spoken(found: re.Match[str]) -> str:
        short = found[1].lower()
        rest = text[found.end() :].lstrip()
        if short in ONLY_BEFORE_A_NUMBER and not rest[:1].isdigit():
            return found[0]
        if short in ONLY_AFTER_A_NAME and not re.search(r"(?:[A-Z]\w*,?|&|and)\s+$", text[: found.start()]):
            return found[0]
        ends = not rest and short not in ONLY_BEFORE_A_NUMBER
        return ABBREVIATIONS[short] + ("." if ends else "")

    listed = "|".join(sorted(ABBREVIATIONS, key=len, reverse=True))
    text = re.sub(r"\b(?:e\.g\.|i\.e\.)", lambda m: "for example," if m[0][0] == "e" else "that is,", text)
    text = re.sub(r"\b([ap])\.m\.?|(?<=\d)\s?([ap])m\b", lambda m: f" {m[1] or m[2]} m", text, flags=re.IGNORECASE)
    return re.sub(rf"\b({listed})\.", spoken, text, flags=re.IGNORECASE)


# --- Numbers --------------------------------------------------------------------------------------------------


def _numbers(text: str) -> str:
    money = "|".join(map(re.escape, CURRENCIES))
    rules: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
        (rf"({money})\s?({_NUMBER})(?:\.(\d+))?(?:\s(million|billion|thousand)\b)?", _money),
        (r"\b(\d{1,2}):([0-5]\d)(?!\d)", _time),
        (rf"\b({_NUMBER})(st|nd|rd|th)\b", lambda m: _words(m[1], "ordinal")),
        (r"\b(1[1-9]\d\d|20[1-9]\d)s\b", lambda m: re.sub(r"y$", "ie", _words(m[1], "year")) + "s"),
        (r"(?<![\d.,-])(1[1-9]\d\d|20[1-9]\d)(?![\d%]|[.,]\d|\s?(?:km|kg|cm|mm|hz)\b)", lambda m: _words(m[1], "year")),
        (rf"({_NUMBER})\.(\d+)", lambda m: f"{_words(m[1])} point {_digits(m[2])}"),
        (r"(?<!\d)0\d+|\d{16,}", lambda m: _digits(m[0])),
        (_NUMBER, lambda m: _words(m[0])),
    )
    text = re.sub(
        rf"((?:{_NUMBER})(?:\.\d+)?)\s?({'|'.join(UNITS)})\b",
        lambda m: f"{m[1]} {UNITS[m[2].lower()]}",
        text,
        flags=re.I,
    )
    text = re.sub(rf"(?<![\w)])-(?={_NUMBER})", "minus ", text)
    for pattern, spoken in rules:
        text = re.sub(pattern, partial(_spaced, spoken), text)
    return text


def _spaced(spoken: Callable[[re.Match[str]], str], found: re.Match[str]) -> str:
    """What is spoken for what was found, kept apart from letters that touch it."""
    before, after = found.string[: found.start()], found.string[found.end() :]
    return " " * before[-1:].isalpha() + spoken(found) + " " * after[:1].isalpha()


def _words(digits: str, to: str = "cardinal") -> str:
    from num2words import num2words

    value = digits.replace(",", "")
    if len(value) > MOST_DIGITS:
        return _digits(value)
    return str(num2words(int(value), to=to)).replace(",", "").replace("-", " ")


def _digits(digits: str) -> str:
    return " ".join(_words(digit) for digit in digits)


def _money(found: re.Match[str]) -> str:
    one, many, small_one, small_many = CURRENCIES[found[1]]
    if found[4] or (found[3] and len(found[3]) != 2):
        part = f" point {_digits(found[3])}" if found[3] else ""
        return f"{_words(found[2])}{part} {found[4] or ''} {many}"
    whole = int(found[2].replace(",", "")[:MOST_DIGITS])
    small = int(found[3] or 0)
    said = [f"{_words(found[2])} {one if whole == 1 else many}"] if whole or not small else []
    said += [f"{_words(str(small))} {small_one if small == 1 else small_many}"] if small else []
    return " and ".join(said)


def _time(found: re.Match[str]) -> str:
    hour, minute = found[1], int(found[2])
    if not minute:
        return f"{_words(hour)} o'clock"
    return f"{_words(hour)} {'oh ' if minute < 10 else ''}{_words(str(minute))}"


# --- Letters and pauses ---------------------------------------------------------------------------------------


def _initials(found: re.Match[str]) -> str:
    """Capitals that are no word are read letter by letter: "BBC", "U.S."."""
    from playground.text.phones import dictionary

    letters = found[0].replace(".", "")
    if "." not in found[0] and (letters.lower() in dictionary() or _shouted(found)):
        return found[0]
    return " ".join(letters)


def _shouted(found: re.Match[str]) -> bool:
    """Whether the whole text is in capitals, so that they mean nothing."""
    return found.string.upper() == found.string


def _pauses(text: str) -> str:
    text = re.sub(r"\.{2,}|\u2026", ".", text)
    text = re.sub(r"[;:()\[\]{}|]|\n+", ",", text)
    text = re.sub('["\u201c\u201d\u00ab\u00bb\u201e_*~^<>\\\\]', " ", text)
    text = re.sub(r"(?<![a-z])'|'(?![a-z])", " ", text)
    text = re.sub(r"(?<=[a-z])-(?=[a-z])|(?<![a-z])-|-(?![a-z])", " ", text)
    return tidied(text)


def tidied(text: str) -> str:
    """One blank between words; of several pauses in a row the strongest, close behind its word."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s*([,.?!])(?:\s*[,.?!])*", lambda m: max(m[0].replace(" ", ""), key=PAUSES.index), text)
    text = re.sub(r"([,.?!])(?=[^\s,.?!])", r"\1 ", text)
    return text.strip().lstrip(PAUSES + " ")
