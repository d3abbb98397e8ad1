"""The encoder, from levels to vectors, and the decoder, which is told who speaks.

Dimension letters: B recordings, M mels, L frames, N = L / stride codes, D numbers in a code's vector, W feature maps.

Recordings of a batch end at different places. Before every convolution that looks around, what lies beyond an end is
set to zero (`there` is 1 up to the end, 0 after it): a recording is coded in a batch exactly as it is alone.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from playground.families.speech.vq_vae.config import Config

BLOCKS = 2
"""Residual blocks at each rate."""


class Residual(nn.Module):
    """(B, W, L) to the same; `voice` (B, W), where one is given, is added inside."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv1d(width, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 1)

    def forward(self, h: Tensor, there: Tensor, voice: Tensor | None = None) -> Tensor:
        inside = self.conv1(F.silu(h) * there)
        if voice is not None:
            inside = inside + voice[:, :, None]
        return h + self.conv2(F.silu(inside))


class Encoder(nn.Module):
    """Levels (B, M, L) to vectors z_e (B, D, N). It is not told who speaks."""

    shorten: Any
    blocks: Any

    def __init__(self, config: Config):
        super().__init__()
        wide = config.width
        self.first = nn.Conv1d(config.front.mels, wide, 3, padding=1)
        self.shorten = nn.ModuleList(nn.Conv1d(wide, wide, 4, stride=2, padding=1) for _ in range(config.halvings))
        self.blocks = nn.ModuleList(Residual(wide) for _ in range(BLOCKS))
        self.out = nn.Conv1d(wide, config.code_size, 1)

    def forward(self, level: Tensor, there: Tensor) -> Tensor:
        h = self.first(level * there)  # (B, W, L)
        for shorten in self.shorten:
            h = shorten(F.silu(h) * there)  # half as long each time
            there = there[:, :, ::2]
        for block in self.blocks:
            h = block(h, there)
        return self.out(F.silu(h))


class Decoder(nn.Module):
    """Vectors (B, D, N) and speakers (B,) to levels (B, M, L)."""

    voices: Any
    slow: Any
    lengthen: Any
    fast: Any

    def __init__(self, config: Config):
        super().__init__()
        wide = config.width
        self.first = nn.Conv1d(config.code_size, wide, 3, padding=1)
        self.slow = nn.ModuleList(Residual(wide) for _ in range(BLOCKS))
        self.lengthen = nn.ModuleList(
            nn.ConvTranspose1d(wide, wide, 4, stride=2, padding=1) for _ in range(config.halvings)
        )
        self.fast = nn.ModuleList(Residual(wide) for _ in range(BLOCKS))
        self.out = nn.Conv1d(wide, config.front.mels, 1)
        self.voices = nn.ModuleList(nn.Embedding(config.voices, wide) for _ in range(2 * BLOCKS))

    def forward(self, e: Tensor, there: Tensor, speaker: Tensor) -> Tensor:
        voices = iter(voice(speaker) for voice in self.voices)
        h = self.first(e * there)  # (B, W, N)
        for block in self.slow:
            h = block(h, there, next(voices))
        for lengthen in self.lengthen:
            h = lengthen(F.silu(h) * there)  # twice as long each time
            there = there.repeat_interleave(2, dim=2)
        for block in self.fast:
            h = block(h, there, next(voices))
        return self.out(F.silu(h))
