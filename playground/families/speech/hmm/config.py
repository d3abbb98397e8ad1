"""What decides the shapes of the model: whether words or phones are its units, how many states each has, how many contexts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from playground.contract import BadSetting, fact, knob
from playground.signal import world
from playground.text import BLANK, END, PAD, START
from playground.text.normalise import PAUSES

SILENT = {PAD, START, END, BLANK, *PAUSES}
"""Symbols that are no phones; between phones they are places where a pause may be."""


@dataclass(frozen=True)
class Config:
    unit: str = knob(
        "auto",
        "What has a chain of its own: a word, a phone, or a word where the recordings are labelled",
        "사슬 하나를 갖는 단위: 단어, 음소, 또는 자동(라벨이 있으면 단어)",
        choices=("auto", "word", "phone"),
    )
    word_states: int = knob(10, "States of a word", "단어의 상태 수", 1, 30)
    phone_states: int = knob(5, "States of a phone", "음소의 상태 수", 1, 10)
    splits: int = knob(
        3000,
        "Splits by context, at most, of phones' spectra, of their pitch, of their durations (0: no context)",
        "음소의 스펙트럼, 높이, 길이를 문맥에 따라 나누는 최대 횟수 (0이면 문맥 없음)",
        0,
        10_000,
    )
    classes: int = fact(10, 1000)
    speakers: tuple = fact(())
    symbols: tuple = fact(())
    sample_rate: int = fact(8_000, 48_000)

    def __post_init__(self) -> None:
        world.check_setting(self.sample_rate)
        if not (self.classes if self.words else self.symbols):
            raise BadSetting(
                f"unit = {self.unit!r}: words need labelled recordings, phones need recordings with texts",
                f"unit = {self.unit!r}: 단어에는 라벨이, 음소에는 글이 딸린 녹음이 필요합니다",
            )

    @property
    def words(self) -> bool:
        """Whether the units are words, one for each class and speaker; else phones, with the pause as the first."""
        return self.unit == "word" or (self.unit == "auto" and self.classes > 0)

    conditional = words
    """Whether it is a class that is asked for."""

    @cached_property
    def phones(self) -> tuple[str, ...]:
        """The symbols' phones without their stress."""
        return tuple(dict.fromkeys(phone_of(symbol) for symbol in self.symbols if symbol not in SILENT))

    @property
    def voices(self) -> int:
        return max(1, len(self.speakers))

    @property
    def units(self) -> int:
        return self.classes * self.voices if self.words else 1 + len(self.phones)

    @property
    def states(self) -> int:
        return self.word_states if self.words else self.phone_states

    @property
    def static(self) -> int:
        """Columns of a frame: mel-cepstra, log F0, voicing, aperiodicity."""
        return world.ORDER + 3 + world.bands(self.sample_rate)


def phone_of(symbol: str) -> str:
    return re.sub(r"\d$", "", symbol)


def stress_of(symbol: str) -> int:
    """1 first, 2 second, 0 none."""
    return int(symbol[-1]) if symbol[-1].isdecimal() else 0
