"""A small model of any family, and checkpoints of it, without naming the family."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from playground import checkpoint as checkpoints
from playground import data, registry
from playground.checkpoint import About, Checkpoint
from playground.contract import Data, DataInfo, Examples, Family, Progress, configure
from playground.data import Recordings
from trainers.plans import Job, job_from_preset, phase_fields, plan
from trainers.run import Run

EMBEDDED = {
    "images": "digits",
    "labelled images": "digits",
    "captioned images": "shapes",
    "points": "moons",
    "labelled speech": "espeak_digits",
    "two speakers": "espeak_digits",
    "speech and text": "espeak",
}
"""What a family may ask for, and a set of it that is always there."""
COLOUR = "shapes"
"""Coloured pictures, for the views that grey ones do not have."""


def embedded(family: Family) -> list[str]:
    """The embedded sets that the family trains on; a family of others brings its fast preset's, where it is there."""
    found = list(dict.fromkeys(EMBEDDED[kind] for kind in family.trains_on if kind in EMBEDDED))
    present = {listing.name for listing in data.catalogue() if listing.present}
    fast = job_from_preset(family.name, "fast").dataset
    return found or [fast] * (fast.partition(":")[0] in present)


@cache
def load(name: str) -> Data:
    return data.load(name)


@dataclass(frozen=True, eq=False)
class Few:
    """The first `n` of some examples."""

    whole: Examples
    n: int

    @property
    def x(self) -> Any:
        return self.whole.x[: self.n]

    @property
    def labels(self) -> Tensor | None:
        return None if self.whole.labels is None else self.whole.labels[: self.n]

    @property
    def texts(self) -> Any:
        return None if self.whole.texts is None else self.whole.texts[: self.n]

    def __len__(self) -> int:
        return self.n

    def batch(self, indices: Tensor) -> Any:
        return self.whole.batch(indices)


@dataclass(frozen=True)
class FewData:
    """A data set cut down to a handful of training examples."""

    info: DataInfo
    train: Examples
    test: Examples


def few(dataset: str, n: int) -> FewData:
    data: Any = load(dataset)
    if isinstance(data.train, Recordings):  # these have more to them than every part has
        return FewData(data.info, data.train.select(range(min(n, len(data.train)))), data.test.select(range(n // 4)))
    return FewData(data.info, Few(data.train, n), data.test)


def job(family: str, dataset: str, steps: int = 20, **changes: Any) -> Job:
    """The family's fast preset at so many steps a phase, on the data set: its nets are small."""
    recipe = registry.reference(family) if changes.get("reference") else registry.trainer(family)
    kind = getattr(recipe, "Recipe", registry.trainer(family).Recipe)
    short = dict.fromkeys(phase_fields(kind()), steps)
    known = {f.name for f in fields(kind)}
    batch = {name: n for name, n in {"batch_size": 16, "crop": 256}.items() if name in known}
    return job_from_preset(
        family, "fast", dataset=dataset, minutes=0.0, recipe={**short, **batch, **changes.pop("recipe", {})}, **changes
    )


def model(family: Family, dataset: str, seed: int = 0, **changes: Any) -> Checkpoint:
    """An untrained model with the fast preset's architecture for the data set, or one changed from it."""
    torch.manual_seed(seed)
    info = load(dataset).info
    config = configure(family.Config, info, **{**job_from_preset(family.name, "fast").config, **changes})
    about = About(dataset=dataset, hardware="tests", figures={"loss": 1.5})
    return Checkpoint(family.name, family.Model(config).eval(), config, info, about)


def trained(family: Family, dataset: str, **changes: Any) -> Checkpoint:
    """The same after three steps on 64 examples."""
    data = few(dataset, 64)
    short = job(family.name, dataset, steps=3, config=changes)
    built, loop = course(short, data)
    for _ in loop:
        pass
    return Checkpoint(family.name, built.eval(), plan(short, data).config, data.info, About(dataset=dataset))


def reference(family: Family, dataset: str) -> Checkpoint:
    """The untrained counterpart with its own defaults."""
    torch.manual_seed(0)
    module, info = registry.reference(family.name), load(dataset).info
    made = Checkpoint(family.name, nn.Identity(), configure(module.Config, info), info, About(dataset=dataset))
    made.model, made.side = module.Model(made.config).eval(), "reference"
    return made


def course(job: Job, data: Data | None = None) -> tuple[nn.Module, Iterator[Progress]]:
    """A model and the bare generator that trains it: no driver, no files."""
    planned = plan(job, data or load(job.dataset))
    torch.manual_seed(job.seed)
    run = Run(job.seed, getattr(planned.recipe, "batch_size", 1))
    built = planned.build(planned.config)
    built.train()
    return built, planned.train(built, planned.data, planned.recipe, run)


def save_both(family: Family, dataset: str, folder: Path) -> dict[str, Path]:
    """Checkpoint folders of both sides."""
    return {
        "ours": checkpoints.save(folder / "ours", model(family, dataset)),
        "reference": checkpoints.save_reference(folder / "reference", reference(family, dataset)),
    }


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)


def damage(folder: Path, how: str) -> None:
    """Harm the weights in a judge's or checkpoint's folder: "flip" a bit, "truncate", "remove", or leave "unlisted"."""
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    if how == "flip":
        content[len(content) // 2] ^= 1
        weights.write_bytes(content)
    elif how == "truncate":
        weights.write_bytes(content[:-10])
    elif how == "remove":
        weights.unlink()
    else:
        manifest = json.loads((folder / "files.json").read_text())
        del manifest["model.safetensors"]
        (folder / "files.json").write_text(json.dumps(manifest))
