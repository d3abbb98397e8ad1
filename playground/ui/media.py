"""Pictures, masks, drawings and recordings that come from the page, decoded within bounds."""

from __future__ import annotations

import base64
import binascii
import io
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from playground.contract import Audio, BadSetting, Control, DataInfo, View
from playground.data import sounds
from playground.data.archive import Skip

MAX_PICTURE = 2_000_000
"""Bytes of an encoded picture; the page sends pictures of at most 512 pixels a side."""
MAX_SIDE = 2048
MAX_RECORDING = 8_000_000
MAX_SECONDS = 60.0
MAX_POINTS = 5_000
SUFFIXES = {"picture": ".png", "mask": ".png", "drawing": ".json", "recording": ".wav"}
"""Of the file in which the page saves what a control holds."""
_DATA_URL = re.compile(r"data:[a-z]+/[a-z0-9.+-]+(?:;[a-z]+=[a-z0-9-]+)*;base64,", re.IGNORECASE)


def decode(view: View, info: DataInfo, raw: Any) -> dict[str, Any]:
    """Raw values from the page with the media among them decoded; names the view does not know are dropped.

    Raises `BadSetting` naming the control.
    """
    if not isinstance(raw, Mapping):
        return {}
    decoders = {"picture": _picture, "mask": _mask, "drawing": _drawing, "recording": _recording}
    values = {}
    for control in view.controls:
        value = raw.get(control.name)
        if control.name not in raw:
            continue
        if control.kind in decoders:
            values[control.name] = decoders[control.kind](control, info, value) if value else None
        elif value is None or isinstance(value, (str, int, float, bool)):
            values[control.name] = value
        else:
            raise _bad(control, "expected a single value", "값 하나여야 합니다")
    return values


def plain(view: View, raw: Any) -> dict[str, Any]:
    """The values that can be repeated from a line of text: no pictures, no recordings."""
    if not isinstance(raw, Mapping):
        return {}
    kinds = {c.name: c.kind for c in view.controls}
    return {k: v for k, v in raw.items() if kinds.get(k) in ("number", "choice", "text", "seed")}


def files(view: View, raw: Any) -> dict[str, str]:
    """The names of the files in which the page saves what the view's other controls hold, by control."""
    if not isinstance(raw, Mapping):
        return {}
    return {c.name: file_name(c) for c in view.controls if c.kind in SUFFIXES and raw.get(c.name)}


def file_name(control: Control) -> str:
    return control.name + SUFFIXES[control.kind]


def most_points(control: Control) -> int:
    return min(MAX_POINTS, int(control.high or MAX_POINTS))


def most_seconds(control: Control) -> float:
    return min(MAX_SECONDS, control.high or MAX_SECONDS)


def fit_picture(image: Image.Image, info: DataInfo) -> Tensor:
    """The image as the model takes it, (C, H, W) float in [0, 1]: cut to the aspect from its middle, then resized."""
    image = image.convert("RGBA")
    ground = Image.new("RGBA", image.size, (0, 0, 0, 255) if info.channels == 1 else (255, 255, 255, 255))
    flat = Image.alpha_composite(ground, image).convert("L" if info.channels == 1 else "RGB")
    fitted = ImageOps.fit(flat, (info.width, info.height), Image.Resampling.LANCZOS)
    values = torch.from_numpy(np.asarray(fitted, dtype=np.float32).copy()) / 255
    return values[None] if values.ndim == 2 else values.permute(2, 0, 1).contiguous()


def fit_mask(image: Image.Image, info: DataInfo) -> Tensor:
    """(H, W) bool, fitted as a picture is: True where the image is light; what is transparent is not kept."""
    return fit_picture(image, replace(info, channels=1))[0] > 0.5


def _picture(control: Control, info: DataInfo, value: Any) -> Tensor:
    data = _bytes(control, value, MAX_PICTURE)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"]) as image:
            if max(image.size) > MAX_SIDE:
                raise _bad(control, f"more than {MAX_SIDE} pixels a side", f"한 변이 {MAX_SIDE}픽셀을 넘습니다")
            return fit_picture(ImageOps.exif_transpose(image), info)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, BadSetting):
            raise
        raise _bad(control, "not a picture that can be read", "읽을 수 있는 사진이 아닙니다") from None


def _mask(control: Control, info: DataInfo, value: Any) -> Tensor:
    """A string of H x W characters, "1" where the picture is kept."""
    n = info.height * info.width
    if not isinstance(value, str) or len(value) != n or set(value) - {"0", "1"}:
        raise _bad(control, f"expected {n} zeros and ones", f"0과 1이 {n}개여야 합니다")
    return torch.tensor([c == "1" for c in value]).view(info.height, info.width)


def _drawing(control: Control, info: DataInfo, value: Any) -> Tensor:
    """A list of [x, y] in [-1, 1]."""
    most = most_points(control)
    if not isinstance(value, list) or len(value) > most:
        raise _bad(control, f"expected at most {most} points", f"점은 {most}개까지입니다")
    points = [p for p in value if isinstance(p, list) and len(p) == 2 and all(_is_unit(c) for c in p)]
    if len(points) != len(value):
        raise _bad(control, "each point must be two numbers in [-1, 1]", "각 점은 [-1, 1]의 두 수여야 합니다")
    return torch.tensor(points, dtype=torch.float32).view(-1, 2)


def _is_unit(c: Any) -> bool:
    return isinstance(c, (int, float)) and not isinstance(c, bool) and math.isfinite(c) and -1 <= c <= 1


def _recording(control: Control, info: DataInfo, value: Any) -> Audio:
    return read_recording(control, info, _bytes(control, value, MAX_RECORDING))


def read_recording(control: Control, info: DataInfo, data: bytes) -> Audio:
    """WAV, FLAC or OGG, mixed to one channel and resampled to the model's rate. Raises `BadSetting`."""
    try:
        samples, rate = sounds.decode(io.BytesIO(data), most_seconds(control))
    except Skip as reason:
        raise _bad(control, reason.text["en"], reason.text["ko"]) from None
    wanted = info.sample_rate or rate
    samples = sounds.at_rate(np.nan_to_num(samples).clip(-1, 1), rate, wanted)
    return Audio(torch.from_numpy(samples).clamp(-1, 1), wanted)


def _bytes(control: Control, value: Any, most: int) -> bytes:
    """The bytes of a data URL."""
    header = _DATA_URL.match(value) if isinstance(value, str) else None
    if header is None or len(value) > most * 4 // 3 + 100:
        raise _bad(control, f"expected a file of at most {most // 1_000_000} MB", "파일이 너무 크거나 잘못되었습니다")
    try:
        return base64.b64decode(value[header.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise _bad(control, "the file arrived damaged", "파일이 손상되었습니다") from None


def _bad(control: Control, en: str, ko: str) -> BadSetting:
    return BadSetting(f"{control.name}: {en}", f"{control.label['ko']}: {ko}")
