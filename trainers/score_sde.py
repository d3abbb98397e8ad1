"""Denoising score matching, and beside it the classifier that will guide by class."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch.optim import AdamW

from playground.contract import BadSetting, Data, Preset, Progress, knob
from playground.families.image.score_sde import SIGMA_MIN, ScoreModel
from trainers.run import Run

LOOKED_AT = 2000
"""Examples that say how large the noise must be."""


@dataclass(frozen=True)
class Recipe:
    steps: int = knob(4000, "Steps", "스텝 수", 1, 10_000_000, phase="train")
    batch_size: int = knob(64, "Examples in a batch", "배치의 예 수", 2, 4096)
    learning_rate: float = knob(2e-3, "Learning rate", "학습률", 0, 0.1)
    sigma_max: float = knob(
        0.0,
        "Largest noise of the VE equation; 0: the largest distance between two examples",
        "VE 방정식의 가장 큰 잡음. 0이면 두 예 사이의 가장 먼 거리",
        0,
        10_000,
    )
    average: float = knob(
        0.999, "Decay of the averaged weights, at its slowest", "가중치 평균의 감쇠율 (최대)", 0, 0.99999
    )
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))

    def __post_init__(self) -> None:
        if 0 < self.sigma_max < 2 * SIGMA_MIN:
            raise BadSetting(
                f"sigma_max = {self.sigma_max}: must be 0 or at least {2 * SIGMA_MIN}",
                f"sigma_max = {self.sigma_max}: 0이거나 {2 * SIGMA_MIN} 이상이어야 합니다",
            )


def train(model: ScoreModel, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    some = torch.linspace(0, len(data.train) - 1, min(LOOKED_AT, len(data.train))).long()  # from all over the set
    model.prepare(data.train.batch(some)[0].to(run.device), recipe.sigma_max)
    fast = run.keep("fast", deepcopy(model))  # the weights being trained; the model itself is their slow average
    optimizer = run.keep("optimizer", AdamW(fast.parameters(), recipe.learning_rate, betas=(0.9, 0.99)))
    objective = run.distribute(fast)
    warm_up = min(200, recipe.steps // 10 + 1)

    for step, (x, y) in run.batches(data, phase="train", steps=recipe.steps):
        n = len(x)
        rising, falling = step / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * min(rising, 1.0) * max(falling, 1e-3)

        # One time in each n-th of the range, n examples in the joint batch of all processes.
        u = (run.rank * n + torch.arange(n, device=run.device) + run.rand(n)) / (run.world * n)
        loss, terms = objective(x, y, u, run.randn(n, *model.noise_shape))
        optimizer.zero_grad()
        run.backward(loss)
        torch.nn.utils.clip_grad_norm_(fast.parameters(), 1.0)
        optimizer.step()
        follow(model, fast, min(recipe.average, step / (step + 10)))
        yield Progress(step, {"loss": loss.item(), **terms})


@torch.no_grad()
def follow(slow: torch.nn.Module, fast: torch.nn.Module, decay: float) -> None:
    """slow <- decay slow + (1 - decay) fast, for every weight."""
    torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), 1 - decay)


PRESETS = (
    Preset(
        "fast",
        {
            "en": "8×8 digits in under a minute: grey clouds part into strokes, then into digits.",
            "ko": "8×8 숫자를 1분 안에. 회색 구름이 획으로, 다시 숫자로 갈라집니다.",
        },
        dataset="digits",
        config={"maps": 32},
        recipe={"batch_size": 32, "average": 0.99},
        minutes=0.7,
    ),
    Preset(
        "good",
        {
            "en": "MNIST in ten minutes on two processor cores: most digits can be read.",
            "ko": "코어 두 개로 10분 동안 MNIST를 학습합니다. 숫자를 대부분 읽을 수 있습니다.",
        },
        dataset="mnist",
        recipe={"precision": "bf16"},
        minutes=10,
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped checkpoint: the same recipe for longer.",
            "ko": "제공된 체크포인트를 만든 설정: 같은 방법으로 더 오래 학습합니다.",
        },
        dataset="mnist",
        recipe={"precision": "bf16"},
        minutes=60,
    ),
    Preset(
        "broken",
        {
            "en": "Too little noise: at its largest a tenth of the way from blob to blob. So samples start as one small cloud in "
            "the middle, where the net has never seen anything: it cannot say which way the blobs lie, and they stay empty.",
            "ko": "잡음이 너무 작습니다. 가장 큰 잡음도 덩어리 사이 거리의 10분의 1입니다. 그래서 표본은 신경망이 본 적 없는 한가운데의 "
            "작은 구름에서 출발하고, 덩어리가 어느 쪽에 있는지 알 수 없어 덩어리는 비어 있게 됩니다.",
        },
        dataset="eight_gaussians",
        config={"conditional": False},
        recipe={"sigma_max": 0.06, "batch_size": 256, "average": 0.99},
        minutes=0.4,
    ),
)
