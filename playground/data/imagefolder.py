"""Pictures out of a zip or a folder that anybody may have made, within bounds.

Four layouts are understood, each also inside one outer folder: plain pictures; a folder for each class; `train` and
`test` (or `validation`) folders with either inside; and Hugging Face's imagefolder, whose `metadata.csv` gives a
`text` for each `file_name`.

Nothing is unpacked: every entry is decoded from memory, its name serves only as a class name and in the report.
A picture that cannot be used is named in the report and left out.
"""

from __future__ import annotations

import csv
import io
import mmap
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from statistics import median
from typing import IO, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from playground.contract import Text
from playground.data.pictures import BadData, ImageData, Pictures, image_data, split

SIDES = (16, 28, 32, 64)
"""Sides in pixels that a set may be given where the caller names none: the nearest to its pictures' own."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM")  # Pillow's small, well-fuzzed decoders; "PPM" reads PGM too
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}
TRAINING, TESTING = ({"train", "training"}, {"test", "testing", "val", "valid", "validation"})
LEFTOVERS = re.compile(r"(^|/)(\.[^.]|__MACOSX/|Thumbs\.db$)")
"""What systems leave behind in folders: not worth a word in the report."""


@dataclass(frozen=True)
class Limits:
    """What a zip or folder may ask of this machine. Sizes in bytes, areas in pixels."""

    file: int = 256_000_000
    """The zip itself."""
    entries: int = 50_000
    entry: int = 32_000_000
    """One file, unpacked."""
    unpacked: int = 2_000_000_000
    """All files, unpacked."""
    ratio: float = 100.0
    """Unpacked to packed, of a zip that unpacks to more than `entry`: text reaches 10, a bomb 1,000."""
    area: int = 50_000_000
    """One picture: a telephone takes 12 to 50 million pixels."""
    areas: int = 4_000_000_000
    """All pictures: a minute or two of decoding."""
    pixels: int = 256_000_000
    """All pictures as kept, in bytes."""
    metadata: int = 16_000_000
    """`metadata.csv`, or all of them together."""


LIMITS = Limits()


@dataclass(frozen=True)
class Report:
    """What became of the files: how many pictures are kept, and the name of each other file with the reason."""

    kept: int
    skipped: tuple[tuple[str, Text], ...]


class Skip(Exception):
    """One file cannot be used; `text` says why."""

    def __init__(self, en: str, ko: str):
        super().__init__(en)
        self.text: Text = {"en": en, "ko": ko}


class Entry(NamedTuple):
    """A file, as named and sized by whoever made it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


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
    if not path.exists():
        raise BadData(f"There is no file or folder {path}.", f"{path} 파일이나 폴더가 없습니다.")
    source = Folder(path, limits) if path.is_dir() else Zip(path, limits)
    with closing(source):
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


def layout(names: Sequence[str]) -> tuple[list[bool], list[str]]:
    """Of each picture, by its name: whether it lies in a test folder, and its class, "" where there are no classes.

    A set has classes where every picture lies in one of two or more folders that hold two pictures or more on average.
    """
    parts = [PurePosixPath(name).parts for name in names]
    while all(len(part) > 1 for part in parts) and len({part[0] for part in parts}) == 1:
        parts = [part[1:] for part in parts]
    tops = {part[0].lower() if len(part) > 1 else "" for part in parts}
    in_test = [False] * len(parts)
    if tops <= TRAINING | TESTING and tops & TRAINING and tops & TESTING:
        in_test = [part[0].lower() in TESTING for part in parts]
        parts = [part[1:] for part in parts]
    classes = [part[0][:60] if len(part) > 1 else "" for part in parts]
    if "" in classes or not 2 <= len(set(classes)) <= len(classes) / 2:
        classes = [""] * len(parts)
    return in_test, classes


def natural(name: str) -> list[str | tuple[int, str]]:
    """A sort key that puts s2 before s10. Digits compare by length first, for `int` refuses very long ones."""
    pieces = re.split(r"(\d+)", name)  # text and digits in turn
    return [(len(piece.lstrip("0")), piece) if n % 2 else piece for n, piece in enumerate(pieces)]


# --- The files ------------------------------------------------------------------------------------------------


def check(en: str, ko: str, amount: float, most: float) -> None:
    """Refuse the whole set, as `BadData`, where there is more of something than the limits allow."""
    if amount > most:
        raise BadData(
            f"The pictures pass a limit: {amount:,.0f} {en}, and at most {most:,.0f} are allowed.",
            f"사진이 허용 한도를 넘습니다. {ko}: {amount:,.0f} (최대 {most:,.0f}).",
        )


def safe_name(name: str) -> str:
    """`name` with forward slashes; `Skip` where it would leave its folder if anybody unpacked it, or is absurd."""
    name = name.replace("\\", "/")
    if len(name) > 500 or name.count("/") > 16:
        raise Skip("its name is too long, or its folders too deep", "파일 이름이 너무 길거나 폴더가 너무 깊습니다")
    if not name or name.startswith("/") or ":" in name or ".." in name.split("/"):
        raise Skip("its name points outside the folder", "파일 이름이 폴더 밖을 가리킵니다")
    return name


class Zip:
    """The files in a zip, which may be hostile."""

    def __init__(self, path: Path, limits: Limits):
        self.limits = limits
        self.packed = path.stat().st_size
        check("bytes in the zip", "zip 파일의 바이트", self.packed, limits.file)
        # Counted before zipfile reads the directory: it would make an object of about 1 kB for each entry.
        check("files in the zip", "zip 안의 파일", _count_entries(path, limits.entries), limits.entries)
        try:
            self.archive = zipfile.ZipFile(path)
        except Exception as error:  # damage shows as BadZipFile, ValueError, struct.error, NotImplementedError ...
            raise BadData(
                f"The file is not a zip, or it is damaged or incomplete ({error}).",
                f"zip 파일이 아니거나, 손상되었거나 일부만 있는 파일입니다 ({error}).",
            ) from error

    def close(self) -> None:
        self.archive.close()

    def entries(self, skipped: list[tuple[str, Text]]) -> Iterator[Entry]:
        """Each file that may be read; the others join `skipped`. Raises `BadData` for a bomb."""
        infos = [info for info in self.archive.infolist() if not info.filename.endswith("/")]
        unpacked = sum(info.file_size for info in infos)
        check("bytes in the files when unpacked", "압축을 푼 바이트", unpacked, self.limits.unpacked)
        if unpacked > self.limits.entry:
            check("times its packed size", "압축 배율", unpacked / self.packed, self.limits.ratio)
        for info in infos:
            if LEFTOVERS.search(info.filename):
                continue
            try:
                yield self._entry(info)
            except Skip as reason:
                skipped.append((info.filename, reason.text))

    def _entry(self, info: zipfile.ZipInfo) -> Entry:
        name = safe_name(info.filename)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Skip("it is a link", "링크 파일입니다")
        if info.flag_bits & 1:
            raise Skip("it is encrypted", "암호화된 파일입니다")
        # Others, LZMA above all, let the file choose how much memory unpacking takes.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Skip("it is packed by a method other than deflate", "deflate가 아닌 방식으로 압축되었습니다")
        return Entry(name, info.file_size, partial(self.archive.open, info))


def _count_entries(path: Path, most: int) -> int:
    """How many headers of a zip's directory the file may hold, counted to no more than `most` + 1."""
    if not path.stat().st_size:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as bytes_:
        n, at = 0, bytes_.find(b"PK\x01\x02")
        while at >= 0 and n <= most:
            n, at = n + 1, bytes_.find(b"PK\x01\x02", at + 4)
        return n


class Folder:
    """The files in a folder of this machine."""

    def __init__(self, path: Path, limits: Limits):
        self.path, self.limits = path, limits

    def close(self) -> None:
        pass

    def entries(self, skipped: list[tuple[str, Text]]) -> Iterator[Entry]:
        """Each regular file; links are not followed and join `skipped`."""
        n = 0
        for folder, _, names in os.walk(self.path):
            for path in (Path(folder, name) for name in names):
                name = path.relative_to(self.path).as_posix()
                if LEFTOVERS.search(name):
                    continue
                n += 1
                check("files in the folder", "폴더 안의 파일", n, self.limits.entries)
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    yield Entry(name, status.st_size, partial(io.FileIO, path))
                else:
                    skipped.append((name, Skip("it is a link", "링크 파일입니다").text))


def contents(entry: Entry, most: int) -> bytes:
    """The bytes of a file; `Skip` where they are more than `most` or cannot be read."""
    if entry.size > most:
        raise Skip(f"it is larger than {most:,} bytes", f"{most:,}바이트보다 큽니다")
    try:
        with entry.open() as file:
            return file.read(entry.size)
    except Exception as error:  # zipfile, zlib and the system each have their own for damage
        raise Skip(f"it is damaged ({error})", f"손상된 파일입니다 ({error})") from error


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
