"""Two losses, one after the other: what the codes leave of a recording, and how the prior foresees its codes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam, AdamW, Optimizer

from playground.contract import Data, Examples, Preset, Progress, knob
from playground.families.speech.vq_vae import VQVAE
from playground.quantising import Follower
from trainers.run import Run

AT_ONCE = 64
"""Recordings that are heard together before training."""


@dataclass(frozen=True)
class Recipe:
    code_steps: int = knob(3000, "Steps for the codes", "코드 학습 스텝 수", 1, 10_000_000, phase="codes")
    steps: int = knob(600, "Steps for the prior", "사전 분포 학습 스텝 수", 1, 10_000_000, phase="prior")
    batch_size: int = knob(32, "Recordings in a batch", "배치의 녹음 수", 2, 1024)
    code_rate: float = knob(2e-3, "Learning rate of the codes", "코드의 학습률", 0, 0.1)
    rate: float = knob(2e-3, "Learning rate of the prior", "사전 분포의 학습률", 0, 0.1)
    frames: int = knob(32, "Frames of a recording in a batch (16 ms each)", "배치에 넣는 녹음의 프레임 수 (16ms씩)", 16, 1024)  # fmt: skip
    restart: bool = knob(True, "Restart codes that nothing chooses", "쓰이지 않는 코드 되살리기")
    hide: float = knob(0.4, "Share of the codes that the prior is not told", "사전 분포에 숨기는 코드의 비율", 0, 0.9)
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))


def train(model: VQVAE, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    heard: Any = Heard(data.train, model)
    coder = run.distribute(model.coder)
    optimizer = run.keep("coder", Adam(model.coder.parameters(), recipe.code_rate, betas=(0.9, 0.99)))
    follower = run.keep("follower", Follower(model.coder.codebook, moves=model.config.codebook == "averages"))

    # Phase one: recordings become codes, and codes recordings again (section 3.2).
    for step, (x, counts, _, speaker) in run.batches(heard, phase="codes", steps=recipe.code_steps):
        schedule(optimizer, recipe.code_rate, step, recipe.code_steps)
        x, counts = cut(x, counts, recipe.frames, model, run)
        loss, terms, z = coder(x, counts, speaker)
        descend(optimizer, loss, model.coder, run)
        follow(follower, model, z, counts, recipe.restart, run)
        yield Progress(step, {"loss": loss.item(), **terms}, phase="codes")

    yield from train_prior(model, heard, recipe, run)


def train_prior(model: Any, heard: Any, recipe: Any, run: Run) -> Iterator[Progress]:
    """Phase two: the prior learns what code comes next (section 3.3)."""
    prior = run.distribute(model.prior)
    optimizer = run.keep("prior", AdamW(model.prior.parameters(), recipe.rate, weight_decay=0.1))
    longest = (model.config.longest + 1) * model.config.stride  # frames: one code more than is read

    for step, (x, counts, label, speaker) in run.batches(heard, phase="prior", steps=recipe.steps):
        schedule(optimizer, recipe.rate, step, recipe.steps)
        with torch.no_grad():
            codes, counts = model.codes_of(*cut(x, counts, min(x.shape[2] // model.grain, longest), model, run))
        loss, terms = prior(codes, counts, label, speaker, run.rand(*codes.shape), recipe.hide)
        descend(optimizer, loss, model.prior, run)
        yield Progress(step, {"loss": loss.item(), **terms}, phase="prior")


def follow(follower: Follower, model: Any, z: Tensor, counts: Tensor, restart: bool, run: Run) -> None:
    """Let the codebook follow the z (B, D, N) of all processes, without those after a recording's end."""
    z = z.transpose(1, 2).contiguous()  # (B, N, D)
    begins = torch.arange(z.shape[1], device=z.device) * model.config.stride * model.grain
    order = run.rand(*z.shape[:2]).masked_fill(begins >= counts[:, None], -1.0)
    z, order = run.accelerator.gather((z, order))
    follower.follow(model.coder.codebook.data, z[order >= 0], order[order >= 0], restart)


class Heard:
    """What the model hears of each recording, kept: (x (B, C, L), how much of L is there (B,), labels, speakers)."""

    def __init__(self, examples: Examples, model: Any):
        self.kept: list[Tensor] = []  # (L_i, C) each
        self.labels, self.speakers = examples.labels, getattr(examples, "speakers", None)
        for places in torch.arange(len(examples)).split(AT_ONCE):
            x, counts = model.heard(*examples.batch(places)[:2])
            self.kept += [one[:, :n].T.half() for one, n in zip(x, counts.tolist(), strict=True)]

    @property
    def train(self) -> Heard:
        return self

    def __len__(self) -> int:
        return len(self.kept)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        kept = [self.kept[i] for i in indices.tolist()]
        x = torch.nn.utils.rnn.pad_sequence(kept, batch_first=True).float().transpose(1, 2)
        speakers = torch.zeros_like(indices) if self.speakers is None else self.speakers[indices]
        label = None if self.labels is None else self.labels[indices]
        return x, torch.tensor([len(one) for one in kept]), label, speakers


def cut(x: Tensor, counts: Tensor, frames: int, model: Any, run: Run) -> tuple[Tensor, Tensor]:
    """So many frames, in whole codes, of each of x (B, C, L), from a random one on; silence follows what is shorter.

    Of those also a few frames are left out at random, fewer than a code has, so that a word is not always cut into codes
    at the same places.
    """
    grain, stride = model.grain, model.config.stride
    size = -(-frames // stride) * stride
    have = -(-counts // grain)  # (B,) frames
    room = torch.minimum((have - size).clamp(min=stride - 1), have - 1)
    first = (run.rand(len(x)) * (room + 1)).long() * grain  # (B,)
    places = first[:, None] + torch.arange(size * grain, device=x.device)  # (B, L')
    there = places < counts[:, None]
    taken = x.gather(2, places.clamp(max=x.shape[2] - 1)[:, None].expand(-1, x.shape[1], -1))
    return taken * there[:, None], (counts - first).clamp(max=size * grain)


def schedule(optimizer: Optimizer, rate: float, step: int, steps: int) -> None:
    """A short rise, then half a cosine wave down."""
    warm_up = min(200, steps // 10 + 1)
    falling = 0.5 + 0.5 * math.cos(math.pi * step / steps)
    optimizer.param_groups[0]["lr"] = rate * min(1.0, step / warm_up) * max(falling, 1e-3)


def descend(optimizer: Optimizer, loss: Tensor, module: torch.nn.Module, run: Run) -> None:
    optimizer.zero_grad()
    run.backward(loss)
    clip_grad_norm_(module.parameters(), 1.0)
    optimizer.step()


SMALL = {"width": 64, "codes": 64, "prior_width": 64}
"""Nets for a synthetic voice."""

PRESETS = (
    Preset(
        "fast",
        {
            "en": "Digits of a synthetic voice in a minute: first blots of sound, then words.",
            "ko": "합성 음성의 숫자를 1분 만에 배웁니다. 처음에는 얼룩진 소리이다가 점차 낱말이 됩니다.",
        },
        dataset="espeak_digits",
        config=SMALL,
        recipe={"code_steps": 1000, "steps": 500, "code_rate": 4e-3, "rate": 4e-3, "batch_size": 16},
        minutes=1,
    ),
    Preset(
        "good",
        {
            "en": "Spoken digits by six people in ten minutes on two processor cores.",
            "ko": "코어 두 개로 10분 동안 여섯 사람이 말한 숫자를 배웁니다.",
        },
        dataset="spoken_digits",
        minutes=10,
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped checkpoint: the same recipe for longer.",
            "ko": "제공된 체크포인트를 만든 설정: 같은 방법으로 더 오래 학습합니다.",
        },
        dataset="spoken_digits",
        recipe={"code_steps": 12000, "steps": 1500},
    ),
    Preset(
        "broken",
        {
            "en": "Codebook collapse: the vectors lie far from what the encoder says at first, learn by the gradient alone, "
            "and none is restarted. One vector is nearest to everything; only that one is pulled nearer, so it stays so. "
            "Every recording becomes the same hum, whatever was said.",
            "ko": "코드북 붕괴: 벡터들이 부호기의 첫 출력에서 멀리 떨어져 있고, 기울기로만 배우며, 되살리지도 않습니다. 벡터 하나가 "
            "모든 것에 가장 가깝고, 그 하나만 더 가까이 끌려가므로 계속 그렇습니다. 무엇을 말했든 모두 같은 웅얼거림이 됩니다.",
        },
        dataset="espeak_digits",
        config={**SMALL, "codebook": "gradient", "code_size": 128},
        recipe={"code_steps": 800, "steps": 400, "code_rate": 4e-3, "batch_size": 16, "restart": False},
        minutes=0.7,
    ),
)
