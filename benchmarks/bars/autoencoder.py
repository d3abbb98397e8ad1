"""Autoencoder: what is lost on the way through 16, 32 and 49 numbers, beside PCA's loss and the reference's.

The error is the mean squared error a pixel over MNIST's test pictures, in [0, 1]. PCA's is scikit-learn's on the same
pictures, fitted to the 60,000 of the training set.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA

from benchmarks.quality import Bar, read_as_asked, real_read, rfd, rfd_floor
from playground import data
from playground.checkpoint import Checkpoint

NOISE, MASKED = 0.4, 0.25
"""What the pictures to be cleaned have gone through: standard deviation of the noise, share of pixels blacked out."""


@lru_cache(maxsize=1)
def pca() -> PCA:
    x = data.load("mnist").train.x.flatten(1).numpy() / 255.0  # (N, D) float64
    return PCA(64, svd_solver="covariance_eigh").fit(x)


@lru_cache(maxsize=8)
def pca_error(k: int, n: int) -> float:
    """Squared error a pixel of the first n test pictures kept to their first k principal components."""
    x = data.load("mnist").test.x[:n].flatten(1).numpy() / 255.0
    centred, basis = x - pca().mean_, pca().components_[:k]
    return float(np.square(centred - centred @ basis.T @ basis).mean())


def error(made: Checkpoint, n: int) -> float:
    """Squared error a pixel of the first n test pictures through the code and back."""
    test = data.load("mnist").test
    x, _ = test.batch(torch.arange(min(n, len(test))))
    model: Any = made.model
    return sum(F.mse_loss(model.reconstruct(part), part).item() * len(part) for part in x.split(250)) / len(x)


def share_of_pca(made: Checkpoint, n: int, k: int) -> float:
    return error(made, n) / pca_error(k, n)


def error_after_noise(made: Checkpoint, n: int) -> float:
    """The same where the model sees the pictures noisy and in part blacked out, measured against the clean ones."""
    test = data.load("mnist").test
    x, _ = test.batch(torch.arange(min(n, len(test))))
    rng = torch.Generator().manual_seed(0)
    noisy = (x + NOISE * torch.randn(x.shape, generator=rng)).clamp(0, 1)
    noisy = noisy * (torch.rand(x.shape, generator=rng) >= MASKED)
    model: Any = made.model
    parts = zip(noisy.split(250), x.split(250), strict=True)
    return sum(F.mse_loss(model.reconstruct(seen), clean).item() * len(seen) for seen, clean in parts) / len(x)


BARS = (
    Bar("32 numbers, squared error a pixel", error, ours_only=True),
    Bar("32 numbers, share of PCA's error", partial(share_of_pca, k=32), target=0.5, ours_only=True),
    Bar("16 numbers, squared error a pixel", error, ours_only=True, checkpoint="mnist-16"),
    Bar(
        "16 numbers, share of PCA's error",
        partial(share_of_pca, k=16),
        target=0.5,
        ours_only=True,
        checkpoint="mnist-16",
    ),
    Bar("49 numbers, squared error a pixel", error, no_worse_than_reference=True, checkpoint="mnist-49"),
    Bar("49 numbers, share of PCA's error", partial(share_of_pca, k=49), checkpoint="mnist-49"),
    Bar("noisy pictures, squared error a pixel", error_after_noise, ours_only=True),
    Bar("rFD of samples", rfd, floor=rfd_floor),
    Bar("recognisable as asked", read_as_asked, "higher", floor=real_read),
)
