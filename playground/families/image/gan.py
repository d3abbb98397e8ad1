"""Generative adversarial network: a forger and a detective learn from each other.

A generator turns noise into pictures; a discriminator scores pictures, high for real ones. Each is trained against
the other, and where neither can do better the generated pictures follow the data. Nothing here has a likelihood:
the only judge of the generator is its opponent, which is why the balance between the two is everything.

Goodfellow et al. (2014), arXiv:1406.2661: the game. Radford et al. (2015), arXiv:1511.06434: the convolutional nets
(DCGAN). Miyato et al. (2018), arXiv:1802.05957: spectral norm and hinge loss; Miyato and Koyama (2018),
arXiv:1802.05637: the projection discriminator. Gulrajani et al. (2017), arXiv:1704.00028: WGAN-GP. Mescheder et al.
(2018), arXiv:1801.04406: R1. Zhao et al. (2020), arXiv:2006.10738: DiffAugment.

Deviations: the discriminator keeps no batch statistics, so that spectral norm alone bounds it; the generator's last
layer is a 3x3 convolution; pictures of one pixel stand for points in the plane, and both players are then small
perceptrons, so that the whole game can be drawn.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from playground import controls
from playground.augmentation import augment
from playground.contract import (
    BadSetting,
    Control,
    Curve,
    DataInfo,
    Family,
    HeatMap,
    Output,
    Reference,
    Scene,
    Sheet,
    View,
    Words,
    fact,
    knob,
)

HISTOGRAM_SIZE = 250
"""Real and generated examples scored for the histogram."""
EDGE = 1.25
"""Points lie within [-1, 1]; their landscape is drawn a little further."""
POINTS_SHOWN = 500
"""Points of each cloud that are drawn, where the data are points."""


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    classes: int = fact(0, 1000)
    latents: int = knob(64, "Numbers in the noise vector z", "잡음 벡터 z의 크기", 2, 512)
    maps: int = knob(64, "Generator's feature maps at its coarsest", "생성자의 특징 지도 수 (가장 거친 층)", 8, 512)
    critic_maps: int = knob(
        64, "Discriminator's feature maps at its coarsest", "판별자의 특징 지도 수 (가장 거친 층)", 8, 512
    )
    conditional: bool = knob(True, "Tell both players the class", "두 선수에게 클래스 알려 주기")
    spectral_norm: bool = knob(True, "Spectral norm in the discriminator", "판별자의 스펙트럼 정규화")
    generator_norm: str = knob("batch", "Generator's normalisation", "생성자의 정규화", choices=("batch", "group"))

    def __post_init__(self) -> None:
        if not self.points and (self.height % 4 or self.width % 4):
            raise BadSetting(
                f"the GAN needs a height and width that 4 divides, not {self.height}×{self.width}",
                f"GAN은 높이와 너비가 4의 배수여야 합니다 (지금 {self.height}×{self.width})",
            )

    @property
    def points(self) -> bool:
        """Whether the data are points in the plane: 2 channels, one pixel."""
        return self.height == self.width == 1

    @property
    def labels(self) -> int:
        """Number of classes the players are told: 0 where they are told none, as those of points are."""
        return self.classes if self.conditional and not self.points else 0


# --- Spectral norm --------------------------------------------------------------------------------------------


class SpectralNorm(nn.Module):
    """Divides a weight by its largest singular value, estimated by power iteration (Miyato 2018, algorithm 1).

    As a parametrization: `parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))`.
    One iteration each time the weight is used in training; `u` persists, so that the estimate follows the weight.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, iterations: int = 15):
        super().__init__()
        matrix = weight.detach().flatten(1)  # (out, in)
        self.register_buffer("u", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        self._iterate(matrix, iterations)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor, times: int = 1) -> None:
        for _ in range(times):
            self.v.copy_(F.normalize(matrix.T @ self.u, dim=0))
            self.u.copy_(F.normalize(matrix @ self.v, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        if self.training:
            self._iterate(matrix)
        sigma = self.u.clone() @ (matrix @ self.v.clone())
        return weight / sigma


def spectrally_normed(layer: nn.Module, use: bool) -> nn.Module:
    """The layer itself, its weight under spectral norm where `use` says so."""
    if use:
        parametrize.register_parametrization(layer, "weight", SpectralNorm(cast(Tensor, layer.weight)))
    return layer


# --- The players ----------------------------------------------------------------------------------------------


class ConditionalNorm(nn.Module):
    """Normalisation whose scale and shift are looked up by class (one row where there are no classes)."""

    def __init__(self, maps: int, labels: int, kind: str):
        super().__init__()
        self.norm = nn.BatchNorm2d(maps, affine=False) if kind == "batch" else nn.GroupNorm(8, maps, affine=False)
        self.scale = nn.Embedding(max(1, labels), maps)
        self.shift = nn.Embedding(max(1, labels), maps)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        scale, shift = self.scale(y), self.shift(y)  # (B, maps)
        return self.norm(h) * scale[:, :, None, None] + shift[:, :, None, None]


class Generator(nn.Module):
    """Noise (B, latents) and classes (B,) to pictures (B, C, H, W) in [-1, 1], by two doublings of resolution."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        wide, labels, kind = config.maps, config.labels, config.generator_norm
        self.start = nn.Linear(config.latents, wide * (config.height // 4) * (config.width // 4))
        self.norm1 = ConditionalNorm(wide, labels, kind)
        self.up1 = nn.ConvTranspose2d(wide, wide, 4, stride=2, padding=1)
        self.norm2 = ConditionalNorm(wide, labels, kind)
        self.up2 = nn.ConvTranspose2d(wide, wide // 2, 4, stride=2, padding=1)
        self.norm3 = ConditionalNorm(wide // 2, labels, kind)
        self.end = nn.Conv2d(wide // 2, config.channels, 3, padding=1)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        h = self.start(z).unflatten(1, (-1, self.config.height // 4, self.config.width // 4))  # (B, wide, H/4, W/4)
        h = self.up1(F.relu(self.norm1(h, y)))  # (B, wide, H/2, W/2)
        h = self.up2(F.relu(self.norm2(h, y)))  # (B, wide/2, H, W)
        return torch.tanh(self.end(F.relu(self.norm3(h, y))))  # (B, C, H, W)


class Discriminator(nn.Module):
    """Pictures (B, C, H, W) in [-1, 1] and classes (B,) to scores (B,), any real number, high for real.

    With classes, the score is psi(h) + <embed(y), h> over the pooled features h: Miyato and Koyama (2018), eq. 3.
    """

    def __init__(self, config: Config):
        super().__init__()
        wide, use = config.critic_maps, config.spectral_norm
        widths = (config.channels, wide // 4, wide // 2, wide, wide)
        kernels = ((3, 1), (4, 2), (4, 2), (3, 1))  # (size, stride)
        self.convolutions = nn.ModuleList(
            spectrally_normed(nn.Conv2d(a, b, size, stride, padding=1), use)
            for a, b, (size, stride) in zip(widths[:-1], widths[1:], kernels, strict=True)
        )
        self.psi = spectrally_normed(nn.Linear(wide, 1), use)
        self.embed = spectrally_normed(nn.Embedding(config.labels, wide), use) if config.labels else None

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), 0.1)
        h = x.sum(dim=(2, 3))  # (B, wide)
        score = self.psi(h).squeeze(1)
        return score + (self.embed(y) * h).sum(1) if self.embed is not None else score


def point_generator(config: Config) -> nn.Module:
    """The generator of points: a perceptron, (B, latents) -> (B, 2, 1, 1)."""
    return Unlabelled(
        nn.Sequential(
            nn.Linear(config.latents, config.maps),
            nn.ReLU(),
            nn.Linear(config.maps, config.maps),
            nn.ReLU(),
            nn.Linear(config.maps, config.channels),
            nn.Unflatten(1, (config.channels, 1, 1)),
        )
    )


def point_discriminator(config: Config) -> nn.Module:
    """The discriminator of points: a perceptron, (B, 2, 1, 1) -> (B,)."""
    widths, use = (config.channels, config.critic_maps, config.critic_maps), config.spectral_norm
    layers: list[nn.Module] = [nn.Flatten()]
    for a, b in itertools.pairwise(widths):
        layers += [spectrally_normed(nn.Linear(a, b), use), nn.LeakyReLU(0.1)]
    return Unlabelled(
        nn.Sequential(*layers, spectrally_normed(nn.Linear(widths[-1], 1), use), nn.Flatten(0)),
        scale=8.0 if use else 1.0,
    )


class Unlabelled(nn.Module):
    """A net that is given the class like the others and has no use for it.

    scale: multiplies what comes in, so that under spectral norm, where a score may rise by no more than the distance,
    points close together can still be told apart.
    """

    def __init__(self, net: nn.Module, scale: float = 1.0):
        super().__init__()
        self.net = net
        self.scale = scale

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.net(self.scale * x)


# --- The game: three losses of one shape ----------------------------------------------------------------------


def non_saturating(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Goodfellow 2014, section 3: (discriminator's, generator's) loss of scores (B,); the generator maximises log D."""
    return F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()


def hinge(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Miyato 2018, eq. 16 and 17: scores beyond a margin of 1 on the right side no longer count."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean(), -fake.mean()


def wasserstein(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Gulrajani 2017, eq. 3: the difference of mean scores, which needs a bounded slope (gradient penalty)."""
    return fake.mean() - real.mean(), -fake.mean()


LOSSES = {"non-saturating": non_saturating, "hinge": hinge, "wasserstein": wasserstein}


def slope(discriminator: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The gradient of the score with respect to the picture, (B, C*H*W), itself differentiable."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x, y).sum(), x, create_graph=True)
    return gradient.flatten(1)


def r1_penalty(discriminator: nn.Module, real: Tensor, y: Tensor) -> Tensor:
    """Mescheder 2018, eq. 9, without its weight: half the squared slope at real pictures."""
    return 0.5 * slope(discriminator, real, y).square().sum(1).mean()


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor, y: Tensor, mix: Tensor) -> Tensor:
    """Gulrajani 2017, eq. 3: the slope's distance from 1 between real and fake; mix (B,) uniform in [0, 1)."""
    mix = mix[:, None, None, None]
    return (slope(discriminator, mix * real + (1 - mix) * fake, y).norm(dim=1) - 1).square().mean()


@dataclass(frozen=True)
class Rules:
    """The rules of the game: which loss, which penalties, whether pictures are augmented."""

    loss: str = "hinge"
    r1: float = 0.0
    penalty: float = 0.0
    augment: bool = False


class DiscriminatorTurn(nn.Module):
    """The discriminator's training objective, as a module of its own so that it can be distributed."""

    def __init__(self, discriminator: nn.Module, rules: Rules):
        super().__init__()
        self.discriminator = discriminator
        self.rules = rules

    def forward(self, real: Tensor, fake: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """real, fake (B, C, H, W) in [-1, 1]; y (B,); u (B, 9) uniform. Returns the loss and what to plot."""
        rules = self.rules
        if rules.augment:
            real, fake = augment(real, u[:, :4]), augment(fake, u[:, 4:8])
        scores = self.discriminator(torch.cat([real, fake]), y.repeat(2)).float()
        score_real, score_fake = scores.chunk(2)
        loss, _ = LOSSES[rules.loss](score_real, score_fake)
        if rules.r1:
            loss = loss + rules.r1 * r1_penalty(self.discriminator, real, y)
        if rules.penalty:
            loss = loss + rules.penalty * gradient_penalty(self.discriminator, real, fake, y, u[:, 8])
        return loss, {"D(real)": score_real.mean().detach(), "D(fake)": score_fake.mean().detach()}


class GeneratorTurn(nn.Module):
    """The generator's training objective. The discriminator is only consulted: it is no part of this module."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, rules: Rules):
        super().__init__()
        self.generator = generator
        self._opponent = (discriminator,)  # in a tuple, so that its parameters are not this module's
        self.rules = rules

    def forward(self, z: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """z (B, latents), y (B,), u (B, 4) uniform. Returns the loss and the pictures, detached."""
        (discriminator,) = self._opponent
        fake = self.generator(z, y)
        seen = augment(fake, u) if self.rules.augment else fake
        score = discriminator(seen, y).float()
        _, loss = LOSSES[self.rules.loss](score, score)
        return loss, fake.detach()


class GAN(nn.Module):
    """Both players, and the slow average of the generator that draws (Yazici 2018, arXiv:1806.04498)."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.generator = point_generator(config) if config.points else Generator(config)
        self.discriminator = point_discriminator(config) if config.points else Discriminator(config)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)

    def turns(self, rules: Rules) -> tuple[DiscriminatorTurn, GeneratorTurn]:
        """The two training objectives: there is no single `forward` to an adversarial model."""
        return (
            DiscriminatorTurn(self.discriminator, rules),
            GeneratorTurn(self.generator, self.discriminator, rules),
        )

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the average generator towards the trained one: average <- decay average + (1 - decay) generator."""
        for slow, fast in zip(self.average.state_dict().values(), self.generator.state_dict().values(), strict=True):
            slow.lerp_(fast, 1 - decay) if slow.is_floating_point() else slow.copy_(fast)

    def classes(self, y: Tensor | None, n: int) -> Tensor:
        """(n,) class indices: those given, each in turn, or zeros where the model takes none."""
        labels = max(1, self.config.labels)
        return y if y is not None and self.config.labels else torch.arange(n, device=self.device) % labels

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def noise(self, n: int, rng: torch.Generator) -> Tensor:
        """z (n, latents), standard Gaussian."""
        return torch.randn(n, self.config.latents, generator=rng)

    def decode(self, z: Tensor, y: Tensor | None = None, average: bool = True) -> Tensor:
        """Noise (B, latents) to pictures (B, C, H, W) in [0, 1]; points stay in their own units."""
        made = (self.average if average else self.generator)(z, self.classes(y, len(z)))
        return made if self.config.points else (made + 1) / 2

    def sample(
        self, n: int, y: Tensor | None = None, *, rng: torch.Generator, spread: float = 1.0, average: bool = True
    ) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1]; y (n,) names their classes. spread < 1 trades variety for safety."""
        return self.decode(spread * self.noise(n, rng), y, average)

    def scores(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The discriminator's scores (B,) of pictures (B, C, H, W) in [0, 1]."""
        return self.discriminator(x if self.config.points else 2 * x - 1, self.classes(y, len(x)))


# --- Views ----------------------------------------------------------------------------------------------------

AXIS_X, AXIS_Y = {"en": "x", "ko": "x"}, {"en": "y", "ko": "y"}


def scatter(**clouds: Tensor) -> Curve:
    """Clouds of points (N, 2, 1, 1) or (N, 2) in one plane."""
    flat = {name: points.flatten(1).T.tolist() for name, points in clouds.items()}
    return Curve({name: (x, y) for name, (x, y) in flat.items()}, AXIS_X, AXIS_Y, style="points")


def generate(
    model: GAN, scene: Scene, spread: float, average: bool, n: int = POINTS_SHOWN, label: int | None = None
) -> Iterator[list[Output]]:
    if model.config.points:
        real = scene.examples().batch(torch.arange(n))[0]
        yield [scatter(real=real, generated=model.sample(n, rng=scene.rng, spread=spread, average=average))]
        return
    y = controls.labels_for(label, n, scene.info)
    yield [
        Sheet(
            model.sample(n, y, rng=scene.rng, spread=spread, average=average),
            controls.captions(y, scene.info),
            controls.columns(label, scene.info),
        )
    ]


def histogram(model: GAN, scene: Scene) -> Iterator[list[Output]]:
    examples = scene.examples()
    chosen = torch.randperm(len(examples), generator=scene.rng)[:HISTOGRAM_SIZE]
    real, y = examples.batch(chosen)
    real = real.view(len(real), model.config.channels, model.config.height, model.config.width)
    fake = model.sample(len(real), y, rng=scene.rng)
    scores = {"real": model.scores(real, y), "generated": model.scores(fake, y)}
    together = torch.cat(list(scores.values()))
    edges = torch.linspace(float(together.min()) - 1e-3, float(together.max()) + 1e-3, 31)
    middles = ((edges[1:] + edges[:-1]) / 2).tolist()
    counts = {name: (middles, torch.histogram(s, edges).hist.tolist()) for name, s in scores.items()}
    right = 0.5 * float((scores["real"] > together.median()).float().mean())
    right += 0.5 * float((scores["generated"] <= together.median()).float().mean())
    said = {
        "en": f"Told apart at the best single threshold near the middle: {100 * right:.0f}% (50% is a perfect forger).",
        "ko": f"가운데 문턱값으로 가려낸 비율: {100 * right:.0f}% (50%이면 완벽한 위조입니다).",
    }
    x_label, y_label = {"en": "score D(x)", "ko": "점수 D(x)"}, {"en": "pictures", "ko": "그림 수"}
    yield [Curve(counts, x_label, y_label, style="bars"), Words(said)]


def evolution(model: GAN, scene: Scene, n: int) -> Iterator[list[Output]]:
    z = model.noise(n, scene.rng)
    rows: list[Tensor] = []
    steps: list[int] = []
    title = {"en": "The same noise through training", "ko": "같은 잡음이 학습 중에 그린 그림"}
    for snapshot in scene.snapshots:
        rows.append(snapshot.load().decode(z))  # type: ignore[operator]
        steps.append(snapshot.step)
        names = [f"{step}" if i == 0 else "" for step in steps for i in range(n)]
        yield [Sheet(torch.cat(rows), names, columns=n, title=title)]
    if not rows:
        yield [
            Words({"en": "This checkpoint kept no earlier states.", "ko": "이 체크포인트에는 이전 상태가 없습니다."})
        ]


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation between a and b (1, latents) at t (T, 1): Gaussian noise lives near a sphere."""
    angle = torch.acos((F.normalize(a) * F.normalize(b)).sum(1, keepdim=True).clamp(-1, 1)).clamp(min=1e-4)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def interpolate(model: GAN, scene: Scene, rows: int, label: int | None = None) -> Iterator[list[Output]]:
    t = torch.linspace(0, 1, 8)[:, None]
    sheets = []
    y = controls.labels_for(label, rows, scene.info)
    for row in range(rows):
        a, b = model.noise(1, scene.rng), model.noise(1, scene.rng)
        classes = None if y is None else y[row].expand(len(t))
        sheets.append(model.decode(slerp(a, b, t), classes))
    title = {"en": "From one noise vector to another", "ko": "한 잡음 벡터에서 다른 잡음 벡터로"}
    yield [Sheet(torch.cat(sheets), columns=len(t), title=title)]


def landscape(model: GAN, scene: Scene) -> Iterator[list[Output]]:
    side = 48
    line = torch.linspace(-EDGE, EDGE, side)
    grid = torch.cartesian_prod(line, line).flip(1)  # (side * side, 2), x fastest
    scores = model.scores(grid[:, :, None, None]).view(side, side)
    real = scene.examples().batch(torch.arange(POINTS_SHOWN))[0]
    title = {"en": "What the discriminator thinks of each place", "ko": "판별자가 각 위치에 매기는 점수"}
    yield [
        HeatMap(scores, AXIS_X, AXIS_Y, title, "bottom", (-EDGE, EDGE), (-EDGE, EDGE)),
        scatter(real=real, generated=model.sample(POINTS_SHOWN, rng=scene.rng)),
    ]


def _draws_pictures(config: Config, info: DataInfo) -> bool:
    return not config.points


def _draws_points(config: Config, info: DataInfo) -> bool:
    return config.points


def _only_pictures(control: Control) -> Control:
    """The control, shown for pictures only (and where it is shown at all)."""
    shown = control.shown
    return Control(**{**vars(control), "when": lambda config, info: not config.points and shown(config, info)})


MOMENTS = Control("n", "number", {"en": "Noise vectors", "ko": "잡음 벡터 수"}, default=10, low=1, high=20, step=1)

VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "Noise through the generator. Lower the spread for safer, more alike pictures.",
            "ko": "잡음을 생성자에 넣습니다. 퍼짐을 줄이면 더 무난하고 비슷한 그림이 나옵니다.",
        },
        (
            _only_pictures(controls.label()),
            _only_pictures(controls.count()),
            controls.spread(),
            controls.average(),
            controls.seed(),
        ),
        generate,
    ),
    View(
        "histogram",
        {"en": "Scores", "ko": "점수 분포"},
        {
            "en": "The discriminator's scores of real and generated pictures: the closer the two, the better the forger.",
            "ko": "진짜와 생성된 그림에 판별자가 준 점수입니다. 두 분포가 겹칠수록 위조가 뛰어난 것입니다.",
        },
        (controls.seed(),),
        histogram,
        live=True,
    ),
    View(
        "evolution",
        {"en": "Evolution", "ko": "변화 과정"},
        {
            "en": "The same noise vectors, drawn by the generator as it was at earlier steps.",
            "ko": "같은 잡음 벡터를 학습 중 여러 시점의 생성자로 그립니다.",
        },
        (MOMENTS, controls.seed()),
        evolution,
        when=_draws_pictures,
    ),
    View(
        "interpolate",
        {"en": "Interpolate", "ko": "보간"},
        {
            "en": "A walk on the sphere between two noise vectors: a good generator changes smoothly.",
            "ko": "두 잡음 벡터 사이를 구면을 따라 걷습니다. 좋은 생성자는 매끄럽게 변합니다.",
        },
        (controls.label(), controls.rows(5), controls.seed()),
        interpolate,
        when=_draws_pictures,
    ),
    View(
        "landscape",
        {"en": "Landscape", "ko": "판별자 지형"},
        {
            "en": "The discriminator's score over the plane: the generator climbs it. Train with Step to see turn by turn.",
            "ko": "평면 위 판별자의 점수입니다. 생성자는 이 지형을 오릅니다. 한 단계씩 학습하며 차례를 보세요.",
        },
        (controls.seed(),),
        landscape,
        when=_draws_points,
        live=True,
    ),
)

FAMILY = Family(
    name="gan",
    kind="image",
    title={"en": "GAN", "ko": "GAN (적대적 생성 신경망)"},
    idea={
        "en": "A forger and a detective train each other until the forgeries pass.",
        "ko": "위조범과 탐정이 서로를 단련하여, 위조품이 진짜로 통할 때까지 겨룹니다.",
    },
    paper="Goodfellow et al. (2014), Generative adversarial networks, arXiv:1406.2661",
    Config=Config,
    Model=GAN,
    trains_on=("images", "labelled images", "points"),
    views=VIEWS,
    snapshots=4,
    reference=Reference(
        title={"en": "Diffusers DDPM", "ko": "Diffusers DDPM"},
        library="diffusers",
        cls="diffusers.DDPMPipeline",
        module="playground.references.gan",
        about={
            "en": "Neither diffusers nor transformers has a GAN for pictures. Beside it stands another kind of model "
            "given the same data and minutes: a small diffusion model in Hugging Face's DDPMPipeline. It takes no class.",
            "ko": "diffusers와 transformers에는 그림용 GAN이 없습니다. 그래서 같은 데이터와 시간을 쓴 다른 종류의 모델, "
            "곧 Hugging Face DDPMPipeline의 작은 확산 모델과 견줍니다. 이 모델은 클래스를 받지 않습니다.",
        },
    ),
)
