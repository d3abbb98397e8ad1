"""The prior: what code comes next, after those before, for a word and a speaker (section 3.3).

Gated causal convolutions as in WaveNet (van den Oord et al. 2016, arXiv:1609.03499), here over codes: each layer looks
twice as far back as the one before.

Dimension letters: B recordings, N codes, K codes in the codebook, W feature maps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.families.speech.vq_vae.config import Config


@dataclass(frozen=True)
class Moment:
    """codes (B, n) so far, and how many of each row belong to its recording (B,); nothing comes after a row's end."""

    codes: Tensor
    counts: Tensor


class Gated(nn.Module):
    """(B, W, N) to the same, each place from itself and one place `back` before it."""

    def __init__(self, width: int, back: int):
        super().__init__()
        self.back = back
        self.conv = nn.Conv1d(width, 2 * width, 2, dilation=back)
        self.told = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        # van den Oord (2016), eq. 3: z = tanh(W_f * x + V_f c) . sigmoid(W_g * x + V_g c)
        f, g = (self.conv(F.pad(h, (self.back, 0))) + self.told(told)[:, :, None]).chunk(2, dim=1)
        return h + self.out(f.tanh() * g.sigmoid())


class Prior(nn.Module):
    """Of K codes, where one more, K, is the end; `start` begins what is read and `hidden` stands for a code not told."""

    layers: Any

    def __init__(self, codes: int, width: int, layers: int, labels: int, voices: int, longest: int):
        super().__init__()
        self.end, self.start, self.hidden = codes, codes, codes + 1
        self.longest = longest
        self.read = nn.Embedding(codes + 2, width)
        self.labels = nn.Embedding(labels, width) if labels else None
        self.voices = nn.Embedding(voices, width)
        self.layers = nn.ModuleList(Gated(width, 2**i) for i in range(layers))
        self.out = nn.Sequential(nn.SiLU(), nn.Conv1d(width, width, 1), nn.SiLU(), nn.Conv1d(width, codes + 1, 1))

    @classmethod
    def of(cls, config: Config) -> Prior:
        return cls(config.codes, config.prior_width, config.prior_layers, config.labels, config.voices, config.longest)

    def forward(
        self, codes: Tensor, counts: Tensor, label: Tensor | None, speaker: Tensor, u: Tensor, hide: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The training objective: -log p(codes and their end | label, speaker), in nats a recording.

        codes (B, N), of which counts (B,) belong to each recording. A share `hide` of the codes read, where the noise u
        (B, N) is below it, is not told, so that the net cannot learn the recordings by heart. What is longer than
        `longest` codes is read so far, without an end.
        """
        read = torch.where(u < hide, self.hidden, codes)
        nats, places = self.nats(codes, counts, label, speaker, read)
        return nats.sum(1).mean(), {"prior (bits a code)": nats.detach().sum() / places.sum() / math.log(2)}

    def nats(
        self, codes: Tensor, counts: Tensor, label: Tensor | None, speaker: Tensor, read: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """-log p (B, n + 1) of each code and of the end after those before, and which of them there are (B, n + 1)."""
        codes, read = codes[:, : self.longest], (codes if read is None else read)[:, : self.longest]
        place = torch.arange(codes.shape[1] + 1, device=codes.device)
        there = (place <= counts[:, None]) & (place < self.longest)
        target = torch.where(place == counts[:, None], self.end, F.pad(codes, (0, 1)))
        nats = F.cross_entropy(self.logits(read, label, speaker), target, reduction="none")
        return nats * there, there

    def logits(self, codes: Tensor, label: Tensor | None, speaker: Tensor) -> Tensor:
        """(B, K + 1, n + 1): what comes first, and what comes after each of the codes (B, n)."""
        told = self.voices(speaker)
        if self.labels is not None:
            if label is None:
                raise ValueError("this prior was trained with classes: give the label")
            told = told + self.labels(label)
        h = self.read(F.pad(codes, (1, 0), value=self.start)).transpose(1, 2)  # (B, W, n + 1)
        for layer in self.layers:
            h = layer(h, told)
        return self.out(h).float()

    def draw(self, label: Tensor | None, speaker: Tensor, temperature: float, rng: torch.Generator) -> Iterator[Moment]:
        """Codes for each label and speaker (B,), after every code; the last moment has them all."""
        codes = speaker.new_zeros(len(speaker), 0)
        counts = torch.zeros_like(speaker)
        going = torch.ones_like(speaker, dtype=torch.bool)
        while bool(going.any()) and codes.shape[1] < self.longest:
            logits = self.logits(codes, label, speaker)[:, :, -1] / max(temperature, 1e-6)  # (B, K + 1)
            if not codes.shape[1]:
                logits[:, self.end] = -torch.inf  # a recording has at least one code
            code = torch.multinomial(logits.softmax(1).cpu(), 1, generator=rng).to(codes.device)[:, 0]
            going = going & (code != self.end)
            codes = torch.cat([codes, torch.where(going, code, 0)[:, None]], dim=1)
            counts = counts + going
            yield Moment(codes, counts)
