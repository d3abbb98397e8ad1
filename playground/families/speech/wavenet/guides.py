"""What the net is told beside the sound so far: a sequence h of features, one for every `STEP` samples.

Section 2.5 of the paper has two kinds of conditioning. Global: the speaker, the same at every step. Local: a second
series at a lower rate, there the linguistic features of a text with their durations; here either the place in the word
that is being said, or the frames of a mel spectrogram. Both are linear between their points, and constant for a step.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.families.speech.wavenet.config import STEP, Config

PLACES = 24
"""Points along a word at which what is told of it is learnt."""
SPREAD = 1.5
"""Standard deviations from the mean beyond which no duration is drawn."""
QUIET = 3.0
"""A log10 mel is told as mel + 3, and not below -3: silence is no outlier."""


def between(points: Tensor, place: Tensor) -> Tensor:
    """Points (N, C) read at places (M,) in [0, N - 1], linear from one to the next and held at the ends: (M, C) float32."""
    points, place = points.float(), place.clamp(0, len(points) - 1)
    left = place.long().clamp(max=max(0, len(points) - 2))
    share = (place - left)[:, None]
    return torch.lerp(points[left], points[(left + 1).clamp(max=len(points) - 1)], share)


class LabelGuide(nn.Module):
    """Class, speaker, and how far the word has got."""

    def __init__(self, config: Config):
        super().__init__()
        features = config.features
        self.speaker = nn.Embedding(max(1, len(config.speakers)), features)
        self.word = nn.Parameter(torch.randn(config.classes, PLACES, features)) if config.classes else None
        self.mix = nn.Linear(features, features)

    def forward(self, begin: Tensor, total: Tensor, label: Tensor, speaker: Tensor, steps: int) -> Tensor:
        """h (steps, features) from sample `begin` on, of a recording of `total` samples. All but `steps` are ()."""
        h = self.speaker(speaker).expand(steps, -1)
        if self.word is not None:
            middle = begin + STEP * (torch.arange(steps, device=h.device) + 0.5)
            h = h + between(self.word[label], middle / total * (PLACES - 1))
        return F.silu(self.mix(F.silu(h)))


class Durations(nn.Module):
    """How long each class takes each speaker: ln seconds as Gaussians. They decide where a sound ends."""

    log_mean: Tensor
    log_deviation: Tensor

    def __init__(self, classes: int, speakers: int):
        super().__init__()
        self.register_buffer("log_mean", torch.full((classes, speakers), 0.4).log())
        self.register_buffer("log_deviation", torch.full((classes, speakers), 0.1))

    @torch.no_grad()
    def learn(self, seconds: Tensor, labels: Tensor, speakers: Tensor) -> None:
        """Fits recordings (N,); a class of which a speaker has fewer than two takes the figures of all recordings."""
        logs = seconds.log()
        self.log_mean.fill_(logs.mean())
        self.log_deviation.fill_(logs.std() if len(logs) > 1 else 0.1)
        for c, s in {(int(c), int(s)) for c, s in zip(labels, speakers, strict=True)}:
            own = logs[(labels == c) & (speakers == s)]
            if len(own) > 1:
                self.log_mean[c, s], self.log_deviation[c, s] = own.mean(), own.std()

    def draw(self, label: int, speaker: int, rng: torch.Generator) -> float:
        """Seconds that the class is to take the speaker."""
        z = float(torch.randn((), generator=rng).clamp(-SPREAD, SPREAD))
        return math.exp(float(self.log_mean[label, speaker]) + z * float(self.log_deviation[label, speaker]))


class MelGuide(nn.Module):
    """A mel spectrogram: two convolutions over its frames, so that each is told with its neighbours."""

    def __init__(self, config: Config):
        super().__init__()
        self.hop = config.front.hop
        self.conv1 = nn.Conv1d(config.front.mels, config.features, 3, padding=1)
        self.conv2 = nn.Conv1d(config.features, config.features, 3, padding=1)

    def forward(self, begin: Tensor, total: Tensor, mel: Tensor, steps: int) -> Tensor:
        """h (steps, features) from sample `begin` on, of log10 mels (frames, mels), frame t centred on sample t * hop."""
        told = (mel.T + QUIET).clamp_min(-QUIET)  # (mels, frames)
        h = F.silu(self.conv2(F.silu(self.conv1(told)))).T  # (frames, features)
        middle = begin + STEP * (torch.arange(steps, device=h.device) + 0.5)
        return between(h, middle / self.hop)
