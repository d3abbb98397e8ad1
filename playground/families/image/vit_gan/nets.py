"""The nets: one transformer block for both players, the generator and its three decoders, the two discriminators.

Dimension letters: B pictures, L tokens (one a patch), D numbers in a token, h heads, P pixels in a patch.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from playground.families.image.vit_gan.config import Config

EPS = 1e-12
"""Of every LayerNorm, as in ViT."""
EXPANSION = 4
"""The two-layer perceptron of a block is so many times as wide as its tokens, as in ViT."""


# --- Spectral norm --------------------------------------------------------------------------------------------


class SpectralNorm(nn.Module):
    """Keeps the largest singular value of a weight, estimated by power iteration, at 1 or at its first value.

    Miyato (2018), arXiv:1802.05957, holds it at 1, where transformers learn slowly; the paper (section 3.1) multiplies by
    what it was when training began: W -> sigma(W_init) W / sigma(W).

    As a parametrization: `parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight, True))`.
    One iteration each time the weight is used in training.
    """

    u: Tensor
    v: Tensor
    kept: Tensor

    def __init__(self, weight: Tensor, improved: bool, iterations: int = 30):
        super().__init__()
        matrix = weight.detach().flatten(1)  # (out, in)
        self.register_buffer("u", F.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("v", F.normalize(torch.randn(matrix.shape[1]), dim=0))
        for _ in range(0 if matrix.is_meta else iterations):  # a loaded model brings its u and v
            self._iterate(matrix)
        self.register_buffer("kept", self._sigma(matrix) if improved else torch.ones(()))

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> None:
        self.v.copy_(F.normalize(matrix.T @ self.u, dim=0))
        self.u.copy_(F.normalize(matrix @ self.v, dim=0))

    def _sigma(self, matrix: Tensor) -> Tensor:
        # Copies: the next iteration changes u and v in place, and a gradient may still need these.
        return self.u.clone() @ (matrix @ self.v.clone())

    @torch.autocast("cpu", enabled=False)
    def forward(self, weight: Tensor) -> Tensor:
        matrix = weight.flatten(1)
        if self.training:
            self._iterate(matrix)
        return weight * (self.kept / self._sigma(matrix))


def bounded(layer: nn.Module, kind: str) -> nn.Module:
    """The layer itself, its weight under spectral norm of that kind ("none" leaves it free)."""
    if kind != "none":
        norm = SpectralNorm(cast(Tensor, layer.weight), kind == "improved")
        parametrize.register_parametrization(layer, "weight", norm)
    return layer


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with ViT's first weights: Glorot's uniform ones, no bias."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


# --- The transformer ------------------------------------------------------------------------------------------


class Attention(nn.Module):
    """Self-attention of h heads, (B, L, D) -> (B, L, D), in plain products, so that R1 can be differentiated twice.

    kind "dot": softmax(q k^T / sqrt(D/h)) v. kind "l2", section 3.1: softmax(-|q - k|^2 / sqrt(D/h)) v with W_q = W_k.
    The dot product's slope has no bound, this one's has (Kim, Papamakarios and Mnih 2020, arXiv:2006.04710).
    """

    def __init__(self, features: int, heads: int, kind: str = "dot"):
        super().__init__()
        self.heads = heads
        self.query = linear(features, features)
        self.key = linear(features, features) if kind == "dot" else None
        if self.key is None:  # so that the logits of normalised tokens begin near -1, where all hear of one another
            self.query.weight.data *= (4 * features / heads) ** -0.25
        self.value = linear(features, features)
        self.out = linear(features, features)

    def weights(self, x: Tensor) -> Tensor:
        """How much each token (row) takes from every other: (B, h, L, L), rows sum to 1."""
        q = self._split(self.query(x))  # (B, h, L, D/h)
        k = q if self.key is None else self._split(self.key(x))
        logits = q @ k.mT  # (B, h, L, L)
        if self.key is None:
            square = logits.diagonal(dim1=-2, dim2=-1)  # |q_i|^2, (B, h, L)
            logits = 2 * logits - square[..., :, None] - square[..., None, :]  # -|q_i - q_j|^2
        return (logits / math.sqrt(q.shape[-1])).softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.weights(x) @ self._split(self.value(x))  # (B, h, L, D/h)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, L, D) -> (B, h, L, D/h)


class Norm(nn.LayerNorm):
    """ViT's LayerNorm, called with a w that it has no use for."""

    def __init__(self, features: int):
        super().__init__(features, eps=EPS)

    def forward(self, h: Tensor, w: Tensor | None = None) -> Tensor:
        return super().forward(h)


class SelfModulatedNorm(nn.Module):
    """Section 3.2: SLN(h, w) = gamma(w) * (h - mu) / sigma + beta(w), h (B, L, D), w (B, D)."""

    def __init__(self, features: int):
        super().__init__()
        self.norm = nn.LayerNorm(features, eps=EPS, elementwise_affine=False)
        self.gamma = linear(features, features)
        self.beta = linear(features, features)
        nn.init.ones_(self.gamma.bias)

    def forward(self, h: Tensor, w: Tensor) -> Tensor:
        return self.gamma(w)[:, None] * self.norm(h) + self.beta(w)[:, None]


class Block(nn.Module):
    """ViT's eq. 2 and 3: attention, then a perceptron, each beside a shortcut; the norms may be modulated by w."""

    def __init__(self, features: int, heads: int, attention: str = "dot", norm: type[nn.Module] = Norm):
        super().__init__()
        self.norm1 = norm(features)
        self.attention = Attention(features, heads, attention)
        self.norm2 = norm(features)
        self.into = linear(features, EXPANSION * features)
        self.out = linear(EXPANSION * features, features)

    def forward(self, h: Tensor, w: Tensor | None = None) -> Tensor:
        h = h + self.attention(self.norm1(h, w))
        return h + self.out(F.gelu(self.into(self.norm2(h, w))))


def positions(n: int, features: int) -> nn.Parameter:
    """Learnt embeddings of n places, (1, n, D)."""
    return nn.Parameter(0.02 * torch.randn(1, n, features))


# --- The generator: from tokens to patches --------------------------------------------------------------------


def assembled(patches: Tensor, grid: int) -> Tensor:
    """Patches (B, L, C, height, width), row by row, laid side by side: (B, C, grid height, grid width)."""
    rows = patches.unflatten(1, (grid, grid))  # (B, grid, grid, C, height, width)
    return rows.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)


class ImplicitDecoder(nn.Module):
    """Section 3.2: a patch is a function of the place in it, x(u) = f(E_fou(u), y), the token y choosing the function.

    f has two layers with a sine between them (Sitzmann 2020, arXiv:2006.09661): the token shifts every wave, and says how
    much of it there is. It begins by the second alone: shifted from the start, generators came to draw one picture of a
    class. The first layer is linear in E_fou and y apart, so that each is computed once, not once for every pixel of
    every token.
    """

    frequencies: Tensor

    def __init__(self, config: Config, hidden: int = 64):
        super().__init__()
        self.config = config
        # Fourier features of a place (Tancik 2020, arXiv:2006.10739): no wave shorter than two pixels is of use.
        highest = max(config.patch) / 4  # waves from the edge of the patch (-1) to its middle (0)
        self.register_buffer("frequencies", highest / 4 * torch.randn(2, hidden // 2))
        self.from_place = linear(hidden, hidden)
        self.from_token = linear(config.features, hidden)
        nn.init.zeros_(self.from_token.weight)
        self.strength = linear(config.features, hidden)
        self.out = linear(hidden, config.channels)

    def patches(self, y: Tensor, zoom: int = 1, reach: float = 1.0) -> Tensor:
        """Tokens (B, L, D) to patches (B, L, C, zoom height, zoom width) before tanh.

        zoom: points for every pixel along a side. reach: how far to draw, 1 is the patch's own edge.
        """
        height, width = (zoom * side for side in self.config.patch)
        down, right = (reach * ((2 * torch.arange(n, device=y.device) + 1) / n - 1) for n in (height, width))
        u = torch.cartesian_prod(down, right)  # (P, 2), centres of the points, -1 to 1
        waves = 2 * math.pi * u @ self.frequencies  # (P, hidden / 2)
        e_fou = torch.cat([waves.sin(), waves.cos()], dim=1)  # (P, hidden)
        phase = self.from_place(e_fou) + self.from_token(y)[:, :, None]  # (B, L, P, hidden)
        return self.out(self.strength(y)[:, :, None] * phase.sin()).mT.unflatten(3, (height, width))

    def forward(self, y: Tensor, zoom: int = 1) -> Tensor:
        return assembled(self.patches(y, zoom), self.config.grid)


class PlainDecoder(nn.Module):
    """One linear map from a token to its patch, as ViT has one from a patch to its token."""

    def __init__(self, config: Config, maps: int = 0):
        super().__init__()
        self.config = config
        self.shape = (maps or config.channels, *config.patch)
        self.out = linear(config.features, math.prod(self.shape))

    def alone(self, y: Tensor) -> Tensor:
        """Tokens (B, L, D) to patches (B, L, C, height, width) before tanh."""
        return self.out(y).unflatten(2, self.shape)

    def forward(self, y: Tensor) -> Tensor:
        return assembled(self.alone(y), self.config.grid)


class ConvolutionalDecoder(nn.Module):
    """Patches of feature maps, then two convolutions that see across the borders between patches."""

    def __init__(self, config: Config, maps: int = 16):
        super().__init__()
        self.maps = PlainDecoder(config, maps)
        self.mix = nn.Conv2d(maps, maps, 3, padding=1)
        self.end = nn.Conv2d(maps, config.channels, 3, padding=1)

    def alone(self, y: Tensor) -> Tensor:
        """Whole pictures (B, L, C, H, W) before tanh, each drawn from one of the tokens (B, L, D), the others zero."""
        single = torch.eye(y.shape[1], device=y.device)[:, :, None] * y[:, None]  # (B, L, L, D)
        return self.forward(single.flatten(0, 1)).unflatten(0, y.shape[:2])

    def forward(self, y: Tensor) -> Tensor:
        return self.end(F.gelu(self.mix(F.gelu(self.maps(y)))))


DECODERS = {"implicit": ImplicitDecoder, "plain": PlainDecoder, "convolutional": ConvolutionalDecoder}


class Generator(nn.Module):
    """Noise (B, latents) and classes (B,) to pictures (B, C, H, W) in [-1, 1]."""

    decoder: Any  # one of DECODERS

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        features, labels, places = config.features, config.labels, config.grid**2
        self.embed = nn.Embedding(labels, config.latents) if labels else None
        told = config.latents * (2 if labels else 1)
        self.mapping = nn.Sequential(linear(told, features), nn.GELU(), linear(features, features))
        self.positions = positions(places, features)
        self.shares = nn.Linear(told, places * features, bias=False) if config.seeded else None
        if self.shares is not None:
            nn.init.normal_(self.shares.weight, std=told**-0.5)
        norm = SelfModulatedNorm if config.modulation else Norm
        self.blocks = nn.ModuleList(Block(features, config.heads, norm=norm) for _ in range(config.blocks))
        self.norm = norm(features)
        self.decoder = DECODERS[config.decoder](config)

    def told(self, z: Tensor, y: Tensor) -> Tensor:
        """All that is told of a picture: its noise, and its class as a vector of the same size, (B, latents) each."""
        return z if self.embed is None else torch.cat([z, self.embed(y)], dim=1)

    def entering(self, told: Tensor) -> tuple[Tensor, Tensor]:
        """h_0 (B, L, D), what enters the blocks, and w (B, D), what modulates them.

        The paper's w = MLP(z) and h_0 = E_pos: a token begins with its place and nothing else. `seeded` adds to each a
        share of all that is told; without modulation w is added, here and nowhere else.
        """
        w = self.mapping(told)
        h = self.positions.expand(len(w), -1, -1)
        if self.shares is not None:
            h = h + self.shares(told).view_as(h)
        return (h if self.config.modulation else h + w[:, None]), w

    def tokens(self, told: Tensor) -> Tensor:
        """What each patch will be drawn from, (B, L, D)."""
        h, w = self.entering(told)
        for block in self.blocks:
            h = block(h, w)
        return self.norm(h, w)

    def draw(self, told: Tensor) -> Tensor:
        return torch.tanh(self.decoder(self.tokens(told)))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.draw(self.told(z, y))


# --- The discriminators ---------------------------------------------------------------------------------------


class Head(nn.Module):
    """Features (B, D) and classes (B,) to scores (B,): psi(h) + <embed(y), h>.

    The projection of Miyato and Koyama (2018), arXiv:1802.05637, eq. 3.
    """

    def __init__(self, features: int, config: Config):
        super().__init__()
        self.psi = bounded(linear(features, 1), config.spectral_norm)
        self.embed: nn.Module | None = None
        if config.labels:
            embed = nn.Embedding(config.labels, features)
            nn.init.xavier_uniform_(embed.weight)
            self.embed = bounded(embed, config.spectral_norm)

    def forward(self, h: Tensor, y: Tensor) -> Tensor:
        score = self.psi(h).squeeze(1)
        return score if self.embed is None else score + (self.embed(y) * h).sum(1)


class ViT(nn.Module):
    """Pictures (B, C, H, W) in [-1, 1] and classes (B,) to scores (B,), any real number, high for real."""

    blocks: Any  # of Block

    def __init__(self, config: Config):
        super().__init__()
        features, kind = config.critic_features, config.spectral_norm
        stride = (config.height // config.critic_grid, config.width // config.critic_grid)
        # Section 3.1: each patch reaches half a patch beyond its edges; there are as many as before.
        reach = (stride[0] // 2, stride[1] // 2) if config.overlap else (0, 0)
        size = (stride[0] + 2 * reach[0], stride[1] + 2 * reach[1])
        self.patches = bounded(nn.Conv2d(config.channels, features, size, stride, reach), kind)
        self.first = nn.Parameter(torch.zeros(1, 1, features))  # x_class
        self.positions = positions(config.critic_grid**2 + 1, features)
        self.blocks = nn.ModuleList(
            Block(features, config.heads, config.attention) for _ in range(config.critic_blocks)
        )
        for block in self.blocks:
            for layer in [m for m in block.modules() if isinstance(m, nn.Linear)]:
                bounded(layer, kind)
        self.norm = Norm(features)
        self.head = Head(features, config)

    def embedded(self, x: Tensor) -> Tensor:
        """ViT's eq. 1: the class token, then one token a patch, each told its place: (B, 1 + L, D)."""
        patches = self.patches(x).flatten(2).mT  # (B, L, D)
        return torch.cat([self.first.expand(len(x), -1, -1), patches], dim=1) + self.positions

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        h = self.embedded(x)
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h[:, 0]), y)  # ViT's eq. 4

    def attentions(self, x: Tensor) -> list[Tensor]:
        """The attention of every block, mean over its heads: (B, 1 + L, 1 + L) each, the class token first."""
        h, found = self.embedded(x), []
        for block in self.blocks:
            found.append(block.attention.weights(block.norm1(h)).mean(1))
            h = block(h)
        return found


class Convolutional(nn.Module):
    """The same by four convolutions (DCGAN's, under spectral norm), as the paper sets a StyleGAN2's beside its own."""

    def __init__(self, config: Config):
        super().__init__()
        wide, kind = config.critic_features, config.spectral_norm
        widths = (config.channels, wide // 4, wide // 2, wide, wide)
        kernels = ((3, 1), (4, 2), (4, 2), (3, 1))  # (size, stride)
        self.convolutions = nn.ModuleList(
            bounded(nn.Conv2d(a, b, size, stride, padding=1), kind)
            for a, b, (size, stride) in zip(widths[:-1], widths[1:], kernels, strict=True)
        )
        self.head = Head(wide, config)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), 0.1)
        return self.head(x.sum(dim=(2, 3)), y)


CRITICS = {"vit": ViT, "convolutional": Convolutional}
