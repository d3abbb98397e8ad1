"""Sketch: the mean of all pictures, in one step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from playground.families.image.sketch import Sketch

from playground.contract import Data, Preset, Progress, knob
from trainers.run import Run


@dataclass(frozen=True)
class Recipe:
    share: float = knob(1.0, "Share of the pictures", "쓸 그림의 비율", low=0.1, high=1.0)


def train(model: Sketch, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    for step in run.steps("fit", 1):
        x = data.train.x[: max(1, int(recipe.share * len(data.train)))].float() / 255
        model.fit(x.to(run.device))
        run.examples += len(x)
        yield Progress(step, {"mean": model.mean.mean().item()}, phase="fit")


PRESETS = (
    Preset("fast", {"en": "At once.", "ko": "바로."}, dataset="blots"),
    Preset("good", {"en": "At once.", "ko": "바로."}, dataset="blots"),
    Preset("shipped", {"en": "At once.", "ko": "바로."}, dataset="blots"),
    Preset("broken", {"en": "Grey.", "ko": "회색."}, dataset="blots", config={"contrast": 0.0}),
)
