"""A plug-in for the tests: the families from outside the house, put on the path from a temporary folder."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from playground import registry
from playground.contract import Data
from playground.data.sets import SETS
from trainers.driver import Control, drive
from trainers.plans import Job, job_from_preset

ROOT = Path(__file__).parents[1]
PACKAGES = ("playground.families.image", "playground.families.speech", "playground.references", "trainers")
FAMILIES, OWN_SETS = ("sketch", "hum", "whistle"), ("blots", "hums")


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a person would put on the PYTHONPATH."""
    return Path(shutil.copytree(Path(__file__).parent / "plugin", tmp_path_factory.mktemp("plugin") / "package"))


@pytest.fixture(scope="module")
def hum(package: Path) -> Iterator[Path]:
    with installed(package):
        yield package


@contextmanager
def installed(package: Path) -> Iterator[None]:
    """The package as if this process, and those it starts, had begun with it on the PYTHONPATH."""
    before, known = os.environ.get("PYTHONPATH"), set(sys.modules)
    sys.path.insert(0, str(package))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(package), str(ROOT), *filter(None, [before])])
    for name in PACKAGES:
        importlib.import_module(name).__path__.append(str(package / name.replace(".", "/")))
    registry._scan.cache_clear()
    yield
    sys.path.remove(str(package))
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before
    for name in PACKAGES:
        sys.modules[name].__path__.remove(str(package / name.replace(".", "/")))
    for name in [n for n in set(sys.modules) - known if n.split(".")[-1] in FAMILIES]:
        parent, _, leaf = name.rpartition(".")
        delattr(sys.modules[parent], leaf)
        del sys.modules[name]
    for name in OWN_SETS:
        SETS.pop(name, None)
    registry._scan.cache_clear()


def hum_job(**changes: Any) -> Job:
    """Five iterations of EM and twenty steps, unless the changes say otherwise."""
    settings = {"steps": 20, **changes.pop("recipe", {})}
    return replace(job_from_preset("hum", "fast", recipe=settings), **changes)


def run(job: Job, folder: Path, stop_after: int = 0, data: Data | None = None, **options: Any) -> list[dict[str, Any]]:
    """The events of a training, every step of it; stopped as a person would after so many reports."""
    control, events, reports = Control(), [], 0
    for event in drive(job, folder, control, report_every=0, data=data, **options):
        events.append(event)
        reports += event["type"] == "progress"
        if stop_after and reports == stop_after:
            control.stop()
    return events


def curve(events: list[dict[str, Any]]) -> list[tuple[int, str, dict[str, float]]]:
    return [(e["step"], e["phase"], e["values"]) for e in events if e["type"] == "progress"]


def newest(folder: Path) -> Path:
    return max(folder.glob("save-*"), key=lambda p: int(p.name[5:]))


def same_state(a: Path, b: Path) -> bool:
    """Whether the newest saves hold the same weights, optimiser, average and random state, bit for bit."""
    return all(
        (newest(a) / name).read_bytes() == (newest(b) / name).read_bytes()
        for name in ("model.safetensors", "state.safetensors")
    )
