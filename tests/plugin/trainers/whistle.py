"""Whistle: it has nothing to learn, and says so in one step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from playground.families.speech.whistle import Whistle

from playground.contract import Data, Preset, Progress, knob
from trainers.run import Run


@dataclass(frozen=True)
class Recipe:
    gain: float = knob(0.5, "Loudness", "크기", low=0.0, high=1.0)


def train(model: Whistle, data: Data, recipe: Recipe, run: Run) -> Iterator[Progress]:
    for step in run.steps("fit", 1):
        model.gain.fill_(recipe.gain)
        yield Progress(step, {"gain": recipe.gain}, phase="fit")


PRESETS = (
    Preset("fast", {"en": "At once.", "ko": "바로."}, dataset="hums"),
    Preset("good", {"en": "At once.", "ko": "바로."}, dataset="hums"),
    Preset("shipped", {"en": "At once.", "ko": "바로."}, dataset="hums"),
    Preset("broken", {"en": "Silent.", "ko": "소리 없음."}, dataset="hums", recipe={"gain": 0.0}),
)
