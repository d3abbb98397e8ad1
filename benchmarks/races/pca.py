"""Fitting PCA to 60,000 pictures of 784 pixels: ours, and scikit-learn's exact solvers. All may use every thread.

Ours takes single precision and is exact to 1e-6; scikit-learn needs double precision for that (2e-4 otherwise), so it
runs both ways.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from sklearn.decomposition import PCA as Peer

from benchmarks import speed
from playground import data
from playground.families.image.pca import PCA, Config

COMPONENTS = 64


def race(rounds: int) -> Iterator[speed.Row]:
    x = data.load("mnist").train.x.float() / 255  # (60000, 1, 28, 28)
    flat = x.flatten(1).numpy()
    double = flat.astype("float64")
    model = PCA(Config(components=COMPONENTS))

    def timed(fit: Callable[[], object]) -> Callable[[], float]:
        def once() -> float:
            began = time.perf_counter()
            fit()
            return 1 / (time.perf_counter() - began)

        return once

    def fit_peer(solver: str) -> object:
        return Peer(COMPONENTS, svd_solver=solver).fit(flat)

    def fit_exactly() -> object:
        return Peer(COMPONENTS, svd_solver="covariance_eigh").fit(double)

    solvers, exactly = ("covariance_eigh", "full"), "scikit-learn covariance_eigh, double precision"
    peers = {f"scikit-learn {s}": timed(partial(fit_peer, s)) for s in solvers} | {exactly: timed(fit_exactly)}
    asked = {"scikit-learn covariance_eigh": speed.ENOUGH, exactly: speed.ENOUGH}
    yield from speed.alternate(
        "pca", "fit of 60,000 x 784", "fits/s", timed(lambda: model.fit(x)), peers, rounds, asked
    )
