"""`diffusers.AutoencoderTiny` behind the verbs of our autoencoder, so that the same recipe trains it.

Its code is a small picture, flattened here to a row of numbers. Its own `forward` rounds codes to bytes, through which
no gradient reaches the encoder: it is trained by `decode(encode(x).latents)`. Like ours it has no prior, and draws from
the same mixture of Gaussians fitted to its codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderTiny
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from playground.contract import fact, knob
from playground.families.image.autoencoder import Mixture

__all__ = ["Config", "Model", "load", "save"]

MIXTURE = "mixture.safetensors"


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    classes: int = fact(0, 1000)
    latent_channels: int = knob(1, "Numbers at each place of the code", "코드의 자리마다 숫자 수", 1, 16)
    block_channels: int = knob(32, "Feature maps", "특징 지도 수", 8, 256)
    gaussians: int = knob(8, "Gaussians in each mixture of codes", "코드 혼합 분포마다 가우스 수", 1, 64)
    conditional: bool = knob(True, "A mixture of codes for each class", "클래스마다 코드의 혼합 분포 하나씩")

    @property
    def code(self) -> tuple[int, int, int]:
        """Shape of a code: two halvings of the picture, each rounded up."""
        return self.latent_channels, -(-self.height // 4), -(-self.width // 4)

    @property
    def groups(self) -> int:
        return self.classes if self.conditional and self.classes else 1


class Model(nn.Module):
    """Pictures (B, C, H, W) in [0, 1]; codes (B, latent_channels H/4 W/4)."""

    def __init__(self, config: Config, net: AutoencoderTiny | None = None):
        super().__init__()
        self.config = config
        blocks = (config.block_channels,) * 3
        self.net = net or AutoencoderTiny(
            in_channels=config.channels,
            out_channels=config.channels,
            latent_channels=config.latent_channels,
            encoder_block_out_channels=blocks,
            decoder_block_out_channels=blocks,
            num_encoder_blocks=(1, 1, 1),
            num_decoder_blocks=(1, 1, 1),
        )
        self.mixture = Mixture(config.groups, config.gaussians, torch.Size(config.code).numel())

    def forward(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """The same objective as ours: mean squared error a pixel of x rebuilt from `seen`, and the codes."""
        z = self.net.encode(2 * seen - 1).latents
        rebuilt = (self.net.decode(z).sample.float() + 1) / 2
        return F.mse_loss(rebuilt, x), z.detach().flatten(1).float()

    def encode(self, x: Tensor) -> Tensor:
        return self.net.encode(2 * x - 1).latents.flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        return ((self.net.decode(z.unflatten(1, self.config.code)).sample + 1) / 2).clamp(0, 1)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x))

    def sample(self, n: int, y: Tensor | None = None, *, rng: torch.Generator, spread: float = 1.0) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1] at codes drawn from the mixture; y (n,) names their classes."""
        return self.decode(self.mixture.sample(n, y, rng=rng, spread=spread))


def save(model: Model, folder: Path) -> None:
    model.net.save_pretrained(folder, safe_serialization=True)
    save_file(model.mixture.state_dict(), folder / MIXTURE)


def load(folder: Path, config: Config) -> Model:
    model = Model(config, AutoencoderTiny.from_pretrained(folder, local_files_only=True, use_safetensors=True))
    model.mixture.load_state_dict(load_file(folder / MIXTURE))
    return model
