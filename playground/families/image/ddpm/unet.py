"""The net of DDPM: a U-Net of residual blocks that are told the time (Ho 2020, section 4 and appendix B).

On the way down every level keeps what it has made; on the way up the level of the same size takes it back. Attention,
where a level has it, lets each place look at all others. Dimension letters: B pictures, C channels, H x W places, N = H W.

As in the paper's program, convolutions that halve a picture pad its right and lower edge only, group norms add 1e-6,
and the time's sines come before its cosines; `layout` "diffusers" does these three as that library does by default.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.families.image.ddpm.config import Config


def group_norm(config: Config, maps: int) -> nn.GroupNorm:
    return nn.GroupNorm(config.groups, maps, eps=1e-6 if config.layout == "paper" else 1e-5)


class Block(nn.Module):
    """A residual block: (B, before, H, W) to (B, after, H, W), the time's code (B, E) added half way."""

    def __init__(self, config: Config, before: int, after: int):
        super().__init__()
        self.norm1 = group_norm(config, before)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.time = nn.Linear(4 * config.maps, after)
        self.norm2 = group_norm(config, after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.skip = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x))) + self.time(code)[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    """Every place looks at every other: (B, C, H, W) to the same."""

    def __init__(self, config: Config, maps: int):
        super().__init__()
        self.heads = maps // config.head if config.head else 1
        self.norm = group_norm(config, maps)
        self.qkv = nn.Linear(maps, 3 * maps)
        self.out = nn.Linear(maps, maps)

    def forward(self, x: Tensor) -> Tensor:
        places = self.norm(x).flatten(2).transpose(1, 2)  # (B, N, C)
        q, k, v = (
            self.qkv(places).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        )  # each (B, heads, N, C/heads)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)  # (B, N, C)
        return x + self.out(seen).transpose(1, 2).reshape(x.shape)


class Halve(nn.Conv2d):
    """(B, C, H, W) to (B, C, H/2, W/2)."""

    def __init__(self, config: Config, maps: int):
        one_sided = config.layout == "paper"
        super().__init__(maps, maps, 3, stride=2, padding=0 if one_sided else 1)
        self.one_sided = one_sided

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.one_sided else x)


class Double(nn.Conv2d):
    """(B, C, H, W) to (B, C, 2H, 2W)."""

    def __init__(self, maps: int):
        super().__init__(maps, maps, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """The blocks of one size, attention after each where the level has it, and the step to the next size.

    takes: feature maps that go into each block.
    """

    def __init__(self, config: Config, takes: list[int], maps: int, attends: bool, resize: nn.Module | None):
        super().__init__()
        self.blocks = nn.ModuleList(Block(config, before, maps) for before in takes)
        self.attentions = nn.ModuleList(Attention(config, maps) if attends else nn.Identity() for _ in takes)
        self.resize = resize


class Down(Level):
    def forward(self, h: Tensor, code: Tensor) -> list[Tensor]:
        """All that it makes of h: after each block, and at the next size. The last goes on."""
        made = []
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            h = attention(block(h, code))
            made.append(h)
        return made if self.resize is None else [*made, self.resize(h)]


class Up(Level):
    def forward(self, h: Tensor, code: Tensor, kept: list[Tensor]) -> Tensor:
        """h with what was kept on the way down, each taken from the end of `kept`."""
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            h = attention(block(torch.cat([h, kept.pop()], dim=1), code))
        return h if self.resize is None else self.resize(h)


class TimeCode(nn.Module):
    """Sines and cosines of the time at frequencies from 1 to 1/10000 (Vaswani 2017, section 3.5): (B,) to (B, maps)."""

    frequencies: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.sines_first = config.layout == "paper"
        half = config.maps // 2
        exponents = torch.arange(half) / (half - 1 if self.sines_first else half)
        self.register_buffer("frequencies", torch.exp(-math.log(10_000) * exponents), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        angles = t[:, None] * self.frequencies  # (B, maps / 2)
        sines, cosines = angles.sin(), angles.cos()
        return torch.cat([sines, cosines] if self.sines_first else [cosines, sines], dim=1)


class UNet(nn.Module):
    """Noisy pictures (B, C, H, W), their times (B,) and classes (B,) or None, to what is predicted, (B, C, H, W).

    Times are counted from 0, as programs count them: 0 is the first step of noise, the paper's t = 1. With classes,
    there is one more than the data has: being told none.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.fold = config.fold
        maps, folded = config.maps, config.channels * config.fold**2
        levels = list(enumerate(config.widths))
        self.time = nn.Sequential(TimeCode(config), nn.Linear(maps, 4 * maps), nn.SiLU(), nn.Linear(4 * maps, 4 * maps))
        self.label = nn.Embedding(config.labels + 1, 4 * maps) if config.labels else None

        self.start = nn.Conv2d(folded, maps, 3, padding=1)
        self.down, kept, h = nn.ModuleList(), [maps], maps
        for i, (wide, attends) in levels:
            last = i == len(levels) - 1
            takes = [h] + [wide] * (config.blocks - 1)
            self.down.append(Down(config, takes, wide, attends, None if last else Halve(config, wide)))
            kept += [wide] * (config.blocks + (not last))
            h = wide

        self.middle = nn.ModuleList([Block(config, h, h), Attention(config, h), Block(config, h, h)])

        self.up = nn.ModuleList()
        for i, (wide, attends) in reversed(levels):
            takes = [before + kept.pop() for before in [h] + [wide] * config.blocks]
            self.up.append(Up(config, takes, wide, attends, Double(wide) if i else None))
            h = wide
        self.end_norm = group_norm(config, h)
        self.end = nn.Conv2d(h, folded, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        code = self.time(t)  # (B, 4 maps)
        if self.label is not None:
            code = code + self.label(y)
        code = F.silu(code)

        # Folded: a square of f x f pixels becomes one place with f^2 times the channels.
        kept = [self.start(F.pixel_unshuffle(x, self.fold))]  # (B, maps, H/f, W/f)
        for level in self.down:
            kept += level(kept[-1], code)
        first, attention, second = self.middle
        h = second(attention(first(kept[-1], code)), code)
        for level in self.up:
            h = level(h, code, kept)
        return F.pixel_shuffle(self.end(F.silu(self.end_norm(h))), self.fold)
