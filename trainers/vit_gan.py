"""The adversarial game: the discriminator's turn, then the generator's, two optimisers, both in sight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.optim import Adam

from playground.contract import Data, Preset, Progress, knob
from playground.families.image.vit_gan import LOSSES, Game, Rules
from trainers.run import Run

ROUNDING = 2e-5
"""Adam's eps: real and fake may cancel in a gradient to rounding noise (about 2e-7), of which the usual 1e-8 would make
whole steps, different ones on two processes."""


@dataclass(frozen=True)
class Recipe:
    steps: int = knob(
        4000, "Steps, each a turn of both players", "스텝 수 (두 선수가 한 번씩)", 1, 10_000_000, phase="train"
    )
    batch_size: int = knob(64, "Pictures in a batch", "배치의 그림 수", 2, 1024)
    loss: str = knob("relativistic", "Loss of the game", "게임의 손실", choices=tuple(LOSSES))
    generator_rate: float = knob(4e-4, "Generator's learning rate", "생성자의 학습률", 0, 0.1)
    discriminator_rate: float = knob(4e-4, "Discriminator's learning rate", "판별자의 학습률", 0, 0.1)
    momentum: float = knob(0.0, "Adam's beta 1", "Adam의 베타 1", 0, 0.99)
    decay_from: float = knob(
        0.3, "Learning rates fall to 0 from this share of the run on", "학습률을 낮추기 시작하는 시점(비율)", 0, 1
    )
    r1: float = knob(
        1.0, "Weight of R1: no slope at real pictures", "R1의 가중치: 진짜 그림에서의 기울기 벌점", 0, 1000
    )
    r2: float = knob(1.0, "Weight of R2: none at generated ones", "R2의 가중치: 생성된 그림에서의 기울기 벌점", 0, 1000)
    consistency: float = knob(0.0, "Weight of the balanced consistency (bCR)", "균형 일관성(bCR)의 가중치", 0, 1000)
    augment: bool = knob(False, "DiffAugment: shift and cut out", "DiffAugment: 이동과 지우기")
    average: float = knob(
        0.999, "Decay of the averaged generator, at its slowest", "평균 생성자의 감쇠율 (최대)", 0, 0.99999
    )
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


def train(model: Game, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    betas, latents = (recipe.momentum, 0.99), model.config.latents
    critics, generator = model.critics.parameters(), model.generator.parameters()
    d_optimizer = run.keep("d_optimizer", Adam(critics, recipe.discriminator_rate, betas, eps=ROUNDING))
    g_optimizer = run.keep("g_optimizer", Adam(generator, recipe.generator_rate, betas, eps=ROUNDING))
    d_turn, g_turn = model.turns(Rules(recipe.loss, recipe.r1, recipe.r2, recipe.consistency, recipe.augment))
    d_objective, g_objective = run.distribute(d_turn), run.distribute(g_turn)

    for step, (real, labels) in run.batches(data, phase="train", steps=recipe.steps):
        n = len(real)
        y = model.classes(labels, n)
        slowed = min(1.0, (1 - (step - 1) / recipe.steps) / (1 - min(recipe.decay_from, 0.999)))
        for optimizer, rate in ((d_optimizer, recipe.discriminator_rate), (g_optimizer, recipe.generator_rate)):
            optimizer.param_groups[0]["lr"] = rate * slowed

        model.critics.requires_grad_(True)
        with torch.no_grad():
            fake = model.generator(run.randn(n, latents), y)
        loss, scores = d_objective(2 * real - 1, fake, y, run.rand(n, 16))
        d_optimizer.zero_grad()
        run.backward(loss)
        d_optimizer.step()
        yield Progress(step, {"D loss": loss.item(), **scores}, phase="discriminator", whole=False)

        model.critics.requires_grad_(False)
        loss = g_objective(run.randn(n, latents), y, run.rand(n, 8), 2 * real - 1)
        g_optimizer.zero_grad()
        run.backward(loss)
        g_optimizer.step()
        model.follow(min(recipe.average, step / (step + 10)))
        yield Progress(step, {"G loss": loss.item()}, phase="generator")


PRESETS = (
    Preset(
        "fast",
        {
            "en": "8×8 digits in three minutes, each drawn as sixteen patches of four pixels.",
            "ko": "8×8 숫자를 3분 안에. 숫자 하나를 픽셀 네 개짜리 패치 열여섯 개로 그립니다.",
        },
        dataset="digits",
        config={"features": 64, "critic_features": 64},
        recipe={"batch_size": 32, "average": 0.99},
        minutes=2.3,
    ),
    Preset(
        "good",
        {
            "en": "MNIST in ten minutes on two processor cores, taught by the convolutional discriminator.",
            "ko": "코어 두 개로 10분 동안 MNIST를 학습합니다. 합성곱 판별자가 가르칩니다.",
        },
        dataset="mnist",
        config={"discriminator": "convolutional", "critic_features": 64, "spectral_norm": "none"},
        recipe={"precision": "bf16"},
        minutes=10,
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped checkpoint: two transformers, an hour of one processor core.",
            "ko": "제공된 체크포인트를 만든 설정: 트랜스포머 둘을 코어 하나로 한 시간 학습합니다.",
        },
        dataset="mnist",
        recipe={"steps": 9000, "precision": "bf16"},
    ),
    Preset(
        "broken",
        {
            "en": "An ordinary ViT as discriminator: dot products, no spectral norm, no R1 or R2. Nothing bounds how steep its "
            "score is, so it soon tells every forgery from the real, and its slope no longer says how to draw better: scraps "
            "of strokes, whatever digit is asked for.",
            "ko": "평범한 ViT를 판별자로 씁니다. 내적 어텐션이고 스펙트럼 정규화도 R1, R2도 없습니다. 점수의 기울기를 막는 것이 없어 곧 모든 "
            "위조를 가려내고, 그 기울기는 더 잘 그리는 방향을 알려 주지 못합니다. 어떤 숫자를 요청해도 획의 조각만 나옵니다.",
        },
        dataset="digits",
        config={"features": 64, "critic_features": 64, "attention": "dot", "spectral_norm": "none", "overlap": False},
        recipe={
            "batch_size": 32,
            "average": 0.99,
            "loss": "non-saturating",
            "r1": 0.0,
            "r2": 0.0,
            "discriminator_rate": 2e-3,
        },
        minutes=1.0,
    ),
)
