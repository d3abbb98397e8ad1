"""The discrete VAE (stage one): a picture becomes a grid of codes from one codebook, and codes a picture again.

A code cannot be differentiated. Two ways around that stand here with the same verbs: `Gumbel` draws a mixture of all
codes that narrows to one as the temperature falls (Jang et al. 2016, arXiv:1611.01144; the paper's own way), `VQ` takes
the nearest vector, lets gradients pass as if nothing had happened, and moves each vector to the mean of what chose it
(van den Oord et al. 2017, arXiv:1711.00937).

Dimension letters: B pictures, C channels, H x W pixels, D numbers in a code's vector, K codes, h x w places.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.families.image.dalle.config import Config
from playground.quantising import COMMITMENT, Follower, nearest, perplexity, straight_through

WARM, COLD = 1.0, 1 / 16
"""Temperatures of the relaxation at first and at last (section 2.1)."""
EPSILON = 0.1
"""Eq. 3: pixels are kept away from 0 and 1, where the logit has no bounds."""
SHARPEST = -4.0
"""Least log b: about the step between two of 256 values."""


class Residual(nn.Module):
    """(B, maps, h, w) to the same. Without normalisation, so that a code depends on its surroundings alone."""

    def __init__(self, maps: int):
        super().__init__()
        self.conv1 = nn.Conv2d(maps, maps, 3, padding=1)
        self.conv2 = nn.Conv2d(maps, maps, 1)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.conv2(F.silu(self.conv1(F.silu(h))))


def encoder(config: Config) -> nn.Sequential:
    """Pictures (B, C, H, W) in [-1, 1] to vectors (B, D, h, w)."""
    layers: list[nn.Module] = []
    before = config.channels
    for i in range(config.halvings):
        maps = config.maps if i == config.halvings - 1 else config.maps // 2
        layers += [nn.Conv2d(before, maps, 4, stride=2, padding=1), nn.SiLU()]
        before = maps
    layers += [nn.Conv2d(before, before, 3, padding=1), Residual(before), nn.SiLU()]
    return nn.Sequential(*layers, nn.Conv2d(before, config.code_size, 1))


def decoder(config: Config) -> nn.Sequential:
    """Vectors (B, D, h, w) to the location mu of every pixel, (B, C, H, W)."""
    layers: list[nn.Module] = [nn.Conv2d(config.code_size, config.maps, 3, padding=1)]
    layers += [Residual(config.maps), nn.SiLU()]
    before = config.maps
    for i in range(config.halvings):
        last = i == config.halvings - 1
        after = config.channels if last else config.maps // 2
        layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), *([] if last else [nn.SiLU()])]
        before = after
    return nn.Sequential(*layers)


class Gumbel(nn.Module):
    """The relaxation: a mixture of all codes, nearer to one of them the lower the temperature."""

    def __init__(self, config: Config):
        super().__init__()
        self.logits = nn.Conv2d(config.code_size, config.codes, 1)
        self.codebook = nn.Parameter(torch.randn(config.codes, config.code_size))

    def noise_shape(self, config: Config) -> tuple[int, ...]:
        return (config.codes, *config.grid)

    def forward(self, z: Tensor, u: Tensor, soft: float) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors (B, D, h, w) for the decoder, the cost of the codes in nats a picture (B,), and the codes (B, h, w).

        u (B, K, h, w), uniform in [0, 1), makes the Gumbel noise. soft: 1 for the highest temperature, 0 for the lowest.
        """
        logits = self.logits(z).float()  # (B, K, h, w)
        y = relaxed(logits, u, COLD * (WARM / COLD) ** soft)
        log_q = logits.log_softmax(1)
        # KL(q || uniform) of every place: the second term of eq. 1 under the uniform prior of stage one.
        kl = (log_q.exp() * (log_q + math.log(len(self.codebook)))).sum((1, 2, 3))
        return torch.einsum("bkhw,kd->bdhw", y, self.codebook), kl, logits.argmax(1)

    def choose(self, z: Tensor) -> Tensor:
        """The likeliest code of every place: (B, h, w)."""
        return self.logits(z).argmax(1)


def relaxed(logits: Tensor, u: Tensor, temperature: float) -> Tensor:
    """A draw from the Gumbel-softmax (Jang 2016, eq. 2): (B, K, h, w), sums over K to 1. u as in `Gumbel.forward`."""
    tiny = torch.finfo(logits.dtype).tiny
    gumbel = -(-u.clamp(min=tiny).log()).clamp(min=tiny).log()
    return ((logits + gumbel) / temperature).softmax(1)


class VQ(nn.Module):
    """The nearest vector of the codebook, which a `Follower` moves."""

    codebook: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.register_buffer("codebook", torch.randn(config.codes, config.code_size))

    def noise_shape(self, config: Config) -> tuple[int, ...]:
        return ()

    def forward(self, z: Tensor, u: Tensor, soft: float) -> tuple[Tensor, Tensor, Tensor]:
        """As `Gumbel.forward`, the cost being the commitment (van den Oord 2017, eq. 3); u and soft are not used."""
        codes = self.choose(z)
        e = vectors(self.codebook, codes)
        commitment = COMMITMENT * (z - e).square().mean((1, 2, 3))
        return straight_through(z, e), commitment, codes

    def choose(self, z: Tensor) -> Tensor:
        """The nearest code of every place: (B, h, w)."""
        flat = z.float().permute(0, 2, 3, 1)  # (B, h, w, D)
        return nearest(flat.flatten(0, 2), self.codebook).view(flat.shape[:3])


QUANTIZERS = {"gumbel": Gumbel, "vq-ema": VQ}


def vectors(codebook: Tensor, codes: Tensor) -> Tensor:
    """(B, D, h, w) vectors of codes (B, h, w)."""
    return codebook[codes].permute(0, 3, 1, 2)


class DiscreteVAE(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.encoder = encoder(config)
        self.quantizer: Any = QUANTIZERS[config.quantizer](config)
        self.decoder = decoder(config)
        # The paper's decoder gives every pixel a b of its own; one for all lets no pixel be excused.
        self.log_b = nn.Parameter(torch.tensor(0.0))

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Shape of the uniform noise that `forward` needs for each picture."""
        return self.quantizer.noise_shape(self.config)

    def forward(
        self, x: Tensor, u: Tensor, soft: float = 0.0, kl: float = 1.0
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The training objective of pictures x (B, C, H, W) in [0, 1], what to plot, and the z that codes were chosen for.

        Eq. 1 with its sign turned, in nats a number of the picture: how badly it is rebuilt, plus `kl` times what the codes
        cost beyond a uniform choice. Where the nearest code is taken, that cost is none; the commitment stands in.
        """
        z = self.encoder(2 * x - 1).float()
        e, cost, codes = self.quantizer(z, u, soft)
        rebuilt = -log_logit_laplace(squeeze(x), self.decoder(e).float(), self.log_b).mean()
        scale = kl / x[0].numel() if isinstance(self.quantizer, Gumbel) else 1.0
        loss = rebuilt + scale * cost.mean()
        often = torch.bincount(codes.flatten(), minlength=self.config.codes)
        terms = {"rebuilt (nats)": rebuilt.detach(), "codebook perplexity": perplexity(often)}
        return loss, terms, z.detach()

    def follower(self) -> Follower | None:
        """What the recipe lets the codebook follow after each step; None where its vectors are learnt by gradients."""
        return Follower(self.codebook) if isinstance(self.quantizer, VQ) else None

    @property
    def codebook(self) -> Tensor:
        """(K, D)."""
        return self.quantizer.codebook

    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, N) of pictures (B, C, H, W) in [0, 1], row by row."""
        return self.quantizer.choose(self.encoder(2 * x - 1)).flatten(1)

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] of codes (B, N)."""
        e = vectors(self.codebook, codes.unflatten(1, self.config.grid))
        return unsqueeze(self.decoder(e).float())


# --- The distribution of a pixel (appendix A.3) -----------------------------------------------------------------


def squeeze(x: Tensor) -> Tensor:
    """Eq. 3: phi, from [0, 1] into (0, 1)."""
    return (1 - 2 * EPSILON) * x + EPSILON


def unsqueeze(mu: Tensor) -> Tensor:
    """The picture in [0, 1] of locations mu: phi turned around."""
    return ((mu.sigmoid() - EPSILON) / (1 - 2 * EPSILON)).clamp(0, 1)


def log_logit_laplace(x: Tensor, mu: Tensor, log_b: Tensor) -> Tensor:
    """Eq. 2: the log-density at x in (0, 1) of the sigmoid of a Laplace variable, in nats."""
    log_b = log_b.clamp(min=SHARPEST)
    distance = (x.logit() - mu).abs() * (-log_b).exp()
    return -distance - log_b - math.log(2) - x.log() - (1 - x).log()
