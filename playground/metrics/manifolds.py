"""Improved precision and recall (Kynkaanniemi et al. 2019, arXiv 1904.06991) in the digit judge's features.

A set's manifold is the union of balls around its points, each as wide as the distance to its k-th nearest neighbour.
Precision: the share of samples inside the real manifold (quality). Recall: the share of real pictures inside the
samples' manifold (variety). Frechet distance mixes the two; these tell mode collapse from blur.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from playground.metrics.digit_judge import features_of

CHUNK = 1000
"""Rows of the distance matrix held at once: 1,000 x 5,000 doubles are 40 MB."""


class PrecisionRecall(NamedTuple):
    precision: float
    recall: float


def precision_recall(pictures: Tensor, real: Tensor, k: int = 5, most: int = 5000) -> PrecisionRecall:
    """Precision and recall of pictures (N, 1, 28, 28) against real ones, on the first `most` of each.

    Raises ValueError where a set has k pictures or fewer. Real pictures against others of the same set give about the
    ceiling of both.
    """
    return of_features(features_of(pictures[:most]), features_of(real[:most]), k)


def of_features(samples: Tensor, real: Tensor, k: int) -> PrecisionRecall:
    """Precision and recall of sample features (N, F) against real features (M, F)."""
    if min(len(samples), len(real)) <= k:
        raise ValueError(f"{len(samples)} and {len(real)} pictures: each set needs more than k = {k}")
    samples, real = samples.double(), real.double()
    return PrecisionRecall(
        precision=_share_inside(samples, real, _radii(real, k)), recall=_share_inside(real, samples, _radii(samples, k))
    )


def _radii(points: Tensor, k: int) -> Tensor:
    """Distance of each point (N, F) to its k-th nearest neighbour, itself not counted: (N,)."""
    # The smallest distance is that to itself, 0; so the k-th neighbour is the (k + 1)-th smallest.
    return torch.cat([_distances(part, points).kthvalue(k + 1, dim=1).values for part in points.split(CHUNK)])


def _share_inside(points: Tensor, centres: Tensor, radii: Tensor) -> float:
    """Share of points (N, F) that lie in at least one ball of `radii` (M,) around `centres` (M, F)."""
    inside = [(_distances(part, centres) <= radii).any(1) for part in points.split(CHUNK)]
    return float(torch.cat(inside).double().mean())


def _distances(a: Tensor, b: Tensor) -> Tensor:
    # Not by the quick matrix product: its rounding puts a point off its own zero distance.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
