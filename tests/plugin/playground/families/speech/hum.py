"""A family from outside the house: it hums syllables. The tests put this package on the PYTHONPATH.

Its data set comes with it and is registered when the family is imported. A mixture of Gaussians over spectra, fitted
by EM, names the sound of each frame; a small decoder, trained by gradient, turns such a frame into samples.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from playground.contract import (
    Audio,
    Control,
    DataInfo,
    Family,
    Mel,
    Output,
    Reference,
    Scene,
    View,
    fact,
    knob,
)
from playground.data.sets import SETS, DataSet, Source

RATE, FRAME = 16_000, 64
SYLLABLES = {"la": 220.0, "di": 330.0, "do": 147.0, "허": 262.0}
CREDIT = "Hums, computed by this package; CC0 1.0"


# --- Data -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Hums:
    """x: (N, T) float32 in [-1, 1]; labels (N,) int64; texts: what is hummed."""

    x: Tensor
    labels: Tensor
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.x[indices], self.labels[indices]


@dataclass(frozen=True, eq=False)
class HumData:
    info: DataInfo
    train: Hums
    test: Hums


def hums(files: object = None) -> HumData:
    """Each syllable sixteen times over, at slightly different pitches; a quarter is held out."""

    def part(n: int, seed: int) -> Hums:
        rng = torch.Generator().manual_seed(seed)
        labels = torch.arange(n) % len(SYLLABLES)
        pitch = torch.tensor(list(SYLLABLES.values()))[labels] * (1 + 0.03 * torch.randn(n, generator=rng))
        t = torch.arange(8 * FRAME) / RATE
        x = sum(0.4 / k * torch.sin(2 * math.pi * k * pitch[:, None] * t) for k in (1, 2, 3))
        return Hums(x, labels, tuple(list(SYLLABLES)[int(label)] for label in labels))

    info = DataInfo("hums", class_names=tuple(SYLLABLES), sample_rate=RATE, size=48, credit=CREDIT)
    return HumData(info, part(48, seed=0), part(16, seed=1))


SETS["hums"] = DataSet(
    {"en": "Hums", "ko": "흥얼거림"},
    {"en": "Four hummed syllables.", "ko": "흥얼거린 음절 네 가지입니다."},
    ("labelled speech",),
    CREDIT,
    (Source((), hums),),
)


# --- Model ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    sounds: int = knob(6, "Sounds in the mixture", "혼합 성분 수", low=2, high=32)
    width: int = knob(32, "Width of the decoder", "디코더 너비", low=4, high=256)
    class_names: tuple = fact(tuple(SYLLABLES))
    sample_rate: int = fact(RATE, high=48_000)


class Hum(nn.Module):
    """forward(x, y) is the second phase's objective; `em_step` the first's."""

    activation = staticmethod(torch.tanh)

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        bins = FRAME // 2 + 1
        self.register_buffer("means", torch.linspace(-4, 1, config.sounds)[:, None].repeat(1, bins))
        self.register_buffer("variances", torch.ones(config.sounds, bins))
        self.register_buffer("weights", torch.full((config.sounds,), 1 / config.sounds))
        self.embed = nn.Embedding(len(config.class_names), config.width)
        self.encode = nn.Linear(config.sounds + 1, config.width)
        self.drop = nn.Dropout(0.1)
        self.decode = nn.Linear(config.width, FRAME)

    def spectra(self, x: Tensor) -> Tensor:
        """(B, T) -> (B * frames, bins): natural logarithm of the magnitudes."""
        return torch.fft.rfft(x.reshape(-1, FRAME)).abs().clamp_min(1e-3).log()

    def responsibilities(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """(frames, bins) -> (frames, sounds) that sum to one, and the mean log-likelihood in nats a frame."""
        distance = (s[:, None] - self.means) ** 2 / self.variances + self.variances.log() + math.log(2 * math.pi)
        joint = self.weights.log() - 0.5 * distance.sum(-1)
        return joint.softmax(-1), joint.logsumexp(-1).mean()

    @torch.no_grad()
    def em_step(self, x: Tensor) -> float:
        """One iteration; returns the log-likelihood before it."""
        s = self.spectra(x)
        r, likelihood = self.responsibilities(s)
        mass = r.sum(0).clamp_min(1e-3)
        self.means.copy_(r.T @ s / mass[:, None])
        self.variances.copy_((r.T @ s**2 / mass[:, None] - self.means**2).clamp_min(1e-2))
        self.weights.copy_(mass / mass.sum())
        return float(likelihood)

    def frames(self, r: Tensor, phase: Tensor, y: Tensor) -> Tensor:
        hidden = self.activation(self.encode(torch.cat([r, phase], -1)) + self.embed(y))
        return self.decode(self.drop(hidden))

    def forward(self, x: Tensor, y: Tensor, noise: Tensor) -> Tensor:
        """Mean squared error of the frames rebuilt from noisy responsibilities. noise: (B * frames, sounds)."""
        frames = x.reshape(-1, FRAME)
        r, _ = self.responsibilities(self.spectra(x))
        y = y.repeat_interleave(len(frames) // len(x))
        return F.mse_loss(self.frames(r + 0.1 * noise, frames[:, :1], y), frames)

    def synthesize(self, syllable: int, frames: int, rng: torch.Generator) -> Tensor:
        """(frames * FRAME,) samples in [-1, 1] of one syllable."""
        r = torch.multinomial(self.weights, frames, replacement=True, generator=rng)
        made = [torch.zeros(1)]
        for one in F.one_hot(r, self.config.sounds).float():
            y = torch.tensor([syllable])
            made.append(self.frames(one[None], made[-1][-1:].reshape(1, 1), y)[0])
        return torch.cat(made[1:]).clamp(-1, 1)


# --- Views ----------------------------------------------------------------------------------------------------


def render_hum(
    model: Hum, scene: Scene, text: str, frames: int, rest: float, take: Audio | None
) -> Iterator[list[Output]]:
    """The text, syllable by syllable, as slowly as is asked for; a recording sets the loudness."""
    names = list(scene.info.class_names)
    loudness = float(take.samples.abs().mean()) if take is not None else 1.0
    made = torch.zeros(0)
    for word in text.split():
        made = torch.cat(
            [made, loudness * model.synthesize(names.index(word) if word in names else 0, frames, scene.rng)]
        )
        yield [Audio(made, scene.info.sample_rate)]
        time.sleep(rest)
    yield [Audio(made, scene.info.sample_rate), Mel(torch.full((max(1, len(made) // 256), 80), -3.0), RATE)]


FAMILY = Family(
    name="hum",
    kind="speech",
    title={"en": "Hum", "ko": "흥얼거림"},
    idea={"en": "Hums what you write.", "ko": "쓴 글을 흥얼거립니다."},
    paper="None: a family of the tests",
    Config=Config,
    Model=Hum,
    trains_on=("labelled speech",),
    views=(
        View(
            "hum",
            {"en": "Hum a text", "ko": "글 흥얼거리기"},
            {"en": "Each syllable is heard as soon as it is made.", "ko": "음절이 만들어지는 대로 들립니다."},
            (
                Control("text", "text", {"en": "Text", "ko": "글"}, "la di do"),
                Control("frames", "number", {"en": "Frames a syllable", "ko": "음절당 프레임"}, 8, 1, 64, 1),
                Control("rest", "number", {"en": "Rest after each (s)", "ko": "음절 뒤 쉼(초)"}, 0.0, 0.0, 2.0, 0.1),
                Control("take", "recording", {"en": "Your voice", "ko": "내 목소리"}),
                Control("seed", "seed", {"en": "Seed", "ko": "시드"}, 0),
            ),
            render_hum,
        ),
    ),
    reference=Reference(
        {"en": "Hum with ReLU", "ko": "ReLU 흥얼거림"},
        "torch",
        "playground.references.hum.Model",
        "playground.references.hum",
        {"en": "The same with another activation.", "ko": "활성화 함수만 다릅니다."},
    ),
)
