"""`diffusers.AutoencoderKL` behind the verbs of our VAE, so that the same recipe trains it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from playground.contract import fact, knob

__all__ = ["Config", "Model", "load", "save"]


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    latent_channels: int = knob(4, "Numbers at each place of the code", "코드의 자리마다 숫자 수", 1, 32)
    block_channels: int = knob(32, "Feature maps at full resolution", "전체 해상도의 특징 지도 수", 8, 256)


class Model(nn.Module):
    """Pictures (B, C, H, W) in [0, 1]; codes (B, latent_channels, H/2, W/2). It takes no class."""

    def __init__(self, config: Config, net: AutoencoderKL | None = None):
        super().__init__()
        self.config = config
        self.net = net or AutoencoderKL(
            in_channels=config.channels,
            out_channels=config.channels,
            block_out_channels=(config.block_channels, 2 * config.block_channels),
            layers_per_block=1,
            latent_channels=config.latent_channels,
            norm_num_groups=8,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            mid_block_add_attention=False,
            sample_size=config.height,
        )

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.config.latent_channels, self.config.height // 2, self.config.width // 2)

    def forward(
        self, x: Tensor, y: Tensor | None, eps: Tensor, beta: float = 1.0, free_bits: float = 0.0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The same objective as ours: minus the bound, in nats a picture, with Bernoulli pixels."""
        posterior = self.net.encode(2 * x - 1).latent_dist
        logits = self.net.decode(posterior.mean + posterior.std * eps).sample.float()
        reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=(1, 2, 3)).mean()
        mean, log_var = posterior.mean.flatten(1).float(), posterior.logvar.flatten(1).float()
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).mean(0)
        loss = reconstruction + beta * kl.clamp(min=free_bits).sum()
        terms = {"bound (nats)": -(reconstruction + kl.sum()), "KL (nats)": kl.sum(), "reconstruction": reconstruction}
        return loss, {name: value.detach() for name, value in terms.items()}

    def encode(self, x: Tensor, y: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the code, (B, latent_channels, H/2, W/2) each."""
        posterior = self.net.encode(2 * x - 1).latent_dist
        return posterior.mean, posterior.logvar

    def decode(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        return self.net.decode(z).sample.sigmoid()

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x)[0])

    def sample(self, n: int, y: Tensor | None = None, *, rng: torch.Generator, spread: float = 1.0) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1]: decoder means at codes from the prior."""
        return self.decode(spread * torch.randn(n, *self.noise_shape, generator=rng))


def save(model: Model, folder: Path) -> None:
    model.net.save_pretrained(folder, safe_serialization=True)


def load(folder: Path, config: Config) -> Model:
    return Model(config, AutoencoderKL.from_pretrained(folder, local_files_only=True, use_safetensors=True))
