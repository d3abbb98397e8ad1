"""What a VQ-VAE of speech is made of: its frames, its codebook, its two voices of one net, and the prior over codes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from playground.contract import BadSetting, fact, knob
from playground.signal.mel import DIGITS, SPEECH, Front

FRONTS = {front.rate: front for front in (DIGITS, SPEECH)}
SAMPLE_BITS = 16
"""Of a recording's samples: what codes are compared with."""


@dataclass(frozen=True)
class Config:
    sample_rate: int = fact(8000, 48_000)
    classes: int = fact(0, 1000)
    speakers: tuple = fact(())
    codes: int = knob(256, "Codes in the codebook", "코드북의 코드 수", 2, 8192)
    code_size: int = knob(32, "Numbers in a code's vector", "코드 벡터의 크기", 2, 512)
    halvings: int = knob(
        1, "Times the 16 ms frames are halved in number before they are coded", "부호화 전에 16ms 프레임 수를 절반으로 줄이는 횟수", 0, 4
    )  # fmt: skip
    width: int = knob(128, "Feature maps of the coder and the decoder", "부호기와 복호기의 특징 지도 수", 8, 1024)
    codebook: str = knob(
        "averages",
        "How the codebook learns: its vectors follow averages, or the gradient",
        "코드북이 배우는 방법: 벡터가 평균을 따라감(averages), 또는 기울기를 따라감(gradient)",
        choices=("averages", "gradient"),
    )
    prior_width: int = knob(96, "Feature maps of the prior", "사전 분포 신경망의 특징 지도 수", 8, 1024)
    prior_layers: int = knob(
        4, "Layers of the prior, each looking twice as far back", "사전 분포의 층 수 (층마다 두 배 앞까지 봄)", 1, 10
    )
    longest: int = knob(96, "Codes that a recording made by the prior has at most", "사전 분포가 만드는 최대 코드 수", 4, 1024)  # fmt: skip
    conditional: bool = knob(True, "Tell the prior what is said", "무엇을 말하는지 사전 분포에 알려 주기")

    def __post_init__(self) -> None:
        if self.sample_rate not in FRONTS:
            listed = " or ".join(map(str, FRONTS))
            raise BadSetting(
                f"the VQ-VAE hears recordings at {listed} Hz, not {self.sample_rate}",
                f"VQ-VAE는 {listed} Hz의 녹음을 듣습니다 (지금 {self.sample_rate})",
            )

    @property
    def front(self) -> Front:
        return FRONTS[self.sample_rate]

    @property
    def stride(self) -> int:
        """Frames that a code stands for."""
        return 2**self.halvings

    @property
    def hop(self) -> int:
        """Samples that a code stands for."""
        return self.stride * self.front.hop

    @property
    def labels(self) -> int:
        """Number of classes that the prior is told: 0 where it is told none."""
        return self.classes if self.conditional else 0

    @property
    def voices(self) -> int:
        """Speakers that the decoder knows; a corpus that names none has one."""
        return max(1, len(self.speakers))

    @property
    def codes_a_second(self) -> float:
        return self.sample_rate / self.hop

    @property
    def bits_a_second(self) -> float:
        """What the codes take without regard to how often each is used."""
        return self.codes_a_second * math.log2(self.codes)

    @property
    def compression(self) -> float:
        """How many times fewer bits than the samples."""
        return self.sample_rate * SAMPLE_BITS / self.bits_a_second
