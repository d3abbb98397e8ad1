"""Runs the views: checks the controls' raw values, sets the scene, and draws without gradients.

The interface, the command line, the comparison and the previews of training all go through here, so a setting
means the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from playground import registry
from playground.checkpoint import Checkpoint
from playground.contract import Audio, BadSetting, Control, DataInfo, Examples, Family, Output, Scene, Snapshot, View

MAX_SEED = 2**31 - 1
MAX_TEXT = 2000


def generating_view(family: Family, reference: bool = False) -> View:
    """The view that generates: the family's first, unless the reference module brings a `VIEW` of its own."""
    if reference:
        return getattr(registry.reference(family.name), "VIEW", family.views[0])
    return family.views[0]


def views(checkpoint: Checkpoint) -> list[View]:
    """The views that this checkpoint has what it takes for."""
    if checkpoint.side == "reference":
        return [generating_view(registry.family(checkpoint.family), reference=True)]
    return [v for v in registry.family(checkpoint.family).views if v.when(checkpoint.config, checkpoint.info)]


def view(checkpoint: Checkpoint, key: str = "") -> View:
    """The view of that key, by default the generating one. Raises `BadSetting`."""
    found = {v.key: v for v in views(checkpoint)}
    if key and key not in found:
        listed = ", ".join(found)
        raise BadSetting(f"view = {key!r}: this checkpoint has {listed}", f"view = {key!r}: 있는 보기: {listed}")
    return found[key] if key else next(iter(found.values()))


def resolve(view: View, config: Any, info: DataInfo, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Checked values for every control of `view` that this checkpoint shows; missing ones take their default.

    Raw values may be strings (from a URL or a command line). Raises `BadSetting` naming the control.
    """
    known = {c.name for c in view.controls}
    unknown = sorted(set(raw) - known)
    if unknown:
        listed = ", ".join(sorted(known))
        raise BadSetting(
            f"{unknown[0]}: no such control; there are {listed}", f"{unknown[0]}: 없는 항목입니다. 있는 항목: {listed}"
        )
    shown = [c for c in view.controls if c.shown(config, info)]
    return {c.name: _checked(c, config, info, raw.get(c.name)) for c in shown}


def _checked(control: Control, config: Any, info: DataInfo, value: Any) -> Any:
    if value is None or (value == "" and control.kind != "text"):
        value = default(control, config, info)
    check = {"number": _number, "seed": _seed, "choice": _choice, "text": _text}.get(control.kind, _media)
    return check(control, config, info, value)


def default(control: Control, config: Any, info: DataInfo) -> Any:
    """The control's default for this checkpoint, inside its range and among its choices."""
    if control.kind == "choice":
        values = [value for _, value in control.options(config, info)]
        return control.default if control.default in values else values[0]
    if control.kind == "number":
        low, high = control.range(config, info)
        value = control.default
        value = value if low is None else max(low, value)
        return value if high is None else min(high, value)
    return 0 if control.kind == "seed" and control.default is None else control.default


def _number(control: Control, config: Any, info: DataInfo, value: Any) -> float | int:
    low, high = control.range(config, info)
    whole = isinstance(control.default, int)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise _bad(control, value, "expected a number", "수여야 합니다") from None
    if not math.isfinite(number) or (whole and number != int(number)):
        raise _bad(control, value, f"expected a {'whole' if whole else 'finite'} number", "올바른 수가 아닙니다")
    if (low is not None and number < low) or (high is not None and number > high):
        raise _bad(control, value, f"must lie between {low} and {high}", f"{low} 이상 {high} 이하여야 합니다")
    return int(number) if whole else number


def _seed(control: Control, config: Any, info: DataInfo, value: Any) -> int:
    try:
        number = float(value)
        seed = int(number)
    except (TypeError, ValueError, OverflowError):
        raise _bad(control, value, "expected a whole number", "정수여야 합니다") from None
    if seed != number or not 0 <= seed <= MAX_SEED:
        raise _bad(control, value, f"must lie between 0 and {MAX_SEED}", f"0 이상 {MAX_SEED} 이하여야 합니다")
    return seed


def _choice(control: Control, config: Any, info: DataInfo, value: Any) -> Any:
    found = offered(control, config, info, value)
    if found:
        return found[0]
    listed = ", ".join(str(v) for _, v in control.options(config, info))
    raise _bad(control, value, f"must be one of {listed}", f"다음 중 하나여야 합니다: {listed}")


def offered(control: Control, config: Any, info: DataInfo, value: Any) -> list[Any]:
    """The values of a choice that `value` is, itself or by its words in some language; empty where there is none."""
    return [
        v
        for words, v in control.options(config, info)
        if v == value or (isinstance(value, str) and value in (str(v), *words.values()))
    ]


def _text(control: Control, config: Any, info: DataInfo, value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _bad(control, value, f"expected at most {MAX_TEXT} characters", f"{MAX_TEXT}자 이하의 글이어야 합니다")
    return value


def _media(control: Control, config: Any, info: DataInfo, value: Any) -> Any:
    """Pictures, masks, drawings and recordings arrive decoded; here only their kind is checked."""
    wanted = Audio if control.kind == "recording" else Tensor
    if value is not None and not isinstance(value, wanted):
        raise _bad(control, value, f"expected a {control.kind}", "파일을 읽을 수 없습니다")
    return value


def _bad(control: Control, value: Any, en: str, ko: str) -> BadSetting:
    shown = repr(value)[:60]
    return BadSetting(f"{control.name} = {shown}: {en}", f"{control.label['ko']} = {shown}: {ko}")


def scene(checkpoint: Checkpoint, snapshots: list[Snapshot] | None = None) -> Scene:
    """The surroundings of a view of a checkpoint; its data set is loaded only if the view asks for examples."""

    def examples() -> Examples:
        from playground.data import load

        return load(checkpoint.about.dataset).test

    found = checkpoint.snapshots() if snapshots is None else snapshots
    return Scene(torch.Generator(), checkpoint.info, examples, found)


def render(view: View, model: nn.Module, config: Any, scene: Scene, raw: Mapping[str, Any]) -> Iterator[list[Output]]:
    """The view's outputs as they come, computed without gradients; each list replaces the last.

    Raises `BadSetting` before anything is computed, `DataMissing` where the view needs an absent data set.
    """
    controls = resolve(view, config, scene.info, raw)
    seeds = [controls.pop(c.name) for c in view.controls if c.kind == "seed" and c.name in controls]
    scene.rng.manual_seed(seeds[0] if seeds else 0)
    with torch.inference_mode():
        outputs = view.render(model, scene, **controls)
    while True:
        with torch.inference_mode():  # entered for each step: a generator may be resumed on another thread
            made = next(outputs, None)
        if made is None:
            return
        yield made


def draw(view: View, model: nn.Module, config: Any, scene: Scene, raw: Mapping[str, Any]) -> list[Output]:
    """The view's last outputs."""
    *_, made = render(view, model, config, scene, raw)
    return made
