"""What every family hands to the rest of the house: plain data, no behaviour of its own.

A family is three files: `families/KIND/NAME.py` (the model and its views), `trainers/NAME.py` (the recipe and
the loop) and `references/NAME.py` (the Hugging Face or other counterpart). Each file describes itself with the
classes below; the command line, the interface, the tests and the benchmarks read those descriptions and know no
family by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

Text: TypeAlias = dict[str, str]
"""A string a person sees, in each language of the interface: {"en": ..., "ko": ...}."""

Kind: TypeAlias = Literal["image", "speech"]


# --- Settings: the fields of a Config or a Recipe -------------------------------------------------------------


def knob(
    default: Any,
    en: str,
    ko: str,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[Any] = (),
    phase: str = "",
) -> Any:
    """A documented field of a `Config` or `Recipe` dataclass.

    The one description serves the command line (as the flag's help), the interface (as the control's label, in
    both languages) and the server-side check of values (`low`, `high`, `choices`). `phase` marks a Recipe field
    that counts the steps of a training phase of that name; `--minutes` scales such fields together.
    """
    about = {"text": {"en": en, "ko": ko}, "low": low, "high": high, "choices": tuple(choices), "phase": phase}
    return field(default=default, metadata=about)


def fact(default: Any, high: float | None = None) -> Any:
    """A field of a `Config` that the data set decides: `configure` fills it from the `DataInfo` field of that name."""
    about = {"low": 0 if high is not None else None, "high": high, "fact": True}
    return field(default=default, metadata=about)


class Told(Exception):
    """An error meant for the person who caused it: `str(error)` is English, `error.text` has every language."""

    def __init__(self, en: str, ko: str = ""):
        super().__init__(en)
        self.text: Text = {"en": en, "ko": ko or en}


class BadSetting(Told, ValueError):
    """A setting that cannot be used: the message names the field, the value and what is allowed."""


class DataMissing(Told, RuntimeError):
    """A data set that is not on this machine and cannot be had; the message says what to do."""


def check_settings(settings: Any) -> Any:
    """Return the Config or Recipe `settings` unchanged, or raise `BadSetting` naming the first bad field.

    Checks each field's type against its default's (an int passes for a float), its bounds and its choices.
    """
    for f in fields(settings):
        value: Any = getattr(settings, f.name)
        about = f.metadata
        wanted: type = type(f.default)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
            object.__setattr__(settings, f.name, value)
        if type(value) is not wanted:
            kind = type(value).__name__
            raise BadSetting(
                f"{f.name} = {value!r}: expected {wanted.__name__}, not {kind}",
                f"{f.name} = {value!r}: {kind}이(가) 아니라 {wanted.__name__} 값이어야 합니다",
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise BadSetting(
                f"{f.name} = {value!r}: expected a finite number", f"{f.name} = {value!r}: 유한한 수여야 합니다"
            )
        low, high, choices = about.get("low"), about.get("high"), about.get("choices") or ()
        if (low is not None and value < low) or (high is not None and value > high):
            raise BadSetting(
                f"{f.name} = {value!r}: must lie between {low} and {high}",
                f"{f.name} = {value!r}: {low} 이상 {high} 이하여야 합니다",
            )
        if choices and value not in choices:
            listed = ", ".join(map(repr, choices))
            raise BadSetting(
                f"{f.name} = {value!r}: must be one of {listed}",
                f"{f.name} = {value!r}: 다음 중 하나여야 합니다: {listed}",
            )
    return settings


# --- Data -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DataInfo:
    """What a checkpoint must know of its data set, so that the model works without it.

    `configure` copies each value here into the Config field declared by `fact` under the same name.
    """

    name: str
    channels: int = 1
    height: int = 1
    width: int = 1
    class_names: tuple[str, ...] = ()
    captioned: bool = False
    speakers: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    sample_rate: int = 0
    size: int = 0
    """Number of training examples."""
    credit: str = ""
    """Author and licence, for the model card."""

    @property
    def classes(self) -> int:
        return len(self.class_names)


class Data(Protocol):
    """A data set: `info`, a training part and a held-out part."""

    @property
    def info(self) -> DataInfo: ...

    @property
    def train(self) -> Examples: ...

    @property
    def test(self) -> Examples: ...


class Examples(Protocol):
    """One part of a data set. Pictures are `x` (N, C, H, W) uint8; `labels` (N,) int64 or None; `texts` or None.

    Of recordings `x[i]` is (T_i,) int16 at `rate` Hz, and there are `audio(i)` (T_i,) float32 in [-1, 1]; `speakers` (N,)
    int64 or None; `names`; `sounds`, for each recording its phones in time (`symbol`, `start`, `end` in seconds), or None.

    Some have more: `texts_ko`, the texts in Korean, "" where there is none; and `checker`, a program that tells whether a
    picture shows a text: (text, picture (C, H, W) in [0, 1]) -> bool.
    """

    @property
    def x(self) -> Any: ...

    @property
    def labels(self) -> Tensor | None: ...

    @property
    def texts(self) -> Sequence[str] | None: ...

    def __len__(self) -> int: ...

    def batch(self, indices: Tensor) -> Any:
        """The examples at `indices` as the model takes them: pictures as float32 in [0, 1] with their labels.

        Recordings are (x (B, T) float32 in [-1, 1], zeros after each end; lengths (B,); labels (B,) or None; speakers
        (B,) or None).
        """
        ...


# --- What a training loop yields ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """One report from a training loop.

    step: optimisation steps (or EM iterations) of this phase done so far, counted from 1.
    values: what to plot and print, by name, each a finite float with its unit in the name where it has one.
    phase: which part of the recipe this is; adversarial recipes report each player under its own name.
    whole: False where the step has a further part to come (the discriminator's half): nothing is saved there.
    """

    step: int
    values: Mapping[str, float]
    phase: str = "train"
    whole: bool = True


# --- What a view may show -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """A contact sheet. pictures: (N, C, H, W) float in [0, 1], C of 1 or 3; captions: one for each, or none."""

    pictures: Tensor
    captions: Sequence[str] = ()
    columns: int = 0
    """Pictures in a row; 0 chooses a nearly square sheet."""
    title: Text | None = None


@dataclass(frozen=True)
class Audio:
    """A recording. samples: (T,) float in [-1, 1]; rate in Hz."""

    samples: Tensor
    rate: int
    title: Text | None = None


@dataclass(frozen=True)
class Mel:
    """A log10-mel spectrogram (T, n_mels) of the one mel front end; the interface sounds it by a vocoder."""

    values: Tensor
    rate: int
    title: Text | None = None


@dataclass(frozen=True)
class World:
    """Parameters of the WORLD vocoder. f0 (T,) Hz, 0 where unvoiced; envelope and aperiodicity (T, bins)."""

    f0: Tensor
    envelope: Tensor
    aperiodicity: Tensor
    rate: int
    frame_ms: float = 5.0
    title: Text | None = None


@dataclass(frozen=True)
class Curve:
    """Lines over a common axis: series maps a name to (x, y), both (N,)."""

    series: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    x_label: Text
    y_label: Text
    title: Text | None = None
    style: Literal["line", "points", "bars"] = "line"


@dataclass(frozen=True)
class HeatMap:
    """A matrix (rows, columns) drawn as colours, row 0 at the top unless `origin` is "bottom".

    x_range, y_range: what the outer edges of the matrix stand for; without them the axes count cells from 0.
    """

    values: Tensor
    x_label: Text
    y_label: Text
    title: Text | None = None
    origin: Literal["top", "bottom"] = "top"
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Field:
    """Arrows and clouds of points in one square of the plane.

    places, vectors: (N, 2), an arrow from each place, the longest drawn as long as the places are apart.
    points: name -> (M, 2). vectors and clouds may have a leading axis of T moments, equal for all that have one: they
    are played once, and the last stays; what has no such axis stays the same throughout.
    """

    places: Tensor
    vectors: Tensor
    points: Mapping[str, Tensor]
    x_label: Text
    y_label: Text
    title: Text | None = None
    edge: float = 1.0
    """Both axes go from -edge to edge; what lies outside is not drawn."""

    @property
    def moments(self) -> int:
        return max([1, *(len(part) for part in (self.vectors, *self.points.values()) if part.ndim == 3)])

    def at(self, moment: int) -> Field:
        """The field as it stands at one of its moments."""
        still = lambda part: part[moment] if part.ndim == 3 else part
        points = {name: still(cloud) for name, cloud in self.points.items()}
        return replace(self, vectors=still(self.vectors), points=points)


@dataclass(frozen=True)
class Graph:
    """States and weighted arrows: nodes are names, edges (from, to, weight in [0, 1])."""

    nodes: Sequence[str]
    edges: Sequence[tuple[int, int, float]]
    title: Text | None = None


@dataclass(frozen=True)
class Table:
    """Rows under headings."""

    columns: Sequence[Text]
    rows: Sequence[Sequence[Any]]
    title: Text | None = None


@dataclass(frozen=True)
class Words:
    """A paragraph of plain text (no markup)."""

    text: Text


Output: TypeAlias = Sheet | Audio | Mel | World | Curve | HeatMap | Field | Graph | Table | Words


# --- Views ----------------------------------------------------------------------------------------------------

ControlKind: TypeAlias = Literal["number", "choice", "text", "seed", "picture", "mask", "drawing", "recording"]
"""Values as the view receives them: number float or int; choice one of its values; text str; seed int;
picture (C, H, W) float in [0, 1] fitted to the model's data, or None; mask (H, W) bool, True where kept, or None;
drawing (N, 2) points in [-1, 1], or None; recording `Audio` at the model's rate, or None."""


@dataclass(frozen=True)
class Control:
    """One input of a view, named as the keyword argument of `View.render` that it fills."""

    name: str
    kind: ControlKind
    label: Text
    default: Any = None
    low: float | None = None
    high: float | None = None
    """Of a number its bound, of a drawing the most points, of a recording the most seconds."""
    step: float | None = None
    choices: Callable[[Any, DataInfo], Sequence[tuple[Text, Any]]] | Sequence[tuple[Text, Any]] = ()
    """(label, value) pairs, or a function of the checkpoint's (config, data info) that gives them."""
    bounds: Callable[[Any, DataInfo], tuple[float, float]] | None = None
    """For a number whose range depends on the checkpoint: (config, info) -> (low, high)."""
    when: Callable[[Any, DataInfo], bool] | None = None
    """Shown, and passed to `render`, only where this holds for the checkpoint's (config, data info)."""

    def options(self, config: Any, info: DataInfo) -> list[tuple[Text, Any]]:
        return list(self.choices(config, info) if callable(self.choices) else self.choices)

    def range(self, config: Any, info: DataInfo) -> tuple[float | None, float | None]:
        return self.bounds(config, info) if self.bounds else (self.low, self.high)

    def shown(self, config: Any, info: DataInfo) -> bool:
        return self.when is None or self.when(config, info)


@dataclass(frozen=True)
class Scene:
    """What surrounds a view: everything but the model and the controls.

    rng: the only source of randomness a view may use (CPU generator, seeded by the `seed` control).
    info: the checkpoint's data set.
    examples: held-out examples, loaded when first called; raises `DataMissing` with advice where they are absent.
    snapshots: earlier states of the same training run, oldest first, as (step, model) made when iterated.
    """

    rng: torch.Generator
    info: DataInfo
    examples: Callable[[], Examples]
    snapshots: Sequence[Snapshot] = ()


@dataclass(frozen=True)
class Snapshot:
    """The model as it was after `step` steps; `load()` builds it."""

    step: int
    load: Callable[[], nn.Module]


def always(config: Any, info: DataInfo) -> bool:
    return True


@dataclass(frozen=True)
class View:
    """A look at a model: `render(model, scene, **controls)` yields outputs, each list replacing the last.

    A view that draws progressively yields several times. Every yield is the full list of outputs so far.
    """

    key: str
    """Short ASCII name for URLs and the command line."""
    name: Text
    about: Text
    """One sentence: what to look for."""
    controls: tuple[Control, ...]
    render: Callable[..., Iterator[list[Output]]]
    when: Callable[[Any, DataInfo], bool] = always
    """Whether the checkpoint has what the view needs (two latents, labels, a second speaker, ...)."""
    live: bool = False
    """Drawn beside the generated samples while a model trains (the generating view always is)."""


# --- Presets, references, families ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Preset:
    """A named recipe: what a person chooses before pressing Train. The trainer's file lists them."""

    name: Literal["fast", "good", "shipped", "broken"]
    about: Text
    """What to expect; for `broken`, which classic failure it shows and why it happens."""
    dataset: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    minutes: float = 0.0
    """Time budget that sets the number of steps on this machine; 0 keeps the recipe's own steps."""


@dataclass(frozen=True)
class HubModel:
    """A pretrained model on the Hugging Face hub: an optional second reference."""

    repo: str
    size_mb: int
    about: Text
    load: str
    """Dotted name of a function () -> model with the family's generating verb."""


@dataclass(frozen=True)
class Reference:
    """The counterpart of a family in a well-known library; `references/NAME.py` holds it.

    module: dotted name of the module. It defines `Config`, `Model` (an nn.Module with the family's verbs),
    `save(model, folder)` and `load(folder) -> Model` in the library's native format, and, where the family's
    own `train` does not fit it, its own `Recipe` and `train`. `IN_CONFIG` names parts of the model's state that the
    library keeps among its settings, not its weights.
    """

    title: Text
    library: str
    """Distribution name, for the version shown: "diffusers", "scikit-learn"."""
    cls: str
    """Dotted name of the real class that loads the checkpoint."""
    module: str
    about: Text
    """How the counterpart differs, in a sentence or two."""
    hub: HubModel | None = None
    vocodes: bool = False
    """Its model has `vocode(mel, rng)`: the interface offers it wherever mels are sounded (see `playground/sounding.py`)."""


@dataclass(frozen=True)
class Family:
    """One model family, as its file describes it."""

    name: str
    kind: Kind
    title: Text
    idea: Text
    """One sentence a newcomer understands."""
    paper: str
    """Authors (year), title, arXiv id or journal."""
    Config: type
    Model: Callable[[Any], nn.Module]
    trains_on: tuple[str, ...]
    """Of "images", "labelled images", "captioned images", "points", "labelled speech", "speech and text", "two speakers"."""
    views: tuple[View, ...]
    """The first one generates."""
    reference: Reference
    unit: Text = field(default_factory=lambda: {"en": "steps", "ko": "스텝"})
    """What a step of training is called."""
    snapshots: int = 0
    """How many earlier states of a run to keep for the views that look back at it."""


def configure(config_type: type, info: DataInfo, **overrides: Any) -> Any:
    """A `Config` for a data set: the fields declared by `fact` are filled from it, then `overrides`.

    Raises `BadSetting` for an unknown field or a value out of bounds.
    """
    names = {f.name for f in fields(config_type)}
    unknown = sorted(set(overrides) - names)
    if unknown:
        listed = ", ".join(sorted(names))
        raise BadSetting(
            f"{unknown[0]}: no such setting; there are {listed}", f"{unknown[0]}: 없는 설정입니다. 있는 설정: {listed}"
        )
    facts = {f.name: getattr(info, f.name) for f in fields(config_type) if f.metadata.get("fact")}
    return check_settings(config_type(**{**facts, **overrides}))
