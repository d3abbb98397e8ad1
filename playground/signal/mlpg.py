"""Trajectories from dynamic features: what the means of a model say about movement decides between its means.

Tokuda et al. (2000), "Speech parameter generation algorithms for HMM-based speech synthesis". A model that gives each
frame a Gaussian of static values, deltas and accelerations o = W c has its likeliest static trajectory c where
W' P W c = W' P mu (eq. 9 there; P the precisions). W reaches one frame to either side, so the matrix has five
diagonals, and one banded Cholesky factorisation solves for all frames. The result is too smooth; global variance (Toda
and Tokuda 2007) is given back by the scaling of Silen et al. (2012), "Ways to implement global variance".
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from playground.signal import checks

WINDOWS = ((0.0, 1.0, 0.0), (-0.5, 0.0, 0.5), (1.0, -2.0, 1.0))
"""What static value, delta and acceleration make of the frames t - 1, t, t + 1."""


def with_deltas(x: Tensor) -> Tensor:
    """(T, D) -> (T, 3 D): the static values, their deltas, their accelerations; o = W c.

    The first and the last frame stand for what would be before and after them.
    """
    before = torch.cat([x[:1], x[:-1]])
    after = torch.cat([x[1:], x[-1:]])
    return torch.cat([w[0] * before + w[1] * x + w[2] * after for w in WINDOWS], dim=1)


def mlpg(mean: Tensor, variance: Tensor) -> Tensor:
    """The likeliest static trajectory (T, D) under means and variances (T, 3 D), laid out as by `with_deltas`.

    variance may also be (3 D,), the same in every frame. In double precision inside; the result has the means' type.
    Raises `BadSound` where shapes do not fit, values are not finite or a variance is not above zero.
    """
    from scipy.linalg import solveh_banded

    checks.frames(mean)
    if mean.shape[1] % 3 or variance.shape not in {mean.shape, mean.shape[1:]}:
        raise checks.BadSound(
            f"means {tuple(mean.shape)} and variances {tuple(variance.shape)}: expected (T, 3 D) for both",
            f"평균 {tuple(mean.shape)}, 분산 {tuple(variance.shape)}: 둘 다 (T, 3 D)여야 합니다",
        )
    if not (variance > 0).all():
        raise checks.BadSound("a variance is not above zero", "0보다 크지 않은 분산이 있습니다")
    frames, dims = mean.shape[0], mean.shape[1] // 3
    shape = (frames, 3, dims)
    mu = mean.detach().cpu().double().numpy().reshape(shape)
    precision = np.broadcast_to(1 / variance.detach().cpu().double().numpy(), mean.shape).reshape(shape)

    # reach[k, t, 1 + a]: what window k of frame t takes from frame t + a
    reach = np.repeat(np.array(WINDOWS)[:, None], frames, axis=1)  # (3, T, 3)
    reach[:, 0, 1] += reach[:, 0, 0]
    reach[:, -1, 1] += reach[:, -1, 2]
    reach[:, 0, 0] = reach[:, -1, 2] = 0

    # bands[d, u + c, u] = (W' P W)[u + c, u] of each dimension, the lower diagonals as solveh_banded wants them
    bands = np.zeros((3, dims, frames + 2))
    right = np.zeros((dims, frames + 2))
    for a in range(3):  # column t + a - 1 of row t, counted from 1 so that both edges have room
        right[:, a : a + frames] += np.einsum("kt,tkd,tkd->dt", reach[..., a], precision, mu)
        for b in range(a, 3):
            bands[b - a, :, a : a + frames] += np.einsum("kt,kt,tkd->dt", reach[..., a], reach[..., b], precision)
    # All dimensions in one call: one long chain of frames, with nothing between one dimension and the next.
    solved = solveh_banded(
        bands[:, :, 1:-1].reshape(3, -1), right[:, 1:-1].reshape(-1), lower=True, overwrite_ab=True, overwrite_b=True
    )
    return torch.from_numpy(solved.reshape(dims, frames).T.copy()).to(mean)


def with_variance(x: Tensor, variance: Tensor, share: float = 1.0) -> Tensor:
    """The trajectory (T, D) stretched about its mean until each column has the global variance (D,) of real speech.

    share: how far to go, 0 (nowhere) to 1. A column that does not move stays as it is. Where a column must keep its
    own (the energy, c0), pass that column's variance.
    """
    mean, own = x.mean(0), x.var(0, correction=0)
    stretch = torch.where(own > 0, (variance / own.clamp_min(1e-12)).sqrt(), torch.ones_like(own))
    return mean + (1 + share * (stretch - 1)) * (x - mean)
