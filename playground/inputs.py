"""Files of one's own as the values of a view's picture, mask, drawing and recording controls, within bounds."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from torch import Tensor

from playground.contract import BadSetting, Control, DataInfo, View
from playground.data.imagefolder import LIMITS, Entry, Skip, contents, open_picture
from playground.ui import media

KINDS = ("picture", "mask", "drawing", "recording")
"""The kinds of control that a file fills."""


def read(view: View, info: DataInfo, files: dict[str, Path]) -> dict[str, Any]:
    """The values of the view's controls named in `files`, fitted to the model's data.

    A picture may be any that a data set may hold; a mask is a picture, light where the original is kept; a drawing is
    a JSON list of [x, y] in [-1, 1]; a recording is WAV, FLAC or OGG. Raises `BadSetting` naming the control and file.
    """
    known = {c.name: c for c in view.controls}
    return {name: _READERS[known[name].kind](known[name], info, view, path) for name, path in files.items()}


def _picture(control: Control, info: DataInfo, view: View, path: Path) -> Tensor:
    entry = _entry(control, path)
    try:
        image = ImageOps.exif_transpose(open_picture(entry, LIMITS))
        if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow's conversion would clip
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        return media.fit_picture(image, info)
    except Skip as error:
        raise _bad(control, path, error.text["en"], error.text["ko"]) from None
    except (OSError, SyntaxError, ValueError) as error:  # pixels that end too early, or a broken chunk
        raise _bad(control, path, f"it is damaged ({error})", f"손상된 파일입니다 ({error})") from None


def _mask(control: Control, info: DataInfo, view: View, path: Path) -> Tensor:
    return _picture(control, info, view, path).mean(0) > 0.5


def _drawing(control: Control, info: DataInfo, view: View, path: Path) -> Any:
    try:
        points = json.loads(_bytes(control, path))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise _bad(control, path, "it is not valid JSON", "올바른 JSON이 아닙니다") from None
    return _as_from_the_page(control, info, view, path, points)


def _recording(control: Control, info: DataInfo, view: View, path: Path) -> Any:
    data = base64.b64encode(_bytes(control, path)).decode()
    return _as_from_the_page(control, info, view, path, f"data:audio/wav;base64,{data}")


def _as_from_the_page(control: Control, info: DataInfo, view: View, path: Path, value: Any) -> Any:
    """Decoded by the interface's own reader, so that the same is allowed here and there."""
    try:
        return media.decode(view, info, {control.name: value})[control.name]
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
