"""scikit-learn's Gaussian mixtures in the place of ours: their k-means, their EM, their responsibilities.

What they do not have (regression on given columns, smoothing, alignment, WORLD) is the family's. They are saved as plain
arrays in safetensors under scikit-learn's own attribute names: its own format is pickle. The factors of the precisions,
as large again as the covariances, follow from these and are not saved.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from playground import checkpoint
from playground.families.speech.gmm import GMM, KINDS, Config
from playground.families.speech.gmm.mixture import regression

__all__ = ["Config", "Mixtures", "Model", "load", "save"]

TYPES = {"full": "full", "diagonal": "diag", "tied": "tied"}
ARRAYS = ("weights_", "means_", "covariances_")


class Mixtures(nn.Module):
    """G fitted `GaussianMixture`s, their arrays held as buffers, with the verbs of the family's own `Mixture`."""

    weights_: Tensor
    means_: Tensor
    covariances_: Tensor

    def __init__(self, groups: int, components: int, dims: int, covariance: str):
        super().__init__()
        self.covariance, self.kind = covariance, KINDS[covariance]
        double, shape = torch.float64, self.kind.shape(components, dims)
        each = (
            torch.ones(shape, dtype=double) if covariance == "diagonal" else torch.eye(dims, dtype=double).expand(shape)
        )
        self.register_buffer("weights_", torch.full((groups, components), 1 / components, dtype=double))
        self.register_buffer("means_", torch.zeros(groups, components, dims, dtype=double))
        self.register_buffer("covariances_", each.expand(groups, *shape).clone())

    def estimator(self, g: int, columns: slice = slice(None)) -> GaussianMixture:
        """The scikit-learn object of one mixture, rebuilt from its arrays; of some columns, their marginal's."""
        made = GaussianMixture(self.means_.shape[1], covariance_type=TYPES[self.covariance])
        made.weights_ = self.weights_[g].numpy()
        made.means_ = self.means_[g, :, columns].numpy()
        sigma = self.kind.part(self.covariances_[g], columns)
        made.covariances_ = sigma.numpy()
        if self.covariance == "diagonal":
            made.precisions_cholesky_ = (1 / sigma.sqrt()).numpy()
        else:  # upper triangular, precision = P P^T
            made.precisions_cholesky_ = torch.linalg.inv(torch.linalg.cholesky(sigma)).mT.contiguous().numpy()
        made.n_features_in_ = made.means_.shape[1]
        made.converged_, made.lower_bound_ = False, -np.inf
        return made

    def start(self, g: int, x: Tensor, of: Tensor, floor: float, rng: torch.Generator) -> None:
        """scikit-learn's own k-means of all columns, and the iteration that its `fit` makes at once."""
        del of
        seed = int(torch.randint(2**31 - 1, (), generator=rng))
        k, kind = self.means_.shape[1], TYPES[self.covariance]
        self._fit(g, GaussianMixture(k, covariance_type=kind, random_state=seed), x, floor)

    def start_equal(self, g: int, x: Tensor, floor: float) -> None:
        k, flat = self.means_.shape[1], x.numpy()
        precision = np.linalg.inv(np.cov(flat.T, bias=True) + floor * np.eye(flat.shape[1]))
        precisions = {"full": np.repeat(precision[None], k, 0), "tied": precision}
        made = GaussianMixture(
            k,
            covariance_type=TYPES[self.covariance],
            weights_init=np.full(k, 1 / k),
            means_init=np.repeat(flat.mean(0)[None], k, 0),
            precisions_init=precisions.get(self.covariance, np.repeat(1 / (flat.var(0) + floor)[None], k, 0)),
        )
        self._fit(g, made, x, floor)

    def em_step(self, g: int, x: Tensor, floor: float) -> float:
        """One iteration by a warm start; returns scikit-learn's lower bound of it: the mean log-likelihood before."""
        made = self.estimator(g)
        made.set_params(warm_start=True)
        return self._fit(g, made, x, floor)

    def _fit(self, g: int, made: GaussianMixture, x: Tensor, floor: float) -> float:
        made.set_params(max_iter=1, tol=0.0, reg_covar=floor)
        # It refuses fewer frames than Gaussians; the same frames several times over are the same to EM.
        frames = x.repeat(-(-self.means_.shape[1] // len(x)), 1) if len(x) < self.means_.shape[1] else x
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # after one iteration it never has
            made.fit(frames.numpy())
        for name in ARRAYS:
            getattr(self, name)[g] = torch.from_numpy(np.ascontiguousarray(getattr(made, name)))
        return float(made.lower_bound_)

    def regress(self, g: int, x: Tensor, a: slice, b: slice) -> tuple[Tensor, Tensor]:
        """Mean and variance of the columns b given the columns a, by scikit-learn's responsibilities."""
        with np.errstate(divide="ignore"):  # the logarithm of no weight
            r = torch.from_numpy(self.estimator(g, a).predict_proba(x.numpy()))
        return regression(self.kind, r, self.means_[g], self.covariances_[g], x, a, b)


class Model(GMM):
    """The family's model whose mixtures are scikit-learn's."""

    mixture: ClassVar[type[Any]] = Mixtures


def save(model: Model, folder: Path) -> None:
    """The fitted arrays under scikit-learn's own attribute names, and what is counted."""
    save_file({name: part.contiguous() for name, part in model.state_dict().items()}, folder / "mixtures.safetensors")


def load(folder: Path, config: Config) -> Model:
    model = Model(config)
    model.load_state_dict(checkpoint.read_state(folder / "mixtures.safetensors", model.state_dict()))
    return model
