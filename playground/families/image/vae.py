"""Variational autoencoder: an autoencoder whose code is a distribution that one can draw from.

The encoder gives, for a picture, a Gaussian over codes; the decoder gives, for a code, a distribution over pictures.
Training maximises a lower bound on log p(x): rebuild the picture well, and keep the codes close to a standard
Gaussian, so that a code drawn from it decodes to a new picture. The price of the second wish is blur.

Kingma and Welling (2013), arXiv:1312.6114 (equation numbers below are theirs). Higgins et al. (2017), beta-VAE.
Kingma et al. (2016), arXiv:1606.04934: free bits. Burda et al. (2015), arXiv:1509.00519: the importance-weighted
bound, used here to measure.

Deviations: convolutional nets instead of one hidden layer, and a class that both nets may be told
(Kingma et al. 2014, arXiv:1406.5298, model M2 with the label given).
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
    Output,
    Reference,
    Scene,
    Sheet,
    View,
    Words,
    fact,
    knob,
)

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    classes: int = fact(0, 1000)
    latents: int = knob(32, "Numbers in the code z", "코드 z의 크기", 1, 256)
    maps: int = knob(32, "Feature maps at half resolution", "절반 해상도의 특징 지도 수", 4, 256)
    hidden: int = knob(256, "Width of the dense layers", "전결합층의 너비", 16, 2048)
    conditional: bool = knob(True, "Tell both nets the class", "두 신경망에 클래스 알려 주기")
    likelihood: str = knob(
        "auto",
        "Distribution of a pixel: Bernoulli for grey pictures, Gaussian for colour ones",
        "픽셀의 분포: 회색 그림은 베르누이, 컬러 그림은 가우스",
        choices=("auto", "bernoulli", "gaussian"),
    )

    def __post_init__(self) -> None:
        if self.height % 4 or self.width % 4:
            raise BadSetting(
                f"the VAE needs a height and width that 4 divides, not {self.height}×{self.width}",
                f"VAE는 높이와 너비가 4의 배수여야 합니다 (지금 {self.height}×{self.width})",
            )

    @property
    def labels(self) -> int:
        """Number of classes the nets are told: 0 where they are told none."""
        return self.classes if self.conditional else 0

    @property
    def gaussian(self) -> bool:
        return self.likelihood == "gaussian" or (self.likelihood == "auto" and self.channels > 1)


class Encoder(nn.Module):
    """q(z | x): pictures (B, C, H, W) in [0, 1] to the mean and log-variance of their codes, (B, latents) each."""

    def __init__(self, config: Config):
        super().__init__()
        maps, quarter = config.maps, (config.height // 4) * (config.width // 4)
        self.down1 = nn.Conv2d(config.channels, maps, 4, stride=2, padding=1)
        self.down2 = nn.Conv2d(maps, 2 * maps, 4, stride=2, padding=1)
        self.dense = nn.Linear(2 * maps * quarter + config.labels, config.hidden)
        self.out = nn.Linear(config.hidden, 2 * config.latents)

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        h = F.silu(self.down1(2 * x - 1))  # (B, maps, H/2, W/2)
        h = F.silu(self.down2(h)).flatten(1)  # (B, 2 maps H/4 W/4)
        mu, log_var = self.out(F.silu(self.dense(torch.cat([h, label], dim=1)))).float().chunk(2, dim=1)
        return mu, log_var.clamp(-30, 20)


class Decoder(nn.Module):
    """p(x | z): codes (B, latents) to logits or means of the pixels, (B, C, H, W)."""

    def __init__(self, config: Config):
        super().__init__()
        maps, self.size = config.maps, (config.height // 4, config.width // 4)
        self.dense1 = nn.Linear(config.latents + config.labels, config.hidden)
        self.dense2 = nn.Linear(config.hidden, 2 * maps * self.size[0] * self.size[1])
        self.up1 = nn.ConvTranspose2d(2 * maps, maps, 4, stride=2, padding=1)
        self.up2 = nn.ConvTranspose2d(maps, config.channels, 4, stride=2, padding=1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        h = F.silu(self.dense1(torch.cat([z, label], dim=1)))
        h = F.silu(self.dense2(h)).unflatten(1, (-1, *self.size))  # (B, 2 maps, H/4, W/4)
        h = F.silu(self.up1(h))  # (B, maps, H/2, W/2)
        return self.up2(h).float()  # (B, C, H, W)


class VAE(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        # The spread of a Gaussian pixel around its mean: one number, learnt (Rybkin 2021, arXiv:2006.13202).
        self.log_sigma = nn.Parameter(torch.tensor(-2.0)) if config.gaussian else None

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the noise that `forward` needs for each picture."""
        return (self.config.latents,)

    def forward(
        self, x: Tensor, y: Tensor | None, eps: Tensor, beta: float = 1.0, free_bits: float = 0.0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The training objective of pictures x (B, C, H, W) in [0, 1]: minus the bound of eq. 10, in nats a picture.

        eps (B, latents) is the noise of the reparametrisation. beta weighs the KL term (1 is the bound itself);
        free_bits is the number of nats a latent may use, on average over the batch, before it is charged.
        """
        mu, log_var = self.encode(x, y)
        z = mu + (0.5 * log_var).exp() * eps  # eq. 4
        reconstruction = -self.log_likelihood(x, z, y).mean()
        kl = kl_to_standard_normal(mu, log_var).mean(0)  # (latents,)
        loss = reconstruction + beta * kl.clamp(min=free_bits).sum()
        terms = {"bound (nats)": -(reconstruction + kl.sum()), "KL (nats)": kl.sum(), "reconstruction": reconstruction}
        return loss, {name: value.detach() for name, value in terms.items()}

    def encode(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, latents) of q(z | x) for pictures (B, C, H, W) in [0, 1]."""
        return self.encoder(x, self.one_hot(y, x))

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1]: the mean of p(x | z) for codes (B, latents) and classes as in `one_hot`."""
        out = self.decoder(z, self.one_hot(y, z))
        return out.clamp(0, 1) if self.config.gaussian else out.sigmoid()

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Pictures through the mean of their code and back."""
        return self.decode(self.encode(x, y)[0], y)

    def sample(self, n: int, y: Tensor | None = None, *, rng: torch.Generator, spread: float = 1.0) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1]: decoder means at codes from the prior, scaled by `spread`."""
        return self.decode(spread * torch.randn(n, self.config.latents, generator=rng), self.classes(y, n))

    def log_likelihood(self, x: Tensor, z: Tensor, y: Tensor | None = None) -> Tensor:
        """log p(x | z) summed over pixels, in nats: (B,). For Bernoulli pixels x may lie between 0 and 1."""
        out = self.decoder(z, self.one_hot(y, z))
        if self.log_sigma is None:
            return -F.binary_cross_entropy_with_logits(out, x, reduction="none").sum(dim=(1, 2, 3))
        scaled = (x - out) * (-self.log_sigma).exp()
        return (-0.5 * (scaled.square() + LOG_2PI) - self.log_sigma).sum(dim=(1, 2, 3))

    def log_prob_bound(
        self, x: Tensor, samples: int, y: Tensor | None = None, *, rng: torch.Generator, chunk: int = 50
    ) -> Tensor:
        """The importance-weighted lower bound on log p(x) (Burda 2015, eq. 8), in nats: (B,).

        One sample gives the bound that training maximises; more come ever closer to log p(x). For a model that is
        told the class y, this bounds log p(x | y); add log p(y) for a bound on log p(x).
        """
        mu, log_var = self.encode(x, y)
        log_weights = []
        for start in range(0, samples, chunk):
            k = min(chunk, samples - start)
            eps = torch.randn(k, *mu.shape, generator=rng)
            z = mu + (0.5 * log_var).exp() * eps  # (k, B, latents)
            log_prior = -0.5 * (z.square() + LOG_2PI).sum(-1)
            log_posterior = -0.5 * (eps.square() + LOG_2PI + log_var).sum(-1)
            many_x, many_y = x.repeat(k, 1, 1, 1), None if y is None else y.repeat(k)
            log_likelihood = self.log_likelihood(many_x, z.flatten(0, 1), many_y).view(k, -1)
            log_weights.append(log_likelihood + log_prior - log_posterior)
        return torch.cat(log_weights).logsumexp(0) - math.log(samples)

    def classes(self, y: Tensor | None, n: int) -> Tensor | None:
        """(n,) class indices: those given, or each in turn; None where the model takes none."""
        if not self.config.labels:
            return None
        return torch.arange(n) % self.config.labels if y is None else y

    def one_hot(self, y: Tensor | None, like: Tensor) -> Tensor:
        """(B, labels) weights of the classes, of zero width where the model takes none.

        y: class indices (B,), or weights (B, labels) already. Raises ValueError where the model needs a class.
        """
        if not self.config.labels:
            return like.new_zeros(len(like), 0)
        if y is None:
            raise ValueError("this VAE was trained with classes: give y")
        return y.to(like.dtype) if y.is_floating_point() else F.one_hot(y, self.config.labels).to(like.dtype)


def kl_to_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, exp(log_var)) || N(0, 1)) of each dimension, in nats (appendix B)."""
    return 0.5 * (mu.square() + log_var.exp() - 1 - log_var)


# --- Views ----------------------------------------------------------------------------------------------------


def generate(model: VAE, scene: Scene, n: int, spread: float, label: int | None = None) -> Iterator[list[Output]]:
    y = controls.labels_for(label, n, scene.info)
    yield [
        Sheet(
            model.sample(n, y, rng=scene.rng, spread=spread),
            controls.captions(y, scene.info),
            controls.columns(label, scene.info),
        )
    ]


def manifold(model: VAE, scene: Scene, side: int, label: int | None = None) -> Iterator[list[Output]]:
    # Appendix A: equal steps of probability, taken through the inverse of the Gaussian's cumulative distribution.
    line = torch.special.ndtri(torch.linspace(0.5 / side, 1 - 0.5 / side, side))
    across, down = torch.meshgrid(line, line.flip(0), indexing="xy")
    z = torch.stack([across.flatten(), down.flatten()], dim=1)  # (side * side, 2)
    y = None if label is None else torch.full((len(z),), max(0, label))
    yield [Sheet(model.decode(z, y), columns=side)]


def kl_by_dimension(model: VAE, scene: Scene) -> Iterator[list[Output]]:
    examples = scene.examples()
    x, y = examples.batch(torch.randperm(len(examples), generator=scene.rng)[:256])
    kl = kl_to_standard_normal(*model.encode(x, y)).mean(0)
    ordered, _ = kl.sort(descending=True)
    used = int((kl > 0.05).sum())
    said = {
        "en": f"{used} of {len(kl)} latents carry more than 0.05 nats; together {float(kl.sum()):.1f} nats a picture.",
        "ko": f"잠재 변수 {len(kl)}개 중 {used}개가 0.05나트 넘게 씁니다. 그림 한 장에 모두 {float(kl.sum()):.1f}나트입니다.",
    }
    places = list(range(1, len(kl) + 1))
    axis_x, axis_y = {"en": "latent, by use", "ko": "잠재 변수 (많이 쓰는 순)"}, {"en": "KL (nats)", "ko": "KL (나트)"}
    yield [Curve({"KL": (places, ordered.tolist())}, axis_x, axis_y, style="bars"), Words(said)]


def interpolate(
    model: VAE, scene: Scene, picture: Tensor | None, other: Tensor | None, label: int | None = None
) -> Iterator[list[Output]]:
    pairs = []
    if picture is not None and other is not None:
        y = controls.labels_for(label, 2, scene.info)
        pairs.append((torch.stack([picture, other]), y))
    else:
        examples = scene.examples()
        for chosen in torch.randperm(len(examples), generator=scene.rng)[:10].view(5, 2):
            pairs.append(examples.batch(chosen))
    t = torch.linspace(0, 1, 9)[:, None]
    rows = []
    for x, y in pairs:
        mu, _ = model.encode(x, y)
        ends = model.one_hot(y, mu)  # the class, too, goes over from one to the other
        between, classes = (1 - t) * mu[:1] + t * mu[1:], (1 - t) * ends[:1] + t * ends[1:]
        rows.append(torch.cat([x[:1], model.decode(between, classes), x[1:]]))
    title = {"en": "Left and right: originals; between: decoded codes", "ko": "양 끝은 원본, 사이는 코드를 복호한 그림"}
    yield [Sheet(torch.cat(rows), columns=11, title=title)]


def reconstructions(
    model: VAE, scene: Scene, picture: Tensor | None, label: int | None = None
) -> Iterator[list[Output]]:
    if picture is not None:
        x, y = picture[None], controls.labels_for(max(0, label or 0), 1, scene.info)
    else:
        examples = scene.examples()
        x, y = examples.batch(torch.randperm(len(examples), generator=scene.rng)[:24])
    rebuilt = model.reconstruct(x, y)
    error = float((rebuilt - x).square().mean())
    title = {"en": "Original and rebuilt, in pairs", "ko": "원본과 복원한 그림"}
    said = {"en": f"Squared error a pixel: {error:.4f}", "ko": f"픽셀당 제곱 오차: {error:.4f}"}
    yield [Sheet(torch.stack([x, rebuilt], dim=1).flatten(0, 1), columns=8, title=title), Words(said)]


def _two_latents(config: Config, info: DataInfo) -> bool:
    return config.latents == 2


SIDE = Control("side", "number", {"en": "Pictures a side", "ko": "한 변의 그림 수"}, default=20, low=5, high=30, step=1)

VIEWS = (
    View(
        "generate",
        {"en": "Generate", "ko": "생성"},
        {
            "en": "Codes drawn from the prior, decoded: soft, because each picture is an average of many.",
            "ko": "사전 분포에서 뽑은 코드를 복호합니다. 여러 그림의 평균이라 부드럽습니다.",
        },
        (controls.label(), controls.count(), controls.spread(), controls.seed()),
        generate,
    ),
    View(
        "manifold",
        {"en": "Manifold", "ko": "다양체"},
        {
            "en": "The whole plane of codes at equal steps of probability: neighbours look alike.",
            "ko": "코드 평면 전체를 확률이 같은 간격으로 펼칩니다. 이웃한 그림은 서로 닮습니다.",
        },
        (controls.label(), SIDE),
        manifold,
        when=_two_latents,
    ),
    View(
        "kl",
        {"en": "KL by latent", "ko": "잠재 변수별 KL"},
        {
            "en": "How many nats each latent carries. All near zero is posterior collapse.",
            "ko": "잠재 변수마다 담은 정보(나트)입니다. 모두 0에 가까우면 사후 붕괴입니다.",
        },
        (controls.seed(),),
        kl_by_dimension,
    ),
    View(
        "interpolate",
        {"en": "Interpolate", "ko": "보간"},
        {
            "en": "A straight line between the codes of two pictures.",
            "ko": "두 그림의 코드를 잇는 직선을 따라갑니다.",
        },
        (controls.picture(), controls.picture("other"), controls.label(), controls.seed()),
        interpolate,
    ),
    View(
        "reconstruct",
        {"en": "Reconstruct", "ko": "복원"},
        {
            "en": "Held-out pictures, or yours, through the code and back.",
            "ko": "학습에 쓰지 않은 그림이나 내 그림을 코드로 바꾸었다가 되돌립니다.",
        },
        (controls.picture(), controls.label(), controls.seed()),
        reconstructions,
    ),
)

FAMILY = Family(
    name="vae",
    kind="image",
    title={"en": "VAE", "ko": "VAE (변분 오토인코더)"},
    idea={
        "en": "Squeeze each picture into a small cloud of codes, and keep the clouds where new codes can be drawn.",
        "ko": "그림마다 작은 코드 구름으로 압축하고, 새 코드를 뽑을 수 있는 자리에 구름을 모아 둡니다.",
    },
    paper="Kingma and Welling (2013), Auto-encoding variational Bayes, arXiv:1312.6114",
    Config=Config,
    Model=VAE,
    trains_on=("images", "labelled images"),
    views=VIEWS,
    reference=Reference(
        title={"en": "Diffusers AutoencoderKL", "ko": "Diffusers AutoencoderKL"},
        library="diffusers",
        cls="diffusers.AutoencoderKL",
        module="playground.references.vae",
        about={
            "en": "The autoencoder of Stable Diffusion at playground size. Its code is a small picture (4 numbers at "
            "each of 14×14 places), made to be followed by another model: it rebuilds finely, and draws poorly on its own.",
            "ko": "Stable Diffusion의 오토인코더를 작게 만든 것입니다. 코드가 작은 그림(14×14 자리마다 숫자 4개)이라 "
            "뒤에 다른 모델이 이어지도록 되어 있습니다. 복원은 세밀하지만 혼자서는 잘 그리지 못합니다.",
        },
    ),
)
