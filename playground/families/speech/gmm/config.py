"""What decides the shapes of the model: how many Gaussians, how they vary, whose voices there are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from playground.contract import BadSetting, fact, knob
from playground.families.speech.gmm.mixture import KINDS
from playground.signal import world

CEPSTRA = world.ORDER + 1
ANYONE = -1
"""The source of a conversion whose voice was not among those of the training."""
MOST_PAIRED = 8
"""Voices: of more, each pair has no mixture of its own; all are converted as anyone is."""
MOST_NUMBERS = 30_000_000
"""In all mixtures together, of 8 bytes each."""


@dataclass(frozen=True)
class Config:
    components: int = knob(16, "Gaussians of each digit and voice", "숫자와 목소리마다 가우스 수", 1, 64)
    covariance: str = knob("diagonal", "How they vary", "그 공분산의 형태", choices=tuple(KINDS))
    pair_components: int = knob(96, "Gaussians of each pair of voices", "목소리 쌍마다 가우스 수", 1, 128)
    pair_covariance: str = knob("tied", "How those vary", "쌍의 공분산의 형태", choices=tuple(KINDS))
    classes: int = fact(10, 1000)
    speakers: tuple = fact(())
    sample_rate: int = fact(8_000, 48_000)

    def __post_init__(self) -> None:
        world.check_setting(self.sample_rate)
        if not self.classes:
            raise BadSetting(
                "the mixtures learn words from labelled recordings; these have no labels",
                "혼합 분포는 라벨이 있는 녹음에서 단어를 배웁니다. 이 녹음에는 라벨이 없습니다",
            )
        if self.numbers > MOST_NUMBERS:
            raise BadSetting(
                f"{self.units} words by voice and {len(self.routes)} conversions would take {self.numbers:,} numbers, "
                f"more than {MOST_NUMBERS:,}: choose fewer Gaussians, tied or diagonal covariances, or fewer voices",
                f"단어와 목소리의 조합 {self.units}개와 변환 {len(self.routes)}개에 수 {self.numbers:,}개가 필요합니다"
                f"(한도 {MOST_NUMBERS:,}개). 가우스나 목소리를 줄이거나 tied, diagonal 공분산을 고르세요",
            )

    @property
    def voices(self) -> int:
        """Speakers; one where nobody is named."""
        return max(1, len(self.speakers))

    @property
    def units(self) -> int:
        """Mixtures of words: one for each class and voice."""
        return self.classes * self.voices

    @property
    def static(self) -> int:
        """Columns of a frame: mel-cepstra, log F0, voicing, aperiodicity."""
        return CEPSTRA + 2 + world.bands(self.sample_rate)

    @cached_property
    def routes(self) -> tuple[tuple[int, int], ...]:
        """(a, b) of each mixture of pairs: every two voices, a < b, then anyone and each voice."""
        if len(self.speakers) < 2:
            return ()
        voices = range(len(self.speakers))
        pairs = list(combinations(voices, 2)) if len(voices) <= MOST_PAIRED else []
        return (*pairs, *((ANYONE, b) for b in voices))

    @property
    def numbers(self) -> int:
        """Parameters of all covariances and means."""
        of = lambda groups, kind, k, d: (
            groups * (k * d + (d if kind == "tied" else k * d) * (1 if kind == "diagonal" else d))
        )
        words = of(self.units, self.covariance, self.components, 1 + 3 * self.static)
        return words + of(len(self.routes), self.pair_covariance, self.pair_components, 6 * CEPSTRA)
