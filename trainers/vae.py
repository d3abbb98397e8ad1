"""One loss: minus the variational bound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch.optim import Adam

from playground.contract import Data, Preset, Progress, knob
from playground.families.image.vae import VAE
from trainers.run import Run


@dataclass(frozen=True)
class Recipe:
    steps: int = knob(5000, "Steps", "스텝 수", 1, 10_000_000, phase="train")
    batch_size: int = knob(128, "Pictures in a batch", "배치의 그림 수", 2, 4096)
    learning_rate: float = knob(2e-3, "Learning rate", "학습률", 0, 0.1)
    beta: float = knob(1.0, "Weight of the KL term (beta)", "KL 항의 가중치 (베타)", 0, 1000)
    free_bits: float = knob(0.0, "Free nats for each latent", "잠재 변수마다 공짜로 쓰는 나트", 0, 10)
    binarise: bool = knob(True, "Draw black or white pixels anew each time", "픽셀을 매번 흑백으로 다시 뽑기")
    average: float = knob(
        0.999, "Decay of the averaged weights, at its slowest", "가중치 평균의 감쇠율 (최대)", 0, 0.99999
    )
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


def train(model: VAE, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    fast = run.keep("fast", deepcopy(model))  # the weights being trained; the model itself is their slow average
    optimizer = run.keep("optimizer", Adam(fast.parameters(), recipe.learning_rate, betas=(0.9, 0.99)))
    objective = run.distribute(fast)
    warm_up = min(200, recipe.steps // 10 + 1)

    for step, (x, y) in run.batches(data, phase="train", steps=recipe.steps):
        if recipe.binarise:
            x = (run.rand(*x.shape) < x).to(x.dtype)
        rising, falling = step / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * min(rising, 1.0) * max(falling, 1e-3)

        loss, terms = objective(x, y, run.randn(len(x), *model.noise_shape), recipe.beta, recipe.free_bits)
        optimizer.zero_grad()
        run.backward(loss)
        torch.nn.utils.clip_grad_norm_(fast.parameters(), 200.0)
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
            "en": "8×8 digits in half a minute: blurred, but each one readable.",
            "ko": "8×8 숫자를 30초 만에. 흐리지만 읽을 수 있습니다.",
        },
        dataset="digits",
        config={"latents": 8, "hidden": 128, "likelihood": "gaussian"},
        recipe={"binarise": False, "batch_size": 64},
        minutes=0.5,
    ),
    Preset(
        "good",
        {
            "en": "MNIST in ten minutes on two processor cores.",
            "ko": "코어 두 개로 10분 동안 MNIST를 학습합니다.",
        },
        dataset="mnist",
        minutes=10,
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped checkpoint: the same recipe for longer.",
            "ko": "제공된 체크포인트를 만든 설정: 같은 방법으로 더 오래 학습합니다.",
        },
        dataset="mnist",
        minutes=45,
    ),
    Preset(
        "broken",
        {
            "en": "Posterior collapse: a KL term twenty times too heavy. Saying nothing in the code is cheaper than "
            "describing the picture, so every sample of a class is the same average.",
            "ko": "사후 붕괴: KL 항을 스무 배 무겁게 합니다. 코드에 아무것도 담지 않는 편이 그림을 설명하는 것보다 싸서, "
            "한 클래스의 표본이 모두 같은 평균이 됩니다.",
        },
        dataset="digits",
        config={"latents": 8, "hidden": 128, "likelihood": "gaussian"},
        recipe={"beta": 20.0, "binarise": False, "batch_size": 64},
        minutes=0.5,
    ),
)
