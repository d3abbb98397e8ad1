"""PCA has no loop: the eigenvectors of the covariance are the answer, so its training is one step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from playground.contract import Data, Preset, Progress, knob
from playground.families.image.pca import PCA
from trainers.run import Run


@dataclass(frozen=True)
class Recipe:
    centred: bool = knob(True, "Subtract the mean first", "먼저 평균 빼기")


def train(model: PCA, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    for step in run.steps("fit", 1):
        likelihood = 0.0
        for group in range(model.config.groups):
            chosen = torch.arange(len(data.train))
            if model.config.groups > 1:
                chosen = chosen[data.train.labels == group]
            x, _ = data.train.batch(chosen)
            model.fit(x, group, recipe.centred)
            y = torch.full((len(x),), group)
            likelihood += float(model.log_likelihood(x, y).sum())
        run.examples += len(data.train)
        kept = float(model.explained().sum())
        yield Progress(
            step, {"log-likelihood (nats)": likelihood / len(data.train), "variance kept": kept}, phase="fit"
        )


PRESETS = (
    Preset(
        "fast",
        {
            "en": "Fits 8×8 digits in a blink: look at the eigen-pictures, then move the sliders.",
            "ko": "8×8 숫자를 눈 깜짝할 사이에 맞춥니다. 고유 그림을 보고 성분을 움직여 보세요.",
        },
        dataset="digits",
        config={"components": 32},
    ),
    Preset(
        "good",
        {
            "en": "A model for each class of MNIST, so that a digit can be asked for: a few seconds.",
            "ko": "MNIST 클래스마다 모델을 하나씩 맞춰 원하는 숫자를 그립니다. 몇 초면 됩니다.",
        },
        dataset="mnist",
        config={"conditional": True},
    ),
    Preset(
        "shipped",
        {
            "en": "What made the shipped checkpoint: all of MNIST, 64 components.",
            "ko": "제공된 체크포인트를 만든 설정: MNIST 전체, 주성분 64개.",
        },
        dataset="mnist",
    ),
    Preset(
        "broken",
        {
            "en": "Forgets to subtract the mean. The first component wastes itself on pointing at the mean, and samples "
            "come out as faint or negative averages.",
            "ko": "평균을 빼지 않습니다. 첫 주성분이 평균을 가리키는 데 쓰여 버리고, 표본은 흐리거나 뒤집힌 평균이 됩니다.",
        },
        dataset="mnist",
        recipe={"centred": False},
    ),
)
