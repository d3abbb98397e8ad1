"""Files of one's own as the values of a view's picture, mask, drawing and recording controls, within bounds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from playground.contract import BadSetting, Control, DataInfo, View
from playground.data.archive import Entry, Skip, contents
from playground.data.imagefolder import LIMITS, open_picture
from playground.ui import media

KINDS = {
    "picture": "a picture",
    "mask": "a picture, light where the original is kept",
    "drawing": "a JSON list of [x, y] in [-1, 1]",
    "recording": "WAV, FLAC or OGG",
}
"""The kinds of control that a file fills, and what it holds."""


def read(view: View, info: DataInfo, files: dict[str, Path]) -> dict[str, Any]:
    """The values of the view's controls named in `files`, fitted to the model's data.

    A picture may be any that a data set may hold; a mask is a picture, light where the original is kept; a drawing is
    a JSON list of [x, y] in [-1, 1]; a recording is WAV, FLAC or OGG. Raises `BadSetting` naming the control and file.
    """
    known = {c.name: c for c in view.controls}
    return {name: _READERS[known[name].kind](known[name], info, view, path) for name, path in files.items()}


def _picture(control: Control, info: DataInfo, view: View, path: Path) -> Tensor:
    return _pixels(control, path, lambda image: media.fit_picture(image, info))


def _mask(control: Control, info: DataInfo, view: View, path: Path) -> Tensor:
    return _pixels(control, path, lambda image: media.fit_mask(image, info))


def _pixels(control: Control, path: Path, fit: Callable[[Image.Image], Tensor]) -> Tensor:
    """The picture in the file, upright, fitted. Raises `BadSetting`."""
    entry = _entry(control, path)
    try:
        image = ImageOps.exif_transpose(open_picture(entry, LIMITS))
        if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow's conversion would clip
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return fit(image)
    except Skip as error:
        raise _bad(control, path, error.text["en"], error.text["ko"]) from None
    except (OSError, SyntaxError, ValueError) as error:  # pixels that end too early, or a broken chunk
        raise _bad(control, path, f"it is damaged ({error})", f"손상된 파일입니다 ({error})") from None


def _drawing(control: Control, info: DataInfo, view: View, path: Path) -> Any:
    try:
        points = json.loads(_bytes(control, path))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise _bad(control, path, "it is not valid JSON", "올바른 JSON이 아닙니다") from None
    # By the interface's own reader, so that the same is allowed here and there.
    return _named(path, lambda: media.decode(view, info, {control.name: points})[control.name])


def _recording(control: Control, info: DataInfo, view: View, path: Path) -> Any:
    return _named(path, lambda: media.read_recording(control, info, _bytes(control, path)))


def _named(path: Path, read: Callable[[], Any]) -> Any:
    """What is read, its errors named after the file."""
    try:
        return read()
    except BadSetting as error:
        raise BadSetting(f"{path.name}: {error}", f"{path.name}: {error.text['ko']}") from None


_READERS = {"picture": _picture, "mask": _mask, "drawing": _drawing, "recording": _recording}


def _bytes(control: Control, path: Path) -> bytes:
    try:
        return contents(_entry(control, path), LIMITS.entry)
    except Skip as error:
        raise _bad(control, path, error.text["en"], error.text["ko"]) from None


def _entry(control: Control, path: Path) -> Entry:
    if not path.is_file():
        raise _bad(control, path, "there is no such file", "그런 파일이 없습니다")
    return Entry(path.name, path.stat().st_size, lambda: path.open("rb"))


def _bad(control: Control, path: Path, en: str, ko: str) -> BadSetting:
    return BadSetting(f"{control.name}: {path.name}: {en}", f"{control.label['ko']}: {path.name}: {ko}")
