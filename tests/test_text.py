"""The text front end: what is written becomes what is said, and what cannot be said is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground import text
from playground.contract import BadSetting
from playground.text import espeak, phones
from playground.text.normalise import english

# --- English as it is spoken ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Dr. Lee paid $3.50 for 12,345 cats.", "doctor lee paid three dollars and fifty cents for twelve thousand three hundred and forty five cats."),
        ("In 1984, not 1980s", "in nineteen eighty four, not nineteen eighties"),
        ("the 21st of Jan. 3:05 p.m.", "the twenty first of january three oh five p m"),
        ("$2.5 million; £1.01", "two point five million dollars, one pound and one penny"),
        ("No. 5. No. Yes", "number five. no. yes"),
        ("Smith & Co. at 10km & -5°", "smith and company at ten kilometers and minus five degrees"),
        ("agent 007 and 12345678901234567", "agent zero zero seven and one two three four five six seven eight nine zero one two three four five six seven"),
        ("“Wait” … what?! — he said", "wait. what! he said"),
        ("naïve café, rock 'n' roll, dogs' and it's", "naive cafe, rock n roll, dogs and it's"),
        ("the U.S. and the XQZ", "the u s and the x q z"),
        ("SHOUTED WORDS", "shouted words"),
        ("a re-entry\nnext line", "a re entry, next line"),
        ("I am. So am I, at 11 PM", "i am. so am i, at eleven p m"),
        ("", ""),
        ("... !?", ""),
        ("1:00 and 10/3", "one o'clock and ten slash three"),
    ],
)  # fmt: skip
def test_english_is_written_out(written, spoken):
    assert english(written) == spoken


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_written_out(written):
    said = english(written)
    assert not any(c.isascii() and (c.isdigit() or c.isupper()) for c in said)


# --- Phones ---------------------------------------------------------------------------------------------------


def test_words_of_the_dictionary_and_others():
    known, possessive, hissing, unknown = phones.english(["water", "water's", "judge's", "zyxgrob"])
    assert known == ("W", "AO1", "T", "ER0")
    assert possessive == (*known, "Z")
    assert hissing[-2:] == ("IH0", "Z")
    assert unknown[:2] == ("Z", "IH1") and set(unknown) <= set(phones.ENGLISH)


def test_espeak_agrees_with_the_dictionary():
    """What espeak-ng says of common words, in the dictionary's symbols, is what the dictionary has, stress left out."""
    words = [
        "seven",
        "house",
        "bird",
        "measure",
        "thing",
        "yellow",
        "church",
        "judge",
        "five",
        "boy",
        "cow",
        "hello",
        "television",
        "under",
        "father",
        "three",
    ]
    said = [phones.arpabet(p) for p in espeak.phones(words)]
    bare = lambda symbols: [s.rstrip("012") for s in symbols]
    listed = [phones.english([word])[0] for word in words]
    agree = sum(bare(a) == bare(b) for a, b in zip(said, listed, strict=True))
    assert agree >= 13, list(zip(words, said, listed, strict=True))
    assert all(any(s.endswith("1") for s in one) for one in said)


def test_every_american_phone_has_a_name():
    words = sorted(phones.dictionary())[::500]
    for word, said in zip(words, espeak.phones(words), strict=True):
        assert all(phones.of_ipa(phone) for phone in said), (word, said)
        assert set(phones.arpabet(said)) <= set(phones.ENGLISH)


def test_every_sound_of_korean_syllables_has_a_symbol():
    syllables = [chr(c) for c in range(ord("가"), ord("힣") + 1, 37)]
    words = [a + b for a, b in zip(syllables, syllables[7:], strict=False)]
    said = {phone for word in phones.korean(words) for phone in word}
    assert said <= set(phones.KOREAN), said - set(phones.KOREAN)


# --- Alphabets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alphabet", text.ALPHABETS, ids=lambda a: f"{a.language}-{len(a.symbols)}")
def test_an_alphabet_is_known_by_its_symbols(alphabet):
    assert text.of(alphabet.symbols) is alphabet
    assert alphabet.symbols[:4] == (text.PAD, text.START, text.END, text.BLANK)
    assert len(set(alphabet.symbols)) == len(alphabet.symbols)
    with pytest.raises(BadSetting, match="no alphabet"):
        text.of((*alphabet.symbols, "x"))


def test_a_text_becomes_numbers_and_back():
    reading = text.ENGLISH_PHONES.read("Water, water!")
    assert reading.symbols == ("W", "AO1", "T", "ER0", ",", " ", "W", "AO1", "T", "ER0", "!")
    assert reading.ids[-1] == text.ENGLISH_PHONES.symbols.index(text.END)
    assert text.ENGLISH_PHONES.text(reading.ids) == reading.symbols
    assert (reading.words, reading.unknown, reading.empty) == ("water, water!", (), False)
    assert "".join(text.ENGLISH_LETTERS.read("It's 3 cats?").symbols) == "it's three cats?"


def test_korean_is_read_as_it_sounds():
    reading = text.KOREAN_PHONES.read("안녕하세요. 사과 3개 있어요?")
    assert reading.symbols[:7] == ("ɐ", "n", "n", "j", "ʌ", "ŋ", "h")
    assert reading.unknown == ()
    assert reading.symbols[-1] == "?"


def test_what_cannot_be_read_is_named():
    reading = text.ENGLISH_PHONES.read("My cat 😀 likes 김치 and 👩‍👩‍👧, naïve 😀")
    assert reading.unknown == ("😀", "김치", "👩‍👩‍👧")
    assert reading.words == "my cat likes and, naive"
    assert text.KOREAN_PHONES.read("hello 세계").unknown == ("hello",)
    said = text.unread(reading.unknown)
    assert said is not None and "😀 김치" in said["en"] and "읽지 않았습니다" in said["ko"]
    assert text.unread(()) is None
    for nothing in ("😀😀", "", "   ", "?!", "日本語"):
        assert text.ENGLISH_PHONES.read(nothing).empty


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_nothing_is_dropped_in_silence(written):
    """Each letter or digit of a text is in what is said, or named as unknown."""
    reading = text.ENGLISH_LETTERS.read(written)
    if not reading.unknown and any(c.isalnum() for c in english(written)):
        assert not reading.empty
    assert all(c in "abcdefghijklmnopqrstuvwxyz' ,.?!" for c in reading.words)


def test_long_texts_become_sentences():
    written = "Dr. No has 3.5 cats. " + "and the long way goes on " * 20 + "! 😀 Is it so?"
    parts = text.ENGLISH_PHONES.sentences(written, longest=100)
    assert parts[0].words == "doctor no has three point five cats."
    assert all(len(part.words) <= 100 for part in parts)
    assert " ".join(part.words for part in parts) == text.ENGLISH_PHONES.read(written).words
    assert sum((part.unknown for part in parts), ()) == ("😀",)
    assert text.ENGLISH_PHONES.sentences("") == []
    (only,) = text.ENGLISH_PHONES.sentences("😀 😀")
    assert only.empty and only.unknown == ("😀",)
    assert len(text.KOREAN_PHONES.sentences("하나입니다. 둘입니다!")) == 2
    assert max(len(part) for part in text.split("x" * 950)) <= text.alphabet.LONGEST


def test_the_language_of_some_texts():
    assert text.language_of(["안녕 hi", "사과"]) == "ko"
    assert text.language_of(["", "123"]) == text.language_of(["hello 안"]) == "en"
    assert text.for_texts(["안녕"]) is text.KOREAN_PHONES


# --- espeak-ng ------------------------------------------------------------------------------------------------


def test_equal_words_give_equal_sound():
    first = espeak.speak("seven and three", "en-us+f3")
    with espeak.Engine() as engine:
        engine.speak("something else altogether")
    second = espeak.speak("seven and three", "en-us+f3")
    assert np.array_equal(first.samples, second.samples)
    assert first.rate == 22_050 and 0.5 < len(first.samples) / first.rate < 2
    assert np.abs(first.samples).max() > 3000


def test_phones_stand_in_time():
    said = espeak.speak("seven")
    names = [sound.symbol for sound in said.phones]
    assert names[:5] == ["", "s", "ˈɛ", "v", "ə"]
    assert said.phones[0].start == 0
    assert all(a.end == b.start for a, b in zip(said.phones, said.phones[1:], strict=False))
    assert said.phones[-1].end == pytest.approx(len(said.samples) / said.rate)
    hiss, vowel = (
        said.samples[round(sound.start * said.rate) : round(sound.end * said.rate)].astype(float)
        for sound in said.phones[1:3]
    )
    crossings = lambda x: np.mean(np.diff(np.sign(x)) != 0)
    assert crossings(hiss) > 3 * crossings(vowel), "an s hisses where it is said to be"


def test_a_voice_that_is_not_there():
    with pytest.raises(ValueError, match="no voice"), espeak.Engine() as engine:
        engine.speak("x", "klingon-xx")
    assert len(espeak.speak("and it can be started again").samples)
    assert not espeak.speak("").samples.any()
