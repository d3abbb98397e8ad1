"""Hum: EM for the mixture, then gradient steps for the decoder with an average of its weights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from playground.families.speech.hum import FRAME, Hum
from torch.optim import Adam

from playground.contract import Data, Preset, Progress, knob
from trainers.run import Run


@dataclass(frozen=True)
class Recipe:
    iterations: int = knob(5, "EM iterations", "EM 반복 수", low=1, high=1000, phase="em")
    steps: int = knob(40, "Gradient steps", "경사 하강 스텝 수", low=1, high=1_000_000, phase="gradient")
    batch_size: int = knob(8, "Recordings a step", "스텝당 녹음 수", low=1, high=64)
    learning_rate: float = knob(0.01, "Step size", "학습률", low=0.0, high=1e30)
    pause: float = knob(0.0, "Seconds to rest after each step", "스텝 뒤에 쉬는 시간(초)", low=0.0, high=10.0)
    precision: str = knob("fp32", "Number format", "수 형식", choices=("fp32", "bf16"))
    hoard: int = knob(0, "Megabytes to take at each step", "스텝마다 차지할 메모리(MB)", low=0, high=100_000)


def rest(seconds: float) -> None:
    if seconds:
        time.sleep(seconds)


def train(model: Hum, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    everything = data.train.x.to(run.device)
    for step in run.steps("em", recipe.iterations):
        likelihood = model.em_step(everything)
        run.examples += len(everything)
        rest(recipe.pause)
        yield Progress(step, {"log-likelihood (nats)": likelihood}, phase="em")

    torch.rand(3)  # a second phase may draw as it sets up
    average = run.keep("average", deepcopy(model))
    optimizer = run.keep("optimizer", Adam(model.parameters(), lr=recipe.learning_rate))
    objective = run.distribute(model)
    hoard = []
    for step, (x, y) in run.batches(data, phase="gradient", steps=recipe.steps):
        noise = run.randn(x.numel() // FRAME, model.config.sounds)
        loss = objective(x, y, noise)
        optimizer.zero_grad()
        run.backward(loss)
        optimizer.step()
        with torch.no_grad():
            for mean, new in zip(average.parameters(), model.parameters(), strict=True):
                mean.lerp_(new, 0.05)
        if recipe.hoard:
            hoard.append(torch.ones(recipe.hoard * 262_144))
        rest(recipe.pause)
        distance = sum((a - b).norm().item() for a, b in zip(average.parameters(), model.parameters(), strict=True))
        yield Progress(step, {"loss": loss.item(), "distance": distance}, phase="gradient")


PRESETS = (
    Preset("fast", {"en": "A second.", "ko": "1초."}, dataset="hums"),
    Preset("good", {"en": "Two seconds.", "ko": "2초."}, dataset="hums", recipe={"steps": 200}),
    Preset("shipped", {"en": "Two seconds.", "ko": "2초."}, dataset="hums", recipe={"steps": 200}),
    Preset("broken", {"en": "Diverges.", "ko": "발산합니다."}, dataset="hums", recipe={"learning_rate": 1e30}),
)
