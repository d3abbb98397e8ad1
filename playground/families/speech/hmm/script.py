"""What is said, place by place: a word alone, or the phones of a sentence with what surrounds each.

What a phone sounds like depends on its neighbours, its stress, its place in the word and in the phrase. Each such fact
is a yes or no; decision trees (`trees.py`) ask for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from playground.contract import Text
from playground.families.speech.hmm.config import SILENT, Config, phone_of, stress_of
from playground.text import BLANK
from playground.text.normalise import PAUSES

BEGIN, CLOSE = "begin", "close"
KINDS = (BLANK, *PAUSES, BEGIN, CLOSE)
"""Where a pause may be: between words, at a punctuation mark, before the first phone, after the last one."""
FACT_NAMES: tuple[Text, ...] = (
    {"en": "Is it stressed?", "ko": "강세가 있는가?"},
    {"en": "Has it second stress?", "ko": "둘째 강세인가?"},
    {"en": "Is the sound before it stressed?", "ko": "앞소리에 강세가 있는가?"},
    {"en": "Is the sound after it stressed?", "ko": "뒷소리에 강세가 있는가?"},
    {"en": "Does it begin a word?", "ko": "단어의 첫 소리인가?"},
    {"en": "Does it end a word?", "ko": "단어의 끝소리인가?"},
    {"en": "Has its word two sounds at most?", "ko": "단어의 소리가 두 개 이하인가?"},
    {"en": "Has its word five sounds or more?", "ko": "단어의 소리가 다섯 개 이상인가?"},
    {"en": "Has its word's stress begun?", "ko": "단어의 강세가 이미 나왔는가?"},
    {"en": "Is its word's stress still to come?", "ko": "단어의 강세가 아직 남았는가?"},
    {"en": "Is its word the first of the phrase?", "ko": "구의 첫 단어인가?"},
    {"en": "Is its word the second of the phrase?", "ko": "구의 둘째 단어인가?"},
    {"en": "Is its word the last of the phrase?", "ko": "구의 마지막 단어인가?"},
    {"en": "Is its word the last but one of the phrase?", "ko": "구의 끝에서 둘째 단어인가?"},
    {"en": "Is it in the first quarter of the phrase?", "ko": "구의 첫 4분의 1에 있는가?"},
    {"en": "Is it in the first half of the phrase?", "ko": "구의 앞 절반에 있는가?"},
    {"en": "Is it in the first three quarters of the phrase?", "ko": "구의 앞 4분의 3에 있는가?"},
    {"en": "Is it in the first phrase?", "ko": "첫 구인가?"},
    {"en": "Is it in the last phrase?", "ko": "마지막 구인가?"},
    {"en": "Does its phrase end in a question mark?", "ko": "구가 물음표로 끝나는가?"},
    {"en": "Does its phrase end in a comma?", "ko": "구가 쉼표로 끝나는가?"},
    {"en": "Is it a pause at a mark or an end?", "ko": "문장 부호나 끝의 쉼인가?"},
    {"en": "Is it the pause at the beginning?", "ko": "시작하는 쉼인가?"},
)
"""What is told of a place, besides its neighbours and its speaker."""


@dataclass(frozen=True, eq=False)
class Script:
    """P places. units: (P,) the chain of each. kinds: (P,) which of KINDS a pause is, -1 for what must be said.
    left, right: (P,) the units of the neighbours, across a blank. facts: (P, facts + voices) bool. voice: who speaks,
    as a row of the global variances."""

    units: np.ndarray
    kinds: np.ndarray
    left: np.ndarray
    right: np.ndarray
    facts: np.ndarray
    voice: int

    def __len__(self) -> int:
        return len(self.units)

    def select(self, kept: np.ndarray) -> Script:
        """The script of the places where `kept` (P,) is true; what each has for its surroundings stays."""
        return Script(
            self.units[kept], self.kinds[kept], self.left[kept], self.right[kept], self.facts[kept], self.voice
        )


def word(config: Config, label: int, speaker: int) -> Script:
    unit = label * config.voices + speaker
    none, one = np.zeros(1, np.int64), np.full(1, unit)
    return Script(one, none - 1, none, none, np.zeros((1, 0), bool), unit)


def sentence(config: Config, symbols: Sequence[str], speaker: int) -> Script:
    """The script of a text's symbols (`Reading.symbols`): phones, and a place for a pause wherever there may be one."""
    known = {phone: 1 + i for i, phone in enumerate(config.phones)}
    places: list[str] = [BEGIN]
    for symbol in symbols:
        if symbol in KINDS and places[-1] in KINDS:  # one pause, of the stronger kind
            places[-1] = symbol if places[-1] == BLANK else places[-1]
        elif symbol in KINDS or (symbol not in SILENT and phone_of(symbol) in known):
            places.append(symbol)
    if places[-1] not in KINDS or places[-1] == BLANK:
        places = [*places[: -1 if places[-1] == BLANK else None], CLOSE]
    units = np.array([known.get(phone_of(place), 0) for place in places])
    kinds = np.array([KINDS.index(place) if place in KINDS else -1 for place in places])
    heard = np.flatnonzero(kinds != KINDS.index(BLANK))  # a neighbour is heard across a blank
    before = heard[np.maximum(0, np.searchsorted(heard, np.arange(len(places))) - 1)]
    after = heard[np.minimum(len(heard) - 1, np.searchsorted(heard, np.arange(len(places)), side="right"))]
    spoken = np.arange(config.voices) == speaker
    facts = np.concatenate([_facts(places, kinds, before, after), np.tile(spoken, (len(places), 1))], axis=1)
    return Script(units, kinds, units[before], units[after], facts, speaker)


def _facts(places: Sequence[str], kinds: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(P, facts) bool, as FACT_NAMES. A word lies between two pauses of any kind, a phrase between two that are more than blanks."""
    at, pause = np.arange(len(places)), kinds >= 0
    edge = pause & (kinds != KINDS.index(BLANK))
    stress = np.array([0 if silent else stress_of(place) for place, silent in zip(places, pause, strict=True)])

    def around(mark: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest marked place at or before, and at or after, each."""
        marked = np.flatnonzero(mark)
        return marked[np.searchsorted(marked, at, side="right") - 1], marked[
            np.minimum(len(marked) - 1, np.searchsorted(marked, at))
        ]

    (word_from, word_to), (phrase_from, phrase_to) = around(pause), around(edge)
    words = np.cumsum(pause)
    into, left_over = words - words[phrase_from], words[phrase_to] - words
    share = (at - phrase_from) / np.maximum(1, phrase_to - phrase_from)
    main = np.cumsum(stress == 1)
    facts = [
        stress == 1, stress == 2, stress[before] == 1, stress[after] == 1,
        at - word_from == 1, word_to - at == 1, word_to - word_from <= 3, word_to - word_from >= 6,
        main - main[word_from] > 0, main[word_to] - main > 0,
        into == 0, into == 1, left_over == 1, left_over == 2,
        share < 0.25, share < 0.5, share < 0.75,
        phrase_from == 0, phrase_to == len(places) - 1,
        kinds[phrase_to] == KINDS.index("?"), kinds[phrase_to] == KINDS.index(","),
        edge, kinds == KINDS.index(BEGIN),
    ]  # fmt: skip
    return np.stack(facts, axis=1)
