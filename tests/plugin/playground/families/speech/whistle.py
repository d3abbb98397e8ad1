"""A vocoder from outside the house: it whistles the loudest band of each mel frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from playground.contract import Audio, Control, Family, Output, Reference, Scene, View, fact, knob

HOP = 256


@dataclass(frozen=True)
class Config:
    loudness: float = knob(0.5, "Loudness", "크기", low=0.0, high=1.0)
    sample_rate: int = fact(16_000, high=48_000)


class Whistle(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.register_buffer("gain", torch.tensor(config.loudness))

    def vocode(self, mel: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """(T, 80) log10-mel -> (T * 256,) samples in [-1, 1]. It draws nothing."""
        pitch = 80 + 90.0 * mel.argmax(-1).repeat_interleave(HOP)
        return self.gain * torch.sin(2 * math.pi * pitch.cumsum(0) / self.config.sample_rate)


def render_whistle(model: Whistle, scene: Scene) -> Iterator[list[Output]]:
    yield [Audio(model.vocode(torch.rand(8, 80, generator=scene.rng)), model.config.sample_rate)]


FAMILY = Family(
    name="whistle",
    kind="speech",
    title={"en": "Whistle", "ko": "휘파람"},
    idea={"en": "Whistles a spectrogram.", "ko": "스펙트로그램을 휘파람으로 붑니다."},
    paper="None: a family of the tests",
    Config=Config,
    Model=Whistle,
    trains_on=("labelled speech",),
    views=(
        View(
            "whistle",
            {"en": "Whistle", "ko": "휘파람 불기"},
            {"en": "One tone a frame.", "ko": "프레임마다 음 하나입니다."},
            (Control("seed", "seed", {"en": "Seed", "ko": "시드"}, 0),),
            render_whistle,
        ),
    ),
    reference=Reference(
        {"en": "None", "ko": "없음"},
        "torch",
        "torch.nn.Module",
        "playground.references.hum",
        {"en": "None.", "ko": "없음."},
    ),
)
