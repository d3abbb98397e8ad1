"""People's own pictures and recordings: an upload becomes a folder under a name that nobody can guess.

PLAYGROUND_RUNS/uploads/TOKEN/ holds pictures.safetensors or samples.i16, and about.json, and nothing of the zip itself.
Whoever knows the token can train on what is there and delete it; nothing lists the tokens. What nobody has used for a
week is forgotten when the next upload comes.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from playground.contract import DataMissing
from playground.data import corpus, imagefolder, recordings, sounds
from playground.data.archive import Report, check
from playground.data.folders import runs
from playground.data.imagefolder import LIMITS, Limits
from playground.data.pictures import BadData, ImageData, Pictures, image_data, resized
from playground.data.recordings import SpeechData

CREDIT = "Pictures supplied by the person who trained the model"
VOICES_CREDIT = "Recordings supplied by the person who trained the model"
KEPT_DAYS = 7.0
KEPT_UPLOADS = 200


def upload(
    path: Path,
    size: int | None = None,
    limits: Limits = LIMITS,
    progress: Callable[[float], None] = lambda fraction: None,
) -> str:
    """Take in the zip of pictures at `path` and return its token: `load("own:TOKEN")` gives the data.

    `size` is the side of the pictures in pixels, by default near to what they have. Raises `BadData` as
    `imagefolder.read` does; then nothing is kept.
    """
    forget_unused()
    with _new() as (token, draft):
        data, report = imagefolder.read(path, f"own:{token}", size, CREDIT, limits, progress)
        draft.mkdir(mode=0o700)
        _write(draft, data, report)
    return token


def upload_recordings(
    source: Path | Mapping[str, bytes],
    limits: sounds.Limits = sounds.LIMITS,
    progress: Callable[[float], None] = lambda fraction: None,
    more_of: str = "",
) -> str:
    """Take in a zip of recordings, or some files by their names, and return the token of the set.

    more_of: the token of a set that they are added to; it goes, and the new one has both. Raises `BadData` as
    `corpus.read` does, and `DataMissing` where there is no such set; then nothing is kept.
    """
    forget_unused()
    before = load_recordings(more_of) if more_of else None
    with _new() as (token, draft):
        given = source if isinstance(source, Path) else corpus.Given(source)
        about, report = corpus.read(given, draft, limits, progress)
        if before is not None:
            about, report = _with(before, draft, about, report, limits)
        recordings.describe(draft, {**about, "kind": "recordings", "report": _saved(report), "uploaded": time.time()})
    if more_of:
        delete(more_of)
    return token


def _with(
    before: SpeechData, draft: Path, about: dict[str, Any], new: Report, limits: sounds.Limits
) -> tuple[dict[str, Any], Report]:
    """The set in `draft` once more, behind the recordings of an earlier one."""
    recordings.describe(draft, about)
    added = list(recordings.takes_of(recordings.read(draft, "", "")))
    added = [replace(take, samples=take.samples.copy()) for take in added]  # no longer of the file, which goes
    recordings.discard(draft)
    together = [*recordings.takes_of(before), *added]
    seconds = sum(len(take.samples) for take in together) / corpus.RATE
    check("seconds in all recordings", "전체 녹음의 초", seconds, limits.total)
    made = recordings.write(draft, together, corpus.RATE)
    return made, Report(len(together), new.skipped)


@contextmanager
def _new() -> Iterator[tuple[str, Path]]:
    """(a new token, a folder to make): the folder becomes the token's once the block has ended well."""
    token = secrets.token_hex(16)
    draft = _uploads() / f".{token}"
    _uploads().mkdir(parents=True, exist_ok=True)
    try:
        yield token, draft
        draft.rename(_uploads() / token)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def load(token: str, size: int | None = None) -> ImageData | SpeechData:
    """An upload, mapped from its file, its pictures of `size` pixels or its recordings at `size` Hz.

    Raises `DataMissing` where it was deleted or never was, `BadData` for a size that it cannot have.
    """
    about = _about(token)
    os.utime(_folder(token))  # it is in use
    if about.get("kind") == "recordings":
        return load_recordings(token, size)
    if size in sounds.RATES:
        raise BadData(f"own:{token}: pictures have no rate.", f"own:{token}: 사진에는 표본화율이 없습니다.")
    data = _pictures(token, about)
    return resized(data, size) if size else data


def load_recordings(token: str, rate: int | None = None) -> SpeechData:
    """The recordings of an upload, at their own rate or another."""
    if _about(token).get("kind") != "recordings":
        raise BadData(f"own:{token} holds no recordings.", f"own:{token}에는 녹음이 없습니다.")
    data = recordings.read(_folder(token), f"own:{token}", VOICES_CREDIT)
    if not rate or rate == data.info.sample_rate:
        return data
    if rate not in sounds.RATES:
        raise BadData(
            f"own:{token}: recordings can be had at {' or '.join(map(str, sounds.RATES))} Hz.",
            f"own:{token}: 녹음은 {', '.join(map(str, sounds.RATES))} Hz로 쓸 수 있습니다.",
        )
    return recordings.resampled(data, rate, f"own:{token}:{rate}")


def _pictures(token: str, about: Mapping[str, Any]) -> ImageData:
    from safetensors.torch import load_file

    tensors = load_file(_folder(token) / "pictures.safetensors")
    parts = {}
    for name in ("train", "test"):
        texts = about["texts"].get(name)
        parts[name] = Pictures(tensors[f"{name}.x"], tensors.get(f"{name}.labels"), texts and tuple(texts))
    return image_data(f"own:{token}", parts["train"], parts["test"], about["class_names"], CREDIT)


def report(token: str) -> Report:
    """What became of the files in the zip. Raises `DataMissing` as `load` does."""
    saved = _about(token)["report"]
    return Report(saved["kept"], tuple((name, reason) for name, reason in saved["skipped"]))


def delete(token: str) -> None:
    """Remove an upload for good; nothing happens where there is none."""
    shutil.rmtree(_folder(token), ignore_errors=True)


def forget_unused() -> None:
    """Remove the uploads that were last trained on over a week ago, and the oldest beyond a few hundred."""
    last_used = {}
    for folder in _uploads().glob("*"):
        try:
            last_used[folder] = folder.stat().st_mtime
        except FileNotFoundError:  # deleted meanwhile
            continue
    for place, folder in enumerate(sorted(last_used, key=lambda f: last_used[f], reverse=True)):
        if place >= KEPT_UPLOADS or time.time() - last_used[folder] > KEPT_DAYS * 86_400:
            shutil.rmtree(folder, ignore_errors=True)


def _uploads() -> Path:
    return runs() / "uploads"


def _folder(token: str) -> Path:
    """The folder of an upload; a token of any other form than ours never becomes a path."""
    if not re.fullmatch("[0-9a-f]{32}", token):
        raise _gone()
    return _uploads() / token


def _gone() -> DataMissing:
    return DataMissing(
        "This upload is not here: it was deleted, unused for a week, or the link is wrong. Upload it again.",
        "올린 파일이 여기에 없습니다. 삭제되었거나, 일주일 동안 쓰지 않았거나, 주소가 잘못되었습니다. 다시 올려 주세요.",
    )


def _write(folder: Path, data: ImageData, report: Report) -> None:
    from safetensors.torch import save_file

    tensors, texts = {}, {}
    for name, part in (("train", data.train), ("test", data.test)):
        tensors[f"{name}.x"] = part.x
        if part.labels is not None:
            tensors[f"{name}.labels"] = part.labels
        if part.texts is not None:
            texts[name] = part.texts
    save_file(tensors, folder / "pictures.safetensors")
    about = {
        "class_names": data.info.class_names,
        "texts": texts,
        "report": _saved(report),
        "uploaded": time.time(),
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _saved(report: Report) -> dict[str, Any]:
    return {"kept": report.kept, "skipped": report.skipped}


def _about(token: str) -> dict[str, Any]:
    try:
        return json.loads((_folder(token) / "about.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _gone() from None
