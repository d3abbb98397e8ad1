"""Gradient steps for the two nets, then EM for the mixture that gives them something to draw."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam

from playground.contract import Data, Preset, Progress, knob
from playground.families.image.autoencoder import Autoencoder, corrupt
from trainers.run import Run

MIXTURE_EXAMPLES = 20_000
"""Training pictures, spread evenly over the set, whose codes the mixture is fitted to at the end."""
FOLLOW_EVERY = 10
"""Steps between two updates of the mixture that stands in until then."""
SLOWEST = 0.05
"""Least share of that mixture which an update replaces."""


@dataclass(frozen=True)
class Recipe:
    steps: int = knob(5000, "Steps", "스텝 수", 1, 10_000_000, phase="train")
    iterations: int = knob(50, "EM iterations for the mixture", "혼합 분포의 EM 반복 수", 1, 100_000, phase="mixture")
    batch_size: int = knob(128, "Pictures in a batch", "배치의 그림 수", 2, 4096)
    learning_rate: float = knob(2e-3, "Learning rate", "학습률", 0, 0.1)
    masked: float = knob(0.0, "Blacked-out pixels, at most (share)", "까맣게 지울 픽셀 (최대 비율)", 0, 1)
    noise: float = knob(0.0, "Noise added, at most (standard deviation)", "더할 잡음 (최대 표준편차)", 0, 5)
    mixture: bool = knob(True, "Fit a mixture to the codes", "코드에 혼합 분포 맞추기")
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


def train(model: Autoencoder, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    optimizer = run.keep("optimizer", Adam(model.parameters(), recipe.learning_rate, betas=(0.9, 0.99)))
    objective = run.distribute(model)
    warm_up = min(200, recipe.steps // 10 + 1)

    for step, (x, y) in run.batches(data, phase="train", steps=recipe.steps):
        rising, falling = step / warm_up, 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * min(rising, 1.0) * max(falling, 1e-3)

        seen = x
        if recipe.masked or recipe.noise:
            amount = run.rand(len(x), 1, 1, 1)
            u, eps = run.rand(*x.shape), run.randn(*x.shape)
            seen = corrupt(x, recipe.masked * amount, recipe.noise * amount, u, eps)
        loss, z = objective(x, seen)
        optimizer.zero_grad()
        run.backward(loss)
        optimizer.step()
        if recipe.mixture and step % FOLLOW_EVERY == 1:
            # One Gaussian a group, so that the model can draw at any time; the mixture proper comes last.
            model.mixture.em_step(z, y, rate=max(SLOWEST, 1 / (1 + step // FOLLOW_EVERY)))
        yield Progress(step, {"loss": loss.item()})

    z, y = codes(model, data, run)
    for step in run.steps("mixture", recipe.iterations):
        if recipe.mixture:
            if step == 1:
                model.mixture.start(z, y)
            likelihood = model.mixture.em_step(z, y)
        else:
            likelihood = float(model.mixture.log_prob(z, y).mean())
        yield Progress(step, {"log-likelihood of a code (nats)": likelihood}, phase="mixture")


@torch.no_grad()
def codes(model: Autoencoder, data: Data, run: Run) -> tuple[Tensor, Tensor | None]:
    """Codes (N, latents) of clean training pictures, with their classes (N,): the same on every process."""
    size = len(data.train)
    chosen = torch.linspace(0, size - 1, min(size, MIXTURE_EXAMPLES)).long()
    z, y = [], []
    for part in chosen.split(250):
        x, labels = data.train.batch(part)
        z.append(model.encode(x.to(run.device)))
        y.append(labels)
    return torch.cat(z), None if y[0] is None else torch.cat(y).to(run.device)


PRESETS = (
    Preset(
        "fast",
        {
            "en": "8×8 digits in half a minute: watch the classes part on the latent map.",
            "ko": "8×8 숫자를 30초 만에. 잠재 공간 지도에서 클래스가 갈라지는 모습을 보세요.",
        },
        dataset="digits",
        config={"latents": 12, "hidden": 128, "gaussians": 2},
        recipe={"batch_size": 64},
        minutes=0.5,
    ),
    Preset(
        "good",
        {
            "en": "MNIST in ten minutes on two processor cores; it learns to clean noisy pictures, too.",
            "ko": "코어 두 개로 10분 동안 MNIST를 학습합니다. 잡음 섞인 그림을 되살리는 법도 배웁니다.",
        },
        dataset="mnist",
        recipe={"masked": 0.5, "noise": 0.5},
        minutes=10,
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped checkpoint: the same recipe for longer.",
            "ko": "제공된 체크포인트를 만든 설정: 같은 방법으로 더 오래 학습합니다.",
        },
        dataset="mnist",
        recipe={"masked": 0.5, "noise": 0.5, "precision": "bf16"},
        minutes=30,
    ),
    Preset(
        "broken",
        {
            "en": "No mixture: codes are drawn from a standard normal, as if this were a VAE. Reconstructions are as good "
            "as ever, but hardly a picture's code lies there, and the decoder answers with ghosts.",
            "ko": "혼합 분포 없음: VAE인 양 표준 정규분포에서 코드를 뽑습니다. 복원은 여전히 잘되지만 그 자리에는 그림의 코드가 거의 없어, "
            "복호기가 유령 같은 얼룩을 그립니다.",
        },
        dataset="digits",
        config={"latents": 12, "hidden": 128, "gaussians": 1, "conditional": False},
        recipe={"batch_size": 64, "mixture": False},
        minutes=0.5,
    ),
)
