"""The model: a U-Net, its training objective, and the verbs that draw with it. Pictures stand in [0, 1] outside."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from playground.families.image.ddpm.config import Config
from playground.families.image.ddpm.process import alpha_bars, at, diffuse, min_snr_weight, velocity, x_0_of
from playground.families.image.ddpm.samplers import SAMPLERS, Denoise, Moment, noise_like, spread
from playground.families.image.ddpm.unet import UNet


class DDPM(nn.Module):
    """net: another net of the same call and shapes in the place of this family's U-Net."""

    alpha_bar: Tensor

    def __init__(self, config: Config, net: nn.Module | None = None):
        super().__init__()
        self.config = config
        self.net = net or UNet(config)
        self.register_buffer("alpha_bar", alpha_bars(config.schedule, config.noise_steps), persistent=False)

    def forward(
        self, x: Tensor, y: Tensor | None, t: Tensor, eps: Tensor, untold: Tensor, min_snr: float = 0.0
    ) -> Tensor:
        """The training objective (Ho 2020, eq. 14, or the same of v): the mean squared error of the prediction.

        x (B, C, H, W) in [0, 1]; y (B,) classes; t (B,) times in [0, T]; eps (B, C, H, W) noise; untold (B,) bool: whose
        class is kept from the net (Ho and Salimans 2022, algorithm 1). min_snr: gamma of the weights, 0 for none.
        """
        x_0, alpha_bar = 2 * x - 1, at(self.alpha_bar, t)
        wanted = velocity(x_0, eps, alpha_bar) if self.config.prediction == "v" else eps
        told = None if y is None or not self.config.labels else y.masked_fill(untold, self.config.labels)
        error = (self.predict(diffuse(x_0, eps, alpha_bar), t, told) - wanted).square()
        return (error * min_snr_weight(alpha_bar, min_snr, self.config.prediction)).mean() if min_snr else error.mean()

    def predict(self, x_t: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        """v or epsilon (B, C, H, W), as the net predicts it for times t (B,) and classes (B,); y None tells it none."""
        if self.config.labels and y is None:
            y = torch.full_like(t, self.config.labels, dtype=torch.int64)
        return self.net(x_t, t - 1, y if self.config.labels else None).float()

    @torch.no_grad()
    def estimate(self, x_t: Tensor, t: Tensor, y: Tensor | None = None, guidance: float = 0.0) -> Tensor:
        """The net's estimate of x_0 in [-1, 1], clipped there, for x_t (B, C, H, W), times (B,) and classes (B,).

        guidance w: Ho and Salimans (2022), arXiv:2207.12598, eq. 6: (1 + w) the prediction with the class - w the one
        without. 0 follows the class as it was taught, -1 ignores it; any other takes two looks of the net at once.
        """
        if guidance and y is not None and self.config.labels:
            both = torch.cat([y, torch.full_like(y, self.config.labels)])
            with_class, without = self.predict(x_t.repeat(2, 1, 1, 1), t.repeat(2), both).chunk(2)
            predicted = (1 + guidance) * with_class - guidance * without
        else:
            predicted = self.predict(x_t, t, y)
        return x_0_of(predicted, x_t, at(self.alpha_bar, t), self.config.prediction).clamp(-1, 1)

    def denoiser(self, y: Tensor | None = None, guidance: float = 0.0) -> Denoise:
        """The estimate as the samplers take it: of (x_t, t) alone, one t for all pictures."""

        def denoise(x_t: Tensor, t: int) -> Tensor:
            return self.estimate(x_t, torch.full((len(x_t),), float(t), device=x_t.device), y, guidance)

        return denoise

    def denoising(
        self,
        x: Tensor,
        y: Tensor | None,
        *,
        rng: torch.Generator,
        steps: int = 25,
        sampler: str = "ddim",
        guidance: float = 0.0,
        start: int = 0,
    ) -> Iterator[Moment]:
        """The way from noise x (B, C, H, W) to pictures in [-1, 1], moment by moment, in `steps` evaluations at most T.

        start: the time that x is of, where it is not T.
        """
        last = start or self.config.noise_steps
        times = spread(min(steps, last), last)
        yield from SAMPLERS[sampler](self.denoiser(y, guidance), self.alpha_bar, times, x, rng)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        rng: torch.Generator,
        steps: int = 25,
        sampler: str = "ddim",
        guidance: float = 0.0,
    ) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1] of the classes y (n,), by default each in turn."""
        x = self.noise(n, rng)
        y = self.classes(y, n)
        *_, last = self.denoising(x, y, rng=rng, steps=steps, sampler=sampler, guidance=guidance)
        return shown(last.x)

    def noise(self, n: int, rng: torch.Generator) -> Tensor:
        """x_T (n, C, H, W), standard Gaussian."""
        return noise_like(self.alpha_bar.new_empty(n, self.config.channels, self.config.height, self.config.width), rng)

    def classes(self, y: Tensor | None, n: int) -> Tensor | None:
        """(n,) class indices: those given, or each in turn; None where the model takes none."""
        if not self.config.labels:
            return None
        return (torch.arange(n) % self.config.labels if y is None else y).to(self.alpha_bar.device)


def shown(x: Tensor) -> Tensor:
    """Pictures in [-1, 1], or noise, as they are looked at: in [0, 1]."""
    return ((x + 1) / 2).clamp(0, 1)
