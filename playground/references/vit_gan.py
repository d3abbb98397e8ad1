"""`transformers`' vision transformers in the same game: the counterpart of our ViT-GAN, trained by the same recipe.

The discriminator is `ViTForImageClassification`: its logit of a class is the score of a picture as that class. The
library has no generator of pictures, so one is put together here from its `ViTLayer` blocks, and saved and loaded as its
own models are. Neither has spectral norm or any other part of the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import ViTConfig, ViTForImageClassification, ViTPreTrainedModel
from transformers.models.vit.modeling_vit import ViTLayer

from playground.contract import BadSetting, fact, knob
from playground.families.image.vit_gan import Game

__all__ = ["Config", "Model", "load", "save"]

FIRST_SPREAD = 0.05
"""Standard deviation of the first weights; the library's 0.02 is meant for tokens of 768 numbers."""


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    classes: int = fact(0, 1000)
    conditional: bool = knob(True, "Tell both players the class", "두 선수에게 클래스 알려 주기")
    latents: int = knob(64, "Numbers in the noise vector z", "잡음 벡터 z의 크기", 2, 512)
    grid: int = knob(4, "Patches along each side", "한 변의 패치 수", 1, 32)
    features: int = knob(96, "Numbers in a token", "토큰 하나의 크기", 8, 1024)
    blocks: int = knob(3, "Transformer blocks of each player", "선수마다 트랜스포머 블록 수", 1, 24)
    heads: int = knob(4, "Heads of attention", "어텐션 헤드 수", 1, 16)

    def __post_init__(self) -> None:
        if self.features % self.heads:
            raise BadSetting(
                f"features = {self.features}: must be a multiple of the {self.heads} heads",
                f"features = {self.features}: 헤드 수 {self.heads}의 배수여야 합니다",
            )
        if self.height % self.grid or self.width % self.grid:
            raise BadSetting(
                f"grid = {self.grid}: pictures of {self.height}×{self.width} cannot be cut into so many patches",
                f"grid = {self.grid}: {self.height}×{self.width} 그림은 그만큼의 패치로 나눌 수 없습니다",
            )

    @property
    def labels(self) -> int:
        return self.classes if self.conditional else 0

    def library(self) -> ViTConfig:
        """The same in the library's terms. Attention in plain products: the fused kernel has no second derivative."""
        return ViTConfig(
            hidden_size=self.features,
            num_hidden_layers=self.blocks,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.features,
            initializer_range=FIRST_SPREAD,
            image_size=(self.height, self.width),
            patch_size=(self.height // self.grid, self.width // self.grid),
            num_channels=self.channels,
            num_labels=max(1, self.labels),
            attn_implementation="eager",
        )


class ViTGenerator(ViTPreTrainedModel):
    """Noise (B, latents) and classes (B,) to pictures (B, C, H, W) in [-1, 1]: `ViTLayer` blocks over one token a patch."""

    def __init__(self, config: ViTConfig, latents: int):
        super().__init__(config)
        self.rows, self.columns = (side // p for side, p in zip(config.image_size, config.patch_size, strict=True))
        self.shape = (config.num_channels, *config.patch_size)
        self.embed = nn.Embedding(config.num_labels, latents)
        self.start = nn.Linear(2 * latents, self.rows * self.columns * config.hidden_size)
        self.layers = nn.ModuleList(ViTLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.end = nn.Linear(config.hidden_size, self.shape[0] * self.shape[1] * self.shape[2])
        self.post_init()

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        told = torch.cat([z, self.embed(y)], dim=1)
        h = self.start(told).unflatten(1, (self.rows * self.columns, -1))  # (B, L, D)
        for layer in self.layers:
            h = layer(h)
        patches = self.end(self.norm(h)).view(len(z), self.rows, self.columns, *self.shape)
        return torch.tanh(patches.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3))


class ViTCritic(nn.Module):
    """Pictures (B, C, H, W) in [-1, 1] and classes (B,) to scores (B,): the logit of the class."""

    def __init__(self, net: ViTForImageClassification):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.net(pixel_values=x).logits.gather(1, y[:, None])[:, 0]


class Model(Game):
    def __init__(
        self, config: Config, generator: nn.Module | None = None, net: ViTForImageClassification | None = None
    ):
        library = config.library()
        critics = nn.ModuleDict({"vit": ViTCritic(net or ViTForImageClassification(library))})
        super().__init__(config, generator or ViTGenerator(library, config.latents), critics)


def save(model: Model, folder: Path) -> None:
    parts = {"generator": model.generator, "average": model.average, "discriminator": model.critics["vit"].net}
    for name, part in parts.items():
        part.save_pretrained(folder / name)  # type: ignore[union-attr, operator]


def load(folder: Path, config: Config) -> Model:
    options = {"local_files_only": True, "use_safetensors": True, "attn_implementation": "eager"}
    generator, average = (
        ViTGenerator.from_pretrained(folder / name, config.latents, **options) for name in ("generator", "average")
    )
    model = Model(config, generator, ViTForImageClassification.from_pretrained(folder / "discriminator", **options))
    model.average = average.requires_grad_(False)
    return model
