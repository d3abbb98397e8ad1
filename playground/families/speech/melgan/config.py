"""What a MelGAN is made of: a generator that makes samples of mel frames, and discriminators that hear them."""

from __future__ import annotations

from dataclasses import dataclass

from playground.contract import BadSetting, fact, knob
from playground.signal.mel import DIGITS, SPEECH, Front

FRONTS = {front.rate: front for front in (DIGITS, SPEECH)}
FACTORS = {DIGITS.rate: (8, 4, 2, 2), SPEECH.rate: (8, 8, 2, 2)}
"""By how much each stage of the generator lengthens what it hears, by the samples' rate: together the mel's hop."""
QUIET = -5.0
"""log10 mels below it are taken for it, by the published code too: silence is no outlier."""
OFFICIAL = {"channels": 32, "blocks": 3}
"""The published size: 4,266,050 parameters for 80 mels."""


@dataclass(frozen=True)
class Config:
    sample_rate: int = fact(16_000, 48_000)
    channels: int = knob(12, "Generator's channels at its end; 32 in the paper", "생성자 마지막 단의 채널 수 (논문에서는 32)", 4, 64)  # fmt: skip
    blocks: int = knob(3, "Residual blocks in a stage, dilated 1, 3, 9; 3 in the paper", "단마다 잔차 블록 수 (간격 1, 3, 9, 논문에서는 3)", 1, 4)  # fmt: skip
    critic_channels: int = knob(16, "Discriminators' channels at their beginning; 16 in the paper", "판별자 첫 단의 채널 수 (논문에서는 16)", 4, 32)  # fmt: skip
    critic_limit: int = knob(
        128,
        "Most channels of a discriminator; 1,024 in the paper",
        "판별자 채널 수의 상한 (논문에서는 1,024)",
        16,
        1024,
    )
    scales: int = knob(3, "Discriminators, each hearing at half the rate", "판별자 수 (하나마다 절반의 속도로 들음)", 1, 5)  # fmt: skip

    def __post_init__(self) -> None:
        if self.sample_rate not in FRONTS:
            known = " or ".join(f"{rate:,}" for rate in FRONTS)
            raise BadSetting(
                f"mel spectrograms are made at {known} Hz, not at {self.sample_rate:,}: there is no vocoder for that",
                f"멜 스펙트로그램은 {' 또는 '.join(f'{rate:,}' for rate in FRONTS)} Hz에서 만듭니다. "
                f"{self.sample_rate:,} Hz에는 보코더를 쓸 수 없습니다",
            )

    @property
    def front(self) -> Front:
        return FRONTS[self.sample_rate]

    @property
    def factors(self) -> tuple[int, ...]:
        return FACTORS[self.sample_rate]
