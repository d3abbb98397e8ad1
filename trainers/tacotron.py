"""One loss: frames, the end, and attention that should run along the text. A synthetic voice may come first."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam, Optimizer

from playground.contract import Data, Preset, Progress, knob
from playground.families.speech.tacotron import Tacotron
from playground.spoken_batches import Spoken
from trainers.run import Run
from trainers.warm_up import synthetic

WARM_UP, TRAIN = "synthetic voice", "train"


@dataclass(frozen=True)
class Recipe:
    steps: int = knob(4000, "Steps", "스텝 수", 1, 10_000_000, phase=TRAIN)
    warm_up: float = knob(
        0.0,
        "Share of the steps that it learns from a synthetic voice first",
        "먼저 합성 음성으로 배우는 스텝의 비율",
        0,
        0.95,
    )
    batch_size: int = knob(32, "Recordings in a batch", "배치의 녹음 수", 1, 1024)
    rate: float = knob(3e-3, "Learning rate", "학습률", 0, 0.1)
    precision: str = knob("fp32", "Arithmetic", "연산 정밀도", choices=("fp32", "bf16"))
    guide: float = knob(1.0, "Weight of the guided attention (0: none)", "유도 어텐션의 가중치 (0이면 없음)", 0, 100)


def train(model: Tacotron, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    optimizer = run.keep("optimizer", Adam(model.parameters(), recipe.rate, betas=(0.9, 0.99), eps=1e-7))
    objective = run.distribute(model)
    warm_up = round(recipe.warm_up * recipe.steps)
    for phase, spoken, before, steps in stages(model, data, warm_up, recipe.steps, run):
        model.experience.meet(spoken)
        for step, batch in run.batches(spoken, phase, steps):
            done = (before + step) / recipe.steps
            schedule(optimizer, recipe.rate, before + step, recipe.steps)
            loss, terms = objective(*batch, guide=recipe.guide, progress=done)
            optimizer.zero_grad()
            run.backward(loss)
            clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            yield Progress(step, {"loss": loss.item(), **terms}, phase=phase)


def stages(model: Any, data: Data, warm_up: int, steps: int, run: Run) -> Iterator[tuple[str, Any, int, int]]:
    """(phase, what is learned from, the steps before it, its steps): a synthetic voice where one is asked for, the data."""
    alphabet = model.config.alphabet
    if run.done.get(WARM_UP, 0) < warm_up:
        yield WARM_UP, synthetic(alphabet, data.info.sample_rate, first=model.config.voices), 0, warm_up
    yield TRAIN, Spoken(data.train, alphabet), warm_up, max(1, steps - warm_up)


def schedule(optimizer: Optimizer, rate: float, step: int, steps: int) -> None:
    """A short rise, then half a cosine wave down."""
    rise = min(1.0, step / min(500, steps // 10 + 1))
    optimizer.param_groups[0]["lr"] = rate * rise * max(0.5 + 0.5 * math.cos(math.pi * step / steps), 0.01)


SMALL = {"width": 64, "cells": 128, "attention": 64, "prenet": 64, "postnet": 64}
"""Nets for a synthetic voice."""

PRESETS = (
    Preset(
        "fast",
        {
            "en": "Digits in four synthetic voices in three minutes. Watch the alignment: a blur, then a diagonal, then speech.",
            "ko": "합성 음성 네 가지로 말한 숫자를 3분 만에 배웁니다. 정렬을 보세요. 흐릿하다가 대각선이 되고, 그다음 말이 됩니다.",
        },
        dataset="espeak_digits:16000",
        config=SMALL,
        minutes=3,
    ),
    Preset(
        "good",
        {
            "en": "Strings of digits by six people in ten minutes on two processor cores.",
            "ko": "코어 두 개로 10분 동안 여섯 사람이 말한 숫자열을 배웁니다.",
        },
        dataset="digit_strings:16000",
        minutes=10,
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped sentences: a synthetic voice first, whose texts are without end, then an hour of one woman.",
            "ko": "제공된 문장 체크포인트를 만든 설정입니다. 먼저 글이 무한한 합성 음성으로, 다음에 한 여성의 한 시간 녹음으로 배웁니다.",
        },
        dataset="kathleen",
        recipe={"warm_up": 0.2, "steps": 8000, "batch_size": 64},
        config={"reduction": 3},
    ),
    Preset(
        "broken",
        {
            "en": "Attention left to itself: no guide shows it the diagonal, and it does not know where it has been. Each step it "
            "looks at all symbols at once, so the frames are told of no sound in particular: a steady murmur that finds no end.",
            "ko": "혼자 남겨진 어텐션: 대각선을 알려 주는 유도도 없고, 지나온 자리도 모릅니다. 매번 모든 기호를 한꺼번에 보므로 프레임은 "
            "어떤 소리를 내야 할지 알지 못합니다. 웅얼거림만 이어지고 끝을 찾지 못합니다.",
        },
        dataset="espeak",
        config={**SMALL, "located": False},
        recipe={"guide": 0.0, "batch_size": 16},
        minutes=1.5,
    ),
)
