"""Quality: every bar of every registered family, measured on its shipped checkpoint and on the reference's.

A family's bars stand in `benchmarks/bars/NAME.py`. A figure that was measured before is taken from the cache; its key
is what the figure depends on: the checkpoint's weights, config and data, the code that measures, and the judge.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from playground import checkpoint, metrics, registry, signal
from playground.contract import DataMissing, Kind
from playground.metrics import digit_judge, frechet, manifolds, recognition, speech, spoken_digit_judge

SAMPLES = 10_000
TOLERANCE = 0.05
"""A family is no worse than its reference while it stays within this share of the reference's figure."""
MEASURES: dict[Kind, tuple[ModuleType, ...]] = {
    "image": (digit_judge, frechet, manifolds, recognition),
    "speech": (spoken_digit_judge, speech, recognition, signal),
}
"""The code that figures rest on beside a family's own; a cached figure is good while it stays as it is."""
JUDGES: dict[Kind, tuple[Path, ...]] = {
    "image": (digit_judge.FOLDER,),
    "speech": (spoken_digit_judge.FOLDER, spoken_digit_judge.SPEAKERS_FOLDER),
}


@dataclass(frozen=True)
class Bar:
    """One bar of a family.

    measure: (checkpoint, n) -> the figure; also run on the reference's checkpoint unless `ours_only`.
    target: the figure to reach; None where the family must be no worse than its reference, or nothing is asked.
    floor: n -> what real data gets under the same measure, or None where no such figure is known.
    preset: measured on what this preset trains on this machine instead of the shipped checkpoint.
    counts: whether `measure` heeds n; one that does not is cached once for all n.
    """

    name: str
    measure: Callable[[checkpoint.Checkpoint, int], float]
    better: Literal["lower", "higher"] = "lower"
    target: float | None = None
    no_worse_than_reference: bool = False
    floor: Callable[[int], float | None] | None = None
    ours_only: bool = False
    checkpoint: str = ""
    """Name of the shipped checkpoint; empty for the default one."""
    preset: str = ""
    counts: bool = True


@dataclass(frozen=True)
class Row:
    """A bar with its figures.

    n: samples drawn or test pictures read, 0 where the bar takes no number.
    met: whether the target is reached, None where nothing is asked or nothing is known.
    """

    family: str
    bar: str
    n: int
    figure: float | None
    reference: float | None
    floor: float | None
    target: str
    met: bool | None
    note: str = ""
    checkpoint: str = ""
    """Name of the shipped checkpoint that was measured; empty for the default one."""


def bars(name: str) -> Sequence[Bar]:
    """The bars of a family; empty where it has no file of them."""
    module = _module(name)
    return module.BARS if module else ()


def _module(name: str) -> ModuleType | None:
    dotted = f"benchmarks.bars.{name}"
    if importlib.util.find_spec(dotted) is None:
        return None
    return importlib.import_module(dotted)


def measure_all(names: Sequence[str], n: int, presets: bool, cache: Cache) -> Iterator[Row]:
    """A row for each bar of the named families. presets: also train the presets that have a bar of their own."""
    for name in names:
        found = bars(name)
        if not found:
            yield Row(name, "", n, None, None, None, "", None, f"has no benchmarks/bars/{name}.py")
        for bar in found:
            yield _row(name, bar, n, presets, cache)


def _row(name: str, bar: Bar, n: int, presets: bool, cache: Cache) -> Row:
    notes: list[str] = []
    figure = _figure(name, bar, n, "ours", presets, cache, notes)
    reference = None if bar.ours_only else _figure(name, bar, n, "reference", presets, cache, notes)
    floor = bar.floor(n) if bar.floor else None
    target, met = _verdict(bar, figure, reference)
    told = "; ".join(notes)
    asked = n if bar.counts else 0
    return Row(name, bar.name, asked, figure, reference, floor, target, met, told, bar.checkpoint)


def _verdict(bar: Bar, figure: float | None, reference: float | None) -> tuple[str, bool | None]:
    sign, limit = ("<=", bar.target) if bar.better == "lower" else (">=", bar.target)
    if limit is None and bar.no_worse_than_reference and reference is not None:
        limit = reference * (1 + TOLERANCE if bar.better == "lower" else 1 - TOLERANCE)
    if limit is None:
        return "no worse than reference" if bar.no_worse_than_reference else "", None
    met = None if figure is None else figure <= limit if bar.better == "lower" else figure >= limit
    return f"{sign} {limit:.4g}", met


def _figure(name: str, bar: Bar, n: int, side: str, presets: bool, cache: Cache, notes: list[str]) -> float | None:
    """The figure of one side, from the cache or measured; None, with a note, where it cannot be had."""
    folder = None if bar.preset else shipped(name, side, bar.checkpoint)
    if folder is None and not bar.preset:
        notes.append(f"no {side} checkpoint is shipped")
        return None
    subject = "" if folder is None else checkpoint_digest(folder)
    key = _preset_key(name, bar, n, side) if folder is None else _key(bar, n, name, subject)
    if key in cache.figures:
        return cache.figures[key]
    if bar.preset and not presets:
        notes.append(f"{side}: trained and measured only with --presets")
        return None
    began = time.monotonic()
    try:
        made = _trained(name, bar.preset, side) if folder is None else _loaded(folder, subject)
        with torch.inference_mode():
            figure = float(bar.measure(made, n))
    except DataMissing as error:
        notes.append(f"{side}: {error}")
        return None
    except Exception as error:  # one broken family must not cost the figures of the others; the command exits with 1
        traceback.print_exc()
        notes.append(f"{side} FAILED: {type(error).__name__}: {error}")
        return None
    cache.put(key, figure, f"{name}/{side}/{bar.name}", time.monotonic() - began)
    return figure


def shipped(name: str, side: str, wanted: str = "") -> Path | None:
    """The folder of a family's shipped checkpoint of that name, by default the first; None where there is none."""
    folders = checkpoint.shipped(name, side)
    return next((f for f in folders if not wanted or f.name == wanted), None)


@lru_cache(maxsize=4)
def _loaded(folder: Path, digest: str) -> checkpoint.Checkpoint:
    """The checkpoint, kept with its samples from bar to bar while its weights (the digest) stay the same."""
    return checkpoint.load(folder)


def _trained(name: str, preset: str, side: str) -> checkpoint.Checkpoint:
    """What a preset makes on this machine in its own time budget, through the driver."""
    from trainers.driver import drive
    from trainers.plans import job_from_preset
    from trainers.saving import run_checkpoint

    job = job_from_preset(name, preset, reference=side == "reference")
    with tempfile.TemporaryDirectory() as folder:
        for event in drive(job, Path(folder), autosave=60.0, report_every=30.0):
            if event["type"] == "progress":
                print(f"  {name} {preset} ({side}): step {event['step']} of {event['total']}", flush=True)
        return run_checkpoint(Path(folder))


# --- Samples --------------------------------------------------------------------------------------------------


_DRAWN: WeakKeyDictionary[checkpoint.Checkpoint, dict[str, tuple[Tensor, Tensor | None]]] = WeakKeyDictionary()
"""Samples by checkpoint and settings: a family's bars measure the same ones."""


def samples(made: checkpoint.Checkpoint, n: int, batch: int = 250, **options: Any) -> tuple[Tensor, Tensor | None]:
    """n pictures (n, C, H, W) of seed 0 with the classes asked for (n,), each class in turn; None where it takes none.

    options go to the model's `sample`.
    """
    drawn, key = _DRAWN.setdefault(made, {}), repr((n, batch, sorted(options.items())))
    if key not in drawn:
        drawn[key] = _draw(made, n, batch, options)
    return drawn[key]


@torch.inference_mode()
def _draw(made: checkpoint.Checkpoint, n: int, batch: int, options: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
    rng = torch.Generator().manual_seed(0)
    config = made.config
    conditional = bool(getattr(config, "classes", 0)) and getattr(config, "conditional", True)
    labels = torch.arange(n) % config.classes if conditional else None
    parts = []
    for first in range(0, n, batch):
        y = None if labels is None else labels[first : first + batch]
        parts.append(made.model.sample(min(batch, n - first), y, rng=rng, **options))  # type: ignore[operator]
    return torch.cat(parts), labels


def rfd(made: checkpoint.Checkpoint, n: int) -> float:
    return metrics.rfd(samples(made, n)[0])


def read_as_asked(made: checkpoint.Checkpoint, n: int) -> float:
    """Share read with over 0.95 confidence as the class asked for; as any digit where the model takes no class."""
    return metrics.recognisable(*samples(made, n)).share


def real_read(n: int) -> float:
    """The same share of real test pictures."""
    return float(metrics.statistics()["share_as_asked"])


def rfd_floor(n: int) -> float | None:
    """rFD of n real training pictures, where it is stored."""
    return metrics.rfd_floor(n) if n in frechet.FLOORS else None


# --- The cache ------------------------------------------------------------------------------------------------


class Cache:
    """Figures by key, in the user's cache folder: {key: {"figure", "what", "seconds"}}."""

    def __init__(self, path: Path | None = None, fresh: bool = False):
        self.path = path or cache_folder() / "benchmarks.json"
        self.entries: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            self.entries = json.loads(self.path.read_text(encoding="utf-8"))
        self.figures = {} if fresh else {key: entry["figure"] for key, entry in self.entries.items()}

    def put(self, key: str, figure: float, what: str, seconds: float) -> None:
        self.figures[key] = figure
        self.entries[key] = {"figure": figure, "what": what, "seconds": round(seconds, 1)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        draft.write_text(json.dumps(self.entries, indent=1), encoding="utf-8")
        draft.replace(self.path)


def cache_folder() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "generative-playground"


def checkpoint_digest(folder: Path) -> str:
    """SHA-256 over what a checkpoint computes with: weights, config and data, not its card, previews and history."""
    listing = checkpoint.verify_files(folder)
    described = "config.json" if "playground.json" not in listing else "playground.json"
    facts = json.loads((folder / described).read_text(encoding="utf-8"))
    ignored = ("README.md", "preview.", "snapshot-", described)
    parts: dict[str, Any] = {name: entry["sha256"] for name, entry in listing.items() if not name.startswith(ignored)}
    parts |= {"config": facts["config"], "data": facts["data"]}
    return _hash(parts)


def _key(bar: Bar, n: int, name: str, subject: str) -> str:
    module = _module(name)
    assert module is not None and module.__file__ is not None
    kind = registry.family(name).kind
    files = [Path(module.__file__), *(path for m in MEASURES[kind] for path in _files(m)), Path(__file__)]
    files += [folder / "files.json" for folder in JUDGES[kind]]
    return _hash([subject, bar.name, n if bar.counts else 0, [_content(path) for path in files]])


def _preset_key(name: str, bar: Bar, n: int, side: str) -> str:
    """What a preset's figure depends on: the preset, and the code of the family, its trainer and the driver."""
    from trainers import driver, run, saving

    trainer = registry.trainer(name)
    preset = next(asdict(p) for p in trainer.PRESETS if p.name == bar.preset)
    family = importlib.import_module(f"playground.families.{registry.family(name).kind}.{name}")
    modules = [trainer, driver, run, saving, family]
    if side == "reference":
        modules.append(registry.reference(name))
    return _key(bar, n, name, _hash([side, repr(preset), [_content(path) for m in modules for path in _files(m)]]))


def _files(module: ModuleType) -> list[Path]:
    """The file of a module, or all those of a package."""
    own = Path(str(module.__file__))
    return sorted(own.parent.glob("*.py")) if own.stem == "__init__" else [own]


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _hash(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


# --- Model cards ----------------------------------------------------------------------------------------------


def write_figures(folder: Path, side: str, figures: Mapping[str, float]) -> None:
    """Put the figures into a shipped checkpoint's description and model card; its weights stay as they are."""
    made = checkpoint.load(folder)
    described = "config.json" if side == "ours" else "playground.json"
    facts = json.loads((folder / described).read_text(encoding="utf-8"))
    facts["about"]["figures"] = dict(figures)
    made.about = checkpoint.About(**facts["about"])
    draft = folder.with_name(f".{folder.name}.draft-{os.getpid()}")
    shutil.copytree(folder, draft)
    (draft / described).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (draft / "README.md").write_text(checkpoint.model_card(made, side), encoding="utf-8")
    checkpoint.list_files(draft)
    checkpoint.replace_folder(draft, folder)
