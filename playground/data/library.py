"""Loading a data set by its name, and listing what there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from playground.contract import DataMissing, Text
from playground.data import imagefolder, uploads
from playground.data.folders import root, writable
from playground.data.pictures import BadData, ImageData, resized
from playground.data.points import PointData
from playground.data.remote import Failed, fetch
from playground.data.sets import SETS

Progress = Callable[[float, Text], None]
"""Told how a download goes: the fraction done, and a sentence."""

SIDES = range(8, 65)
"""Sides in pixels that pictures may be asked for."""


@dataclass(frozen=True)
class Listing:
    """A registered set as the interface shows it. offers: what a family's `trains_on` may ask for."""

    name: str
    title: Text
    about: Text
    offers: tuple[str, ...]
    embedded: bool
    present: bool
    download_mb: int
    credit: str


def catalogue() -> list[Listing]:
    """Every registered set, and whether it is on this machine now."""
    return [
        Listing(
            name,
            known.title,
            known.about,
            known.offers,
            known.embedded,
            known.present() is not None,
            round(sum(remote.size for remote in known.remotes) / 1e6),
            known.credit,
        )
        for name, known in SETS.items()
    ]


def load(name: str | Path, size: int | None = None, progress: Progress | None = None) -> ImageData | PointData:
    """The data set of that name, downloaded if it is not on this machine; `progress` is told how that goes.

    `name` is a registered name, "own:TOKEN" for an upload, or the path of a zip or folder of pictures. A side in
    pixels follows as ":32" or as `size`, for pictures only. Registered sets stay in memory, the last four. Raises
    `DataMissing` where the set cannot be had and `BadData` where there is no such set or it is unusable.
    """
    if isinstance(name, Path):
        return imagefolder.read(name, f"own:{name.stem}", size, uploads.CREDIT)[0]
    base, side = _parsed(name, size)
    if base.startswith("own:"):
        data = uploads.load(base.removeprefix("own:"))
        return resized(data, side) if side else data
    if SETS[base].present() is None:
        download(base, progress)
    return _registered(base, side, root())


def download(name: str, progress: Progress | None = None) -> None:
    """Bring the files of a registered set to this machine, unless they are there. Raises `DataMissing`."""
    from filelock import FileLock

    known, folder = SETS[name], writable() / SETS[name].folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"), _told(known.title, progress) as tell:  # a second process waits here
            if known.present():
                return
            total, before = sum(remote.size for remote in known.remotes), 0
            for remote in known.remotes:

                def tell_more(done: int, before: int = before) -> None:
                    tell(before + done, total)

                fetch(remote, folder, tell_more)
                before += remote.size
            known.unpack(folder)
    except (Failed, OSError) as error:
        raise _absent(name, str(error), str(error)) from error


def _parsed(name: str, size: int | None) -> tuple[str, int | None]:
    """(registered name or "own:TOKEN", side) of a name that may end in ":SIDE"; `BadData` for anything else."""
    base, _, end = name.rpartition(":")
    if base and base != "own":
        size = int(end) if re.fullmatch(r"[0-9]{1,3}", end) else -1
    else:
        base = name
    if not base.startswith("own:") and base not in SETS:
        raise BadData(
            f"There is no data set {name!r}; there are {', '.join(SETS)}.",
            f"{name!r}라는 데이터는 없습니다. 사용할 수 있는 데이터: {', '.join(SETS)}.",
        )
    if size is not None and (size not in SIDES or (base in SETS and SETS[base].offers == ("points",))):
        raise BadData(
            f"{name!r}: pictures can be {SIDES[0]} to {SIDES[-1]} pixels wide, and points have no size.",
            f"{name!r}: 사진의 크기는 {SIDES[0]}~{SIDES[-1]}픽셀이며, 점 데이터에는 크기가 없습니다.",
        )
    return base, size


@lru_cache(maxsize=4)
def _registered(name: str, side: int | None, root: Path) -> ImageData | PointData:
    """The set as it lies under `root`, which is an argument so that another folder gives another set."""
    source = SETS[name].present()
    paths = source.paths() if source else None
    if source is None or paths is None:
        raise _absent(name, "its files have just been removed", "파일이 방금 삭제되었습니다")
    data = source.read(paths)
    return resized(data, side) if side and isinstance(data, ImageData) else data


@contextmanager
def _told(title: Text, progress: Progress | None) -> Iterator[Callable[[int, int], None]]:
    """A function of (bytes done, bytes in all) that tells `progress`, and a terminal if there is one, how far it is."""
    from tqdm import tqdm

    with tqdm(desc=title["en"], unit="B", unit_scale=True, disable=None if progress is None else True) as bar:

        def tell(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)
            if progress:
                size = f"{done / 1e6:.0f} / {total / 1e6:.0f} MB"
                en, ko = f"Downloading {title['en']}: {size}", f"{title['ko']} 내려받는 중: {size}"
                progress(min(done / total, 1.0), {"en": en, "ko": ko})

        yield tell


def _absent(name: str, reason_en: str, reason_ko: str) -> DataMissing:
    here = ", ".join(name for name, known in SETS.items() if known.present())
    embedded = ", ".join(name for name, known in SETS.items() if known.embedded)
    return DataMissing(
        f"The data set {name} is not on this machine and could not be downloaded: {reason_en}. Ready now: {here}; "
        f"always there: {embedded}. Connect to a network and try again, or let PLAYGROUND_DATA name a folder with it.",
        f"{name} 데이터가 이 컴퓨터에 없고 내려받을 수도 없었습니다: {reason_ko}. 지금 사용할 수 있는 데이터: {here}. "
        f"항상 사용할 수 있는 데이터: {embedded}. 네트워크에 연결한 뒤 다시 시도하거나, 데이터가 있는 폴더를 "
        "PLAYGROUND_DATA로 지정해 주세요.",
    )
