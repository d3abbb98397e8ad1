"""The parts: attention, the layers of encoder and decoder, positions, and what stands before and behind them.

Shapes: B utterances, N symbols, T steps of the decoder (groups of r frames), D width, H heads.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.families.speech.transformer_tts.config import Config

NEVER = -math.inf


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2): softmax(Q K^T / sqrt(D / H)) V, H times side by side."""

    def __init__(self, config: Config):
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key_value = nn.Linear(config.width, 2 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.drop = nn.Dropout(config.dropout)
        for part in (self.query.weight, *self.key_value.weight.chunk(2), self.out.weight):
            nn.init.xavier_uniform_(part)

    def split(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, D / H)"""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def remember(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, N, D / H) of what is attended to (B, N, D)."""
        k, v = self.key_value(source).chunk(2, dim=2)
        return self.split(k), self.split(v)

    def forward(self, x: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """x (B, T, D) -> (what was gathered (B, T, D), the weights (B, H, T, N)).

        seen: what may be attended to, of a shape that broadcasts to (B, H, T, N); everything, if None.
        """
        q = self.split(self.query(x))  # (B, H, T, D / H)
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])  # (B, H, T, N)
        if seen is not None:
            scores = scores.masked_fill(~seen, NEVER)
        weights = scores.softmax(3)
        gathered = self.drop(weights) @ v  # (B, H, T, D / H)
        return self.out(gathered.transpose(1, 2).flatten(2)), weights


def feed_forward(config: Config) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(config.width, config.feed_forward),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        nn.Linear(config.feed_forward, config.width),
    )


class EncoderLayer(nn.Module):
    """Each part sees its input normalised and adds to it what it makes (pre-norm; the paper normalises the sum)."""

    def __init__(self, config: Config):
        super().__init__()
        self.attend_norm, self.feed_norm = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.attend, self.feed = Attention(config), feed_forward(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, N, D) -> (x (B, N, D), weights (B, H, N, N))"""
        normal = self.attend_norm(x)
        gathered, weights = self.attend(normal, *self.attend.remember(normal), seen)
        x = x + self.drop(gathered)
        return x + self.drop(self.feed(self.feed_norm(x))), weights


class Past(NamedTuple):
    """What a decoder layer need not compute again: keys and values of the text, and of the steps so far."""

    text: tuple[Tensor, Tensor]
    steps: tuple[Tensor, Tensor] | None = None


class DecoderLayer(nn.Module):
    """Attends to the steps so far, then to the text."""

    def __init__(self, config: Config):
        super().__init__()
        self.self_norm, self.cross_norm, self.feed_norm = (nn.LayerNorm(config.width) for _ in range(3))
        self.self_attend, self.cross_attend = Attention(config), Attention(config)
        self.feed = feed_forward(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, past: Past, before: Tensor | None, seen: Tensor | None
    ) -> tuple[Tensor, Past, Tensor, Tensor]:
        """x (B, T, D) -> (x, the past with these steps in it, weights among the steps, weights on the text).

        before: which steps each step may attend to; seen: which symbols.
        """
        normal = self.self_norm(x)
        k, v = self.self_attend.remember(normal)
        if past.steps is not None:
            k, v = (torch.cat(pair, dim=2) for pair in zip(past.steps, (k, v), strict=True))
        gathered, among = self.self_attend(normal, k, v, before)
        x = x + self.drop(gathered)
        gathered, on_text = self.cross_attend(self.cross_norm(x), *past.text, seen)
        x = x + self.drop(gathered)
        return x + self.drop(self.feed(self.feed_norm(x))), Past(past.text, (k, v)), among, on_text


class Positions(nn.Module):
    """x + alpha PE (section 3.2 of the paper): sinusoids of which each side learns how loud they must be."""

    def __init__(self, config: Config):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(()))

    @staticmethod
    def encoding(first: int, n: int, width: int, device: torch.device | str = "cpu") -> Tensor:
        """PE (n, width) of the places from `first` on (Vaswani et al., section 3.5): sines in even columns, cosines in odd ones."""
        place = torch.arange(first, first + n, device=device)[:, None]
        rate = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000.0) / width))
        return torch.stack([(place * rate).sin(), (place * rate).cos()], dim=2).flatten(1)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """x (B, T, D) whose first step stands at the place `first`."""
        return x + self.alpha * self.encoding(first, x.shape[1], x.shape[2], x.device)


class Convolutions(nn.Module):
    """Convolutions of five over time, each normalised over its channels at every place (the paper: over the batch).

    Outside the utterance everything is zero before each of them, so that padding changes nothing.
    """

    convolutions: Any
    norms: Any

    def __init__(self, channels: list[int], dropout: float, tanh: bool):
        super().__init__()
        pairs = list(pairwise(channels))
        self.convolutions = nn.ModuleList(nn.Conv1d(a, b, 5, padding=2) for a, b in pairs)
        self.norms = nn.ModuleList(nn.LayerNorm(b) for _, b in pairs)
        self.squash = torch.tanh if tanh else F.relu
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """x (B, T, C), inside (B, T, 1) -> (B, T, last of the channels)"""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = convolution((x * inside).transpose(1, 2)).transpose(1, 2)
            x = self.drop(self.squash(norm(x)))
        return x


class Prenet(nn.Module):
    """Two small layers that a frame must pass before the decoder hears it, half of their units dropped, always.

    So the decoder cannot merely copy its own last frame and has to look at the text.
    """

    def __init__(self, config: Config, bands: int):
        super().__init__()
        self.first, self.second = nn.Linear(bands, config.prenet), nn.Linear(config.prenet, config.prenet)
        self.share = config.prenet_dropout

    def forward(self, frames: Tensor, kept: Tensor | None = None) -> Tensor:
        """Frames (B, T, bands) -> (B, T, P). kept: which units (2, B, T, P) are; drawn here, if None."""
        for k, layer in enumerate((self.first, self.second)):
            frames = F.relu(layer(frames))
            if kept is None:
                frames = F.dropout(frames, self.share, training=True)
            else:
                frames = frames * kept[k] / (1 - self.share)
        return frames
