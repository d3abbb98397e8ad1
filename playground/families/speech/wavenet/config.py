"""What a WaveNet is made of: its stacks of dilated layers, and what it is told beside the sound so far."""

from __future__ import annotations

from dataclasses import dataclass

from playground.contract import BadSetting, fact, knob
from playground.signal.mel import DIGITS, SPEECH, Front

FRONTS = {front.rate: front for front in (DIGITS, SPEECH)}
STEP = 16
"""Samples that share one value of the conditioning: 2 ms at 8 kHz, 1 ms at 16 kHz. It divides the hop of every mel."""


@dataclass(frozen=True)
class Config:
    classes: int = fact(0, 1000)
    speakers: tuple = fact(())
    sample_rate: int = fact(8_000, 48_000)
    vocoder: bool = knob(
        False,
        "Speak from mel spectrograms instead of labels (a vocoder)",
        "레이블 대신 멜 스펙트로그램을 소리로 바꾸기 (보코더)",
    )
    emphasis: float = knob(
        0.85,
        "Share of each sample taken from the next before mu-law (pre-emphasis); 0 in the paper",
        "mu-law 앞에서 다음 표본에서 빼는 비율 (프리엠퍼시스). 논문에서는 0",
        0,
        0.97,
    )
    stacks: int = knob(2, "Stacks of dilated layers", "확장 합성곱 층의 묶음 수", 1, 5)
    layers: int = knob(8, "Layers in a stack; each doubles the dilation", "묶음마다 층 수 (층마다 간격이 두 배)", 1, 12)
    channels: int = knob(64, "Channels of the residual and the gated path", "잔차와 게이트 경로의 채널 수", 8, 512)
    skip: int = knob(64, "Channels of the skip path", "건너뛰기 경로의 채널 수", 8, 1024)
    features: int = knob(64, "Numbers in the conditioning, at each of its steps", "조건의 크기 (시점마다)", 8, 512)

    def __post_init__(self) -> None:
        if self.vocoder and self.sample_rate not in FRONTS:
            known = " or ".join(f"{rate:,}" for rate in FRONTS)
            raise BadSetting(
                f"mel spectrograms are made at {known} Hz, not at {self.sample_rate:,}: there is no vocoder for that",
                f"멜 스펙트로그램은 {' 또는 '.join(f'{rate:,}' for rate in FRONTS)} Hz에서 만듭니다. "
                f"{self.sample_rate:,} Hz에는 보코더를 쓸 수 없습니다",
            )

    @property
    def dilations(self) -> tuple[int, ...]:
        """1, 2, 4, ..., again in every stack (section 2.1)."""
        return tuple(2**layer for layer in range(self.layers)) * self.stacks

    @property
    def receptive_field(self) -> int:
        """Samples of the past that the next one depends on."""
        return 1 + sum(self.dilations)

    @property
    def conditional(self) -> bool:
        """Whether the net is told the class."""
        return not self.vocoder

    @property
    def front(self) -> Front:
        return FRONTS[self.sample_rate]
