"""From noise to a picture: three samplers, one function each, and two relatives that begin with a picture.

Each takes `denoise`, which makes of (x_t, t) the net's estimate of x_0; the table `alpha_bar`; falling `times`, of which
the last is 0; noise x (B, C, H, W); and the generator of further noise. Each looks once at every time but the last, and
yields a `Moment` for every time, the last of which holds the picture.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from playground.families.image.ddpm.process import diffuse, eps_of

Denoise: TypeAlias = Callable[[Tensor, int], Tensor]


class Moment(NamedTuple):
    """A time on the way, the noisy pictures x_t there, and the net's estimate of x_0, all pictures (B, C, H, W)."""

    t: int
    x: Tensor
    x_0: Tensor


def ddpm(
    denoise: Denoise, alpha_bar: Tensor, times: Sequence[int], x: Tensor, rng: torch.Generator
) -> Iterator[Moment]:
    """Ho 2020, algorithm 2: ancestral sampling, with the variance of eq. 7 (none at the last step)."""
    for t, s in itertools.pairwise(times):
        x_0 = denoise(x, t)
        yield Moment(t, x, x_0)
        x = ancestral(x, x_0, alpha_bar[t], alpha_bar[s], noise_like(x, rng))
    yield Moment(0, x, x)


def ancestral(x: Tensor, x_0: Tensor, alpha_bar_t: Tensor, alpha_bar_s: Tensor, noise: Tensor) -> Tensor:
    """A draw of q(x_s | x_t, x_0), s < t: Ho 2020, eq. 6 and 7, with alpha_t = alpha_bar_t / alpha_bar_s."""
    alpha_t = alpha_bar_t / alpha_bar_s
    beta_t = 1 - alpha_t
    from_x_0 = alpha_bar_s.sqrt() * beta_t / (1 - alpha_bar_t)
    from_x_t = alpha_t.sqrt() * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    variance = (1 - alpha_bar_s) / (1 - alpha_bar_t) * beta_t
    return from_x_0 * x_0 + from_x_t * x + variance.sqrt() * noise


def ddim(
    denoise: Denoise, alpha_bar: Tensor, times: Sequence[int], x: Tensor, rng: torch.Generator
) -> Iterator[Moment]:
    """Song et al. (2020), arXiv:2010.02502, eq. 12 with sigma = 0: no further noise, so the way can be walked back."""
    for t, s in itertools.pairwise(times):
        x_0 = denoise(x, t)
        yield Moment(t, x, x_0)
        x = diffuse(x_0, eps_of(x_0, x, alpha_bar[t]), alpha_bar[s])
    yield Moment(0, x, x)


def dpm_solver(
    denoise: Denoise, alpha_bar: Tensor, times: Sequence[int], x: Tensor, rng: torch.Generator
) -> Iterator[Moment]:
    """Lu et al. (2022), arXiv:2211.01095, algorithm 2, DPM-Solver++(2M): a line through the last two estimates of x_0.

    Its time is lambda = log(alpha / sigma), half the log of the signal-to-noise ratio, infinite at t = 0. The first step,
    which has no estimate before it, and the last are of first order: DDIM's.
    """
    alpha, sigma = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    lambda_ = alpha.log() - sigma.log()
    before, h_before = None, x.new_zeros(())
    for t, s in itertools.pairwise(times):
        x_0 = denoise(x, t)
        yield Moment(t, x, x_0)
        h = lambda_[s] - lambda_[t]
        r = h_before / h
        d = x_0 if before is None or s == 0 else (1 + 1 / (2 * r)) * x_0 - 1 / (2 * r) * before
        x = sigma[s] / sigma[t] * x - alpha[s] * torch.expm1(-h) * d
        before, h_before = x_0, h
    yield Moment(0, x, x)


SAMPLERS = {"ddpm": ddpm, "ddim": ddim, "dpm_solver": dpm_solver}


def spread(steps: int, last: int) -> list[int]:
    """`steps` times from T = `last` downwards at equal distances, then 0; as whole numbers, so at most T of them."""
    return [round(last * (steps - i) / steps) for i in range(steps + 1)]


def noise_like(x: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=rng).to(x.device)


# --- Beginning with a picture ---------------------------------------------------------------------------------


def encode(denoise: Denoise, alpha_bar: Tensor, times: Sequence[int], x: Tensor) -> Tensor:
    """DDIM walked backwards (Song 2020, section 4.3): the noise from which `ddim` draws the pictures x, nearly.

    times fall from T as for `ddim`. The pictures stand for their own x_1, in which there is next to no noise.
    """
    rising = [1, *(t for t in reversed(times) if t > 1)]
    for s, t in itertools.pairwise(rising):
        x_0 = denoise(x, s)
        x = diffuse(x_0, eps_of(x_0, x, alpha_bar[s]), alpha_bar[t])
    return x


def repaint(
    denoise: Denoise,
    alpha_bar: Tensor,
    times: Sequence[int],
    x: Tensor,
    rng: torch.Generator,
    picture: Tensor,
    kept: Tensor,
    repeats: int,
) -> Iterator[Moment]:
    """Lugmayr et al. (2022), arXiv:2201.09865, algorithm 1: fill in a picture without training for it.

    picture (B, C, H, W) in [-1, 1]; kept (H, W) bool, True where it is given. At each time the given part is the picture
    with noise (eq. 8a), the rest an ancestral step (8b); going back and forth `repeats` times lets the two agree.
    """
    for t, s in itertools.pairwise(times):
        for turn in range(repeats if s else 1):
            if turn:
                x = diffuse(x, noise_like(x, rng), alpha_bar[t] / alpha_bar[s])  # eq. 1: from s back to t
            x_0 = denoise(x, t)
            if not turn:
                yield Moment(t, x, x_0)
            drawn = ancestral(x, x_0, alpha_bar[t], alpha_bar[s], noise_like(x, rng))
            x = torch.where(kept, diffuse(picture, noise_like(x, rng), alpha_bar[s]), drawn)
    yield Moment(0, x, x)
