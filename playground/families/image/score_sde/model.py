"""The score model: a net that is told the noise level, trained by denoising, drawn from along the reverse SDE."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.contract import BadSetting, fact, knob
from playground.families.image.score_sde import samplers
from playground.families.image.score_sde.nets import Classifier, Perceptron, UNet
from playground.families.image.score_sde.samplers import Steps
from playground.families.image.score_sde.sde import SDE, VE, VP, Score, SubVP, over

SIGMA_DATA = 0.5
"""About the standard deviation of data in [-1, 1]: where signal and noise count for as much (Karras 2022, table 1)."""
FOCUS, SPREAD = {"points": -1.2, "pictures": 0.2}, 1.4
"""Mean and standard deviation of log sigma in training. Noise of 0.3 hides where on a curve a point was, but no digit:
many pixels tell together what it is, up to a noise of about 3.
"""
SAMPLERS: dict[str, Callable[..., Steps]] = {
    "heun": samplers.heun,
    "predictor-corrector": samplers.predictor_corrector,
    "euler-maruyama": samplers.euler_maruyama,
}
"""The samplers that take a number of evaluations."""
EVALUATIONS = 25
"""Evaluations of the score net for a sample; a guided one takes as many gradients of the classifier."""


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    classes: int = fact(0, 1000)
    sde: str = knob(
        "ve",
        "Equation: variance exploding, variance preserving, or sub-VP",
        "방정식: 분산 폭발(VE), 분산 보존(VP), sub-VP",
        choices=("ve", "vp", "sub-vp"),
    )
    maps: int = knob(48, "Feature maps at the finest resolution", "가장 고운 해상도의 특징 지도 수", 16, 256)
    conditional: bool = knob(
        True, "A classifier of noisy pictures, to guide by class", "클래스로 이끌 잡음 그림 분류기"
    )

    def __post_init__(self) -> None:
        if self.maps % 16:
            raise BadSetting(
                f"maps = {self.maps}: must be a multiple of 16", f"maps = {self.maps}: 16의 배수여야 합니다"
            )
        if not self.points and (self.height % (2 * self.fold) or self.width % (2 * self.fold)):
            raise BadSetting(
                f"the score net needs a height and width that {2 * self.fold} divides, not {self.height}×{self.width}",
                f"점수 신경망은 높이와 너비가 {2 * self.fold}의 배수여야 합니다 (지금 {self.height}×{self.width})",
            )

    @property
    def points(self) -> bool:
        """Whether the data are points in the plane: 2 channels, one pixel."""
        return self.height == self.width == 1

    @property
    def labels(self) -> int:
        """Number of classes that the classifier knows: 0 where there is none."""
        return self.classes if self.conditional else 0

    @property
    def fold(self) -> int:
        """Side of the squares that the nets see as one place: two processor cores train no larger grid than 16 x 16."""
        return 1 if self.height < 16 else 2 if self.height <= 32 else 4


class ScoreModel(nn.Module):
    sigma_max: Tensor
    mean: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        c, maps, fold, labels = config.channels, config.maps, config.fold, config.labels
        self.net: nn.Module
        self.classifier: nn.Module | None = None
        if config.points:
            self.net = Perceptron(c, 2 * maps, c)
            self.classifier = Perceptron(c, maps, labels) if labels else None
        else:
            self.net = UNet(c, maps, fold)
            self.classifier = Classifier(c, maps // 2, fold, labels) if labels else None
        # What `prepare` finds in the data: not learnt, but kept.
        self.register_buffer("sigma_max", torch.tensor(30.0))
        self.register_buffer("mean", torch.zeros(self.noise_shape))

    @property
    def sde(self) -> SDE:
        if self.config.sde == "ve":
            return VE(float(self.sigma_max))
        return VP() if self.config.sde == "vp" else SubVP()

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the noise that `forward` needs for each example."""
        return (self.config.channels, self.config.height, self.config.width)

    def prepare(self, x: Tensor, sigma_max: float) -> None:
        """Before training: learn the mean of pictures x, and VE's largest noise, 0 for what the paper advises.

        The prior's mean is zero. Of a mean that the data keep, sigma_max would hide no more than |mean| / sigma_max
        standard deviations: two thirds for MNIST in [-1, 1], and every digit would get too much ink.
        """
        if not self.config.points:
            self.mean.copy_((2 * x - 1).mean(0))
        self.sigma_max.fill_(sigma_max or largest_distance(self.inwards(x)))

    def inwards(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] as the SDE takes them: [-1, 1], less their mean. Points (B, 2) as they are."""
        return x.view(len(x), *self.noise_shape) if self.config.points else 2 * x - 1 - self.mean

    def outwards(self, x: Tensor) -> Tensor:
        """The way back; pictures are cut to [0, 1], points stay where they are."""
        return x if self.config.points else ((x + self.mean + 1) / 2).clamp(0, 1)

    # --- The score --------------------------------------------------------------------------------------------

    def noise(self, x: Tensor, t: Tensor) -> Tensor:
        """The noise z that the net sees in x = scale x(0) + std z, all (B, C, H, W); t (B,).

        Karras et al. (2022), eq. 7 and table 1, said in z: the net adds what x alone does not tell. At small sigma its
        output is minus the noise, at large sigma it is the data, always of about unit size.
        """
        u, sigma = self.scaled(x, t)
        angle = over((sigma / SIGMA_DATA).atan(), x)
        return angle.sin() * u - angle.cos() * self.net(u, sigma.log()).to(x.dtype).view_as(x)

    def scaled(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """What the nets are given: x of about unit size (B, C, H, W), and sigma (B,)."""
        sde = self.sde
        sigma = sde.sigma(t)
        return x / over(sde.scale(t) * (sigma.square() + SIGMA_DATA**2).sqrt(), x), sigma

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """The gradient of log p_t at x, (B, C, H, W)."""
        return -self.noise(x, t) / over(self.sde.std(t), x)

    def class_logits(self, x: Tensor, t: Tensor) -> Tensor:
        """log p_t(y | x) of every class, up to a constant: (B, labels)."""
        assert self.classifier is not None
        u, sigma = self.scaled(x, t)
        return self.classifier(u, sigma.log()).to(x.dtype)

    def class_gradient(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """The gradient of log p_t(y | x) at x, for the class y (B,) of each."""

        def log_p(x: Tensor) -> Tensor:
            return self.class_logits(x, t.clone()).log_softmax(1).gather(1, y.clone()[:, None]).sum()

        return samplers.gradient(log_p, x)

    def guided(self, y: Tensor | None, guidance: float = 1.0) -> Score:
        """The score of p_t(x | y) (eq. 14): that of p_t(x), and the classifier's gradient `guidance` times."""
        if y is None or self.classifier is None or guidance == 0:
            return self.score
        return lambda x, t: self.score(x, t) + guidance * self.class_gradient(x, t, y)

    # --- Training ---------------------------------------------------------------------------------------------

    def forward(self, x: Tensor, y: Tensor | None, u: Tensor, z: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The training objective of x, pictures in [0, 1] or points: denoising score matching, eq. 7.

        u (B,), one in each B-th of [0, 1), decides on the times; z as x is the noise. Where there are classes y (B,),
        the classifier's cross-entropy on the same noisy data is added: the two nets share no weight.
        """
        sde, x = self.sde, self.inwards(x)
        t = drawn_times(sde, u, FOCUS["points" if self.config.points else "pictures"])
        mean, std = sde.marginal(x, t)
        noisy = mean + over(std, x) * z  # (B, C, H, W)
        # eq. 7 with lambda = std^2 (1 + sigma^2 / SIGMA_DATA^2): every level asks as much of the net.
        weight = 1 + (sde.sigma(t) / SIGMA_DATA).square()
        loss = (weight * (self.noise(noisy, t) - z).square().flatten(1).mean(1)).mean()
        if self.classifier is None or y is None:
            return loss, {}
        logits = self.class_logits(noisy, t)
        cross_entropy = F.cross_entropy(logits, y)
        right = (logits.argmax(1) == y).float().mean()
        said = {"classifier loss": cross_entropy.detach(), "classifier accuracy": right}
        return loss + cross_entropy, {"loss": loss.detach(), **said}

    # --- Drawing ----------------------------------------------------------------------------------------------

    def draw(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        rng: torch.Generator,
        sampler: str = "heun",
        evaluations: int = EVALUATIONS,
        guidance: float = 1.0,
    ) -> Steps:
        """n examples on their way, (t, x) at t = 1 and after each step, x (n, C, H, W) in the SDE's own units.

        evaluations: of the score net, at most; the classifier's gradient is taken as often where y (n,) is given.
        sampler "rk45" takes as many as it needs.
        """
        sde, score = self.sde, self.guided(y, guidance)
        x = sde.prior_sampling((n, *self.noise_shape), rng)
        yield 1.0, x
        if sampler == "rk45":
            yield from samplers.rk45(sde, score, x)
        else:
            yield from SAMPLERS[sampler](sde, score, x, evaluations, rng)

    def sample(self, n: int, y: Tensor | None = None, *, rng: torch.Generator, **settings: Any) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1], or points; settings as in `draw`."""
        *_, (_, x) = self.draw(n, y, rng=rng, **settings)
        return self.outwards(x)

    def complete(
        self,
        known: Tensor,
        kept: Tensor,
        y: Tensor | None = None,
        *,
        rng: torch.Generator,
        evaluations: int = EVALUATIONS,
        guidance: float = 1.0,
        turn: Tensor | None = None,
    ) -> Steps:
        """Pictures `known` (B, C, H, W) in [0, 1] with what is not `kept` (True, broadcast) drawn anew: appendix I.2.

        After every step of predictor and corrector the kept part is put back, as noisy as the rest is at that time.
        turn: an orthogonal matrix (C, C); what is kept is then meant of the turned channels: appendix I.3.
        """
        sde, score = self.sde, self.guided(y, guidance)
        turned = partial(_turn, torch.eye(known.shape[1]) if turn is None else turn)
        back = partial(_turn, torch.eye(known.shape[1]) if turn is None else turn.T)
        wanted = self.inwards(known)

        def impose(x: Tensor, t: Tensor) -> Tensor:
            mean, std = sde.marginal(wanted, t)
            noisy = mean + over(std, x) * torch.randn(x.shape, generator=rng)
            return back(torch.where(kept, turned(noisy), turned(x)))

        start = sde.prior_sampling(wanted.shape, rng)
        for t, x in samplers.predictor_corrector(sde, score, start, evaluations, rng, impose):
            yield t, x if t else back(torch.where(kept, turned(wanted), turned(x)))

    # --- Likelihood -------------------------------------------------------------------------------------------

    def log_prob(self, x: Tensor, *, rng: torch.Generator, tolerance: float = 1e-4) -> Iterator[tuple[float, Tensor]]:
        """log p(x), in nats, (B,), of x in the SDE's own units, as `samplers.log_likelihood` yields it.

        The divergence is exact for points, estimated for pictures.
        """
        exact = self.config.points
        divergence = samplers.exact_divergence(self.score) if exact else samplers.hutchinson(self.score, x, rng)
        return samplers.log_likelihood(self.sde, self.score, divergence, x, tolerance)

    def bits_per_dim(
        self, x: Tensor, *, rng: torch.Generator, tolerance: float = 1e-3
    ) -> Iterator[tuple[float, Tensor]]:
        """Bits a pixel and channel, (B,), of 8-bit pictures x (B, C, H, W) in [0, 1], as the ODE is solved.

        Each pixel value k of 256 becomes a point drawn in [k, k + 1) (uniform dequantisation), which bounds the
        likelihood of k from below. 1/128 is the width of a value in [-1, 1].
        """
        exact = ((255 * x).round() + torch.rand(x.shape, generator=rng)) / 256
        for t, log_p in self.log_prob(self.inwards(exact), rng=rng, tolerance=tolerance):
            yield t, -log_p / (x[0].numel() * math.log(2)) + math.log2(128)


def largest_distance(x: Tensor) -> float:
    """Between any two of x (B, ...): VE's sigma_max (Song and Ermon 2020, technique 1)."""
    return float(torch.pdist(x.flatten(1)).max())


def drawn_times(sde: SDE, u: Tensor, focus: float) -> Tensor:
    """Times (B,) for training from u (B,) in [0, 1): log sigma is normal around `focus`, cut to the SDE's own range."""
    ends = sde.sigma(torch.tensor([sde.t_min, 1.0], device=u.device)).log()
    low, high = torch.special.ndtr((ends - focus) / SPREAD)
    sigma = (focus + SPREAD * torch.special.ndtri(low + u * (high - low))).exp()
    return sde.time(sigma).clamp(sde.t_min, 1.0)


def _turn(matrix: Tensor, x: Tensor) -> Tensor:
    """The channels of x (B, C, H, W) turned by an orthogonal matrix (C, C)."""
    return torch.einsum("cd,bdhw->bchw", matrix, x)
