"""Expectation-maximisation: one report an iteration of all mixtures; half way, the takes are aligned anew."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch

from playground.contract import Data, Preset, Progress, knob
from playground.families.speech.gmm import GMM
from playground.families.speech.gmm.takes import heard
from trainers.run import Run


@dataclass(frozen=True)
class Recipe:
    iterations: int = knob(24, "EM iterations", "EM 반복 수", 1, 10_000, phase="em")
    takes: int = knob(
        0, "Takes of each word by each voice, at most (0: all)", "단어와 목소리마다 쓸 녹음 수 (0: 모두)", 0, 100_000
    )
    start: str = knob("k-means", "Where the Gaussians begin", "가우스들의 시작 위치", choices=("k-means", "all alike"))
    floor: float = knob(0.01, "Least variance, as a share of all frames'", "최소 분산 (전체 분산에 대한 비율)", 1e-6, 1)


def train(model: GMM, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    model.cpu()  # double precision, and alignments one after another
    examples: Any = data.train
    takes = heard(examples, model.config.voices, recipe.takes)
    model.listen(takes)
    half = recipe.iterations // 2
    aligner = run.keep("aligner", deepcopy(model))
    lesson = model.lesson(takes, aligner if run.done.get("em", 0) > half > 0 else None)
    for step in run.steps("em", recipe.iterations):
        if step == 1:
            rng = torch.Generator().manual_seed(run.seed) if recipe.start == "k-means" else None
            model.start(lesson, recipe.floor, rng)
        if step == half + 1 > 1:
            aligner.load_state_dict(model.state_dict())
            lesson = model.lesson(takes, aligner)
        words, pairs = model.em_step(lesson, recipe.floor)
        run.examples += len(takes)
        values = {"log-likelihood (nats a frame)": words}
        yield Progress(step, values if pairs is None else {**values, "of pairs (nats)": pairs}, phase="em")


PRESETS = (
    Preset(
        "fast",
        {
            "en": "Synthetic voices, five takes of each digit: digits in half a minute. Join recordings of your own and "
            "they can be lent your voice.",
            "ko": "합성 음성으로 숫자마다 녹음 다섯 개씩, 30초면 숫자를 말합니다. 내 녹음을 함께 넣으면 내 목소리로 "
            "바꿀 수 있습니다.",
        },
        dataset="espeak_digits",
        config={"components": 12, "pair_components": 24},
        recipe={"iterations": 10, "takes": 5},
    ),
    Preset(
        "good",
        {
            "en": "Six real speakers, twenty takes of each digit: clear digits, and voices that are taken for one another.",
            "ko": "실제 화자 여섯 명, 숫자마다 녹음 스무 개. 또렷한 숫자를 말하고 서로의 목소리로 바꿉니다.",
        },
        dataset="spoken_digits",
        config={"pair_components": 64},
        recipe={"iterations": 16, "takes": 20},
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped checkpoint: every take of the six speakers.",
            "ko": "제공된 체크포인트를 만든 설정: 화자 여섯 명의 모든 녹음.",
        },
        dataset="spoken_digits",
    ),
    Preset(
        "broken",
        {
            "en": "No k-means: all Gaussians begin alike. Nothing tells them apart, so EM moves them together, the likelihood "
            "stands still, and every digit is one long average sound.",
            "ko": "k-평균 없이 모든 가우스가 똑같이 시작합니다. 구별할 것이 없으니 EM은 이들을 함께 움직이고, 가능도는 제자리에 머물며, "
            "모든 숫자가 하나의 길고 평균적인 소리가 됩니다.",
        },
        dataset="espeak_digits",
        config={"components": 12, "pair_components": 24},
        recipe={"iterations": 10, "takes": 5, "start": "all alike"},
    ),
)
