"""Pictures out of a zip or a folder that anybody may have made, within bounds.

Four layouts are understood, each also inside one outer folder: plain pictures; a folder for each class; `train` and
`test` (or `validation`) folders with either inside; and Hugging Face's imagefolder, whose `metadata.csv` gives a
`text` for each `file_name`. A picture that cannot be used is named in the report and left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from statistics import median

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from playground.contract import Text
from playground.data.archive import ARCHIVES, Bounds, Entry, Report, Skip, check, contents, layout, natural, opened
from playground.data.pictures import BadData, ImageData, Pictures, image_data, split

SIDES = (16, 28, 32, 64)
"""Sides in pixels that a set may be given where the caller names none: the nearest to its pictures' own."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM")  # Pillow's small, well-fuzzed decoders; "PPM" reads PGM too


@dataclass(frozen=True)
class Limits(Bounds):
    """What pictures may ask of this machine beyond that. Areas in pixels."""

    area: int = 50_000_000
    """One picture: a telephone takes 12 to 50 million pixels."""
    areas: int = 4_000_000_000
    """All pictures: a minute or two of decoding."""
    pixels: int = 256_000_000
    """All pictures as kept, in bytes."""


LIMITS = Limits()


def read(
    path: Path,
    name: str,
    side: int | None = None,
    credit: str = "",
    limits: Limits = LIMITS,
    progress: Callable[[float], None] = lambda fraction: None,
    korean: Callable[[str], str] | None = None,
) -> tuple[ImageData, Report]:
    """The pictures under `path`, a zip or a folder, cropped to squares of `side` pixels, and what became of each file.

    The pictures are grey (C = 1) if every one is, coloured otherwise; what is transparent becomes white. Without a
    test folder a fixed tenth is held out, of each class alike. `progress` is told the fraction done; `korean` gives
    the Korean caption for the name of a captioned picture. Raises `BadData` where fewer than two pictures are left,
    where a limit is passed, and where `path` is neither zip nor folder.
    """
    with closing(opened(path, limits)) as source:
        skipped: list[tuple[str, Text]] = []
        entries = sorted(source.entries(skipped), key=lambda entry: natural(entry.name))
        texts, entries = read_texts(entries, skipped, limits)
        side = side or natural_side(entries, limits)
        kept = list(_decoded(entries, side, limits, skipped, progress))
    if len(kept) < 2:
        raise BadData(
            f"Too few pictures: {len(kept)} could be read, {len(skipped)} could not, and training needs two or more.",
            f"사진이 너무 적습니다. 읽은 사진 {len(kept)}장, 읽지 못한 파일 {len(skipped)}개로, 두 장 이상 필요합니다.",
        )
    names = [name for name, _ in kept]
    whole, in_test, class_names = _assembled(names, [picture for _, picture in kept], texts)
    if korean and texts is not None:
        whole = replace(whole, texts_ko=tuple(korean(name) for name in names))
    train, test = (whole.select(part) for part in _split(whole, in_test))
    return image_data(name, train, test, class_names, credit), Report(
        len(kept), tuple((name[:200], reason) for name, reason in skipped)
    )


def _decoded(
    entries: Sequence[Entry],
    side: int,
    limits: Limits,
    skipped: list[tuple[str, Text]],
    progress: Callable[[float], None],
) -> Iterator[tuple[str, np.ndarray]]:
    """(name, picture (C, side, side) uint8) of each entry that is one; the others join `skipped`."""
    check("bytes as kept", "저장할 바이트", 3 * side * side * len(entries), limits.pixels)
    area = 0
    for n, entry in enumerate(entries):
        if n % (len(entries) // 100 + 1) == 0:
            progress(n / len(entries))
        try:
            image = open_picture(entry, limits)
            area += image.width * image.height
            check("pixels in all pictures", "전체 사진의 픽셀", area, limits.areas)
            yield entry.name, fit(image, side)
        except Skip as reason:
            skipped.append((entry.name, reason.text))
    progress(1.0)


def _assembled(
    names: Sequence[str], pictures: Sequence[np.ndarray], texts: dict[str, str] | None
) -> tuple[Pictures, list[bool], list[str]]:
    """(all pictures, whether each lies in a test folder, class names) by the names and pixels of single pictures."""
    channels = max(len(picture) for picture in pictures)
    side = pictures[0].shape[-1]
    x = torch.from_numpy(np.stack([np.broadcast_to(picture, (channels, side, side)) for picture in pictures]))
    in_test, classes = layout(names)
    class_names = [] if texts is not None else sorted(set(classes) - {""}, key=natural)
    index = {name: n for n, name in enumerate(class_names)}
    labels = torch.tensor([index[name] for name in classes]) if class_names else None
    return (Pictures(x, labels, None if texts is None else tuple(texts[name] for name in names)), in_test, class_names)


def _split(whole: Pictures, in_test: Sequence[bool]) -> tuple[list[int], list[int]]:
    """(training, held-out) indices: as the folders say, or a tenth of each class."""
    if not any(in_test):
        return split(len(whole), 0.1, whole.labels)
    return [n for n, test in enumerate(in_test) if not test], [n for n, test in enumerate(in_test) if test]


# --- Captions -------------------------------------------------------------------------------------------------


def read_texts(
    entries: Sequence[Entry], skipped: list[tuple[str, Text]], limits: Limits
) -> tuple[dict[str, str] | None, list[Entry]]:
    """The caption of each picture by its name, None without a `metadata.csv`, and the entries that may be pictures.

    With captions, a picture without one joins `skipped`, as does each picture that a `metadata.csv` names in vain.
    """
    tables: list[Entry] = []
    others: list[Entry] = []
    for entry in entries:
        (tables if PurePosixPath(entry.name).name == "metadata.csv" else others).append(entry)
    check("bytes in metadata.csv", "metadata.csv의 바이트", sum(table.size for table in tables), limits.metadata)
    texts: dict[str, str] = {}
    for table in tables:
        texts.update(_table(table, skipped, limits))
    if not texts:
        return None, others
    names = {entry.name for entry in others}
    lost = Skip("metadata.csv names it, but it is not there", "metadata.csv에 있지만 파일이 없습니다")
    bare = Skip("metadata.csv gives it no text", "metadata.csv에 설명이 없습니다")
    skipped.extend((name, lost.text) for name in texts if name not in names)
    skipped.extend((entry.name, bare.text) for entry in others if entry.name not in texts)
    return texts, [entry for entry in others if entry.name in texts]


def _table(table: Entry, skipped: list[tuple[str, Text]], limits: Limits) -> dict[str, str]:
    """Picture name -> caption by one `metadata.csv`; its `file_name` is relative to the folder it lies in."""
    try:
        rows = csv.DictReader(io.StringIO(contents(table, limits.metadata).decode("utf-8-sig", errors="replace")))
        if not {"file_name", "text"} <= set(rows.fieldnames or ()):
            raise Skip("it has no columns file_name and text", "file_name 열과 text 열이 없습니다")
        folder = PurePosixPath(table.name).parent
        pairs = ((str(folder / (row["file_name"] or "")), " ".join((row["text"] or "").split())[:300]) for row in rows)
        return {name: text for name, text in pairs if text}
    except csv.Error as error:
        skipped.append((table.name, Skip(f"it is damaged ({error})", f"손상된 파일입니다 ({error})").text))
    except Skip as reason:
        skipped.append((table.name, reason.text))
    return {}


# --- One picture ----------------------------------------------------------------------------------------------


def too_large() -> Skip:
    return Skip("it has too many pixels", "사진의 픽셀이 너무 많습니다")


def open_picture(entry: Entry, limits: Limits) -> Image.Image:
    """The picture of a file, its pixels not yet decoded."""
    if PurePosixPath(entry.name).suffix.lower() in ARCHIVES:
        raise Skip("an archive within the archive is not opened", "압축 파일 안의 압축 파일은 열지 않습니다")
    data = contents(entry, limits.entry)
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise Skip("it is not a picture", "사진 파일이 아닙니다") from error
    except Image.DecompressionBombError as error:
        raise too_large() from error
    except Exception as error:  # as in `fit`
        raise Skip(f"it is damaged ({error})", f"손상된 파일입니다 ({error})") from error
    if image.width * image.height > limits.area:
        raise too_large()
    return image


def fit(image: Image.Image, side: int) -> np.ndarray:
    """The middle square of a picture as (C, side, side) uint8, C = 1 where all its pixels are grey."""
    try:
        image.draft(None, (2 * side, 2 * side))  # a JPEG is decoded at a half, a quarter or an eighth; others whole
        if "exif" in image.info:  # a telephone's picture may say that it lies on its side
            image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow's conversion would clip
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB")
        if image.size != (side, side):
            image = ImageOps.fit(image, (side, side))
        x = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
    except Exception as error:  # broken pixels raise a dozen unrelated classes across Pillow's decoders
        raise Skip(f"it is damaged ({error})", f"손상된 파일입니다 ({error})") from error
    return x[:1] if (x[0] == x[1]).all() and (x[1] == x[2]).all() else x


def natural_side(entries: Sequence[Entry], limits: Limits) -> int:
    """The one of `SIDES` nearest to most pictures' shorter side, by a look at a hundred, within the limits."""
    shorter: list[int] = []
    for entry in entries[:: len(entries) // 100 + 1]:
        try:
            image = open_picture(entry, limits)
        except Skip:
            continue  # the real reading names it
        shorter.append(min(image.size))
    nearest = min(SIDES, key=lambda side: abs(side - median(shorter or SIDES)))
    affordable = [side for side in SIDES if 3 * side * side * len(entries) <= limits.pixels]
    return min(nearest, max(affordable, default=SIDES[0]))
