"""Points in the plane: toy distributions that can be drawn, embedded and the same on every machine.

Each set is centred and lies within [-1, 1] x [-1, 1], the square in which the interface draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from playground.contract import DataInfo

N_TRAIN, N_TEST = 10_000, 2_000


@dataclass(frozen=True, eq=False)
class Points:
    """One part of a point set. x: (N, 2) float32 within [-1, 1]; labels: (N,) int64, or None."""

    x: Tensor
    labels: Tensor | None = None
    texts: None = None

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """The points at `indices` (B,) as (B, 2) with their labels (B,) or None."""
        return self.x[indices], None if self.labels is None else self.labels[indices]


@dataclass(frozen=True, eq=False)
class PointData:
    """A point set; in its `info` the two coordinates are the channels of a 1 x 1 picture."""

    info: DataInfo
    train: Points
    test: Points


Drawn = tuple[np.ndarray, np.ndarray | None]
"""(points (n, 2), labels (n,) or None)."""


def moons(n: int, rng: np.random.RandomState) -> Drawn:
    """Two interleaved half circles with noise, one class each."""
    from sklearn.datasets import make_moons

    x, labels = map(np.asarray, make_moons(n, noise=0.05, random_state=rng))
    return (x - [0.5, 0.25]) / 1.8, labels


def rings(n: int, rng: np.random.RandomState) -> Drawn:
    """Two concentric circles with noise, one class each."""
    from sklearn.datasets import make_circles

    x, labels = map(np.asarray, make_circles(n, noise=0.03, factor=0.5, random_state=rng))
    return x / 1.2, labels


def swiss_roll(n: int, rng: np.random.RandomState) -> Drawn:
    """The swiss roll seen from its side: one spiral of constant density along the angle."""
    from sklearn.datasets import make_swiss_roll

    x, _ = make_swiss_roll(n, noise=0.3, random_state=rng)
    return (x[:, [0, 2]] - [1.5, 0.0]) / 17, None


def eight_gaussians(n: int, rng: np.random.RandomState) -> Drawn:
    """Eight small Gaussians on a circle, one class each: a generator that drops modes shows it here."""
    labels = rng.randint(8, size=n)
    angle = labels * (np.pi / 4)
    return 0.75 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.05 * rng.randn(n, 2), labels


def spirals(n: int, rng: np.random.RandomState) -> Drawn:
    """Two arms of a spiral, one class each."""
    labels = rng.randint(2, size=n)
    turn = np.sqrt(rng.rand(n))  # the square root spreads the points evenly along the arm
    angle = 3 * np.pi * turn + np.pi * labels
    return 0.9 * turn[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.02 * rng.randn(n, 2), labels


def point_data(draw: Callable[[int, np.random.RandomState], Drawn], credit: str) -> PointData:
    """The data set that `draw` makes, named after it; its held-out part comes from another seed."""

    def part(n: int, seed: int) -> Points:
        x, labels = draw(n, np.random.RandomState(seed))
        return Points(
            torch.from_numpy(x.clip(-1, 1).astype(np.float32)),
            None if labels is None else torch.from_numpy(labels).long(),
        )

    train, test = part(N_TRAIN, seed=0), part(N_TEST, seed=1)
    n_classes = 0 if train.labels is None else int(train.labels.max()) + 1
    class_names = tuple(str(k) for k in range(n_classes))
    info = DataInfo(draw.__name__, channels=2, class_names=class_names, size=N_TRAIN, credit=credit)
    return PointData(info, train, test)
