"""Autoencoder: squeeze a picture through a few numbers and rebuild it; what survives is what matters.

An encoder turns a picture into a short code, a decoder turns the code back, and both are trained together to lose as
little as possible. Nothing says where codes may lie: an autoencoder has no prior, so that a code picked at random
decodes to anything. To draw new pictures, a mixture of Gaussians is fitted to the codes of the training pictures
afterwards; between its clusters are the holes that the VAE was invented to close.

Hinton and Salakhutdinov (2006), Science 313(5786), 504-507: deep autoencoders against PCA. Baldi and Hornik (1989),
Neural Networks 2(1), 53-58: a linear autoencoder finds PCA's plane. Vincent et al. (2008), ICML, "Extracting and
composing robust features with denoising autoencoders" (sections below are theirs). Dempster, Laird and Rubin (1977),
J. R. Statist. Soc. B 39(1): EM; Cappé and Moulines (2009), arXiv:0712.4273: EM in steps, on a batch at a time.

Deviations: convolutional nets trained as a whole, without layer-wise pretraining; squared error instead of
cross-entropy, so that the loss is the figure that PCA minimises; for denoising, a pixel is blacked out or not
independently of the others, Gaussian noise may be added (Vincent et al. 2010), and how much varies from picture to
picture, so that one model meets clean pictures as well as noisy ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground import controls
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
    Text,
    View,
    Words,
    fact,
    knob,
)

FLOOR = 1e-3
"""Least variance of a Gaussian of the mixture in any direction, as a share of its group's: none closes on one code."""
TINY = 1e-6
"""The same where all codes of a group are one."""
MAPPED = 1500
"""Held-out pictures whose codes are drawn on the map."""
FIRST: Text = {"en": "first direction of the codes", "ko": "코드의 첫째 방향"}
SECOND: Text = {"en": "second direction", "ko": "둘째 방향"}


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    classes: int = fact(0, 1000)
    latents: int = knob(32, "Numbers in the code", "코드의 크기(숫자 수)", 2, 256)
    maps: int = knob(32, "Feature maps of the convolutions", "합성곱의 특징 지도 수", 4, 256)
    hidden: int = knob(256, "Width of the dense layers", "전결합층의 너비", 16, 2048)
    linear: bool = knob(
        False, "Only linear layers: finds the plane of PCA", "선형 층만 사용: PCA와 같은 평면을 찾습니다"
    )
    gaussians: int = knob(8, "Gaussians in each mixture of codes", "코드 혼합 분포마다 가우스 수", 1, 64)
    conditional: bool = knob(True, "A mixture of codes for each class", "클래스마다 코드의 혼합 분포 하나씩")

    def __post_init__(self) -> None:
        if not self.linear and (self.height % 4 or self.width % 4):
            raise BadSetting(
                f"the autoencoder needs a height and width that 4 divides, not {self.height}×{self.width}",
                f"오토인코더는 높이와 너비가 4의 배수여야 합니다 (지금 {self.height}×{self.width})",
            )

    @property
    def pixels(self) -> int:
        return self.channels * self.height * self.width

    @property
    def groups(self) -> int:
        """Number of mixtures: one, or one for each class."""
        return self.classes if self.conditional and self.classes else 1


# --- The nets -------------------------------------------------------------------------------------------------


class Encoder(nn.Module):
    """Pictures (B, C, H, W) in [0, 1] to codes (B, latents), any real numbers."""

    def __init__(self, config: Config):
        super().__init__()
        maps, quarter = config.maps, (config.height // 4) * (config.width // 4)
        self.down1 = nn.Conv2d(config.channels, maps, 4, stride=2, padding=1)
        self.down2 = nn.Conv2d(maps, maps, 4, stride=2, padding=1)
        self.dense = nn.Linear(maps * quarter, config.hidden)
        self.out = nn.Linear(config.hidden, config.latents)

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.down1(2 * x - 1))  # (B, maps, H/2, W/2)
        h = F.silu(self.down2(h)).flatten(1)  # (B, maps H/4 W/4)
        return self.out(F.silu(self.dense(h)))  # (B, latents)


class Decoder(nn.Module):
    """Codes (B, latents) to pictures (B, C, H, W) in [0, 1]."""

    def __init__(self, config: Config):
        super().__init__()
        maps, self.size = config.maps, (config.height // 4, config.width // 4)
        self.dense1 = nn.Linear(config.latents, config.hidden)
        self.dense2 = nn.Linear(config.hidden, maps * self.size[0] * self.size[1])
        self.up1 = nn.ConvTranspose2d(maps, maps, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(maps, config.channels, 4, stride=2, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = F.silu(self.dense2(F.silu(self.dense1(z)))).unflatten(1, (-1, *self.size))  # (B, maps, H/4, W/4)
        h = F.silu(self.up1(h))  # (B, maps, H/2, W/2)
        return torch.sigmoid(self.up2(h).float())  # (B, C, H, W)


def linear_encoder(config: Config) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(config.pixels, config.latents))


def linear_decoder(config: Config) -> nn.Module:
    """Its pictures may leave [0, 1], as PCA's do."""
    shape = (config.channels, config.height, config.width)
    return nn.Sequential(nn.Linear(config.latents, config.pixels), nn.Unflatten(1, shape))


# --- The mixture ----------------------------------------------------------------------------------------------


class Mixture(nn.Module):
    """Mixtures of Gaussians over codes: p(z | g) = sum_m pi_m N(z; mu_m, Sigma_m) for each group g.

    Shapes: G groups (the classes, or one), M Gaussians, K numbers in a code. The parameters are buffers, moved by EM
    and never by a gradient. Before the first step every Gaussian is the standard normal.
    """

    pi: Tensor
    mu: Tensor
    scale_tril: Tensor

    def __init__(self, groups: int, gaussians: int, latents: int):
        super().__init__()
        self.register_buffer("pi", torch.full((groups, gaussians), 1 / gaussians))  # (G, M)
        self.register_buffer("mu", torch.zeros(groups, gaussians, latents))  # (G, M, K)
        # (G, M, K, K), lower triangular: Sigma_m = L_m L_m^T.
        self.register_buffer("scale_tril", torch.eye(latents).repeat(groups, gaussians, 1, 1))

    def start(self, z: Tensor, y: Tensor | None = None) -> None:
        """Where EM begins, for codes z (N, K) of groups y (N,): each group cut into M slices of equal size.

        The cuts are across the direction in which the group's codes vary most; nothing is drawn at random.
        """
        for group, codes in self._by_group(z, y):
            _, _, across = torch.linalg.svd(codes - codes.mean(0), full_matrices=False)
            order = (codes @ across[0]).argsort()
            slices = order.tensor_split(self.pi.shape[1])
            means = [codes[part].mean(0) if len(part) else codes.mean(0) for part in slices]
            self.pi[group] = 1 / self.pi.shape[1]
            self.mu[group] = torch.stack(means).float()
            covariance = torch.cov(codes.T, correction=0).view(codes.shape[1], -1)
            self.scale_tril[group] = torch.linalg.cholesky(covariance + self._floor(covariance)).float()

    def em_step(self, z: Tensor, y: Tensor | None = None, rate: float = 1.0) -> float:
        """One step of EM on codes z (N, K) of groups y (N,); returns the mean of log p(z | y) before it, in nats.

        With rate < 1 the expected statistics move only that part of the way from those that the present parameters
        stand for (Cappé and Moulines 2009, eq. 8): a running estimate that can follow codes batch by batch.
        """
        total = 0.0
        for group, codes in self._by_group(z, y):
            pi, mu, tril = (part[group].double() for part in (self.pi, self.mu, self.scale_tril))
            log_joint = self._log_joint(codes, group)  # (n, M)
            log_p = log_joint.logsumexp(1)  # (n,)
            total += float(log_p.sum())

            # E-step: how much of each code each Gaussian answers for, and the weighted moments.
            r = (log_joint - log_p[:, None]).exp().T / len(codes)  # (M, n)
            s0, s1 = r.sum(1), r @ codes  # (M,), (M, K)
            s2 = (r[:, :, None] * codes).mT @ codes  # (M, K, K)
            s0 = (1 - rate) * pi + rate * s0
            s1 = (1 - rate) * pi[:, None] * mu + rate * s1
            s2 = (1 - rate) * pi[:, None, None] * (tril @ tril.mT + _outer(mu)) + rate * s2

            # M-step: the Gaussians that have these moments.
            weight = s0.clamp(min=1e-12)
            mu = s1 / weight[:, None]
            together = s2.sum(0) - _outer(s1.sum(0))  # the group's covariance, (K, K)
            sigma = s2 / weight[:, None, None] - _outer(mu) + self._floor(together)
            tril, failed = torch.linalg.cholesky_ex(sigma)
            if failed.any():  # codes beyond what numbers can hold: the loss tells of it
                continue
            self.pi[group], self.mu[group], self.scale_tril[group] = s0.float(), mu.float(), tril.float()
        return total / len(z)

    def log_prob(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(z | y) of codes (B, K), in nats: (B,). Without y, log p(z) with every group equally likely."""
        groups = range(self.pi.shape[0])
        each = torch.stack([self._log_joint(z.double(), group).logsumexp(1) for group in groups], dim=1)  # (B, G)
        if y is None:
            return (each.logsumexp(1) - math.log(len(groups))).float()
        return each.gather(1, self._groups(y, len(z))[:, None])[:, 0].float()

    def sample(self, n: int, y: Tensor | None = None, *, rng: torch.Generator, spread: float = 1.0) -> Tensor:
        """n codes (n, K) of groups y (n,), by default each in turn; `spread` scales the distance to each mean."""
        g = self._groups(y, n)
        m = torch.multinomial(self.pi[g], 1, generator=rng)[:, 0]
        eps = torch.randn(n, self.mu.shape[2], generator=rng)
        return self.mu[g, m] + spread * (self.scale_tril[g, m] @ eps[:, :, None])[:, :, 0]

    def _log_joint(self, codes: Tensor, group: int) -> Tensor:
        """log pi_m + log N(z; mu_m, Sigma_m) of codes (n, K) in double precision: (n, M)."""
        pi, mu, tril = (part[group].double() for part in (self.pi, self.mu, self.scale_tril))
        white = torch.linalg.solve_triangular(tril, (codes - mu[:, None]).mT, upper=False)  # (M, K, n)
        log_det = tril.diagonal(dim1=1, dim2=2).log().sum(1)  # (M,), half the log of |Sigma_m|
        log_normal = -0.5 * (white.square().sum(1) + codes.shape[1] * math.log(2 * math.pi))  # (M, n)
        return (log_normal + (pi.log() - log_det)[:, None]).T

    def _groups(self, y: Tensor | None, n: int) -> Tensor:
        """(n,) the group of each code: its class, each class in turn where none is given, or the only one."""
        return (torch.arange(n, device=self.pi.device) if y is None else y) % self.pi.shape[0]

    def _by_group(self, z: Tensor, y: Tensor | None) -> Iterator[tuple[int, Tensor]]:
        """Each group that has codes, with them in double precision (n, K)."""
        groups = self._groups(y, len(z))
        for group in groups.unique().tolist():
            yield group, z[groups == group].double()

    @staticmethod
    def _floor(covariance: Tensor) -> Tensor:
        """What is added to a covariance (K, K) of the group whose codes have this one."""
        k = len(covariance)
        return (FLOOR * covariance.trace() / k + TINY) * torch.eye(k, dtype=covariance.dtype, device=covariance.device)


def _outer(v: Tensor) -> Tensor:
    return v[..., :, None] * v[..., None, :]


# --- The model ------------------------------------------------------------------------------------------------


class Autoencoder(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.encoder = linear_encoder(config) if config.linear else Encoder(config)
        self.decoder = linear_decoder(config) if config.linear else Decoder(config)
        self.mixture = Mixture(config.groups, config.gaussians, config.latents)

    def forward(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """The training objective: mean squared error a pixel of x (B, C, H, W) rebuilt from `seen`, and the codes.

        `seen` is x itself, or a corrupted copy of it: Vincent 2008, section 2.3, where the error is measured
        against the clean picture all the same.
        """
        z = self.encoder(seen)
        return F.mse_loss(self.decoder(z).float(), x), z.detach().float()

    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, latents) of pictures (B, C, H, W) in [0, 1]."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] of codes (B, latents)."""
        return self.decoder(z).clamp(0, 1)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Pictures through the code and back."""
        return self.decode(self.encode(x))

    def sample(self, n: int, y: Tensor | None = None, *, rng: torch.Generator, spread: float = 1.0) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1] at codes drawn from the mixture; y (n,) names their classes."""
        return self.decode(self.mixture.sample(n, y, rng=rng, spread=spread))


def corrupt(x: Tensor, masked: float | Tensor, noise: float | Tensor, u: Tensor, eps: Tensor) -> Tensor:
    """Pictures x (B, C, H, W) in [0, 1] as a denoising autoencoder sees them: x~ of Vincent 2008, section 2.3.

    masked: the share of pixels set to 0; noise: standard deviation of the Gaussian noise on the others, the result
    clipped to what a picture can hold. u uniform in [0, 1) and eps standard normal, both (B, C, H, W).
    """
    return (u >= masked) * (x + noise * eps).clamp(0, 1)


# --- Views ----------------------------------------------------------------------------------------------------


def held_out(scene: Scene, n: int) -> Tensor:
    """n held-out pictures (n, C, H, W)."""
    examples = scene.examples()
    return examples.batch(torch.randperm(len(examples), generator=scene.rng)[:n])[0]


def held_out_codes(model: Autoencoder, scene: Scene) -> tuple[Tensor, Tensor | None]:
    """Codes (N, latents) of held-out pictures, at most MAPPED of them, with their classes (N,)."""
    examples, z, y = scene.examples(), [], []
    for chosen in torch.randperm(len(examples), generator=scene.rng)[:MAPPED].split(250):
        x, labels = examples.batch(chosen)
        z.append(model.encode(x))
        y.append(labels)
    return torch.cat(z), None if y[0] is None else torch.cat(y)


def generate(
    model: Autoencoder, scene: Scene, n: int, spread: float, label: int | None = None
) -> Iterator[list[Output]]:
    y = controls.labels_for(label, n, scene.info)
    yield [
        Sheet(
            model.sample(n, y, rng=scene.rng, spread=spread),
            controls.captions(y, scene.info),
            controls.columns(label, scene.info),
        )
    ]


def reconstructions(model: Autoencoder, scene: Scene, picture: Tensor | None) -> Iterator[list[Output]]:
    x = held_out(scene, 24) if picture is None else picture[None]
    rebuilt = model.reconstruct(x)
    error, k = float((rebuilt - x).square().mean()), model.config.latents
    title = {"en": f"Original and rebuilt from {k} numbers", "ko": f"원본과 숫자 {k}개로 복원한 그림"}
    said = {"en": f"Squared error a pixel: {error:.4f}", "ko": f"픽셀당 제곱 오차: {error:.4f}"}
    yield [Sheet(torch.stack([x, rebuilt], dim=1).flatten(0, 1), columns=8, title=title), Words(said)]


def denoise(
    model: Autoencoder, scene: Scene, picture: Tensor | None, noise: float, masked: float
) -> Iterator[list[Output]]:
    x = held_out(scene, 12) if picture is None else picture[None]
    u, eps = torch.rand(x.shape, generator=scene.rng), torch.randn(x.shape, generator=scene.rng)
    seen = corrupt(x, masked, noise, u, eps)
    rebuilt = model.reconstruct(seen)
    before, after = (float((other - x).square().mean()) for other in (seen, rebuilt))
    title = {
        "en": "Original, what the model sees, what it makes of it",
        "ko": "원본, 모델이 보는 그림, 모델이 되살린 그림",
    }
    said = {
        "en": f"Squared error a pixel against the original: {before:.4f} before, {after:.4f} after.",
        "ko": f"원본에 대한 픽셀당 제곱 오차: 손상된 그림 {before:.4f}, 되살린 그림 {after:.4f}.",
    }
    yield [Sheet(torch.stack([x, seen, rebuilt], dim=1).flatten(0, 1), columns=9, title=title), Words(said)]


def interpolate(
    model: Autoencoder, scene: Scene, picture: Tensor | None, other: Tensor | None
) -> Iterator[list[Output]]:
    x = torch.stack([picture, other]) if picture is not None and other is not None else held_out(scene, 10)
    x = x[: len(x) // 2 * 2].unflatten(0, (-1, 2))  # (rows, 2, C, H, W)
    z = model.encode(x.flatten(0, 1)).unflatten(0, (-1, 2))  # (rows, 2, latents)
    t = torch.linspace(0, 1, 9)[:, None]
    between = (1 - t) * z[:, :1] + t * z[:, 1:]  # (rows, 9, latents)
    rebuilt = model.decode(between.flatten(0, 1)).unflatten(0, between.shape[:2])
    rows = torch.cat([x[:, :1], rebuilt, x[:, 1:]], dim=1)
    title = {"en": "Left and right: originals; between: decoded codes", "ko": "양 끝은 원본, 사이는 코드를 복호한 그림"}
    yield [Sheet(rows.flatten(0, 1), columns=rows.shape[1], title=title)]


def latent_map(model: Autoencoder, scene: Scene) -> Iterator[list[Output]]:
    z, y = held_out_codes(model, scene)
    drawn = model.mixture.sample(len(z), y, rng=scene.rng)
    centre, axes = seen_from(z)
    found = {"en": "Codes of held-out pictures", "ko": "학습에 쓰지 않은 그림의 코드"}
    made = {"en": "Codes drawn from the mixture", "ko": "혼합 분포에서 뽑은 코드"}
    names = scene.info.class_names
    yield [
        _clouds((z - centre) @ axes, y, names, found),
        _clouds((drawn - centre) @ axes, y if model.config.groups > 1 else None, names, made),
    ]


def seen_from(z: Tensor) -> tuple[Tensor, Tensor]:
    """Where to look at codes (N, K) from: a centre (K,) and two directions (K, 2); two numbers are shown as they are."""
    if z.shape[1] == 2:
        return torch.zeros(2), torch.eye(2)
    _, _, directions = torch.linalg.svd(z - z.mean(0), full_matrices=False)
    axes = directions[:2].T
    return z.mean(0), axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()


def _clouds(points: Tensor, y: Tensor | None, names: tuple[str, ...], title: Text) -> Curve:
    """Points (N, 2) in the plane, a colour for each class."""
    groups = {title["en"]: points} if y is None else {names[k]: points[y == k] for k in y.unique().tolist()}
    return Curve(
        {name: (p[:, 0].tolist(), p[:, 1].tolist()) for name, p in groups.items()}, FIRST, SECOND, title, "points"
    )


def plane(model: Autoencoder, scene: Scene, side: int) -> Iterator[list[Output]]:
    z, _ = held_out_codes(model, scene)
    low, high = z.quantile(0.01, dim=0), z.quantile(0.99, dim=0)  # a few codes lie far out, and would take the room
    across, up = (low + (high - low) * torch.linspace(0, 1, side)[:, None]).T
    codes = torch.cartesian_prod(up.flip(0), across).flip(1)  # (side * side, 2), row by row from the top
    pictures = model.decode(codes)
    whole = {"en": "The whole plane of codes, decoded", "ko": "코드 평면 전체를 복호한 그림"}
    title = {"en": "How far a code moves", "ko": "코드가 움직이는 거리"}
    ranges = [(float(low[i]), float(high[i])) for i in (0, 1)]
    distance = moved(model, codes, z.std(0)).view(side, side).flip(0)
    yield [Sheet(pictures, columns=side, title=whole), HeatMap(distance, FIRST, SECOND, title, "bottom", *ranges)]


def moved(model: Autoencoder, codes: Tensor, unit: Tensor) -> Tensor:
    """How far codes (B, K) come back from where they were, decoded and encoded again, in units (K,): (B,)."""
    return ((model.encode(model.decode(codes)) - codes) / unit.clamp(min=1e-6)).square().mean(1).sqrt()


def holes(model: Autoencoder, scene: Scene) -> Iterator[list[Output]]:
    z, _ = held_out_codes(model, scene)
    low, high, n = z.amin(0), z.amax(0), 20
    places = {
        "drawn": model.mixture.sample(n, rng=scene.rng),
        "midway": z[torch.randint(len(z), (n, 2), generator=scene.rng)].mean(1),
        "anywhere": low + (high - low) * torch.rand(n, z.shape[1], generator=scene.rng),
    }
    titles = {
        "drawn": {"en": "Codes drawn from the mixture", "ko": "혼합 분포에서 뽑은 코드"},
        "midway": {"en": "Midway between two held-out pictures", "ko": "학습에 쓰지 않은 두 그림의 중간"},
        "anywhere": {"en": "Anywhere in the box that holds all codes", "ko": "코드가 모두 들어가는 상자 안 아무 데나"},
    }
    far = {k: float(moved(model, codes, z.std(0)).mean()) for k, codes in {"real": z[:200], **places}.items()}
    said = {
        "en": "Decoded and encoded again, a code comes back to another place: by "
        f"{far['real']:.2f} where pictures are, {far['drawn']:.2f} where the mixture draws, {far['midway']:.2f} midway "
        f"and {far['anywhere']:.2f} anywhere, in units of the codes' spread.",
        "ko": "복호했다가 다시 부호화하면 코드는 다른 자리로 돌아옵니다. 코드의 퍼짐을 1로 할 때 움직인 거리: 그림이 있는 자리 "
        f"{far['real']:.2f}, 혼합 분포 {far['drawn']:.2f}, 두 그림의 중간 {far['midway']:.2f}, 아무 데나 {far['anywhere']:.2f}.",
    }
    sheets = [Sheet(model.decode(codes), columns=10, title=titles[name]) for name, codes in places.items()]
    yield [*sheets, Words(said)]


def _two_latents(config: Config, info: DataInfo) -> bool:
    return config.latents == 2


NOISE = Control("noise", "number", {"en": "Noise added", "ko": "더할 잡음"}, default=0.4, low=0, high=1, step=0.05)
MASKED = Control(
    "masked",
    "number",
    {"en": "Pixels blacked out", "ko": "까맣게 지울 픽셀 비율"},
    default=0.0,
    low=0,
    high=0.9,
    step=0.05,
)
SPREAD = Control(
    "spread", "number", {"en": "Spread of codes", "ko": "코드의 퍼짐"}, default=1.0, low=0, high=2, step=0.05
)
SIDE = Control(
    "side",
    "number",
    {"en": "Pictures a side", "ko": "한 변의 그림 수"},
    default=20,
    low=5,
    high=30,
    step=1,
)

VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "An autoencoder has no prior of its own: these codes come from a mixture of Gaussians fitted afterwards.",
            "ko": "오토인코더에는 사전 분포가 없습니다. 학습이 끝난 뒤 코드에 맞춘 가우스 혼합 분포에서 코드를 뽑습니다.",
        },
        (controls.label(), controls.count(), SPREAD, controls.seed()),
        generate,
    ),
    View(
        "reconstruct",
        {"en": "Reconstruct", "ko": "복원"},
        {
            "en": "Held-out pictures, or yours, through the code and back: what is lost is what the code had no room for.",
            "ko": "학습에 쓰지 않은 그림이나 내 그림을 코드로 바꾸었다가 되돌립니다. 코드에 담지 못한 것이 사라집니다.",
        },
        (controls.picture(), controls.seed()),
        reconstructions,
    ),
    View(
        "denoise",
        {"en": "Denoise", "ko": "잡음 제거"},
        {
            "en": "A corrupted picture has no code of its own, so a clean one comes back, best from a model trained with "
            "noise. For a picture that is noisy already, set both amounts to 0.",
            "ko": "손상된 그림에 맞는 코드는 없으므로 깨끗한 그림이 돌아옵니다. 잡음을 넣어 학습한 모델이 가장 잘합니다. "
            "이미 잡음이 있는 그림은 두 값을 0으로 두세요.",
        },
        (controls.picture(), NOISE, MASKED, controls.seed()),
        denoise,
    ),
    View(
        "interpolate",
        {"en": "Interpolate", "ko": "보간"},
        {
            "en": "A straight line between the codes of two pictures; its middle may cross a hole.",
            "ko": "두 그림의 코드를 잇는 직선을 따라갑니다. 중간에 빈 곳을 지날 수 있습니다.",
        },
        (controls.picture(), controls.picture("other"), controls.seed()),
        interpolate,
    ),
    View(
        "map",
        {"en": "Latent map", "ko": "잠재 공간 지도"},
        {
            "en": "Where held-out pictures lie by their codes, a colour for each class, and what the mixture makes of it.",
            "ko": "학습에 쓰지 않은 그림의 코드가 놓인 자리(클래스마다 다른 색)와, 혼합 분포가 이를 흉내 낸 모습입니다.",
        },
        (controls.seed(),),
        latent_map,
        live=True,
    ),
    View(
        "plane",
        {"en": "Plane", "ko": "코드 평면"},
        {
            "en": "Every code decoded. Where a code comes back far from where it was (bright), no picture lies: a hole.",
            "ko": "모든 코드를 복호합니다. 복호했다가 다시 부호화할 때 코드가 멀리 움직이는 곳(밝은 색)에는 어떤 그림도 없습니다.",
        },
        (SIDE,),
        plane,
        when=_two_latents,
    ),
    View(
        "holes",
        {"en": "Holes", "ko": "빈 곳"},
        {
            "en": "Codes that no picture has: between and beyond the clusters nothing sensible is decoded.",
            "ko": "어떤 그림도 갖지 않는 코드입니다. 무리 사이와 바깥에서는 그럴듯한 그림이 나오지 않습니다.",
        },
        (controls.seed(),),
        holes,
    ),
)

FAMILY = Family(
    name="autoencoder",
    kind="image",
    title={"en": "Autoencoder", "ko": "오토인코더"},
    idea={
        "en": "Squeeze a picture through a few numbers and rebuild it: what survives the squeeze is what matters.",
        "ko": "그림을 숫자 몇 개로 눌러 담았다가 다시 펼칩니다. 그 좁은 길을 지나 남는 것이 그림의 핵심입니다.",
    },
    paper="Hinton and Salakhutdinov (2006), Reducing the dimensionality of data with neural networks, Science 313(5786)",
    Config=Config,
    Model=Autoencoder,
    trains_on=("images", "labelled images"),
    views=VIEWS,
    reference=Reference(
        title={"en": "Diffusers AutoencoderTiny", "ko": "Diffusers AutoencoderTiny"},
        library="diffusers",
        cls="diffusers.AutoencoderTiny",
        module="playground.references.autoencoder",
        about={
            "en": "The small autoencoder that shows Stable Diffusion's previews, at playground size. Its code is a small "
            "picture (one number at each of 7×7 places). It has no prior either, and draws from the same kind of mixture.",
            "ko": "Stable Diffusion의 미리보기를 그리는 작은 오토인코더를 더 작게 만든 것입니다. 코드는 작은 그림(7×7 자리마다 숫자 "
            "하나)입니다. 역시 사전 분포가 없어 같은 종류의 혼합 분포에서 코드를 뽑습니다.",
        },
    ),
)
