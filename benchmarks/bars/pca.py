"""PCA: the spectrum must be scikit-learn's; its samples' distance is printed for scale, nothing is asked of it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from sklearn.decomposition import PCA

from benchmarks.quality import Bar, rfd, rfd_floor
from playground import data
from playground.checkpoint import Checkpoint


@lru_cache(maxsize=1)
def true_spectrum(dataset: str, components: int) -> np.ndarray:
    """scikit-learn's explained variance of the training pictures, computed in double precision."""
    x = data.load(dataset).train.x.flatten(1).numpy() / 255.0  # (N, D) float64
    return PCA(components, svd_solver="covariance_eigh").fit(x).explained_variance_


def spectrum_error(made: Checkpoint, n: int) -> float:
    """Largest relative difference of a kept component's variance from scikit-learn's in double precision."""
    name = "variance" if made.side == "ours" else "explained_variance_"
    mine = getattr(made.model, name)[0].double().numpy()
    true = true_spectrum(made.info.name, len(mine))
    return float(np.abs(mine / true - 1).max())


BARS = (
    Bar("explained variance, largest relative error", spectrum_error, target=1e-6, counts=False),
    Bar("rFD of samples", rfd, floor=rfd_floor),
)
