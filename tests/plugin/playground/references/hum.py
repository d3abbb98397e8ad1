"""The counterpart of the hum: the same with another activation, kept as plain safetensors."""

from __future__ import annotations

from pathlib import Path

import torch
from playground.families.speech.hum import Config as Config
from playground.families.speech.hum import Hum
from safetensors.torch import save_file

from playground import checkpoint


class Model(Hum):
    activation = staticmethod(torch.relu)


def save(model: Model, folder: Path) -> None:
    save_file(model.state_dict(), folder / "model.safetensors")


def load(folder: Path, config: Config) -> Model:
    model = Model(config)
    model.load_state_dict(checkpoint.read_state(folder / "model.safetensors", model.state_dict()))
    return model
