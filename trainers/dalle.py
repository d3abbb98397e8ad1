"""Three losses, one after the other: the discrete VAE's, the transformer's over its codes, and the judge's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam, AdamW, Optimizer

from playground.augmentation import gathered
from playground.contract import Data, Examples, Preset, Progress, knob
from playground.families.image.dalle import DALLE
from playground.families.image.dalle.text import captions_of
from trainers.run import Run


@dataclass(frozen=True)
class Recipe:
    code_steps: int = knob(
        3000,
        "Steps for the codes (0: those of the checkpoint that is begun from)",
        "코드 학습 스텝 수 (0: 시작 체크포인트의 코드를 그대로 씀)",
        0,
        10_000_000,
        phase="codes",
    )
    steps: int = knob(9000, "Steps for the transformer", "트랜스포머 학습 스텝 수", 1, 10_000_000, phase="transformer")
    clip_steps: int = knob(
        1500, "Steps for the judge (CLIP)", "심사 모델(CLIP) 학습 스텝 수", 0, 10_000_000, phase="judge"
    )
    batch_size: int = knob(64, "Pictures in a batch", "배치의 그림 수", 2, 1024)
    code_rate: float = knob(2e-3, "Learning rate of the codes", "코드의 학습률", 0, 0.1)
    rate: float = knob(2e-3, "Learning rate of the transformer", "트랜스포머의 학습률", 0, 0.1)
    clip_rate: float = knob(1e-3, "Learning rate of the judge", "심사 모델의 학습률", 0, 0.1)
    restart: bool = knob(True, "Restart codes that nothing chooses", "쓰이지 않는 코드 되살리기")
    relaxed: float = knob(
        0.3,
        "Share of the code steps by which their relaxation is over",
        "코드 학습 중 완화가 끝나는 시점(비율)",
        0.01,
        100,
    )
    kl: float = knob(1.0, "Weight of the KL term (Gumbel)", "KL 항의 가중치 (검벨)", 0, 100)
    shift: int = knob(
        0, "Pixels that pictures are moved by at random, at most", "그림을 무작위로 옮기는 픽셀 수 (최대)", 0, 8
    )
    image_weight: float = knob(7.0, "Weight of codes over words", "글 토큰 대비 코드의 가중치", 0, 1000)
    untold: float = knob(0.15, "Share of pictures whose text is kept from the net", "글을 숨기는 그림의 비율", 0, 1)
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


def train(model: DALLE, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    captions = captions_of(data.train, data.info)
    model.text.learn(captions)
    told: Any = Captioned(data.train, captions, model)
    vae, prior, clip = run.distribute(model.vae), run.distribute(model.prior), run.distribute(model.clip)
    vae_optimizer = run.keep("vae", Adam(model.vae.parameters(), recipe.code_rate, betas=(0.9, 0.99)))
    prior_optimizer = run.keep("prior", AdamW(model.prior.parameters(), recipe.rate, betas=(0.9, 0.95)))
    clip_optimizer = run.keep("clip", AdamW(model.clip.parameters(), recipe.clip_rate, weight_decay=0.1))

    follower = model.vae.follower()
    if follower:
        run.keep("follower", follower)

    # Stage one: pictures become codes, at first softly (section 2.1).
    for step, (x, _) in run.batches(told, phase="codes", steps=recipe.code_steps):
        schedule(vae_optimizer, recipe.code_rate, step, recipe.code_steps)
        x = moved(x, recipe.shift, run)
        soft = max(0.0, 1 - step / (recipe.relaxed * recipe.code_steps))
        loss, terms, z = vae(x, run.rand(len(x), *model.vae.noise_shape), soft, recipe.kl)
        descend(vae_optimizer, loss, model.vae, run)
        if follower:
            z = z.permute(0, 2, 3, 1).flatten(1, 2).contiguous()  # (B, h w, D)
            z, order = run.accelerator.gather((z, run.rand(*z.shape[:2])))
            follower.follow(model.vae.codebook, z.flatten(0, 1), order.flatten(), recipe.restart)
        yield Progress(step, {"loss": loss.item(), **terms}, phase="codes")

    # Stage two: the transformer learns the codes of a picture after the tokens of its text (section 2.2).
    for step, (x, texts) in run.batches(told, phase="transformer", steps=recipe.steps):
        schedule(prior_optimizer, recipe.rate, step, recipe.steps)
        text = one_of(texts, run)
        text = torch.where((run.rand(len(x)) < recipe.untold)[:, None], model.read([""]), text)
        with torch.no_grad():
            codes = model.encode(moved(x, recipe.shift, run))
        loss, terms = prior(text, codes, recipe.image_weight)
        descend(prior_optimizer, loss, model.prior, run)
        yield Progress(step, {"loss": loss.item(), **terms}, phase="transformer")

    # The judge, on the same pictures and texts.
    for step, (x, texts) in run.batches(told, phase="judge", steps=recipe.clip_steps):
        schedule(clip_optimizer, recipe.clip_rate, step, recipe.clip_steps)
        text = one_of(texts, run)
        loss, terms = clip(moved(x, recipe.shift, run), torch.cat([text, with_a_wrong_word(text, run)]))
        descend(clip_optimizer, loss, model.clip, run)
        yield Progress(step, {"loss": loss.item(), **terms}, phase="judge")


class Captioned:
    """Pictures (B, C, H, W) with the tokens of all their captions (B, variants, T); those who have fewer repeat them."""

    def __init__(self, examples: Examples, captions: list[tuple[str, ...]], model: DALLE):
        self.examples = examples
        most = max(map(len, captions))
        apart = {variants: n for n, variants in enumerate(dict.fromkeys(captions))}
        full = [variants[i % len(variants)] for variants in apart for i in range(most)]
        self.tokens = model.read(full).cpu().view(len(apart), most, -1)
        self.which = torch.tensor([apart[variants] for variants in captions])

    @property
    def train(self) -> Captioned:
        return self

    def __len__(self) -> int:
        return len(self.which)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self.examples.batch(indices)[0], self.tokens[self.which[indices]]


def one_of(texts: Tensor, run: Run) -> Tensor:
    """(B, T): one caption of each picture's (B, variants, T)."""
    chosen = run.randint(texts.shape[1], len(texts))
    return texts[torch.arange(len(texts), device=texts.device), chosen]


def with_a_wrong_word(text: Tensor, run: Run) -> Tensor:
    """Texts (B, T), each with the token that the one before it has in one place, drawn at random."""
    place = run.randint(text.shape[1] - 1, len(text))
    here = torch.arange(text.shape[1], device=text.device) == place[:, None]
    return torch.where(here, text.roll(1, 0), text)


def moved(x: Tensor, most: int, run: Run) -> Tensor:
    """Pictures (B, C, H, W), each moved by up to so many pixels down and across, its edges drawn out."""
    if not most:
        return x
    height, width = x.shape[2:]
    down, right = ((2 * most + 1) * run.rand(len(x), 2)).long().sub(most).unbind(1)  # (B,) each
    rows = (torch.arange(height, device=x.device) - down[:, None]).clamp(0, height - 1)  # (B, H)
    columns = (torch.arange(width, device=x.device) - right[:, None]).clamp(0, width - 1)  # (B, W)
    return gathered(x, rows, columns)


def cosine(step: int, steps: int) -> float:
    """From 1 to 0 along half a wave."""
    return 0.5 + 0.5 * math.cos(math.pi * step / steps)


def schedule(optimizer: Optimizer, rate: float, step: int, steps: int) -> None:
    warm_up = min(200, steps // 10 + 1)
    optimizer.param_groups[0]["lr"] = rate * min(1.0, step / warm_up) * max(cosine(step, steps), 1e-3)


def descend(optimizer: Optimizer, loss: Tensor, module: torch.nn.Module, run: Run) -> None:
    optimizer.zero_grad()
    run.backward(loss)
    clip_grad_norm_(module.parameters(), 1.0)
    optimizer.step()


SMALL = {"codes": 32, "halvings": 1, "maps": 32, "text_length": 4, "merges": 160, "size": 96, "layers": 3, "joint": 32}
"""Nets for 8×8 digits."""
QUICK = {"code_steps": 800, "steps": 2000, "clip_steps": 300, "batch_size": 32}

PRESETS = (
    Preset(
        "fast",
        {
            "en": "8×8 digits by word, English or Korean, in three minutes: ask for seven.",
            "ko": "8×8 숫자를 3분 만에, 영어나 한국어 낱말로 그립니다. ‘일곱’이라고 써 보세요.",
        },
        dataset="digits",
        config=SMALL,
        recipe=QUICK,
        minutes=2.5,
    ),
    Preset(
        "good",
        {
            "en": "MNIST by word in ten minutes on two processor cores.",
            "ko": "코어 두 개로 10분 동안 MNIST를 낱말로 배웁니다.",
        },
        dataset="mnist",
        config={"text_length": 4, "merges": 160, "codes": 128},
        recipe={"code_steps": 1500, "steps": 3500, "clip_steps": 500, "precision": "bf16"},
        minutes=10,
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped checkpoint: captioned shapes, of which some combinations are never shown.",
            "ko": "제공된 체크포인트를 만든 설정: 설명이 붙은 도형이며, 일부 조합은 한 번도 보여 주지 않습니다.",
        },
        dataset="shapes",
        config={"text_length": 12, "merges": 192},
        recipe={
            "code_steps": 8000,
            "steps": 20000,
            "clip_steps": 4000,
            "code_rate": 3e-3,
            "shift": 1,
            "precision": "bf16",
        },
    ),
    Preset(
        "broken",
        {
            "en": "Codebook collapse: codes that nothing chooses are not restarted, and lie far from what the coder says at "
            "first. Three or four win every place and the rest are never chosen: a shape is a grey blot, whatever colour "
            "is asked for, because there is no code for a colour.",
            "ko": "코드북 붕괴: 쓰이지 않는 코드를 되살리지 않고, 코드들이 부호기가 처음 내놓는 값에서 멀리 떨어져 있습니다. 서너 개가 모든 "
            "자리를 차지하고 나머지는 한 번도 쓰이지 않습니다. 색을 나타낼 코드가 없으니 어떤 색을 요청해도 회색 얼룩이 됩니다.",
        },
        dataset="shapes:16",
        config={**SMALL, "codes": 64, "code_size": 128, "text_length": 12, "merges": 192},
        recipe={
            "code_steps": 400,
            "steps": 500,
            "clip_steps": 100,
            "batch_size": 32,
            "restart": False,
            "relaxed": 0.01,
        },
    ),
)
