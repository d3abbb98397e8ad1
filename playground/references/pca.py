"""scikit-learn's PCA beside ours. It is saved as plain arrays in safetensors: scikit-learn's own format is pickle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sklearn.decomposition import PCA
from torch import Tensor, nn

from playground.contract import Data, Progress
from playground.families.image.pca import Config
from trainers.pca import Recipe
from trainers.run import Run

__all__ = ["Config", "Model", "Recipe", "load", "save", "train"]

ARRAYS = ("components_", "mean_", "explained_variance_", "noise_variance_")


class Model(nn.Module):
    """One fitted `sklearn.decomposition.PCA` for each group, its arrays held as buffers."""

    noise_variance_: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        groups, kept, pixels = config.groups, config.kept, config.pixels
        double = torch.float64
        self.register_buffer("components_", torch.zeros(groups, kept, pixels, dtype=torch.float32))
        self.register_buffer("mean_", torch.zeros(groups, pixels, dtype=torch.float32))
        self.register_buffer("explained_variance_", torch.ones(groups, kept, dtype=double))
        self.register_buffer("noise_variance_", torch.ones(groups, dtype=double))

    def fit(self, x: Tensor, group: int) -> None:
        """Fit one group to pictures (N, C, H, W)."""
        pca = PCA(self.config.kept, svd_solver="covariance_eigh").fit(x.flatten(1).numpy())
        for name in ARRAYS:
            getattr(self, name)[group] = torch.as_tensor(getattr(pca, name))

    def estimator(self, group: int = 0) -> PCA:
        """The scikit-learn object of one group, rebuilt from its arrays."""
        pca = PCA(self.config.kept, svd_solver="covariance_eigh")
        for name in ARRAYS:
            value = getattr(self, name)[group].numpy()
            setattr(pca, name, value if value.ndim else float(value))
        pca.n_components_, pca.n_features_in_ = self.config.kept, self.config.pixels
        return pca

    def sample(
        self, n: int, y: Tensor | None = None, *, rng: torch.Generator, spread: float = 1.0, noisy: bool = False
    ) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1]: inverse_transform of Gaussian coordinates, noise added on top."""
        groups = y if y is not None else torch.arange(n) % self.config.groups
        z = spread * torch.randn(n, self.config.kept, generator=rng).numpy()
        x = np.empty((n, self.config.pixels), dtype=np.float32)
        for group in groups.unique().tolist():
            rows = (groups == group).numpy()
            pca = self.estimator(group)
            scale = np.sqrt(np.maximum(pca.explained_variance_ - pca.noise_variance_, 0))
            x[rows] = pca.inverse_transform(z[rows] * scale)
        pictures = torch.from_numpy(x)
        if noisy:
            sigma = self.noise_variance_[groups].sqrt().float()[:, None]
            pictures = pictures + sigma * torch.randn(pictures.shape, generator=rng)
        return pictures.clamp(0, 1).unflatten(1, (self.config.channels, self.config.height, self.config.width))

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures (B, C, H, W) through `transform` and back by `inverse_transform`, unclipped."""
        groups = y if y is not None and self.config.groups > 1 else torch.zeros(len(x), dtype=torch.int64)
        rebuilt = torch.empty_like(x).flatten(1)
        for group in groups.unique().tolist():
            pca, rows = self.estimator(group), groups == group
            coordinates = pca.transform(x[rows].flatten(1).numpy())
            rebuilt[rows] = torch.as_tensor(pca.inverse_transform(coordinates), dtype=x.dtype)
        return rebuilt.view_as(x)


def train(model: Model, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    for step in run.steps("fit", 1):
        for group in range(model.config.groups):
            chosen = torch.arange(len(data.train))
            if model.config.groups > 1:
                chosen = chosen[data.train.labels == group]
            x, _ = data.train.batch(chosen)
            model.fit(x, group)
        run.examples += len(data.train)
        pca = model.estimator(0)
        yield Progress(step, {"log-likelihood (nats)": float(pca.score(x[:2000].flatten(1).numpy()))}, phase="fit")


def save(model: Model, folder: Path) -> None:
    """The fitted arrays under scikit-learn's own attribute names."""
    save_file(dict(model.state_dict()), folder / "pca.safetensors")


def load(folder: Path, config: Config) -> Model:
    model = Model(config)
    model.load_state_dict(load_file(folder / "pca.safetensors"))
    return model
