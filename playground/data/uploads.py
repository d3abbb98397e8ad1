"""People's own pictures: an uploaded zip becomes one file of pixels under a name that nobody can guess.

PLAYGROUND_RUNS/uploads/TOKEN/ holds pictures.safetensors and about.json, and nothing of the zip itself. Whoever knows
the token can train on the pictures and delete them; nothing lists the tokens. What nobody has used for a week is
forgotten when the next upload comes.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from playground.contract import DataMissing
from playground.data import imagefolder
from playground.data.folders import runs
from playground.data.imagefolder import LIMITS, Limits, Report
from playground.data.pictures import ImageData, Pictures, image_data

CREDIT = "Pictures supplied by the person who trained the model"
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
    token = secrets.token_hex(16)
    data, report = imagefolder.read(path, f"own:{token}", size, CREDIT, limits, progress)
    draft = _uploads() / f".{token}"
    draft.mkdir(mode=0o700, parents=True)
    try:
        _write(draft, data, report)
        draft.rename(_uploads() / token)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return token


def load(token: str) -> ImageData:
    """The pictures of an upload, mapped from its file. Raises `DataMissing` where it was deleted or never was."""
    from safetensors.torch import load_file

    about = _about(token)
    os.utime(_folder(token))  # it is in use
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
    """Remove the pictures for good; nothing happens where there are none."""
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
        "These pictures are not here: they were deleted, unused for a week, or the link is wrong. Upload them again.",
        "이 사진들은 여기에 없습니다. 삭제되었거나, 일주일 동안 쓰지 않았거나, 주소가 잘못되었습니다. 다시 올려 주세요.",
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
        "report": {"kept": report.kept, "skipped": report.skipped},
        "uploaded": time.time(),
    }
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def _about(token: str) -> dict:
    try:
        return json.loads((_folder(token) / "about.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _gone() from None
