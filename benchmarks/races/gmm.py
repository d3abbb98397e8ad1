"""Ten EM iterations on frames of spoken digits: ours, and scikit-learn's, from the same Gaussians. One thread or all.

Both also say at the end which Gaussian each frame belongs to: scikit-learn's `fit` does.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from benchmarks import speed
from playground import data
from playground.data import SpeechData
from playground.families.speech.gmm import KINDS, Mixture
from playground.families.speech.gmm.takes import dynamic, heard

TAKES = 4
"""Of each digit by each of the six speakers."""
COMPONENTS, ITERATIONS, FLOOR = 16, 10, 1e-3
TYPES = {"full": "full", "diagonal": "diag", "tied": "tied"}


def race(rounds: int) -> Iterator[speed.Row]:
    digits = data.load("spoken_digits")
    assert isinstance(digits, SpeechData)
    x = dynamic(heard(digits.train, len(digits.info.speakers), TAKES), 25).double()
    x = x / x.std(0)
    means = x[torch.linspace(0, len(x) - 1, COMPONENTS).long()]
    for kind in KINDS:
        peer = f"scikit-learn, {TYPES[kind]}"
        yield from speed.alternate(
            "gmm",
            f"EM, {kind} ({len(x):,} x {x.shape[1]}, {COMPONENTS} Gaussians)",
            "iterations/s",
            partial(ours, x, means, kind),
            {peer: partial(theirs, x.numpy(), means.numpy(), kind)},
            rounds,
            {peer: speed.ENOUGH},
        )


def ours(x: Tensor, means: Tensor, kind: str) -> float:
    mixture = Mixture(1, COMPONENTS, x.shape[1], kind)  # of unit variance and equal weights
    mixture.mu[0] = means
    began = time.perf_counter()
    for _ in range(ITERATIONS):
        mixture.em_step(0, x, FLOOR)
    mixture.responsibilities(0, x).argmax(1)
    return ITERATIONS / (time.perf_counter() - began)


def theirs(x: np.ndarray, means: np.ndarray, kind: str) -> float:
    d = x.shape[1]
    unit = {"full": np.repeat(np.eye(d)[None], COMPONENTS, 0), "diagonal": np.ones((COMPONENTS, d)), "tied": np.eye(d)}
    mixture = GaussianMixture(
        COMPONENTS,
        covariance_type=TYPES[kind],
        tol=0,
        reg_covar=FLOOR,
        max_iter=ITERATIONS,
        weights_init=np.full(COMPONENTS, 1 / COMPONENTS),
        means_init=means,
        precisions_init=unit[kind],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is not asked to converge
        began = time.perf_counter()
        mixture.fit(x)
        return ITERATIONS / (time.perf_counter() - began)
