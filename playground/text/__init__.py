"""The one text front end: a text as words, and words as the letters or phones that a voice is trained on."""

from playground.text.alphabet import (
    ALPHABETS,
    BLANK,
    END,
    ENGLISH_LETTERS,
    ENGLISH_PHONES,
    KOREAN_PHONES,
    PAD,
    START,
    Alphabet,
    Reading,
    for_texts,
    language_of,
    of,
    split,
    unread,
)

__all__ = [
    "ALPHABETS",
    "BLANK",
    "END",
    "ENGLISH_LETTERS",
    "ENGLISH_PHONES",
    "KOREAN_PHONES",
    "PAD",
    "START",
    "Alphabet",
    "Reading",
    "for_texts",
    "language_of",
    "of",
    "split",
    "unread",
]
