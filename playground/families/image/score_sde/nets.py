"""The nets: for pictures a small U-Net, for points a perceptron, and beside each a classifier of noisy data.

All take u (B, C, H, W), the noisy data scaled to about unit size, and log sigma (B,), how noisy it is.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 8
"""Groups of the normalisation: every number of feature maps is a multiple of it."""


class Fourier(nn.Module):
    """Gaussian Fourier features of log sigma, (B,) -> (B, wide): section C.1 of the paper; their frequencies stay."""

    frequencies: Tensor

    def __init__(self, wide: int):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(wide // 2))
        self.dense = nn.Sequential(nn.Linear(wide, wide), nn.SiLU(), nn.Linear(wide, wide), nn.SiLU())

    def forward(self, log_sigma: Tensor) -> Tensor:
        angle = 0.5 * math.pi * log_sigma[:, None] * self.frequencies  # (B, wide/2)
        return self.dense(torch.cat([angle.sin(), angle.cos()], dim=1))


class Block(nn.Module):
    """Residual block of two convolutions, told the noise level: (B, into, H, W), (B, wide) -> (B, out, H, W)."""

    def __init__(self, into: int, out: int, wide: int):
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, into)
        self.conv1 = nn.Conv2d(into, out, 3, padding=1)
        self.level = nn.Linear(wide, 2 * out)
        self.norm2 = nn.GroupNorm(GROUPS, out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Conv2d(into, out, 1) if into != out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.level(e)[:, :, None, None].chunk(2, dim=1)
        h = self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift))
        return (self.skip(x) + h) * math.sqrt(0.5)  # as in the paper's NCSN++, so that depth does not add up


class Attention(nn.Module):
    """Every place looks at every other, in one head: (B, C, H, W) to the same."""

    def __init__(self, maps: int):
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, maps)
        self.qkv = nn.Conv2d(maps, 3 * maps, 1)
        self.out = nn.Conv2d(maps, maps, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)  # (B, HW, C) each
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).unflatten(2, x.shape[2:])  # (B, C, H, W)
        return (x + self.out(h)) * math.sqrt(0.5)


class UNet(nn.Module):
    """Pictures to pictures at two resolutions, after each fold x fold square became one place of more channels."""

    def __init__(self, channels: int, maps: int, fold: int):
        super().__init__()
        wide, folded = 4 * maps, channels * fold**2
        self.fold = fold
        self.level = Fourier(wide)
        self.start = nn.Conv2d(folded, maps, 3, padding=1)
        self.fine_in = Block(maps, maps, wide)
        self.down = nn.Conv2d(maps, maps, 3, stride=2, padding=1)
        self.coarse_in = Block(maps, 2 * maps, wide)
        self.look_in = Attention(2 * maps)
        self.middle = Block(2 * maps, 2 * maps, wide)
        self.coarse_out = Block(4 * maps, 2 * maps, wide)
        self.look_out = Attention(2 * maps)
        self.up = nn.Conv2d(2 * maps, maps, 3, padding=1)
        self.fine_out1 = Block(2 * maps, maps, wide)
        self.fine_out2 = Block(2 * maps, maps, wide)
        self.norm = nn.GroupNorm(GROUPS, maps)
        self.end = nn.Conv2d(maps, folded, 3, padding=1)
        nn.init.zeros_(self.end.weight)

    def forward(self, u: Tensor, log_sigma: Tensor) -> Tensor:
        e = self.level(log_sigma)  # (B, wide)
        start = self.start(F.pixel_unshuffle(u, self.fold))  # (B, maps, H/fold, W/fold)
        fine = self.fine_in(start, e)
        coarse = self.look_in(self.coarse_in(self.down(fine), e))  # (B, 2 maps, H/2fold, W/2fold)
        h = self.middle(coarse, e)
        h = self.look_out(self.coarse_out(torch.cat([h, coarse], dim=1), e))
        h = self.up(F.interpolate(h, scale_factor=2.0))  # (B, maps, H/fold, W/fold)
        h = self.fine_out1(torch.cat([h, fine], dim=1), e)
        h = self.fine_out2(torch.cat([h, start], dim=1), e)
        return F.pixel_shuffle(self.end(F.silu(self.norm(h))), self.fold)  # (B, C, H, W)


class Classifier(nn.Module):
    """Logits (B, classes) of noisy pictures: a U-Net's first half, and the average over places."""

    def __init__(self, channels: int, maps: int, fold: int, classes: int):
        super().__init__()
        wide = 4 * maps
        self.fold = fold
        self.level = Fourier(wide)
        self.start = nn.Conv2d(channels * fold**2, maps, 3, padding=1)
        self.fine = Block(maps, maps, wide)
        self.down = nn.Conv2d(maps, 2 * maps, 3, stride=2, padding=1)
        self.coarse1 = Block(2 * maps, 2 * maps, wide)
        self.coarse2 = Block(2 * maps, 2 * maps, wide)
        self.norm = nn.GroupNorm(GROUPS, 2 * maps)
        self.end = nn.Linear(2 * maps, classes)

    def forward(self, u: Tensor, log_sigma: Tensor) -> Tensor:
        e = self.level(log_sigma)
        h = self.fine(self.start(F.pixel_unshuffle(u, self.fold)), e)  # (B, maps, H/fold, W/fold)
        h = self.coarse2(self.coarse1(self.down(h), e), e)  # (B, 2 maps, H/2fold, W/2fold)
        return self.end(F.silu(self.norm(h)).mean(dim=(2, 3)))


class Perceptron(nn.Module):
    """The net of points, for the score and for their class: (B, 2, 1, 1) -> (B, out)."""

    def __init__(self, channels: int, hidden: int, out: int, layers: int = 3):
        super().__init__()
        self.level = Fourier(hidden)
        self.start = nn.Linear(channels, hidden)
        self.layers = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.levels = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.end = nn.Linear(hidden, out)
        nn.init.zeros_(self.end.weight)

    def forward(self, u: Tensor, log_sigma: Tensor) -> Tensor:
        e, h = self.level(log_sigma), self.start(u.flatten(1))  # (B, hidden) each
        for layer, level in zip(self.layers, self.levels, strict=True):
            h = h + layer(F.silu(h + level(e)))
        return self.end(F.silu(h))
