"""The controls that families share word for word, and what their values mean."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from playground.contract import Control, DataInfo, Text

EACH_IN_TURN = -1
"""Value of the label control that asks for class 0, 1, 2, ... in turn."""


def seed() -> Control:
    return Control("seed", "seed", {"en": "Seed", "ko": "시드"}, default=0)


def count(default: int = 40, high: int = 100) -> Control:
    """How many pictures to make: `n`."""
    return Control("n", "number", {"en": "Pictures", "ko": "그림 수"}, default=default, low=1, high=high, step=1)


def has_classes(config: Any, info: DataInfo) -> bool:
    """Whether the model was built to be told the class."""
    return bool(getattr(config, "classes", 0)) and getattr(config, "conditional", True)


def label() -> Control:
    """Which class to make: `label`, an index or EACH_IN_TURN; shown for class-conditional checkpoints only."""
    text: Text = {"en": "Class", "ko": "클래스"}
    return Control("label", "choice", text, default=EACH_IN_TURN, choices=_classes, when=has_classes)


def class_names(config: Any, info: DataInfo) -> list[tuple[Text, int]]:
    """Choices: one class."""
    return [({"en": name, "ko": name}, index) for index, name in enumerate(info.class_names)]


def speaker_names(config: Any, info: DataInfo) -> list[tuple[Text, int]]:
    """Choices: one of the speakers that the model was built with; a nameless one where there is none."""
    return [({"en": name, "ko": name}, index) for index, name in enumerate(config.speakers or ("-",))]


def several_speakers(config: Any, info: DataInfo) -> bool:
    return len(config.speakers) > 1


def picture(name: str = "picture") -> Control:
    """A picture of one's own, fitted to the model's size; without one, held-out examples are used."""
    return Control(name, "picture", {"en": "Your picture", "ko": "내 그림"})


def rows(default: int) -> Control:
    """How many rows of pictures to make: `rows`."""
    return Control("rows", "number", {"en": "Rows", "ko": "줄 수"}, default=default, low=1, high=10, step=1)


def spread() -> Control:
    """What the noise z is multiplied by: `spread`, below 1 for safer and more alike pictures."""
    return Control("spread", "number", {"en": "Spread of z", "ko": "z의 퍼짐"}, default=1.0, low=0, high=2, step=0.05)


def average() -> Control:
    """Whether a generator's slow average draws, or the generator itself: `average`."""
    choices: tuple[tuple[Text, bool], ...] = (
        ({"en": "averaged generator", "ko": "평균 생성자"}, True),
        ({"en": "generator as it is", "ko": "현재 생성자"}, False),
    )
    return Control("average", "choice", {"en": "Drawn by", "ko": "그리는 쪽"}, default=True, choices=choices)


def _classes(config: Any, info: DataInfo) -> list[tuple[Text, int]]:
    each: tuple[Text, int] = ({"en": "each in turn", "ko": "차례로 모두"}, EACH_IN_TURN)
    return [each, *class_names(config, info)]


def labels_for(label: int | None, n: int, info: DataInfo) -> Tensor | None:
    """(n,) int64 class indices for a value of the label control; None where it was not shown: no class is taken."""
    if label is None:
        return None
    return torch.arange(n) % info.classes if label == EACH_IN_TURN else torch.full((n,), label)


def captions(labels: Tensor | None, info: DataInfo) -> list[str]:
    """The class names of a batch, for a contact sheet."""
    return [] if labels is None else [info.class_names[int(index)] for index in labels]


def columns(label: int | None, info: DataInfo) -> int:
    """Pictures in a row of a sheet: one of each class where they are drawn in turn, else the sheet's own choice."""
    return info.classes if label == EACH_IN_TURN and 4 <= info.classes <= 12 else 0
