"""Loading a data set by its name, and listing what there is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from playground.contract import Data, DataMissing, Text
from playground.data import imagefolder, recordings, sounds, uploads
from playground.data.folders import root, writable
from playground.data.pictures import BadData, ImageData, resized
from playground.data.recordings import SpeechData
from playground.data.remote import Failed, fetch
from playground.data.sets import SETS, DataSet, Loaded, corpora, known
from playground.data.speech import CORPORA

Progress = Callable[[float, Text], None]
"""Told how a download goes: the fraction done, and a sentence."""

SIDES = range(8, 65)
"""Sides in pixels that pictures may be asked for."""
MOST_JOINED = 4
"""Sets that may be joined to a first."""


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
    """Every registered set, and whether it is on this machine now; then the corpora found in the data folder."""
    return [
        Listing(
            name,
            one.title,
            one.about,
            one.offers,
            one.embedded,
            one.present() is not None,
            round(sum(remote.size for remote in one.remotes) / 1e6),
            one.credit,
        )
        for name, one in {**SETS, **corpora()}.items()
    ]


def load(name: str | Path, size: int | None = None, progress: Progress | None = None) -> Data:
    """The data set of that name, downloaded if it is not on this machine; `progress` is told how that goes.

    `name` is a registered name, that of a corpus in the data folder, "own:TOKEN" for an upload, or the path of a zip or
    folder of pictures. A side in pixels follows as ":32" or as `size`, for pictures only; for recordings their rate in
    Hz, ":16000". Sets of recordings are joined by "+": "spoken_digits+own:TOKEN", all at the first one's rate.
    Registered sets stay in memory, the last four. Raises `DataMissing` where the set cannot be had and `BadData` where
    there is no such set or it is unusable.
    """
    if isinstance(name, Path):
        return imagefolder.read(name, f"own:{name.stem}", size, uploads.CREDIT)[0]
    if "+" in name:
        return _joined(name, progress)
    base, size = _parsed(name, size)
    if base.startswith("own:"):
        return uploads.load(base.removeprefix("own:"), size)
    found = known(base)
    if found is None:
        raise _absent(base, "it is not one that can be downloaded", "내려받을 수 있는 데이터가 아닙니다")
    if found.present() is None:
        download(base, progress)
    return _registered(base, size, root())


def _joined(name: str, progress: Progress | None) -> SpeechData:
    first, *others = name.split("+")
    if len(others) > MOST_JOINED:
        raise BadData(f"{name!r}: at most {MOST_JOINED + 1} sets can be joined.", f"{name!r}: 너무 많은 데이터입니다.")
    sets = [load(first, progress=progress)]
    rate = getattr(sets[0].info, "sample_rate", 0)
    sets += [load(other, None if re.search(r":\d{4,5}$", other) else rate or None, progress) for other in others]
    spoken = [data for data in sets if isinstance(data, SpeechData)]
    if len(spoken) < len(sets):
        raise BadData(f"{name!r}: only recordings can be joined.", f"{name!r}: 녹음만 합칠 수 있습니다.")
    return recordings.joined(name, spoken)


def download(name: str, progress: Progress | None = None) -> None:
    """Bring the files of a registered set to this machine, unless they are there. Raises `DataMissing`."""
    from filelock import FileLock

    wanted, folder = SETS[name], writable() / SETS[name].folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock"), _told(wanted.title, progress) as tell:  # a second process waits here
            if wanted.present():
                return
            total, before = sum(remote.size for remote in wanted.remotes), 0
            for remote in wanted.remotes:

                def tell_more(done: int, before: int = before) -> None:
                    tell(before + done, total)

                fetch(remote, folder, tell_more)
                before += remote.size
            wanted.unpack(folder)
    except (Failed, OSError) as error:
        raise _absent(name, str(error), str(error)) from error


def _parsed(name: str, size: int | None) -> tuple[str, int | None]:
    """(name or "own:TOKEN", side or rate) of a name that may end in ":NUMBER"; `BadData` for anything else."""
    base, _, end = name.rpartition(":")
    if base and base != "own":
        size = int(end) if re.fullmatch(r"[0-9]{1,5}", end) else -1
    else:
        base = name
    found = None if base.startswith("own:") else known(base)
    if found is None and not base.startswith("own:") and base not in CORPORA:
        listed = ", ".join({**SETS, **corpora()})
        raise BadData(
            f"There is no data set {name!r}; there are {listed}.",
            f"{name!r}라는 데이터는 없습니다. 사용할 수 있는 데이터: {listed}.",
        )
    if size is None:
        return base, None
    if found is not None and found.rates:
        if size not in found.rates:
            listed = ", ".join(map(str, found.rates))
            raise BadData(
                f"{name!r}: these recordings can be had at {listed} Hz.", f"{name!r}: {listed} Hz로만 쓸 수 있습니다."
            )
    elif size not in (sounds.RATES if found is None else ()) and not (size in SIDES and _has_pictures(found)):
        raise BadData(
            f"{name!r}: pictures can be {SIDES[0]} to {SIDES[-1]} pixels wide, and points have no size.",
            f"{name!r}: 사진의 크기는 {SIDES[0]}~{SIDES[-1]}픽셀이며, 점 데이터에는 크기가 없습니다.",
        )
    return base, size


def _has_pictures(found: DataSet | None) -> bool:
    """Whether a registered set, or an upload that is not looked at yet, may hold pictures."""
    return found is None or "images" in found.offers


@lru_cache(maxsize=4)
def _registered(name: str, size: int | None, root: Path) -> Loaded:
    """The set as it lies under `root`, which is an argument so that another folder gives another set."""
    found = known(name)
    source = found.present() if found else None
    paths = source.paths() if source else None
    if found is None or source is None or paths is None:
        raise _absent(name, "its files have just been removed", "파일이 방금 삭제되었습니다")
    if found.rates:
        data = source.read(paths, size or found.rates[0])
        return recordings.renamed(data, f"{name}:{size}") if size and size != found.rates[0] else data
    data = source.read(paths)
    return resized(data, size) if size and isinstance(data, ImageData) else data


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
    here = ", ".join(name for name, one in {**SETS, **corpora()}.items() if one.present())
    embedded = ", ".join(name for name, one in SETS.items() if one.embedded)
    return DataMissing(
        f"The data set {name} is not on this machine and could not be downloaded: {reason_en}. Ready now: {here}; "
        f"always there: {embedded}. Connect to a network and try again, or let PLAYGROUND_DATA name a folder with it.",
        f"{name} 데이터가 이 컴퓨터에 없고 내려받을 수도 없었습니다: {reason_ko}. 지금 사용할 수 있는 데이터: {here}. "
        f"항상 사용할 수 있는 데이터: {embedded}. 네트워크에 연결한 뒤 다시 시도하거나, 데이터가 있는 폴더를 "
        "PLAYGROUND_DATA로 지정해 주세요.",
    )
