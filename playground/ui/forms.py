"""What the page's forms are made from: plain descriptions of fields, derived from the contract.

The page builds its inputs from these (page/fields.js), which keeps fifteen tabs light. The server trusts nothing that
comes back: view controls are checked by `staging.resolve`, settings by `check_settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from playground import registry, sounding, staging
from playground.contract import Control, DataInfo, Family, Preset, Text, View
from playground.data.corpus import RATE
from playground.data.imagefolder import LIMITS
from playground.data.speech import WORDS as WORDS_OF_DIGITS
from playground.ui import media
from playground.ui.glossary import named
from playground.ui.words import WORDS

IN_SIGHT = 2
"""Controls of the generating view that stand in sight; the rest wait in a closed part."""
MAX_FIELDS = 64
SAYING_SECONDS = 1.8
"""How long a person has for a digit that the page asks for."""

PRESET_NAMES: dict[str, Text] = {
    "fast": {"en": "Fast", "ko": "빠르게"},
    "good": {"en": "Good", "ko": "좋게"},
    "shipped": {"en": "As shipped", "ko": "제공본처럼"},
    "broken": {"en": "Broken on purpose", "ko": "일부러 망가뜨림"},
}

Described = dict[str, Any]


# --- Views ----------------------------------------------------------------------------------------------------


def view_form(view: View, config: Any, info: DataInfo) -> Described:
    """A view's inputs for one checkpoint."""
    shown = [c for c in view.controls if c.shown(config, info)]
    return {
        "key": view.key,
        "name": view.name,
        "about": view.about,
        "fields": [control_field(c, config, info) for c in shown],
    }


def control_field(control: Control, config: Any, info: DataInfo) -> Described:
    """A control as the page draws it."""
    field: Described = {"name": control.name, "kind": control.kind, "label": control.label}
    if control.kind in ("number", "seed", "choice", "text"):
        field["default"] = staging.default(control, config, info)
    if control.kind == "number":
        low, high = control.range(config, info)
        whole = isinstance(control.default, int)
        field |= {"low": low, "high": high, "whole": whole, "step": control.step or (1 if whole else None)}
    elif control.kind == "seed":
        field |= {"low": 0, "high": staging.MAX_SEED, "whole": True, "step": 1}
    elif control.kind == "choice":
        field["options"] = [[_translated(text), value] for text, value in control.options(config, info)]
    elif control.kind in ("picture", "mask"):
        field |= {"size": [info.height, info.width], "channels": info.channels, "most": LIMITS.area}
    elif control.kind == "drawing":
        field["most"] = media.most_points(control)
    elif control.kind == "recording":
        field |= {"rate": info.sample_rate, "most": media.most_seconds(control)}
    if control.kind in media.SUFFIXES:
        field["file"] = media.file_name(control)
    return field


def vocoder_field() -> Described:
    """The choice of what sounds mels, as the page draws it."""
    return {
        "name": "vocoder",
        "kind": "choice",
        "label": {"en": "Mel spectrograms are sounded by", "ko": "멜 스펙트로그램을 소리로 바꾸는 방법"},
        "default": sounding.GRIFFIN_LIM,
        "options": [[v.title, v.key] for v in sounding.vocoders()],
    }


# --- Training settings ----------------------------------------------------------------------------------------


def settings_form(family: Family, catalogue: list[Any]) -> Described:
    """The presets, data sets and settings of a family's training."""
    trainer = registry.trainer(family.name)
    offered = [d for d in catalogue if set(d.offers) & set(family.trains_on)]
    return {
        "family": family.name,
        "presets": [_preset(p) for p in trainer.PRESETS],
        "datasets": [_dataset(d) for d in offered],
        "own": own_kind(family),
        "prompts": prompts(family),
        "recipe": knob_fields(trainer.Recipe),
        "config": knob_fields(family.Config),
    }


def own_kind(family: Family) -> str:
    """What people may bring of their own for the family to train on: "pictures", "recordings", or "" for neither."""
    wanted = set(family.trains_on)
    if wanted & {"images", "labelled images", "captioned images"}:
        return "pictures"
    return "recordings" if wanted & {"labelled speech", "two speakers", "speech and text"} else ""


def prompts(family: Family) -> Described | None:
    """What a person is asked to say for recordings of their own, None where the family learns no classes of speech."""
    if not {"labelled speech", "two speakers"} & set(family.trains_on):
        return None
    return {"words": list(WORDS_OF_DIGITS), "seconds": SAYING_SECONDS, "rate": RATE, "others": "spoken_digits"}


def _preset(preset: Preset) -> Described:
    return {
        "name": preset.name,
        "label": PRESET_NAMES[preset.name],
        "about": preset.about,
        "dataset": preset.dataset,
        "minutes": preset.minutes,
        "recipe": dict(preset.recipe),
        "config": dict(preset.config),
    }


def _dataset(listing: Any) -> Described:
    return {
        "name": listing.name,
        "label": listing.title,
        "about": listing.about,
        "megabytes": 0 if listing.present else listing.download_mb,
        "absent": not listing.present,
    }


def knob_fields(kind: type) -> list[Described]:
    """The documented fields of a Config or Recipe; what the data set decides is left out."""
    return [_knob(f) for f in fields(kind) if not f.metadata.get("fact") and "text" in f.metadata]


def _knob(f: Field[Any]) -> Described:
    about, default = f.metadata, f.default
    assert default is not MISSING, f"{f.name} has no default"
    field: Described = {"name": f.name, "label": about["text"], "default": default}
    if about["choices"]:
        return field | {"kind": "choice", "options": [[named(str(c)), c] for c in about["choices"]]}
    if isinstance(default, bool):
        return field | {"kind": "choice", "options": [[WORDS["no"], False], [WORDS["yes"], True]]}
    if isinstance(default, (int, float)):
        whole = isinstance(default, int)
        bounds = {"low": about["low"], "high": about["high"], "whole": whole, "counts": bool(about["phase"])}
        return field | {"kind": "number", "plain": True} | bounds
    if isinstance(default, tuple):
        return field | {"kind": "text", "default": ", ".join(map(str, default))}
    return field | {"kind": "text"}


def _translated(text: Text) -> Text:
    """A label that is the same in both languages may be a name that has a Korean one."""
    return named(text["en"]) if text["en"] == text["ko"] else text


def changed(kind: type, raw: Any) -> dict[str, Any]:
    """The settings of a raw mapping, each of the kind its default has where that can be had without doubt.

    Values keep whatever else is wrong with them: `check_settings` says what.
    """
    if not isinstance(raw, Mapping) or len(raw) > MAX_FIELDS:
        return {}
    defaults = {f.name: f.default for f in fields(kind) if "text" in f.metadata}
    return {str(name): _like(value, defaults.get(str(name))) for name, value in raw.items()}


def _like(value: Any, default: Any) -> Any:
    if isinstance(default, tuple) and isinstance(value, str):
        of = type(default[0]) if default else str
        try:
            return tuple(of(part) for part in value.replace(",", " ").split())
        except ValueError:
            return value
    wants_int = isinstance(default, int) and not isinstance(default, bool)
    return int(value) if wants_int and isinstance(value, float) and value.is_integer() else value
