"""The diffusion itself: how much of the picture is left at each time, and what follows from a prediction.

x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) epsilon: a picture in [-1, 1] and noise, mixed. Whoever knows x_t and
one of x_0, epsilon and the velocity v = sqrt(alpha_bar_t) epsilon - sqrt(1 - alpha_bar_t) x_0 knows the other two.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def linear_betas(steps: int) -> Tensor:
    """Ho 2020, section 4: beta_t grows evenly from 1e-4 to 0.02, chosen for T = 1000. (T,)

    With fewer steps the same betas stop half way: alpha_bar_T is 4e-5 at T = 1000 and 0.13 at T = 200.
    """
    return torch.linspace(1e-4, 0.02, steps)


def cosine_betas(steps: int) -> Tensor:
    """Nichol and Dhariwal (2021), eq. 17, whatever T: alpha_bar_t = f(t) / f(0), beta_t at most 0.999. (T,)"""
    f = [math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(steps + 1)]
    return torch.tensor([min(1 - f[t] / f[t - 1], 0.999) for t in range(1, steps + 1)])


SCHEDULES = {"cosine": cosine_betas, "linear": linear_betas}


def alpha_bars(schedule: str, steps: int) -> Tensor:
    """alpha_bar_t for t = 0 (the picture itself, 1) to T: (T + 1,)."""
    left = (1 - SCHEDULES[schedule](steps)).cumprod(0)
    return torch.cat([torch.ones_like(left[:1]), left])


def at(alpha_bar: Tensor, t: Tensor) -> Tensor:
    """alpha_bar at times t (B,) in [0, T], between whole ones on the line from one to the next: (B, 1, 1, 1)."""
    before = (t.ceil().long() - 1).clamp(min=0)
    return torch.lerp(alpha_bar[before], alpha_bar[before + 1], t - before)[:, None, None, None]


def diffuse(x_0: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """Ho 2020, eq. 4: x_t ~ N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I), its noise given."""
    return alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps


def velocity(x_0: Tensor, eps: Tensor, alpha_bar: Tensor) -> Tensor:
    """Salimans and Ho (2022), section 4: v = d x / d phi on the quarter circle from x_0 to epsilon."""
    return alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x_0


def x_0_of(predicted: Tensor, x_t: Tensor, alpha_bar: Tensor, prediction: str) -> Tensor:
    """The picture that a predicted v or epsilon (Ho 2020, eq. 15) says is in x_t."""
    if prediction == "v":
        return alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * predicted
    return (x_t - (1 - alpha_bar).sqrt() * predicted) / alpha_bar.sqrt()


def eps_of(x_0: Tensor, x_t: Tensor, alpha_bar: Tensor) -> Tensor:
    """The noise that is in x_t beside the picture x_0; alpha_bar < 1."""
    return (x_t - alpha_bar.sqrt() * x_0) / (1 - alpha_bar).sqrt()


def min_snr_weight(alpha_bar: Tensor, gamma: float, prediction: str) -> Tensor:
    """Hang et al. (2023), section 3.4: the weight of a squared error that makes one of x_0 weigh min(SNR, gamma).

    SNR = alpha_bar / (1 - alpha_bar); an error of epsilon is SNR times one of x_0, an error of v is SNR + 1 times.
    """
    snr = alpha_bar / (1 - alpha_bar)
    return snr.clamp(max=gamma) / (snr + 1 if prediction == "v" else snr)
