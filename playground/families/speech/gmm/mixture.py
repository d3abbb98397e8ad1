"""Mixtures of Gaussians, fitted by expectation-maximisation in the log domain, and regression by them.

p(x) = sum_k pi_k N(x; mu_k, Sigma_k). The three forms of Sigma have one shape of code; how they differ is the idea:

    full      Sigma_k free           an ellipsoid of its own, turned any way
    diagonal  Sigma_k diagonal       an ellipsoid of its own along the axes
    tied      Sigma_k = Sigma        one ellipsoid at every mean

Dempster, Laird and Rubin (1977), "Maximum likelihood from incomplete data via the EM algorithm"; Bishop (2006), "Pattern
recognition and machine learning", section 9.2: equation numbers of EM are Bishop's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

SMALLEST = 10 * torch.finfo(torch.float64).eps
"""Added to the frames that a Gaussian answers for, so that one which answers for none divides by something."""
LLOYD = 20
"""Iterations of k-means."""


# --- Three forms of covariance --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A form of covariance. K Gaussians in D dimensions, N frames; `sigma` has the shape that `shape(K, D)` says.

    estimate: (x (N, D), r (N, K), n (K,), mu (K, D), floor) -> sigma, the M-step (eq. 9.25), floor on its diagonal.
    log_normal: (x (N, D), mu (K, D), sigma) -> log N(x; mu_k, Sigma_k), (N, K).
    regress: (sigma, a, b) -> (A (K or 1, Da, Db), or None for zero; variance (K or 1, Db)): in Gaussian k the columns b
      given the columns a have the mean mu_b + (x_a - mu_a) A and the diagonal of covariance `variance`.
    part: (sigma, columns) -> the sigma of those columns alone: the marginal's.
    draw: (sigma, k (N,), eps (N, D)) -> deviations (N, D) of covariance Sigma_k from standard normal eps.
    """

    shape: Callable[[int, int], tuple[int, ...]]
    estimate: Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]
    log_normal: Callable[[Tensor, Tensor, Tensor], Tensor]
    regress: Callable[[Tensor, slice, slice], tuple[Tensor | None, Tensor]]
    part: Callable[[Tensor, slice], Tensor]
    draw: Callable[[Tensor, Tensor, Tensor], Tensor]
    freedom: Callable[[int, int], int]
    """Free parameters of sigma, for `bic`."""


def gram(x: Tensor) -> Tensor:
    """x^T x, (D, D): numpy computes only half of a matrix times itself."""
    flat = x.numpy()
    return torch.from_numpy(flat.T @ flat)


def squares(x: Tensor) -> Tensor:
    """x^2 element by element. numpy takes the same memory again at every iteration, torch asks for new."""
    return torch.from_numpy(np.square(x.numpy()))


def times(a: Tensor, b: Tensor) -> Tensor:
    """a b. Of tall, narrow matrices numpy is the faster."""
    return torch.from_numpy(a.numpy() @ b.numpy())


def _estimate_full(x: Tensor, r: Tensor, n: Tensor, mu: Tensor, floor: float) -> Tensor:
    root = r.sqrt()
    moments = torch.stack([gram(root[:, k, None] * x) for k in range(len(n))])  # (K, D, D), sum_t r_tk x_t x_t^T
    sigma = moments / n[:, None, None] - mu[:, :, None] * mu[:, None, :]
    sigma.diagonal(dim1=1, dim2=2).add_(floor)
    return sigma


def _log_normal_full(x: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    tril = torch.linalg.cholesky(sigma)  # (K, D, D)
    squared = [
        torch.linalg.solve_triangular(tril[k], (x - mu[k]).T, upper=False).square().sum(0) for k in range(len(mu))
    ]
    log_det = 2 * tril.diagonal(dim1=1, dim2=2).log().sum(1)  # (K,)
    return -0.5 * (torch.stack(squared, dim=1) + log_det + x.shape[1] * math.log(2 * math.pi))


def _regress_full(sigma: Tensor, a: slice, b: slice) -> tuple[Tensor | None, Tensor]:
    across = sigma[:, a, b]
    slope = torch.linalg.solve(sigma[:, a, a], across)  # Sigma_aa^-1 Sigma_ab, (K, Da, Db)
    return slope, sigma[:, b, b].diagonal(dim1=1, dim2=2) - (across * slope).sum(1)


def _estimate_diagonal(x: Tensor, r: Tensor, n: Tensor, mu: Tensor, floor: float) -> Tensor:
    return times(r.T, squares(x)) / n[:, None] - mu.square() + floor


def _log_normal_diagonal(x: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    precision = 1 / sigma  # (K, D)
    # (x - mu)^2 / sigma, multiplied out so that two products of matrices do the work.
    squared = times(squares(x), precision.T) - times(x, (2 * mu * precision).T) + (mu.square() * precision).sum(1)
    return -0.5 * (squared + sigma.log().sum(1) + x.shape[1] * math.log(2 * math.pi))


def _estimate_tied(x: Tensor, r: Tensor, n: Tensor, mu: Tensor, floor: float) -> Tensor:
    # sum_k sum_t r_tk (x_t - mu_k)(x_t - mu_k)^T / N; the responsibilities drop out of the first part.
    sigma = (gram(x) - (n[:, None] * mu).T @ mu) / n.sum()
    sigma.diagonal().add_(floor)
    return sigma


def _log_normal_tied(x: Tensor, mu: Tensor, sigma: Tensor) -> Tensor:
    tril = torch.linalg.cholesky(sigma)  # (D, D)
    white = torch.linalg.solve_triangular(tril, x.T, upper=False)  # (D, N), whitened once for all Gaussians
    means = torch.linalg.solve_triangular(tril, mu.T, upper=False)  # (D, K)
    squared = white.square().sum(0)[:, None] - white.T @ (2 * means) + means.square().sum(0)
    log_det = 2 * tril.diagonal().log().sum()
    return -0.5 * (squared + log_det + x.shape[1] * math.log(2 * math.pi))


KINDS: dict[str, Kind] = {
    "full": Kind(
        shape=lambda k, d: (k, d, d),
        estimate=_estimate_full,
        log_normal=_log_normal_full,
        regress=_regress_full,
        part=lambda sigma, columns: sigma[:, columns, columns],
        draw=lambda sigma, k, eps: (torch.linalg.cholesky(sigma)[k] @ eps[:, :, None])[:, :, 0],
        freedom=lambda k, d: k * d * (d + 1) // 2,
    ),
    "diagonal": Kind(
        shape=lambda k, d: (k, d),
        estimate=_estimate_diagonal,
        log_normal=_log_normal_diagonal,
        regress=lambda sigma, a, b: (None, sigma[:, b]),
        part=lambda sigma, columns: sigma[:, columns],
        draw=lambda sigma, k, eps: sigma[k].sqrt() * eps,
        freedom=lambda k, d: k * d,
    ),
    "tied": Kind(
        shape=lambda k, d: (d, d),
        estimate=_estimate_tied,
        log_normal=_log_normal_tied,
        regress=lambda sigma, a, b: _regress_full(sigma[None], a, b),
        part=lambda sigma, columns: sigma[columns, columns],
        draw=lambda sigma, k, eps: eps @ torch.linalg.cholesky(sigma).T,
        freedom=lambda k, d: d * (d + 1) // 2,
    ),
}


# --- EM -------------------------------------------------------------------------------------------------------


class Mixture(nn.Module):
    """G separate mixtures of K Gaussians in D dimensions, in double precision; frames are (N, D) of one of them.

    The parameters are buffers, moved by EM and never by a gradient. Before that every Gaussian is the standard normal.
    """

    pi: Tensor
    mu: Tensor
    sigma: Tensor

    def __init__(self, groups: int, components: int, dims: int, covariance: str):
        super().__init__()
        self.kind = KINDS[covariance]
        double = torch.float64
        shape = self.kind.shape(components, dims)
        each = (
            torch.ones(shape, dtype=double) if covariance == "diagonal" else torch.eye(dims, dtype=double).expand(shape)
        )
        self.register_buffer("pi", torch.full((groups, components), 1 / components, dtype=double))  # (G, K)
        self.register_buffer("mu", torch.zeros(groups, components, dims, dtype=double))  # (G, K, D)
        self.register_buffer("sigma", each.expand(groups, *shape).clone())

    def start(self, g: int, x: Tensor, of: Tensor, floor: float, rng: torch.Generator) -> None:
        """Where EM begins: the M-step of the clusters that k-means finds among `of` (N, any), a view of the frames x."""
        self._maximise(g, x, clusters(of, self.pi.shape[1], rng), floor)

    def start_equal(self, g: int, x: Tensor, floor: float) -> None:
        """Every Gaussian as the whole: nothing tells them apart, and EM never will."""
        self._maximise(g, x, x.new_full((len(x), self.pi.shape[1]), 1 / self.pi.shape[1]), floor)

    def em_step(self, g: int, x: Tensor, floor: float) -> float:
        """One iteration on frames x (N, D); returns the mean of log p(x) before it, in nats a frame."""
        log_joint = self.log_joint(g, x)
        log_p = log_joint.logsumexp(1)
        self._maximise(g, x, (log_joint - log_p[:, None]).exp(), floor)  # eq. 9.23: the E-step
        return float(log_p.mean())

    def _maximise(self, g: int, x: Tensor, r: Tensor, floor: float) -> None:
        """Eqs. 9.24 to 9.27: the parameters under which frames that belong to Gaussians by r (N, K) are likeliest."""
        n = r.sum(0) + SMALLEST  # (K,)
        mu = times(r.T, x) / n[:, None]
        self.mu[g], self.sigma[g] = mu, self.kind.estimate(x, r, n, mu, floor)
        self.pi[g] = n / n.sum()

    def log_joint(self, g: int, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """log pi_k + log N(x; mu_k, Sigma_k) of frames (N, D), or of some columns of them (N, d), marginally: (N, K)."""
        log_normal = self.kind.log_normal(x, self.mu[g, :, columns], self.kind.part(self.sigma[g], columns))
        return self.pi[g].log() + log_normal

    def responsibilities(self, g: int, x: Tensor, columns: slice = slice(None)) -> Tensor:
        """p(k | x) of frames (N, D), or of some columns of them (N, d): (N, K)."""
        return self.log_joint(g, x, columns).softmax(1)

    def log_prob(self, g: int, x: Tensor) -> Tensor:
        """log p(x) of frames (N, D), in nats: (N,)."""
        return self.log_joint(g, x).logsumexp(1)

    def covariance(self, g: int, columns: Sequence[int]) -> Tensor:
        """Sigma_k of some columns, as matrices (K, d, d)."""
        sigma, k = self.sigma[g], self.mu.shape[1]
        if self.kind is KINDS["diagonal"]:
            return sigma[:, columns].diag_embed()
        chosen = sigma[..., columns, :][..., columns]
        return chosen.expand(k, len(columns), len(columns))

    def bic(self, g: int, x: Tensor) -> float:
        """Schwarz's criterion -2 log p(x_1 ... x_N) + (free parameters) log N: the lower, the better."""
        k, d = self.mu.shape[1:]
        free = k - 1 + k * d + self.kind.freedom(k, d)
        return float(-2 * self.log_prob(g, x).sum()) + free * math.log(len(x))

    def regress(self, g: int, x: Tensor, a: slice, b: slice) -> tuple[Tensor, Tensor]:
        """Mean and variance of the columns b where the columns a are x (N, Da): (N, Db) both.

        The density of b given a is itself a mixture, of the Gaussians' conditional ones weighted by p(k | a) (Toda et al.
        2007, eqs. 8 to 13); here are its two moments.
        """
        return regression(self.kind, self.responsibilities(g, x, a), self.mu[g], self.sigma[g], x, a, b)

    def sample(self, g: int, n: int, rng: torch.Generator) -> Tensor:
        """n independent frames (n, D)."""
        k = torch.multinomial(self.pi[g], n, replacement=True, generator=rng)
        eps = torch.randn(n, self.mu.shape[2], generator=rng, dtype=self.mu.dtype)
        return self.mu[g, k] + self.kind.draw(self.sigma[g], k, eps)


def regression(
    kind: Kind, r: Tensor, mu: Tensor, sigma: Tensor, x: Tensor, a: slice, b: slice
) -> tuple[Tensor, Tensor]:
    """`Mixture.regress` with the responsibilities r (N, K) given: mean and variance (N, Db) of the columns b."""
    slope, each = kind.regress(sigma, a, b)  # each: the variance of b in each Gaussian, whatever a is
    if slope is not None and len(slope) > 1:
        mean, square = x.new_zeros(2, len(x), mu[:, b].shape[1])
        for k in range(len(mu)):
            here = mu[k, b] + (x - mu[k, a]) @ slope[k]  # E[b | a, k]
            mean += r[:, k, None] * here
            square += r[:, k, None] * (each[k] + here.square())
        return mean, (square - mean.square()).clamp_min(SMALLEST)
    # One slope for all, or none: the Gaussians differ in what they add to it.
    common = 0.0 if slope is None else x @ slope[0]
    added = mu[:, b] if slope is None else mu[:, b] - mu[:, a] @ slope[0]  # (K, Db)
    mean = r @ added
    return common + mean, (r @ (each + added.square()) - mean.square()).clamp_min(SMALLEST)


def clusters(x: Tensor, k: int, rng: torch.Generator) -> Tensor:
    """k-means: which of k clusters each row of x (N, D) belongs to, as ones and zeros (N, k). Some may stay empty.

    Begun at rows drawn far from each other (Arthur and Vassilvitskii 2007, k-means++), moved by Lloyd's iterations.
    """
    middles = x[torch.randint(len(x), (1,), generator=rng)]
    far = (x - middles).square().sum(1)
    for _ in range(k - 1):
        chosen = x[torch.multinomial(far.clamp_min(1e-12), 1, generator=rng)]
        middles = torch.cat([middles, chosen])
        far = torch.minimum(far, (x - chosen).square().sum(1))
    for _ in range(LLOYD):
        nearest = (middles.square().sum(1) - x @ (2 * middles.T)).argmin(1)
        member = nn.functional.one_hot(nearest, k).to(x)
        count = member.sum(0)[:, None]
        middles = torch.where(count > 0, member.T @ x / count.clamp_min(1), middles)
    return member
