"""A small `diffusers.DDPMPipeline` beside the GAN: Hugging Face has no GAN for pictures.

The net sees each picture folded into a quarter of its places with four times the channels (pixel unshuffle), which
two processor cores can train; the pipeline then draws folded pictures, which are unfolded here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMPipeline, DDPMPipeline, DDPMScheduler, UNet2DModel
from torch import Tensor, nn

from playground import controls
from playground.contract import BadSetting, Control, Data, Output, Progress, Scene, Sheet, View, fact, knob
from trainers.run import Run

__all__ = ["VIEW", "Config", "Model", "Recipe", "load", "save", "train"]

NOISE_STEPS = 1000


@dataclass(frozen=True)
class Config:
    channels: int = fact(1, 4)
    height: int = fact(28, 256)
    width: int = fact(28, 256)
    block_channels: int = knob(48, "Feature maps at the folded resolution", "접은 해상도의 특징 지도 수", 16, 256)

    def __post_init__(self) -> None:
        if self.height == 1:
            raise BadSetting(
                "the reference draws pictures, not points; choose a data set of pictures",
                "비교 모델은 점이 아니라 그림을 그립니다. 그림 데이터를 고르세요",
            )


@dataclass(frozen=True)
class Recipe:
    steps: int = knob(4000, "Steps", "스텝 수", 1, 10_000_000, phase="train")
    batch_size: int = knob(64, "Pictures in a batch", "배치의 그림 수", 2, 1024)
    learning_rate: float = knob(2e-3, "Learning rate", "학습률", 0, 0.1)
    average: float = knob(
        0.999, "Decay of the averaged weights, at its slowest", "가중치 평균의 감쇠율 (최대)", 0, 0.99999
    )
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


class Model(nn.Module):
    """An unconditional `UNet2DModel` with the cosine schedule and v-prediction."""

    def __init__(self, config: Config, net: UNet2DModel | None = None):
        super().__init__()
        self.config = config
        wide = config.block_channels
        self.net = net or UNet2DModel(
            sample_size=(config.height // 2, config.width // 2),
            in_channels=4 * config.channels,
            out_channels=4 * config.channels,
            layers_per_block=1,
            block_out_channels=(wide, 2 * wide),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            norm_num_groups=8,
            attention_head_dim=16,
        )
        self.scheduler = DDPMScheduler(
            NOISE_STEPS, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", clip_sample=True
        )

    def forward(self, x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Mean squared error of the velocity at noise levels t (B,): x (B, C, H, W) in [0, 1], noise as folded x."""
        clean = F.pixel_unshuffle(2 * x - 1, 2)
        noisy = self.scheduler.add_noise(clean, noise, t)
        return F.mse_loss(self.net(noisy, t).sample.float(), self.scheduler.get_velocity(clean, noise, t))

    def pipeline(self) -> DDPMPipeline:
        return DDPMPipeline(self.net, self.scheduler)

    def sample(self, n: int, y: Tensor | None = None, *, rng: torch.Generator, steps: int = 25) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1], drawn by diffusers' DDIMPipeline on the same net; y is not used."""
        pipeline = DDIMPipeline(self.net, self.scheduler)
        pipeline.set_progress_bar_config(disable=True)
        folded = pipeline(batch_size=n, generator=rng, num_inference_steps=steps, output_type="np").images
        return F.pixel_shuffle(torch.from_numpy(np.ascontiguousarray(folded.transpose(0, 3, 1, 2))), 2)


def train(model: Model, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    fast = run.keep("fast", deepcopy(model))
    optimizer = run.keep("optimizer", torch.optim.AdamW(fast.parameters(), recipe.learning_rate, betas=(0.9, 0.99)))
    objective = run.distribute(fast)
    warm_up = min(200, recipe.steps // 10 + 1)
    for step, (x, _) in run.batches(data, phase="train", steps=recipe.steps):
        n, folded = len(x), (4 * x.shape[1], x.shape[2] // 2, x.shape[3] // 2)
        falling = 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * min(step / warm_up, 1.0) * max(falling, 1e-3)
        loss = objective(x, run.randint(NOISE_STEPS, n), run.randn(n, *folded))
        optimizer.zero_grad()
        run.backward(loss)
        torch.nn.utils.clip_grad_norm_(fast.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            decay = min(recipe.average, step / (step + 10))
            torch._foreach_lerp_(list(model.parameters()), list(fast.parameters()), 1 - decay)
        yield Progress(step, {"loss": loss.item()})


def generate(model: Model, scene: Scene, n: int, steps: int) -> Iterator[list[Output]]:
    yield [Sheet(model.sample(n, rng=scene.rng, steps=steps))]


EVALUATIONS = Control(
    "steps", "number", {"en": "Denoising steps", "ko": "잡음 제거 단계"}, default=25, low=2, high=200, step=1
)
VIEW = View(
    "generate",
    {"en": "Generate", "ko": "생성"},
    {"en": "Noise, denoised step by step.", "ko": "잡음에서 한 단계씩 잡음을 걷어 냅니다."},
    (controls.count(), EVALUATIONS, controls.seed()),
    generate,
)


def save(model: Model, folder: Path) -> None:
    model.pipeline().save_pretrained(folder, safe_serialization=True)


def load(folder: Path, config: Config) -> Model:
    pipeline = DDPMPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    model = Model(config, pipeline.unet)
    model.scheduler = pipeline.scheduler
    return model
