"""What is done to pictures at random before a net sees them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gathered(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Of each picture of x (B, C, H, W) the rows (B, H') and columns (B, W') named: (B, C, H', W'), differentiable."""
    which = torch.arange(len(x), device=x.device)[:, None, None]
    return x.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def augment(x: Tensor, u: Tensor) -> Tensor:
    """DiffAugment (Zhao 2020, arXiv:2006.10738): shift by up to an eighth and cut out a square of half the side.

    Both are differentiable. x: (B, C, H, W) in [-1, 1]; u: (B, 4) uniform in [0, 1). No flips: a mirrored digit is
    another thing.
    """
    height, width = x.shape[2:]
    rows, columns = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
    down = ((u[:, 0] - 0.5) * height / 4).round().long()
    right = ((u[:, 1] - 0.5) * width / 4).round().long()
    padded = F.pad(x, (1, 1, 1, 1), value=-1.0)  # a border of black to shift in
    take_rows = (rows - down[:, None] + 1).clamp(0, height + 1)  # (B, H)
    take_columns = (columns - right[:, None] + 1).clamp(0, width + 1)  # (B, W)
    x = gathered(padded, take_rows, take_columns)
    centre_row, centre_column = u[:, 2, None] * height, u[:, 3, None] * width
    cut_rows = (rows - centre_row).abs() < height / 4  # (B, H)
    cut_columns = (columns - centre_column).abs() < width / 4  # (B, W)
    return x.masked_fill((cut_rows[:, :, None] & cut_columns[:, None, :])[:, None], 0.0)
