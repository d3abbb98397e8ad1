"""Outputs of views as files: PNG, SVG, WAV, text, or arrays for another program."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image, ImageDraw

from playground import comparing, drawing, sounding
from playground.batches import Batch
from playground.contract import Audio, Curve, Family, Field, Graph, HeatMap, Mel, Output, Sheet, Table, Told, World

FORMATS = ("png", "npy", "wav")


class Writer(Protocol):
    """Takes batches as they are whole; `written` names the finished files."""

    written: list[Path]

    def add(self, batch: Batch, n: int) -> None:
        """Write one of the batches that hold `n` samples together."""
        ...


@contextmanager
def opened(
    out: Path, name: str, form: str | None, settings: Mapping[str, Any], vocoder: str | None = None
) -> Iterator[Writer]:
    """A writer into the folder `out`. Files of arrays are there only once they are whole. `vocoder` sounds mels."""
    out.mkdir(parents=True, exist_ok=True)
    if form != "npy":
        yield Files(out, name, form, settings, vocoder)
        return
    arrays = Arrays(out, settings)
    try:
        yield arrays
        arrays.finish()
    finally:
        arrays.clear()


class Files:
    """A file for each output, named after the view and numbered where there are several; mels are heard, too."""

    def __init__(self, out: Path, name: str, form: str | None, settings: Mapping[str, Any], vocoder: str | None = None):
        self.out, self.name, self.form, self.settings, self.vocoder = out, name, form, settings, vocoder
        self.written: list[Path] = []
        self.outputs = 0

    def add(self, batch: Batch, n: int) -> None:
        made = [(o, [kind for kind in kinds(o) if self.form in (None, kind)]) for o in batch.outputs]
        if not any(wanted for _, wanted in made):
            drawn = ", ".join(dict.fromkeys(kind for o in batch.outputs for kind in kinds(o)))
            raise Told(
                f"--format {self.form}: this view draws no {self.form}; it draws {drawn}",
                f"--format {self.form}: 이 보기의 결과는 {drawn} 형식입니다",
            )
        settings = {**self.settings, **plain(batch.settings)}
        for output, wanted in made:
            number = f"-{self.outputs + 1}" if self.outputs else ""
            self.outputs += bool(wanted)
            for kind in wanted:
                path = self.out / f"{self.name}{number}.{kind}"
                shown = output
                if kind == "wav" and isinstance(output, (Mel, World)):
                    shown = sounding.sound(output, self.vocoder, settings.get("seed", 0))
                path.write_bytes(encoded(shown, settings))
                self.written.append(path)


def kinds(output: Output) -> tuple[str, ...]:
    """The kinds of file that suit an output: one, and of what stands for sound also the sound."""
    return (suffix(output), "wav") if isinstance(output, (Mel, World)) else (suffix(output),)


def suffix(output: Output) -> str:
    """The kind of file that suits an output."""
    if isinstance(output, (Sheet, HeatMap, Mel, World)):
        return "png"
    if isinstance(output, Audio):
        return "wav"
    return "svg" if isinstance(output, (Curve, Field, Graph)) else "md" if isinstance(output, Table) else "txt"


def encoded(output: Output, settings: Mapping[str, Any]) -> bytes:
    """The file of an output, `settings` kept in pictures and recordings."""
    if isinstance(output, Sheet):
        return drawing.sheet_png(output, settings)
    if isinstance(output, (HeatMap, Mel, World)):
        return drawing.heat_map_png(output, settings)
    if isinstance(output, Audio):
        return drawing.wav_bytes(output, settings)
    if isinstance(output, Curve):
        return drawing.curve_svg(output).encode()
    if isinstance(output, Field):
        return drawing.field_svg(output).encode()
    if isinstance(output, Graph):
        return drawing.graph_svg(output).encode()
    return (comparing.markdown(output) if isinstance(output, Table) else output.text["en"] + "\n").encode()


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a line of text can hold: no pictures, no recordings."""
    return {k: v for k, v in settings.items() if v is None or isinstance(v, (str, int, float, bool))}


class Arrays:
    """samples.npy, float32 in [0, 1]: (N, H, W), or (N, C, H, W) in colour; labels.npy (N,) int64; settings.json."""

    def __init__(self, out: Path, settings: Mapping[str, Any]):
        self.out, self.settings = out, dict(settings)
        self.written: list[Path] = []
        self.filled = 0
        self.arrays: dict[str, np.memmap] = {}

    def add(self, batch: Batch, n: int) -> None:
        sheet = next((o for o in batch.outputs if isinstance(o, Sheet)), None)
        if sheet is None:
            kinds = ", ".join(type(o).__name__ for o in batch.outputs)
            raise Told(
                f"--format npy: this view draws no pictures, but {kinds}",
                f"--format npy: 이 보기는 그림이 아니라 {kinds} 결과를 냅니다",
            )
        x = sheet.pictures.detach().float().clamp(0, 1).cpu().numpy()
        x = x[:, 0] if x.shape[1] == 1 else x
        if not self.arrays:
            self.settings |= plain(batch.settings)
            n = len(x) if n <= batch.size else n  # one batch: whatever the view draws
            self._open("samples", (n, *x.shape[1:]), "float32")
            if batch.labels is not None and len(batch.labels) == len(x):
                self._open("labels", (n,), "int64")
        rows = slice(self.filled, self.filled + len(x))
        self.arrays["samples"][rows] = x
        if "labels" in self.arrays and batch.labels is not None:
            self.arrays["labels"][rows] = batch.labels.numpy()
        self.filled += len(x)

    def _open(self, name: str, shape: tuple[int, ...], kind: str) -> None:
        self.arrays[name] = np.lib.format.open_memmap(self._draft(name), "w+", kind, shape)

    def _draft(self, name: str) -> Path:
        return self.out / f".{name}-{os.getpid()}.part"

    def finish(self) -> None:
        """Give the files their names. Raises RuntimeError where the view drew another number than asked for."""
        for array in self.arrays.values():
            if self.filled != len(array):
                raise RuntimeError(f"the view drew {self.filled} samples where {len(array)} were asked for")
            array.flush()
        for name in self.arrays:
            self.written.append(self._draft(name).replace(self.out / f"{name}.npy"))
        if "labels" not in self.arrays:
            (self.out / "labels.npy").unlink(missing_ok=True)  # of an earlier call: they are not these samples'
        path = self.out / "settings.json"
        path.write_text(json.dumps({**self.settings, "n": self.filled}, indent=1, ensure_ascii=False) + "\n", "utf-8")
        self.written.append(path)

    def clear(self) -> None:
        for name in self.arrays:
            self._draft(name).unlink(missing_ok=True)


# --- Comparisons ----------------------------------------------------------------------------------------------

GAP, HEADING = 24, 22


def comparison(family: Family, sides: Sequence[comparing.Side], out: Path, settings: Mapping[str, Any]) -> list[Path]:
    """The two sides' first pictures in one PNG, ours on the left, and the table as JSON."""
    table = comparing.table(family, list(sides))
    columns = [column["en"] for column in table.columns]
    rows = [[cell["en"] if isinstance(cell, dict) else cell for cell in row] for row in table.rows]
    path = out / "comparison.json"
    path.write_text(json.dumps({"columns": columns, "rows": rows}, indent=1, ensure_ascii=False) + "\n", "utf-8")
    titles = {"ours": family.title["en"], "reference": family.reference.title["en"]}
    sheets = [(titles[s.name], o) for s in sides for o in s.outputs[:1] if isinstance(o, Sheet)]
    if len(sheets) < len(sides):
        return [path]
    metadata = {"family": family.name, "sides": [side.name for side in sides], **settings}
    picture = out / "comparison.png"
    picture.write_bytes(drawing.png_bytes(_side_by_side(sheets), metadata))
    return [picture, path]


def _side_by_side(sheets: Sequence[tuple[str, Sheet]]) -> Image.Image:
    """Contact sheets from left to right, each under its title."""
    images = [(title, drawing.sheet_image(sheet)) for title, sheet in sheets]
    width = sum(image.width for _, image in images) + GAP * (len(images) - 1)
    joined = Image.new("RGBA", (width, HEADING + max(image.height for _, image in images)))
    pen, left = ImageDraw.Draw(joined), 0
    for title, image in images:
        pen.text((left, 0), title, fill=drawing.GREY, font=drawing.font(16))
        joined.paste(image, (left, HEADING))
        left += image.width + GAP
    return joined
