"""From a text to the numbers that a voice is trained on, and back; what a voice has no symbol for is said.

alphabet = of(info.symbols)                    # a checkpoint names its symbols; ENGLISH_PHONES, KOREAN_PHONES ...
reading = alphabet.read("Dr. Lee has 3 cats.")
reading.ids, reading.symbols, reading.unknown  # unknown: what could not be read, as it was written
for part in alphabet.sentences(long_text): ...
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from playground.contract import BadSetting, Text
from playground.text import phones
from playground.text.normalise import PAUSES, english, tidied

PAD, START, END, BLANK = "<pad>", "<start>", "<end>", " "
"""The first three symbols of every alphabet, as numbers 0, 1 and 2; a blank stands between words."""
SPECIAL = (PAD, START, END)
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz'")
LONGEST = 200
"""Characters of a sentence; a longer one is split at a comma, else between words."""
WORN = "[\ufe0f\U0001f3fb-\U0001f3ff]*"
"""What an emoji may wear: its colour, its skin."""
SHOWN = 12
"""How many unknown signs are named to a person."""


@dataclass(frozen=True)
class Reading:
    """A text as a voice is given it: `ids` (with END at the end) and the symbols they stand for, without END.

    words: as they are spoken. unknown: what stood in the text and has no symbol, each once.
    """

    ids: tuple[int, ...]
    symbols: tuple[str, ...]
    words: str
    unknown: tuple[str, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing is left to be spoken."""
        return not any(symbol != BLANK and symbol not in PAUSES for symbol in self.symbols)


@dataclass(frozen=True)
class Alphabet:
    """The symbols of a voice, and how a text becomes them.

    normalise: a text as words and pauses. spell: words -> the symbols of each. letters: what a word may consist of.
    """

    language: str
    symbols: tuple[str, ...]
    normalise: Callable[[str], str] = field(repr=False)
    spell: Callable[[Sequence[str]], Sequence[Sequence[str]]] = field(repr=False)
    letters: str = field(repr=False)
    """A regular expression: one letter that can be spoken."""

    @cached_property
    def _index(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols)}

    def read(self, text: str) -> Reading:
        """The text in this alphabet. What cannot be spoken is left out of the ids and named in `unknown`."""
        return self._reading(self.normalise(text))

    def sentences(self, text: str, longest: int = LONGEST) -> list[Reading]:
        """The sentences of a text, one by one, none longer than `longest` characters; those of no sound left out.

        What is unknown in those is named in the reading before them, or in the only one.
        """
        made = [self._reading(part) for part in split(self.normalise(text), longest)]
        spoken = [reading for reading in made if not reading.empty]
        unknown = unique(sign for reading in made for sign in reading.unknown)
        if not spoken:
            return [Reading((self._index[END],), (), "", unknown)] if unknown else []
        silent = unique(sign for reading in made if reading.empty for sign in reading.unknown)
        first = spoken[0]
        return [Reading(first.ids, first.symbols, first.words, unique([*first.unknown, *silent])), *spoken[1:]]

    def _reading(self, normal: str) -> Reading:
        words, unknown = self._words(normal)
        spelt = iter(self.spell([word for word in words if word not in PAUSES]))
        symbols: list[str] = []
        for word in words:
            if word in PAUSES:
                symbols.append(word)
                continue
            whole = next(spelt)
            known = [symbol for symbol in whole if symbol in self._index]
            if not known or len(known) < len(whole):
                unknown.append(word)
            if known:
                symbols += [BLANK] * bool(symbols) + known
        ids = (*(self._index[symbol] for symbol in symbols), self._index[END])
        return Reading(ids, tuple(symbols), self._written(words), unique(unknown))

    def _words(self, normal: str) -> tuple[list[str], list[str]]:
        """(words of known letters and pauses in their order, what is neither)"""
        words, unknown = [], []
        for piece in re.findall(rf"[{PAUSES}]|[^\s{PAUSES}]+", normal):
            if piece in PAUSES:
                words.append(piece)
                continue
            unknown += _signs(re.sub(self.letters, " ", piece))
            words += re.findall(f"(?:{self.letters})+", piece)
        return words, unknown

    def _written(self, words: Sequence[str]) -> str:
        return re.sub(rf" (?=[{PAUSES}])", "", " ".join(words))

    def text(self, ids: Iterable[int]) -> tuple[str, ...]:
        """The symbols of some numbers, without PAD, START and END."""
        return tuple(self.symbols[i] for i in ids if self.symbols[i] not in SPECIAL)


def _signs(rest: str) -> list[str]:
    """What is left of a word: letters of another script as a whole, other signs one by one (an emoji as one)."""
    return [sign for piece in rest.split() for sign in re.findall(f"[^\\W\\d_]+|.{WORN}(?:\u200d.{WORN})*", piece)]


def unique(signs: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(signs))


def unread(unknown: Sequence[str]) -> Text | None:
    """What to tell a person of signs that were not read; None where there are none."""
    if not unknown:
        return None
    listed = " ".join(sign[:20] for sign in unknown[:SHOWN]) + (" ..." if len(unknown) > SHOWN else "")
    return {
        "en": f"Not read, for this voice has no sound for it: {listed}",
        "ko": f"이 목소리에 없는 글자라 읽지 않았습니다: {listed}",
    }


# --- Sentences ------------------------------------------------------------------------------------------------


def split(normal: str, longest: int = LONGEST) -> list[str]:
    """Words and pauses as sentences: at . ? ! first, then at commas, then between words, none over `longest` characters."""
    parts = re.findall(r"[^.?!]+(?:[.?!]|$)", normal)
    return [piece for part in parts for piece in _cut(part.strip(), longest) if piece]


def _cut(sentence: str, longest: int) -> list[str]:
    """Pieces of a sentence, as even as its commas allow."""
    if len(sentence) <= longest:
        return [sentence]
    middle = len(sentence) / 2
    places = [m.end() for m in re.finditer(", ", sentence)] or [m.end() for m in re.finditer(" ", sentence)]
    at = min(places, key=lambda place: abs(place - middle), default=longest)
    return [*_cut(sentence[:at].strip(), longest), *_cut(sentence[at:].strip(), longest)]


# --- The alphabets --------------------------------------------------------------------------------------------


def _korean(text: str) -> str:
    """Hangul and numbers as they are written, for espeak-ng reads those; small letters, and one kind of each pause."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub("[\u3002\u2026]|\\.{2,}", ".", text)
    text = re.sub(r"[;:()\[\]{}|、]|\n+", ",", text)
    text = re.sub("[\"'\u201c\u201d\u2018\u2019<>\u300a\u300b~_*-]", " ", text)
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    return tidied(re.sub(r"(?<=\d)\.(?=\d)", "점", text))


def _made(symbols: Iterable[str]) -> tuple[str, ...]:
    return (*SPECIAL, BLANK, *PAUSES, *symbols)


ENGLISH_PHONES = Alphabet("en", _made(phones.ENGLISH), english, phones.english, "[a-z']")
ENGLISH_LETTERS = Alphabet("en", _made(LETTERS), english, lambda words: words, "[a-z']")
KOREAN_PHONES = Alphabet("ko", _made(phones.KOREAN), _korean, phones.korean, "[가-힣0-9]")
ALPHABETS = (ENGLISH_PHONES, ENGLISH_LETTERS, KOREAN_PHONES)


def of(symbols: Sequence[str]) -> Alphabet:
    """The alphabet that has just these symbols. Raises `BadSetting` where this version knows none."""
    for alphabet in ALPHABETS:
        if alphabet.symbols == tuple(symbols):
            return alphabet
    raise BadSetting(
        f"symbols: {len(symbols)} symbols that belong to no alphabet of this version",
        f"symbols: 이 버전에 없는 기호 목록입니다({len(symbols)}개)",
    )


def language_of(texts: Iterable[str]) -> str:
    """ "ko" where most letters of the texts are Hangul, else "en"."""
    letters = [c for text in texts for c in text if c.isalpha()]
    return "ko" if sum("가" <= c <= "힣" for c in letters) > len(letters) / 2 else "en"


def for_texts(texts: Iterable[str]) -> Alphabet:
    """The phones of the language that the texts are written in."""
    return KOREAN_PHONES if language_of(texts) == "ko" else ENGLISH_PHONES
