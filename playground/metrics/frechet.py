"""Frechet distance in the digit judge's features, and its ratio to PCA-64: the figure every image family prints.

Heusel et al. (2017), arXiv 1706.08500: the distance between two Gaussians fitted to features,
|mu_1 - mu_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^1/2). Raw values differ up to fivefold between judges of equal accuracy, so
they are told as a ratio:

    rFD = FD(samples, 10,000 test pictures) / FD(PCA-64 reconstructions of 10,000 training pictures, test pictures)

0 is perfect, 1 is as far from MNIST as keeping 64 principal components, and real training pictures reach the floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from safetensors.torch import load_file
from torch import Tensor

from playground.metrics.digit_judge import FOLDER, Judge, batches, features_of, judge

FLOORS = (10_000, 1_000)
"""Numbers of real training pictures whose own rFD is stored beside the statistics."""


def frechet_distance(pictures: Tensor, others: Tensor | None = None) -> float:
    """Frechet distance between pictures and `others`, or MNIST's 10,000 test pictures (from stored statistics).

    Pictures are (N, 1, 28, 28), uint8 or float in [0, 1], at least two; the result depends on N, so compare equal N.
    """
    reference = statistics() if others is None else gaussian(features_of(others))
    return distance_to(reference, pictures, judge())


def rfd(pictures: Tensor) -> float:
    """Relative Frechet distance of pictures to MNIST's test set; see the module's words. Set it beside `rfd_floor`."""
    return frechet_distance(pictures) / float(statistics()["fd_pca64"])


def rfd_floor(n: int = 10_000) -> float:
    """rFD of the first n real training pictures, n one of `FLOORS`: what a perfect generator of n pictures gets."""
    if n not in FLOORS:
        raise ValueError(f"the floor is stored for {' and '.join(map(str, FLOORS))} pictures, not {n}")
    stored = statistics()
    return float(stored[f"fd_train_{n}"] / stored["fd_pca64"])


@lru_cache(maxsize=1)
def statistics() -> dict[str, Tensor]:
    """The stored reference figures (double precision), so that measuring needs no data set.

    mean (F,), covariance (F, F) and count of the test pictures' features; fd_pca64, the denominator of rFD;
    fd_train_N for N in `FLOORS`; accuracy, share_as_asked, share_as_any of the judge on the test pictures.
    """
    judge()  # verifies the folder
    return load_file(FOLDER / "statistics.safetensors")


def gaussian(features: Tensor) -> dict[str, Tensor]:
    """mean (F,), unbiased covariance (F, F) and count of features (N, F), in double precision."""
    exact = features.double()
    return {"mean": exact.mean(0), "covariance": torch.cov(exact.T), "count": torch.tensor(len(exact))}


@torch.inference_mode()
def distance_to(reference: Mapping[str, Tensor], pictures: Tensor, model: Judge) -> float:
    """Frechet distance of pictures to the Gaussian `reference` (see `gaussian`) in the features of `model`."""
    # Imported when used: torchmetrics takes seconds to import, and most commands measure nothing.
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(_Extractor(model))
    mean, covariance, n = reference["mean"], reference["covariance"], reference["count"]
    # The metric keeps running sums; these are the sums that `mean` and `covariance` came from.
    metric.real_features_sum = n * mean
    metric.real_features_cov_sum = (n - 1) * covariance + n * torch.outer(mean, mean)
    metric.real_features_num_samples = n.long()
    for x in batches(pictures):
        metric.update(x, real=False)
    return float(metric.compute())


class _Extractor(torch.nn.Module):
    """The judge as torchmetrics wants a feature extractor; doubles out, since the distance is a small difference."""

    def __init__(self, model: Judge) -> None:
        super().__init__()
        self.model = model
        self.num_features = model.head.in_features

    def forward(self, x: Tensor) -> Tensor:
        return self.model.features(x).double()
