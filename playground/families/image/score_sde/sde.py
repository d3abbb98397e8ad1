"""Three stochastic differential equations that turn data into noise: one skeleton, so that the difference is the idea.

Each is dx = f(x, t) dt + g(t) dw, with t from 0 (data) to 1 (noise). f is linear in x, so that x(t) given x(0) is
Gaussian: x(t) = scale(t) x(0) + std(t) z. Song et al. (2021), arXiv:2011.13456, section 3.4 and appendix B.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SIGMA_MIN = 0.01
"""VE's smallest noise: about one grey value in [-1, 1]."""

Score = Callable[[Tensor, Tensor], Tensor]
"""(x (B, ...), t (B,)) -> the gradient of log p_t at x, (B, ...)."""
Drift = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x (B, ...), t (B,)) -> f (B, ...) and g (B,)."""


def over(a: Tensor, x: Tensor) -> Tensor:
    """One number for each example, a (B,), with axes of length 1 so that it multiplies x (B, ...)."""
    return a.view(-1, *(1,) * (x.ndim - 1))


class SDE(ABC):
    t_min: float
    """Where time stops short of 0: there the score grows without bound, or the picture no longer changes."""

    @abstractmethod
    def sde(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Drift f(x, t) (B, ...) and diffusion g(t) (B,) at x (B, ...), t (B,)."""

    @abstractmethod
    def scale(self, t: Tensor) -> Tensor:
        """What is left of x(0) at time t."""

    @abstractmethod
    def std(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise at time t."""

    @abstractmethod
    def time(self, sigma: Tensor) -> Tensor:
        """The time at which there is `sigma` times as much noise as is left of x(0): the inverse of std / scale."""

    def marginal(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (B, ...) and standard deviation (B,) of x(t) given x(0) = x: eq. 29."""
        return over(self.scale(t), x) * x, self.std(t)

    def sigma(self, t: Tensor) -> Tensor:
        """Noise relative to what is left of x(0)."""
        return self.std(t) / self.scale(t)

    def prior_sampling(self, shape: Sequence[int], rng: torch.Generator) -> Tensor:
        """x(1), as if nothing of the data were left in it: Gaussian."""
        return self.std(torch.ones(1)) * torch.randn(*shape, generator=rng)

    def prior_logp(self, x: Tensor) -> Tensor:
        """Log-density of x (B, ...) under the same Gaussian, in nats: (B,)."""
        z = x.flatten(1) / self.std(torch.ones(1, dtype=x.dtype))
        log_std = float(self.std(torch.ones(1, dtype=torch.float64)).log())
        return -0.5 * z.square().sum(1) - z.shape[1] * (0.5 * math.log(2 * math.pi) + log_std)

    def reverse(self, score: Score, probability_flow: bool = False) -> Drift:
        """The same equation run backwards (eq. 6), or the ODE of equal marginals (eq. 13), which has no noise."""
        share = 0.5 if probability_flow else 1.0

        def sde(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            f, g = self.sde(x, t)
            return f - share * over(g.square(), x) * score(x, t), torch.zeros_like(g) if probability_flow else g

        return sde

    def step(self, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """a, G (B,) of the exact step from s to t > s: x(t) = a x(s) + G z.

        VE: a = 1, G^2 = sigma_t^2 - sigma_s^2 (eq. 8). VP: a^2 = 1 - beta_t, G^2 = beta_t (eq. 10).
        """
        a = self.scale(t) / self.scale(s)
        return a, (self.std(t).square() - (a * self.std(s)).square()).clamp(min=0).sqrt()

    def denoised(self, x: Tensor, t: Tensor, score: Tensor) -> Tensor:
        """Tweedie's formula: the mean of x(0) given x(t) = x, where the score is exact."""
        return (x + over(self.std(t).square(), x) * score) / over(self.scale(t), x)


@dataclass(frozen=True)
class VE(SDE):
    """Variance exploding: the picture stays, ever more noise comes on top (eq. 9, 30).

    x(0) is the data with noise of sigma_min, too little to be seen, so that std(0) = sigma_min.
    """

    sigma_max: float
    sigma_min: float = SIGMA_MIN
    t_min: float = 1e-5

    def sde(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(x), self.std(t) * math.sqrt(2 * math.log(self.sigma_max / self.sigma_min))

    def scale(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def std(self, t: Tensor) -> Tensor:
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** t

    def time(self, sigma: Tensor) -> Tensor:
        return (sigma / self.sigma_min).log() / math.log(self.sigma_max / self.sigma_min)


@dataclass(frozen=True)
class VP(SDE):
    """Variance preserving: the picture fades as the noise comes (eq. 11, 33); DDPM in continuous time."""

    beta_min: float = 0.1
    beta_max: float = 20.0
    t_min: float = 1e-3

    def beta(self, t: Tensor) -> Tensor:
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def total(self, t: Tensor) -> Tensor:
        """The integral of beta from 0 to t."""
        return self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * t.square()

    def sde(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return -0.5 * over(self.beta(t), x) * x, self.beta(t).sqrt()

    def scale(self, t: Tensor) -> Tensor:
        return (-0.5 * self.total(t)).exp()

    def std(self, t: Tensor) -> Tensor:
        return (-torch.expm1(-self.total(t))).sqrt()

    def time(self, sigma: Tensor) -> Tensor:
        return self.time_of_total(torch.log1p(sigma.square()))

    def time_of_total(self, total: Tensor) -> Tensor:
        slope = self.beta_max - self.beta_min
        return 2 * total / (self.beta_min + (self.beta_min**2 + 2 * slope * total).sqrt())


@dataclass(frozen=True)
class SubVP(VP):
    """Sub-VP: the picture fades as in VP, with less noise at every time, of variance std_VP^4 (eq. 12, 34).

    At first its noise grows with the square of the time: it takes longer to matter.
    """

    t_min: float = 0.025

    def sde(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        f, g = super().sde(x, t)
        return f, g * (-torch.expm1(-2 * self.total(t))).sqrt()

    def std(self, t: Tensor) -> Tensor:
        return -torch.expm1(-self.total(t))

    def time(self, sigma: Tensor) -> Tensor:
        return self.time_of_total(2 * torch.asinh(sigma / 2))
