"""The published layout (github.com/descriptinc/melgan-neurips): its weights in our generator.

Its layers stand in the same order under the same names. Its weight norm calls g and v by other names; and it hears log10
mels as they are, ours less their middle, which the first layer's bias makes up for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from playground.families.speech.melgan.config import OFFICIAL, Config
from playground.families.speech.melgan.nets import MIDDLE, Generator

PARTS = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}


def official(state: Mapping[str, Tensor], config: Config | None = None) -> Generator:
    """The generator of a published state, for 80 mels at a hop of 256. Raises RuntimeError where it does not fit."""
    generator = Generator(config or Config(sample_rate=16_000, **OFFICIAL))
    generator.load_state_dict({renamed(name): tensor for name, tensor in state.items()})
    first: Any = generator.model[1]
    with torch.no_grad():  # w * (m - MIDDLE) + (b + MIDDLE sum w) = w * m + b
        first.bias.add_(MIDDLE * first.weight.sum((1, 2)))
    return generator


def renamed(name: str) -> str:
    """Our name of a published parameter: model.3.weight_g is model.3.parametrizations.weight.original0."""
    stem, _, last = name.rpartition(".")
    return f"{stem}.{PARTS.get(last, last)}"
