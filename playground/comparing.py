"""Ours and the reference side by side: the same view, seed and controls, and a table of what each of them cost.

Used by the interface's Compare tab and by `python -m playground compare`.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playground import checkpoint as checkpoints
from playground import drawing, registry, sounding, staging
from playground.checkpoint import Checkpoint
from playground.contract import Audio, DataInfo, Family, Mel, Output, Sheet, Table, Text, Told, View, World

SIDES = ("ours", "reference")
TITLES: dict[str, Text] = {
    "ours": {"en": "Written here", "ko": "이 프로젝트의 구현"},
    "reference": {"en": "Reference", "ko": "참조 구현"},
}
QUICK = 1.0
"""A drawing that takes less than this many seconds is timed a second time, when everything is warm."""
ABSENT = "–"


@dataclass(frozen=True)
class Side:
    """One side of a comparison: what it drew, and how long a sample took."""

    name: str
    checkpoint: Checkpoint
    outputs: list[Output]
    seconds: float
    """Of drawing one sample."""


def open_side(family: str, side: str, folder: Path | None = None) -> Checkpoint:
    """The side's checkpoint, by default the one that is shipped. Raises `Told` where there is none, or `Damaged`."""
    if folder is None:
        found = checkpoints.shipped(family, side)
        if not found:
            title = registry.family(family).title
            raise Told(
                f"There is no {side} checkpoint of {title['en']} to compare.",
                f"비교할 {title['ko']} 체크포인트({TITLES[side]['ko']})가 없습니다.",
            )
        folder = found[0]
    return checkpoints.load(folder)


def draw_side(name: str, checkpoint: Checkpoint, raw: Mapping[str, Any]) -> Side:
    """The generating view of a checkpoint with those of the raw controls that it has; timed. Raises `BadSetting`."""
    view = staging.generating_view(registry.family(checkpoint.family), reference=checkpoint.side == "reference")
    values = settings(view, checkpoint.config, checkpoint.info, raw, lenient=checkpoint.side == "reference")
    outputs: list[Output] = []
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        outputs = staging.draw(view, checkpoint.model, checkpoint.config, staging.scene(checkpoint), values)
        seconds = time.perf_counter() - began
        if seconds > QUICK:
            break
    return Side(name, checkpoint, outputs, seconds / samples(outputs))


def settings(view: View, config: Any, info: DataInfo, raw: Mapping[str, Any], lenient: bool) -> dict[str, Any]:
    """Those of the raw controls that a side has. lenient: a choice that it does not offer is left to its default.

    The controls shown are ours; a sampler, say, that the reference does not know need not stop the comparison.
    """
    known = {c.name: c for c in view.controls if c.shown(config, info)}
    return {
        name: value
        for name, value in raw.items()
        if name in known
        and not (lenient and known[name].kind == "choice" and not staging.offered(known[name], config, info, value))
    }


def samples(outputs: list[Output]) -> int:
    """How many pictures or recordings the outputs hold; at least 1."""
    heard = (Audio, Mel, World)
    return max(1, sum(len(o.pictures) if isinstance(o, Sheet) else isinstance(o, heard) for o in outputs))


def compare(family: str, raw: Mapping[str, Any] | None = None) -> list[Side]:
    """Both sides of a family's shipped checkpoints. Raises `Told`, `BadSetting` or `Damaged`."""
    return [draw_side(side, open_side(family, side), raw or {}) for side in SIDES]


# --- The table ------------------------------------------------------------------------------------------------


def table(family: Family, sides: list[Side]) -> Table:
    """What each side is and what it cost: a row a fact, a column a side."""
    columns: list[Text] = [{"en": "", "ko": ""}, *(TITLES[s.name] for s in sides)]
    facts = [_facts(family, side) for side in sides]
    figures = list(dict.fromkeys(name for side in sides for name in side.checkpoint.about.figures))
    rows: list[list[Any]] = [[label, *(each[i][1] for each in facts)] for i, (label, _) in enumerate(facts[0])]
    rows += [[name, *(side.checkpoint.about.figures.get(name, ABSENT) for side in sides)] for name in figures]
    rows.append([{"en": "Configuration", "ko": "구성"}, *(_config(side.checkpoint) for side in sides)])
    return Table(columns, rows)


def _facts(family: Family, side: Side) -> list[tuple[Text, Any]]:
    about, model = side.checkpoint.about, side.checkpoint.model
    learnt = sum(p.numel() for p in model.parameters()) or sum(b.numel() for b in model.buffers())
    return [
        ({"en": "Class", "ko": "클래스"}, _class_name(family, side)),
        ({"en": "Library", "ko": "라이브러리"}, _library(family, side)),
        ({"en": "Parameters", "ko": "매개변수"}, learnt),
        ({"en": "Data", "ko": "데이터"}, side.checkpoint.info.name),
        ({"en": "Training (minutes)", "ko": "학습 시간(분)"}, round(about.seconds / 60, 2)),
        ({"en": "Examples seen", "ko": "학습에 쓴 예"}, about.examples),
        ({"en": "Hardware", "ko": "하드웨어"}, about.hardware or ABSENT),
        ({"en": "Seconds a sample, here", "ko": "표본당 시간(초), 여기서"}, side.seconds),
    ]


def _class_name(family: Family, side: Side) -> str:
    made = type(side.checkpoint.model)
    return family.reference.cls if side.name == "reference" else f"{made.__module__}.{made.__qualname__}"


def _library(family: Family, side: Side) -> str:
    library = "torch" if side.name == "ours" else family.reference.library
    try:
        return f"{library} {importlib.metadata.version(library)}"
    except importlib.metadata.PackageNotFoundError:
        return library


def _config(checkpoint: Checkpoint) -> str:
    return ", ".join(f"{name} {value}" for name, value in asdict(checkpoint.config).items())


# --- Files ----------------------------------------------------------------------------------------------------


def write(
    family: Family, sides: list[Side], out: Path, settings: Mapping[str, Any], vocoder: str | None = None
) -> list[Path]:
    """The outputs of each side as pictures and recordings, and the table as Markdown; returns the files."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for side in sides:
        for i, output in enumerate(side.outputs):
            name = side.name if i == 0 else f"{side.name}-{i + 1}"
            meta = {"family": family.name, "side": side.name, **settings}
            if isinstance(output, Sheet):
                written.append(_write(out / f"{name}.png", drawing.sheet_png(output, meta)))
            elif isinstance(output, (Audio, Mel, World)):
                heard = output if isinstance(output, Audio) else sounding.sound(output, vocoder)
                written.append(_write(out / f"{name}.wav", drawing.wav_bytes(heard, meta)))
    written.append(_write(out / "comparison.md", markdown(table(family, sides)).encode()))
    return written


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def markdown(made: Table, language: str = "en") -> str:
    def cell(value: Any) -> str:
        text = value[language] if isinstance(value, Mapping) else f"{value:.4g}" if isinstance(value, float) else value
        return str(text).replace("|", "\\|")

    lines = ["| " + " | ".join(cell(c) for c in made.columns) + " |", "|" + "---|" * len(made.columns)]
    lines += ["| " + " | ".join(cell(c) for c in row) + " |" for row in made.rows]
    return "\n".join(lines) + "\n"


# --- The hub's pretrained model -------------------------------------------------------------------------------


def hub_present(family: Family) -> bool:
    """Whether the family's pretrained model lies in the hub's cache on this machine."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        return family.reference.hub is not None and any(
            repo.repo_id == family.reference.hub.repo for repo in scan_cache_dir().repos
        )
    except CacheNotFound:
        return False


def hub_side(family: Family, raw: Mapping[str, Any]) -> list[Output]:
    """What the hub's pretrained model draws, downloaded if need be. Raises `Told` where it cannot be had."""
    import importlib

    import torch

    from playground.contract import Scene

    hub = family.reference.hub
    if hub is None:
        title = family.title
        raise Told(f"{title['en']} has no pretrained model.", f"{title['ko']}에는 사전 학습 모델이 없습니다.")
    module, _, function = hub.load.rpartition(".")
    try:
        model = getattr(importlib.import_module(module), function)()
    except OSError as error:  # what huggingface_hub raises without a network, and for files it does not have
        raise Told(
            f"{hub.repo} is not on this machine and could not be downloaded ({hub.size_mb} MB): {error}",
            f"{hub.repo} 모델이 이 컴퓨터에 없고 내려받을 수도 없었습니다({hub.size_mb} MB): {error}",
        ) from error
    view = staging.generating_view(family, reference=True)
    config, info = getattr(model, "config", None), getattr(model, "info", DataInfo(name=hub.repo))

    def none() -> Any:
        raise Told("The pretrained model has no data set here.", "사전 학습 모델에는 데이터가 없습니다.")

    values = settings(view, config, info, raw, lenient=True)
    return staging.draw(view, model, config, Scene(torch.Generator(), info, none), values)
