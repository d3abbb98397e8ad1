"""What to train: a job in plain values, and the plan it becomes when everything is looked up."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from torch import nn

from playground import registry
from playground.contract import BadSetting, Data, Family, Progress, check_settings, configure


@dataclass(frozen=True)
class Job:
    """A training, described in plain values: the same description repeats it anywhere."""

    family: str
    dataset: str
    preset: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Recipe fields that differ from their defaults."""
    config: Mapping[str, Any] = field(default_factory=dict)
    minutes: float = 0.0
    """Time budget; it is turned into a number of steps by timing the first ones. 0 keeps the recipe's steps."""
    seed: int = 0
    reference: bool = False
    """Train the family's counterpart instead, with the same recipe and data."""
    start: str = ""
    """Checkpoint folder to begin from (fine-tuning), or empty to begin from scratch."""


@dataclass(frozen=True)
class Plan:
    """A `Job` with everything looked up: who trains, on what, how."""

    job: Job
    family: Family
    data: Data
    config: Any
    recipe: Any
    build: Callable[[Any], nn.Module]
    train: Callable[..., Generator[Progress]]


def job_from_preset(family: str, preset: str, **changes: Any) -> Job:
    """The job that a preset of the family's trainer describes, with `changes` to its fields on top.

    `recipe` and `config` changes are merged into the preset's. Raises `BadSetting` for an unknown preset.
    """
    presets = {p.name: p for p in registry.trainer(family).PRESETS}
    if preset not in presets:
        listed = ", ".join(presets)
        raise BadSetting(f"preset = {preset!r}: {family} has {listed}", f"preset = {preset!r}: 있는 프리셋: {listed}")
    chosen = presets[preset]
    merged = {
        "dataset": chosen.dataset,
        "minutes": chosen.minutes,
        **changes,
        "recipe": {**chosen.recipe, **changes.get("recipe", {})},
        "config": {**chosen.config, **changes.get("config", {})},
    }
    return Job(family=family, preset=preset, **merged)


def plan(job: Job, data: Data | None = None) -> Plan:
    """Look a job up and check its settings. Raises `UnknownFamily`, `BadSetting`, `DataMissing` or `BadData`."""
    from playground.data import load

    family = registry.family(job.family)
    trainer = registry.trainer(job.family)
    chosen: Data = data or load(job.dataset)
    module: Any = registry.reference(job.family) if job.reference else None
    config_type = module.Config if module else family.Config
    own_loop = module is not None and hasattr(module, "train")
    recipe_type = module.Recipe if own_loop else trainer.Recipe
    config = configure(config_type, chosen.info, **_known(config_type, job.config, strict=module is None))
    recipe = _settings(recipe_type, _known(recipe_type, job.recipe, strict=not own_loop))
    return Plan(
        job=job,
        family=family,
        data=chosen,
        config=config,
        recipe=recipe,
        build=module.Model if module else family.Model,
        train=module.train if own_loop else trainer.train,
    )


def _known(kind: type, values: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    """The values that `kind` has fields for; with `strict`, an unknown one raises `BadSetting`."""
    names = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - names)
    if unknown and strict:
        listed = ", ".join(sorted(names))
        raise BadSetting(
            f"{unknown[0]}: no such setting; there are {listed}", f"{unknown[0]}: 없는 설정입니다. 있는 설정: {listed}"
        )
    # Described in JSON, a tuple has become a list.
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in names}


def _settings(kind: type, values: Mapping[str, Any]) -> Any:
    return check_settings(kind(**values))


def phase_fields(recipe: Any) -> dict[str, str]:
    """Recipe field -> phase, for the fields that count steps (see `knob`)."""
    return {f.name: f.metadata["phase"] for f in fields(recipe) if f.metadata.get("phase")}


def total_steps(recipe: Any) -> int:
    """Steps of all phases together; a recipe that counts none (a closed form) has one."""
    return 1 if not phase_fields(recipe) else sum(getattr(recipe, name) for name in phase_fields(recipe))


def describe(plan: Plan) -> dict[str, Any]:
    """A plan as JSON: enough to rebuild the model and to train on."""
    return {
        "job": asdict(plan.job),
        "config": asdict(plan.config),
        "recipe": asdict(plan.recipe),
        "data": asdict(plan.data.info),
    }
