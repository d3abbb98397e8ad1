"""The files of a zip or a folder that anybody may have made, within bounds.

Nothing is unpacked: every entry is read into memory, its name serves only as a class name and in the report.
"""

from __future__ import annotations

import io
import mmap
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from playground.contract import Text
from playground.data.pictures import BadData

TRAINING, TESTING = ({"train", "training"}, {"test", "testing", "val", "valid", "validation"})
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"}
LEFTOVERS = re.compile(r"(^|/)(\.[^.]|__MACOSX/|Thumbs\.db$)")
"""What systems leave behind in folders: not worth a word in the report."""


@dataclass(frozen=True)
class Bounds:
    """What a zip or folder may ask of this machine. Sizes in bytes."""

    file: int = 256_000_000
    """The zip itself."""
    entries: int = 50_000
    entry: int = 32_000_000
    """One file, unpacked."""
    unpacked: int = 2_000_000_000
    """All files, unpacked."""
    ratio: float = 100.0
    """Unpacked to packed, of a zip that unpacks to more than `entry`: text reaches 10, a bomb 1,000."""
    metadata: int = 16_000_000
    """`metadata.csv`, or all of them together."""


@dataclass(frozen=True)
class Report:
    """What became of the files: how many are kept, and the name of each other file with the reason."""

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


def opened(path: Path, bounds: Bounds) -> Folder | Zip:
    """The files under `path`. Raises `BadData` where it is neither zip nor folder, or passes a limit."""
    if not path.exists():
        raise BadData(f"There is no file or folder {path}.", f"{path} 파일이나 폴더가 없습니다.")
    return Folder(path, bounds) if path.is_dir() else Zip(path, bounds)


def layout(names: Sequence[str]) -> tuple[list[bool], list[str]]:
    """Of each file, by its name: whether it lies in a test folder, and its class, "" where there are no classes.

    A set has classes where every file lies in one of two or more folders that hold two files or more on average.
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
            f"The files pass a limit: {amount:,.0f} {en}, and at most {most:,.0f} are allowed.",
            f"파일이 허용 한도를 넘습니다. {ko}: {amount:,.0f} (최대 {most:,.0f}).",
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

    def __init__(self, path: Path, limits: Bounds):
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

    def __init__(self, path: Path, limits: Bounds):
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
