"""Train a family from the command line.

    python -m trainers vae --dataset mnist --minutes 5
    python -m trainers vae --help                        every setting of the family, with its meaning
    python -m trainers vae --resume runs/vae-mnist-1     go on where it stopped, to the same result
    accelerate launch -m trainers vae --preset good      on several processes, GPUs or machines

Ctrl-C saves and says how to resume. Runs lie in `PLAYGROUND_RUNS`, by default in the user's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, fields
from pathlib import Path
from types import FrameType
from typing import Any

from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from tqdm import tqdm

from playground import registry
from playground.checkpoint import Damaged
from playground.contract import Told
from playground.data import folders
from trainers.driver import Control, drive
from trainers.plans import Job, job_from_preset, phase_fields
from trainers.run import part
from trainers.saving import export, saves

RANK = int(os.environ.get("RANK", "0"))
"""This process's place among those that `accelerate launch` started; the first alone speaks."""
WORLD = int(os.environ.get("WORLD_SIZE", "1"))
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    try:
        options, chosen = _parse(sys.argv[1:] if argv is None else list(argv))
        job, folder = _resumed(options, chosen) if options.resume else _fresh(options, chosen)
        return _train(job, folder, options.autosave)
    except (Told, registry.UnknownFamily, Damaged, OSError) as error:
        _say(f"{error}", sys.stderr)
        return 2


# --- What is asked for ----------------------------------------------------------------------------------------


def _parse(argv: list[str]) -> tuple[argparse.Namespace, dict[str, dict[str, Any]]]:
    """The options, and the Recipe and Config fields that were given: {"recipe": {...}, "config": {...}}."""
    first = _common(add_help=False)
    known, _ = first.parse_known_args(argv)
    if known.resume and not known.family:
        known.family = _described(Path(known.resume)).family
    parser = _common(add_help=True)
    if not known.family:
        parser.parse_args(argv)
        parser.error(f"which family? There are {', '.join(registry.families())}")
    kinds = _settings_of(known.family, known.reference)
    for title, kind in kinds.items():
        group = parser.add_argument_group(f"{title} of {known.family}{' (reference)' if known.reference else ''}")
        for f in _flags(kind):
            _add(group, f)
    options = parser.parse_args(argv)
    options.family = known.family
    given = vars(options)
    chosen = {
        title: {f.name: given[f.name] for f in _flags(kind) if given.get(f.name) is not None}
        for title, kind in kinds.items()
    }
    if "steps" not in {f.name for f in _flags(kinds["recipe"])} and options.steps:
        chosen["recipe"] |= _share(kinds["recipe"], options.steps)
    return options, chosen


def _common(add_help: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainers",
        description=__doc__ if add_help else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=add_help,
        allow_abbrev=False,
        conflict_handler="resolve",
    )
    add = parser.add_argument
    add("family", nargs="?", default="", help=f"one of {', '.join(registry.families())}")
    add("--preset", default=None, help="fast (default where no --dataset is given), good, shipped or broken")
    add("--dataset", default=None, help="digits, mnist, emoji:32, ...; without --preset: the recipe's own defaults")
    add("--minutes", type=float, default=None, help="time budget, turned into steps by timing the first ones")
    add("--steps", type=int, default=None, help="number of steps; phases share it in the recipe's proportion")
    add("--seed", type=int, default=None, help="equal seeds give equal results on one machine (default 0)")
    add("--reference", action="store_true", help="train the family's counterpart instead")
    add("--start", default=None, metavar="DIR", help="begin from this checkpoint's weights (fine-tuning)")
    add("--out", default=None, metavar="DIR", help="folder of the run (default: a new one in PLAYGROUND_RUNS)")
    add("--resume", default=None, metavar="DIR", help="go on with the run in this folder")
    add("--autosave", type=float, default=10.0, metavar="SECONDS", help="time between saves (default 10)")
    return parser


def _settings_of(family: str, reference: bool) -> dict[str, type]:
    module = registry.reference(family) if reference else None
    recipe = module.Recipe if module and hasattr(module, "train") else registry.trainer(family).Recipe
    return {"recipe": recipe, "config": module.Config if module else registry.family(family).Config}


def _flags(kind: type) -> list[Field[Any]]:
    """The fields that a person sets: not those that the data set decides."""
    return [f for f in fields(kind) if not f.metadata.get("fact")]


def _add(group: Any, f: Field[Any]) -> None:
    about = f.metadata
    text = about.get("text", {}).get("en", "").replace("%", "%%")
    bounds = f", {about['low']} to {about['high']}" if None not in (about.get("low"), about.get("high")) else ""
    details: dict[str, Any] = {"dest": f.name, "default": None, "help": f"{text} (default {f.default}{bounds})"}
    if isinstance(f.default, bool):
        details["action"] = argparse.BooleanOptionalAction
    else:
        details["type"] = _reader(f.default)
        details["choices"] = about.get("choices") or None
        details["metavar"] = None if about.get("choices") else type(f.default).__name__.upper()
    group.add_argument(f"--{f.name.replace('_', '-')}", **details)


def _reader(default: Any) -> Callable[[str], Any]:
    """Reads a value of the default's type; a tuple is written with commas."""
    if not isinstance(default, tuple):
        return type(default)
    of = type(default[0]) if default else str
    return lambda text: tuple(of(part) for part in text.split(",") if part)


def _share(recipe: type, steps: int) -> dict[str, int]:
    """`steps` divided among the counted phases, as the recipe's defaults divide theirs."""
    counted = {name: getattr(recipe(), name) for name in phase_fields(recipe())}
    return {name: max(1, round(steps * count / sum(counted.values()))) for name, count in counted.items()}


def _fresh(options: argparse.Namespace, chosen: dict[str, dict[str, Any]]) -> tuple[Job, Path]:
    changes: dict[str, Any] = {"reference": options.reference, **chosen}
    for name in ("dataset", "minutes", "seed", "start"):
        if (value := getattr(options, name)) is not None:
            changes[name] = value
    counts = phase_fields(_settings_of(options.family, options.reference)["recipe"]())
    if options.minutes is None and set(counts) & set(chosen["recipe"]):
        changes["minutes"] = 0.0  # steps that were asked for are not rescaled to the preset's time
    preset = options.preset or ("" if options.dataset else "fast")
    job = job_from_preset(options.family, preset, **changes) if preset else Job(options.family, **changes)
    folder = Path(options.out) if options.out else _new_folder(job)
    if not RANK and saves(folder):
        raise Told(f"{folder} already holds a run. Go on with it: {_command(job, folder)}")
    return job, folder


def _new_folder(job: Job) -> Path:
    side = "-reference" if job.reference else ""
    name = f"{job.family}{side}-{job.dataset.replace(':', '-')}-{time.strftime('%Y%m%d-%H%M%S')}"
    if WORLD > 1:  # each process has a clock of its own
        PartialState()
        name = broadcast_object_list([name], from_process=0)[0]
    return folders.runs() / name


def _resumed(options: argparse.Namespace, chosen: dict[str, dict[str, Any]]) -> tuple[Job, Path]:
    folder = Path(options.resume)
    job = _described(folder)
    asked = [name for part in chosen.values() for name in part]
    asked += [name for name in ("preset", "dataset", "minutes", "seed", "start", "out") if getattr(options, name)]
    if asked or options.family != job.family:
        wrong = asked[0] if asked else options.family
        raise Told(f"--resume goes on with the {job.family} run as it was set up; leave out {wrong!r}")
    return job, folder


def _described(folder: Path) -> Job:
    """The job of the run in a folder, from its newest readable save."""
    for save in saves(folder):
        try:
            return Job(**json.loads((save / "run.json").read_text(encoding="utf-8"))["job"])
        except (OSError, ValueError, KeyError, TypeError):  # a damaged save: an older one may be sound
            continue
    raise Told(f"{folder}: no saved run lies here")


# --- Training, with a progress bar ----------------------------------------------------------------------------


def _train(job: Job, folder: Path, autosave: float) -> int:
    control = Control()
    _stop_on_signals(control)
    last: dict[str, Any] = {}
    for event in _shown(drive(job, folder, control, autosave)):
        last = event
    if RANK:
        return 0
    _say(f"checkpoint: {export(folder, folder / 'checkpoint')}")
    if last["type"] == "stopped":
        _say(f"Saved at step {last['step']} of {last['total']}. Resume with:\n  {_command(job, folder)}")
        return INTERRUPTED if WORLD == 1 else 0
    return 0


def _stop_on_signals(control: Control) -> None:
    """The first Ctrl-C (or SIGTERM) stops after the step under way, with a save; a second one ends at once."""

    def stop(number: int, frame: FrameType | None) -> None:
        if control.stopping and number == signal.SIGINT and WORLD == 1:
            raise KeyboardInterrupt
        control.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _shown(events: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same events, told by a progress bar on the first process."""
    bar = tqdm(disable=RANK > 0, unit="step", dynamic_ncols=True, mininterval=0.1 if sys.stderr.isatty() else 10)
    with bar:
        for event in events:
            if event["type"] == "started":
                bar.reset(event["total"])
                bar.initial = event["step"]
            if event["type"] in ("started", "progress"):
                bar.set_description(event.get("phase", ""), refresh=False)
                values = {name: f"{value:.4g}" for name, value in event.get("values", {}).items()}
                bar.set_postfix(values, refresh=False)
                bar.update(event["step"] - bar.n)
            if event["type"] == "warning":
                bar.write(event["message"]["en"], file=sys.stderr)
            yield event


def _command(job: Job, folder: Path) -> str:
    launch = "accelerate launch (with the same options) -m" if WORLD > 1 else "python -m"
    side = " --reference" if job.reference else ""
    return f"{launch} trainers {job.family}{side} --resume {shlex.quote(str(folder))}"


def _say(text: str, file: Any = None) -> None:
    if not RANK:
        print(text, file=file or sys.stdout)


if __name__ == "__main__":
    part(main())
