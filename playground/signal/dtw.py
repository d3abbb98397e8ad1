"""Dynamic time warping: which frame of one take belongs to which frame of another (Sakoe and Chiba 1978)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from playground.signal import checks


def align(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Indices (L,), (L,) int64 into a (N, D) and b (M, D): a[i], b[j] is the pairing of least total distance.

    Both begin at 0 and never step back; each pair moves on by one frame in a, in b or in both, every step weighing
    the same. Distances are Euclidean. Raises `BadSound` where shapes differ or a value is not finite.
    """
    from librosa.sequence import dtw
    from scipy.spatial.distance import cdist

    checks.frames(a)
    checks.frames(b, columns=a.shape[1])
    cost = cdist(a.detach().cpu().double().numpy(), b.detach().cpu().double().numpy())
    _, path = dtw(C=cost)  # (L, 2), from the end
    pairs = torch.from_numpy(np.ascontiguousarray(path[::-1])).long()
    return pairs[:, 0], pairs[:, 1]
