"""One squared error: what the net predicts of noise, at times spread evenly over each batch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch.optim import AdamW

from playground.contract import Data, Preset, Progress, knob
from playground.families.image.ddpm import DDPM
from trainers.run import Run


@dataclass(frozen=True)
class Recipe:
    steps: int = knob(4000, "Steps", "스텝 수", 1, 10_000_000, phase="train")
    batch_size: int = knob(64, "Pictures in a batch", "배치의 그림 수", 2, 1024)
    learning_rate: float = knob(2e-3, "Learning rate", "학습률", 0, 0.1)
    untold: float = knob(0.1, "Share of pictures whose class is kept from the net", "클래스를 숨기는 그림의 비율", 0, 1)
    min_snr: float = knob(
        0.0,
        "Gamma of the min-SNR weights (0: all times weigh the same)",
        "min-SNR 가중치의 감마 (0: 쓰지 않음)",
        0,
        100,
    )
    mirror: bool = knob(False, "Mirror half of the pictures", "그림 절반을 좌우로 뒤집기")
    average: float = knob(
        0.999, "Decay of the averaged weights, at its slowest", "가중치 평균의 감쇠율 (최대)", 0, 0.99999
    )
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


def train(model: DDPM, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    fast = run.keep("fast", deepcopy(model))  # the weights being trained; the model itself is their slow average
    optimizer = run.keep("optimizer", AdamW(fast.parameters(), recipe.learning_rate, betas=(0.9, 0.99)))
    objective = run.distribute(fast)
    warm_up = min(200, recipe.steps // 10 + 1)

    for step, (x, y) in run.batches(data, phase="train", steps=recipe.steps):
        n = len(x)
        if recipe.mirror:
            x = torch.where((run.rand(n) < 0.5)[:, None, None, None], x.flip(3), x)
        # One time in each of as many equal parts of (0, T] as the joint batch has pictures.
        place = run.rank * n + torch.arange(n, device=x.device) + run.rand(n)
        t = model.config.noise_steps * place / (run.world * n)
        rising, falling = step / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * min(rising, 1.0) * max(falling, 1e-3)

        loss = objective(x, y, t, run.randn(*x.shape), run.rand(n) < recipe.untold, recipe.min_snr)
        optimizer.zero_grad()
        run.backward(loss)
        torch.nn.utils.clip_grad_norm_(fast.parameters(), 1.0)
        optimizer.step()
        follow(model, fast, min(recipe.average, step / (step + 10)))
        yield Progress(step, {"loss": loss.item()})


@torch.no_grad()
def follow(slow: torch.nn.Module, fast: torch.nn.Module, decay: float) -> None:
    """slow <- decay slow + (1 - decay) fast, for every weight."""
    torch._foreach_lerp_(list(slow.parameters()), list(fast.parameters()), 1 - decay)


PRESETS = (
    Preset(
        "fast",
        {
            "en": "8×8 digits in under a minute: grey noise, then strokes, then digits.",
            "ko": "8×8 숫자를 1분 안에. 회색 잡음이 획이 되고 숫자가 됩니다.",
        },
        dataset="digits",
        config={"maps": 32, "fold": 1},
        recipe={"average": 0.99},
        minutes=0.8,
    ),
    Preset(
        "good",
        {
            "en": "MNIST in ten minutes on two processor cores: digits as asked for, most of them clean.",
            "ko": "코어 두 개로 10분 동안 MNIST를 학습합니다. 원하는 숫자를 대부분 또렷하게 그립니다.",
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
            "en": "A wrong noise schedule: linear betas made for 1,000 steps, with only 200 of them. At the last step a third "
            "of the picture's strength is still there (alpha-bar is 0.13), so drawing starts from noise that the net never saw.",
            "ko": "잘못된 잡음 일정: 1,000단계용 선형 베타를 200단계만 씁니다. 마지막 단계에도 그림의 세기가 3분의 1 넘게 "
            "남아 있어(알파 바 0.13), 신경망이 본 적 없는 순수한 잡음에서 그리기를 시작하게 됩니다.",
        },
        dataset="digits",
        config={"maps": 32, "fold": 1, "schedule": "linear", "noise_steps": 200},
        recipe={"average": 0.99},
        minutes=0.8,
    ),
)
