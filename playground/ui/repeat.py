"""The same again from a terminal: a setting of the page as a command line and as Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playground import registry

if TYPE_CHECKING:
    from trainers.plans import Job


@dataclass(frozen=True)
class Repeat:
    command: str
    """One line for a shell."""
    python: str


def flag(name: str, value: Any, switch: bool = False) -> str:
    """`--name value`; with `switch`, a truth value is written `--name` or `--no-name`."""
    name = name.replace("_", "-")
    if switch and isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    text = ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
    return f"--{name}={shlex.quote(text)}" if text.startswith("-") else f"--{name} {shlex.quote(text)}"


def of_view(
    family: str,
    folder: Path,
    view: str,
    controls: Mapping[str, Any],
    generates: bool,
    files: Mapping[str, str] | None = None,
    vocoder: str = "",
) -> Repeat:
    """What draws a view of a checkpoint again. `files`: those that hold the pictures and recordings, by control.

    vocoder: what its mels are sounded by, "" for the usual.
    """
    files = files or {}
    place = shown_path(folder)
    parts = ["python -m playground generate", family, flag("checkpoint", place)]
    parts += [] if generates else [flag("view", view)]
    parts += [flag(name, value) for name, value in {**controls, **files}.items()]
    parts += [flag("vocoder", vocoder)] if vocoder else []
    command = " ".join([*parts, "--out pictures"])
    named = ", ".join(f"{name!r}: Path({file!r})" for name, file in files.items())
    python = (
        "from pathlib import Path\n"
        f"from playground import checkpoint, {'inputs, ' if files else ''}staging\n\n"
        f"made = checkpoint.load(Path({place!r}))\n"
        f"view = staging.view(made, {view!r})\n"
        f"values = {dict(controls)!r}\n"
        + (f"values |= inputs.read(view, made.info, {{{named}}})  # saved from the page\n" if files else "")
        + "outputs = staging.draw(view, made.model, made.config, staging.scene(made), values)\n"
        "print(outputs)  # plain data: see playground/contract.py; playground/drawing.py makes files of it\n"
    )
    return Repeat(command, python)


def of_job(job: Job) -> Repeat:
    """What trains a job again."""
    presets = {p.name: p for p in registry.trainer(job.family).PRESETS}
    preset = presets.get(job.preset)  # type: ignore[call-overload]
    recipe = _beyond(job.recipe, preset.recipe if preset else {})
    config = _beyond(job.config, preset.config if preset else {})
    parts = ["python -m trainers", job.family]
    parts += [flag("preset", job.preset)] if preset else []
    parts += [flag("dataset", job.dataset)] if preset is None or job.dataset != preset.dataset else []
    parts += [flag("minutes", job.minutes)] if job.minutes and (preset is None or job.minutes != preset.minutes) else []
    parts += [flag("seed", job.seed)] if job.seed else []
    parts += [flag(name, value, switch=True) for name, value in {**recipe, **config}.items()]
    python = (
        "from pathlib import Path\n"
        "from trainers.driver import drive\n"
        "from trainers.plans import Job\n\n"
        f"job = Job(family={job.family!r}, dataset={job.dataset!r}, preset={job.preset!r},\n"
        f"          recipe={dict(job.recipe)!r}, config={dict(job.config)!r},\n"
        f"          minutes={job.minutes!r}, seed={job.seed!r})\n"
        f"for event in drive(job, Path('runs/my-{job.family}')):\n"
        "    print(event)\n"
    )
    return Repeat(" ".join(parts), python)


def _beyond(settings: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in preset or preset[name] != value}


def shown_path(folder: Path) -> str:
    """The folder relative to the project or to where the program runs; its name alone where it lies elsewhere."""
    for base in (Path(__file__).resolve().parents[2], Path.cwd()):
        if folder.resolve().is_relative_to(base):
            return folder.resolve().relative_to(base).as_posix()
    return folder.name
