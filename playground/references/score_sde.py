"""`diffusers.ScoreSdeVePipeline` behind the verbs of our score model, so that the same recipe trains it.

The pipeline draws square colour pictures in [0, 1]: others are padded with black, grey ones are put into all three
channels, and what it draws is cut out again and averaged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground import controls
from playground.contract import BadSetting, Control, Output, Scene, Sheet, Told, View, fact, knob
from playground.families.image.score_sde.model import EVALUATIONS, FOCUS, SAMPLERS, drawn_times, largest_distance
from playground.families.image.score_sde.sde import VE, over
from playground.families.image.score_sde.views import NAMES, budget

try:
    from diffusers import ScoreSdeVePipeline, ScoreSdeVeScheduler, UNet2DModel
except (ImportError, AttributeError) as error:
    raise Told(
        "This version of diffusers no longer has ScoreSdeVePipeline, which it had deprecated; "
        "the version that requirements.txt names has it.",
        "설치된 diffusers에는 사용 중단 예정이던 ScoreSdeVePipeline이 더는 없습니다. requirements.txt에 적힌 버전에는 있습니다.",
    ) from error

__all__ = ["IN_CONFIG", "VIEW", "Config", "Model", "load", "save"]

IN_CONFIG = ("sigma_max",)
"""The scheduler keeps it."""


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    block_channels: int = knob(32, "Feature maps at full resolution", "전체 해상도의 특징 지도 수", 8, 256)

    def __post_init__(self) -> None:
        if self.height == 1:
            raise BadSetting(
                "the reference draws pictures, not points; choose a data set of pictures",
                "비교 모델은 점이 아니라 그림을 그립니다. 그림 데이터를 고르세요",
            )

    @property
    def side(self) -> int:
        """Side of the padded picture: a power of two."""
        return 2 ** math.ceil(math.log2(max(self.height, self.width)))


class Model(nn.Module):
    """A `UNet2DModel` with Fourier features of the noise level, whose output diffusers divides by sigma: the score."""

    sigma_max: Tensor

    def __init__(self, config: Config, net: UNet2DModel | None = None):
        super().__init__()
        self.config = config
        wide = config.block_channels
        self.net = net or UNet2DModel(
            sample_size=config.side,
            in_channels=3,
            out_channels=3,
            layers_per_block=1,
            block_out_channels=(wide, 2 * wide),
            time_embedding_type="fourier",
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            norm_num_groups=8,
        )
        self.register_buffer("sigma_max", torch.tensor(50.0))

    @property
    def sde(self) -> VE:
        return VE(float(self.sigma_max))

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (3, self.config.side, self.config.side)

    def prepare(self, x: Tensor, sigma_max: float) -> None:
        """Before training: the largest noise, 0 for the largest distance between two of the pictures x."""
        self.sigma_max.fill_(sigma_max or largest_distance(self.inwards(x)))

    def inwards(self, x: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] as the pipeline has them, (B, 3, side, side) in [0, 1]."""
        down, right = self.config.side - self.config.height, self.config.side - self.config.width
        padded = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return padded.expand(-1, 3, -1, -1)

    def outwards(self, x: Tensor) -> Tensor:
        config = self.config
        top, left = (config.side - config.height) // 2, (config.side - config.width) // 2
        cut = x[:, :, top : top + config.height, left : left + config.width].clamp(0, 1)
        return cut if config.channels == 3 else cut.mean(1, keepdim=True)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        return self.net(x, self.sde.std(t)).sample.float()

    def forward(self, x: Tensor, y: Tensor | None, u: Tensor, z: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Denoising score matching (eq. 7, lambda = sigma^2) at the times that ours is trained at."""
        t = drawn_times(self.sde, u, FOCUS["pictures"])
        x = self.inwards(x)
        std = over(self.sde.std(t), x)
        return (std * self.score(x + std * z, t) + z).square().mean(), {}

    def sample(
        self,
        n: int,
        y: Tensor | None = None,
        *,
        rng: torch.Generator,
        sampler: str = "heun",
        evaluations: int = EVALUATIONS,
    ) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1] by our own samplers; y is not used."""
        start = self.sde.prior_sampling((n, *self.noise_shape), rng)
        *_, (_, x) = SAMPLERS[sampler](self.sde, self.score, start, evaluations, rng)
        return self.outwards(x)

    def pipeline(self) -> ScoreSdeVePipeline:
        sigmas: dict[str, Any] = {"sigma_max": float(self.sigma_max), "sigma_min": self.sde.sigma_min}
        return ScoreSdeVePipeline(self.net, ScoreSdeVeScheduler(**sigmas))


def generate(model: Model, scene: Scene, n: int, sampler: str, evaluations: int) -> Iterator[list[Output]]:
    yield [Sheet(model.sample(n, rng=scene.rng, sampler=sampler, evaluations=evaluations))]


SAMPLER = Control(
    "sampler",
    "choice",
    {"en": "Sampler", "ko": "표본 추출법"},
    "heun",
    choices=tuple((NAMES[name], name) for name in SAMPLERS),
)
VIEW = View(
    "generate",
    {"en": "Generate", "ko": "생성"},
    {"en": "From noise, along the score, without a class.", "ko": "잡음에서 점수를 따라갑니다. 클래스는 없습니다."},
    (SAMPLER, budget(EVALUATIONS), controls.count(20), controls.seed()),
    generate,
)


def save(model: Model, folder: Path) -> None:
    model.pipeline().save_pretrained(folder, safe_serialization=True)


def load(folder: Path, config: Config) -> Model:
    pipeline = ScoreSdeVePipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    model = Model(config, pipeline.unet)
    model.sigma_max.fill_(pipeline.scheduler.config.sigma_max)
    return model
