"""Four ways from noise to data along the reverse of an SDE, and the likelihood by one of them.

Each sampler is one generator function: it starts from x (B, ...) drawn from the prior and yields (t, x) after every
step, the last with t = 0 and the noise taken off. Each says how often it evaluates the score.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from scipy.integrate import RK45
from torch import Tensor

from playground.families.image.score_sde.sde import SDE, Score, over

Steps = Iterator[tuple[float, Tensor]]
Impose = Callable[[Tensor, Tensor], Tensor]
"""(x (B, ...), t (B,)) -> x with the part that is known put in its place, as noisy as x is at t."""

SNR = 0.16
"""The corrector's signal-to-noise ratio r, as in the paper for VE."""
RHO = 7.0
"""How far Heun's noise levels crowd towards the small ones: Karras et al. (2022), arXiv:2206.00364, eq. 5."""


def nothing_known(x: Tensor, t: Tensor) -> Tensor:
    return x


def euler_maruyama(sde: SDE, score: Score, x: Tensor, evaluations: int, rng: torch.Generator) -> Steps:
    """The reverse SDE (eq. 6) in equal steps of time: one evaluation a step, and one to take the last noise off."""
    times = torch.linspace(1, sde.t_min, evaluations)
    reverse = sde.reverse(score)
    for now, then in itertools.pairwise(times):
        t, dt = now.expand(len(x)), float(then - now)
        f, g = reverse(x, t)
        x = x + f * dt + over(g, x) * math.sqrt(-dt) * torch.randn(x.shape, generator=rng, dtype=x.dtype)
        yield float(then), x
    yield 0.0, _cleaned(sde, score, x, times[-1])


def predictor_corrector(
    sde: SDE,
    score: Score,
    x: Tensor,
    evaluations: int,
    rng: torch.Generator,
    impose: Impose = nothing_known,
    snr: float = SNR,
) -> Steps:
    """Algorithms 1 to 5: at each of N = evaluations / 2 levels one corrector step, then one predictor step down.

    The levels are equal steps of time, in which VE's noise is a geometric sequence. The last predictor step leads to
    no noise at all, and its mean is the result.
    """
    levels = torch.linspace(1, sde.t_min, max(2, evaluations // 2))
    x = impose(x, levels[0].expand(len(x)))
    for now, then in zip(levels, torch.cat([levels[1:], torch.zeros(1)]), strict=True):
        t, s = now.expand(len(x)), then.expand(len(x))
        x = impose(langevin(score(x, t), x, sde.step(t, s)[0].square(), snr, rng), t)
        if then > 0:
            x = impose(reverse_diffusion(sde, score(x, t), x, t, s, rng), s)
            yield float(then), x
    yield 0.0, _cleaned(sde, score, x, levels[-1])


def reverse_diffusion(sde: SDE, score: Tensor, x: Tensor, t: Tensor, s: Tensor, rng: torch.Generator) -> Tensor:
    """The predictor of algorithms 2 and 3 (eq. 46): from t down to s, the forward step's own f and G reversed.

    x - f + G^2 score + G z, where the forward step adds f = (a - 1) x.
    """
    a, G = (over(part, x) for part in sde.step(t, s))
    return (2 - a) * x + G.square() * score + G * torch.randn(x.shape, generator=rng, dtype=x.dtype)


def langevin(score: Tensor, x: Tensor, alpha: Tensor, snr: float, rng: torch.Generator) -> Tensor:
    """The corrector of algorithms 4 and 5: one step of Langevin dynamics that stays at its noise level.

    Its size makes the score's push `snr` times as long as the noise; lengths are averaged over the batch.
    """
    z = torch.randn(x.shape, generator=rng, dtype=x.dtype)
    lengths = (part.flatten(1).norm(dim=1).mean() for part in (z, score))
    eps = over(2 * alpha, x) * (snr * next(lengths) / next(lengths)).square()
    return x + eps * score + (2 * eps).sqrt() * z


def heun(sde: SDE, score: Score, x: Tensor, evaluations: int, rng: torch.Generator) -> Steps:
    """The probability-flow ODE (eq. 13) by Heun's second-order method: two evaluations a step, one for the last.

    In y = x / scale over sigma = std / scale the ODE of each of the three equations is dy/dsigma = -std score, the
    noise in y: Karras et al. (2022), algorithm 1, at their noise levels. No randomness but the start's.
    """
    high, low = (sde.sigma(torch.tensor(t).double()) ** (1 / RHO) for t in (1.0, sde.t_min))
    sigmas = torch.lerp(high, low, torch.linspace(0, 1, max(2, (evaluations + 1) // 2)).double()) ** RHO
    times = sde.time(sigmas).float().clamp(sde.t_min, 1.0)
    y = x / float(sde.scale(torch.ones(1)))

    def noise(y: Tensor, time: Tensor) -> Tensor:
        t = time.expand(len(y))
        return -float(sde.std(time)) * score(float(sde.scale(time)) * y, t)

    for i, (now, then) in enumerate(itertools.pairwise(times)):
        step = float(sigmas[i + 1] - sigmas[i])
        slope = noise(y, now)
        y = y + step * 0.5 * (slope + noise(y + step * slope, then))
        yield float(then), float(sde.scale(then)) * y
    yield 0.0, y - float(sigmas[-1]) * noise(y, times[-1])


def rk45(sde: SDE, score: Score, x: Tensor, tolerance: float = 1e-4) -> Steps:
    """The probability-flow ODE by scipy's Runge-Kutta 4(5), which takes as many evaluations as `tolerance` asks for."""
    flow = sde.reverse(score, probability_flow=True)

    @torch.no_grad()
    def slope(t: float, flat: np.ndarray) -> np.ndarray:
        f, _ = flow(torch.from_numpy(flat).to(x.dtype).view(x.shape), torch.full((len(x),), t, dtype=x.dtype))
        return f.double().flatten().numpy()

    solver = RK45(slope, 1.0, x.double().flatten().numpy(), sde.t_min, rtol=tolerance, atol=tolerance)
    for t, state in _solved(solver):
        x = torch.from_numpy(state).to(x.dtype).view(x.shape)
        if t > sde.t_min:
            yield t, x
    yield 0.0, _cleaned(sde, score, x, torch.tensor(sde.t_min))


def log_likelihood(
    sde: SDE, score: Score, divergence: Score, x: Tensor, tolerance: float = 1e-4
) -> Iterator[tuple[float, Tensor]]:
    """log p(x) of x (B, ...), in nats, by the instantaneous change of variables (eq. 39): yields (t, (B,)), t to 1.

    The probability-flow ODE carries x to noise, whose density is known; log p changes by the divergence of its drift
    on the way. divergence: (x, t) -> that of the *score*, (B,), exact or estimated: see `exact_divergence` and
    `hutchinson`. Before t = 1 a value is as if the noise had been reached. x(0) is taken at t_min.
    """
    flow = sde.reverse(score, probability_flow=True)
    batch, size = len(x), x[0].numel()

    @torch.no_grad()
    def slope(t: float, flat: np.ndarray) -> np.ndarray:
        state = torch.from_numpy(flat[: batch * size]).to(x.dtype).view(x.shape)
        times = torch.full((batch,), t, dtype=x.dtype)
        f, _ = flow(state, times)
        # The divergence of eq. 13: f is linear in x, so that its own part is that of f at any x, here at ones.
        ones = torch.ones_like(state)
        linear, g = sde.sde(ones, times)
        trace = linear.flatten(1).sum(1) - 0.5 * g.square() * divergence(state, times)
        return torch.cat([f.flatten(), trace]).double().numpy()

    start = np.concatenate([x.double().flatten().numpy(), np.zeros(batch)])
    for t, flat in _solved(RK45(slope, sde.t_min, start, 1.0, rtol=tolerance, atol=tolerance)):
        state = torch.from_numpy(flat[: batch * size]).view(x.shape)
        yield t, sde.prior_logp(state) + torch.from_numpy(flat[batch * size :])


def hutchinson(score: Score, x: Tensor, rng: torch.Generator) -> Score:
    """An estimate of a score's divergence without bias (eq. 40): v . grad(v . score), v of random signs, kept."""
    v = 2.0 * torch.randint(2, x.shape, generator=rng).to(x.dtype) - 1

    def divergence(x: Tensor, t: Tensor) -> Tensor:
        return (v * gradient(lambda x: (v.clone() * score(x, t.clone())).sum(), x)).flatten(1).sum(1)

    return divergence


def exact_divergence(score: Score) -> Score:
    """The divergence by one gradient for each coordinate: for the plane."""

    def divergence(x: Tensor, t: Tensor) -> Tensor:
        def component(i: int) -> Callable[[Tensor], Tensor]:
            return lambda x: score(x, t.clone()).flatten(1)[:, i].sum()

        return sum((gradient(component(i), x).flatten(1)[:, i] for i in range(x[0].numel())), torch.zeros(len(x)))

    return divergence


def gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of a single number f(x) at x, also where gradients are switched off around the caller."""
    with torch.inference_mode(False), torch.enable_grad():
        x = x.clone().requires_grad_()
        return torch.autograd.grad(f(x), x)[0]


def _cleaned(sde: SDE, score: Score, x: Tensor, t: Tensor) -> Tensor:
    """What is left when the last noise is taken off: one evaluation."""
    return sde.denoised(x, t.expand(len(x)), score(x, t.expand(len(x))))


def _solved(solver: RK45) -> Iterator[tuple[float, np.ndarray]]:
    """The solver's steps. Raises RuntimeError where it cannot go on."""
    while solver.status == "running":
        message = solver.step()
        if solver.status == "failed":
            raise RuntimeError(f"the ODE solver stopped at t = {solver.t:.4g}: {message}")
        yield float(solver.t), solver.y
