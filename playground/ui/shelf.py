"""The checkpoints that a visitor can look at, each under a token; loaded ones are kept for the next visitor.

    shipped:NAME     ours, as it came with the family          reference:NAME   the counterpart's
    run:ID           what a run has learnt by its newest save   upload:TOKEN     a folder someone sent as a zip

Run ids and upload tokens cannot be guessed: whoever has one may look.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import stat
import threading
import time
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playground import checkpoint as checkpoints
from playground import registry
from playground.checkpoint import Checkpoint, Damaged
from playground.contract import DataInfo, Told
from playground.data import folders
from playground.jobs import UnknownRun
from playground.ui.words import sentence, t

KEPT = 12
"""Loaded checkpoints kept in memory."""
MAX_ZIP = 20_000_000
MAX_UNPACKED = 200_000_000
UPLOAD_DAYS = 1.0
MAX_UPLOADS = 200
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?")
"""A file of a checkpoint, at most one folder deep; never a path that leads out of it."""

_loaded: OrderedDict[tuple[str, str], Checkpoint] = OrderedDict()
_lock = threading.Lock()
_run_folder: Callable[[str], Path] | None = None


def reach_runs(export: Callable[[str], Path]) -> None:
    """Tell the shelf how a run's newest save is exported (see `jobs.Jobs.checkpoint`)."""
    global _run_folder
    _run_folder = export


def default_token(family: str, side: str = "ours") -> str:
    """The token of the checkpoint that comes with the family, or "" where none does."""
    found = checkpoints.shipped(family, side)
    return f"{'shipped' if side == 'ours' else 'reference'}:{found[0].name}" if found else ""


def shipped_tokens(family: str) -> list[str]:
    return [f"shipped:{folder.name}" for folder in checkpoints.shipped(family)]


def folder_of(family: str, token: Any) -> Path:
    """Where the checkpoint of that token lies. Raises `Told` where there is none of that family."""
    kind, _, name = token.partition(":") if isinstance(token, str) else ("", "", "")
    if kind in ("shipped", "reference"):
        side = "ours" if kind == "shipped" else "reference"
        found = {folder.name: folder for folder in checkpoints.shipped(family, side)}
        if name in found:
            return found[name]
    elif kind == "upload" and re.fullmatch("[0-9a-f]{32}", name) and (_uploads() / name).is_dir():
        return _uploads() / name
    elif kind == "run" and _run_folder is not None:
        try:
            return _run_folder(name)
        except (UnknownRun, Damaged):
            raise sentence("no run") from None
    raise sentence("no checkpoint")


def open_checkpoint(family: str, token: Any) -> Checkpoint:
    """The checkpoint of that token, verified and in memory. Raises `Told` where it cannot be used."""
    folder = folder_of(family, token)
    listing = folder / "files.json"
    key = (str(folder), str(listing.stat().st_mtime_ns) if listing.is_file() else "")
    made = _kept(key)
    if made is None:
        with checkpoints.BUILDING:
            made = _kept(key) or _load(key, folder)  # whoever waited may find it there
    return _checked_family(made, family)


def _kept(key: tuple[str, str]) -> Checkpoint | None:
    with _lock:
        if key in _loaded:
            _loaded.move_to_end(key)
        return _loaded.get(key)


def _load(key: tuple[str, str], folder: Path) -> Checkpoint:
    try:
        made = checkpoints.load(folder)
    except Damaged as error:
        raise Told(f"{t('damaged')['en']} {error}", f"{t('damaged')['ko']} {error}") from None
    with _lock:
        _loaded[key] = made
        while len(_loaded) > KEPT:
            _loaded.popitem(last=False)
    return made


def _checked_family(made: Checkpoint, family: str) -> Checkpoint:
    if made.family != family:
        title = registry.family(made.family).title
        text = t("other family")
        raise Told(text["en"].format(name=title["en"]), text["ko"].format(name=title["ko"]))
    return made


def described(family: str, token: str) -> tuple[Any, DataInfo, dict[str, Any]] | None:
    """(config, data info, about) of one of our checkpoints without loading its weights; None where unreadable."""
    try:
        known = json.loads((folder_of(family, token) / "config.json").read_text(encoding="utf-8"))
        config = checkpoints.read_fields(registry.family(family).Config, known["config"], "config.json: config")
        info = checkpoints.read_fields(DataInfo, known["data"], "config.json: data")
        return config, info, dict(known["about"])
    except (OSError, ValueError, KeyError, TypeError, Told):
        return None


# --- Uploads --------------------------------------------------------------------------------------------------


def _uploads() -> Path:
    return folders.runs() / "uploaded-checkpoints"


def take_in(path: Path, family: str) -> str:
    """Unpack the zip of a checkpoint folder, verify it, and return its token. Raises `Told`; then nothing is kept."""
    _forget_old()
    token = secrets.token_hex(16)
    folder = _uploads() / token
    folder.mkdir(parents=True, mode=0o700)
    try:
        _unpack(path, folder)
        open_checkpoint(family, f"upload:{token}")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return f"upload:{token}"


def _unpack(path: Path, folder: Path) -> None:
    """The files of the zip, out of the one folder that may wrap them. Raises `Told` for whatever is out of bounds."""
    try:
        if path.stat().st_size > MAX_ZIP:
            raise _refused(f"larger than {MAX_ZIP // 1_000_000} MB", f"{MAX_ZIP // 1_000_000} MB보다 큽니다")
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir()]
            if not 0 < len(entries) <= checkpoints.MAX_FILES + 1:
                raise _refused(f"holds {len(entries)} files", f"파일이 {len(entries)}개입니다")
            if sum(e.file_size for e in entries) > MAX_UNPACKED:
                raise _refused("unpacks to too many bytes", "압축을 풀면 너무 큽니다")
            wrapped = _wrapping([e.filename for e in entries])
            for entry in entries:
                _unpack_one(archive, entry, entry.filename.removeprefix(wrapped), folder)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error):
        raise _refused("not a zip that can be read", "읽을 수 있는 zip 파일이 아닙니다") from None


def _wrapping(names: list[str]) -> str:
    """ "mnist/" where every file lies in a folder of that name and files.json directly in it."""
    first = names[0].partition("/")[0] + "/"
    return first if f"{first}files.json" in names and all(n.startswith(first) for n in names) else ""


def _unpack_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, folder: Path) -> None:
    unix_mode = entry.external_attr >> 16
    if not _FILE.fullmatch(name) or stat.S_ISLNK(unix_mode) or entry.flag_bits & 1:
        shown = name[:60]
        raise _refused(f"{shown!r} does not belong in a checkpoint", f"{shown!r}: 체크포인트에 둘 수 없는 파일입니다")
    target = folder / name
    target.parent.mkdir(exist_ok=True)
    with archive.open(entry) as source, target.open("xb") as out:
        left = entry.file_size  # never more than the directory of the zip has promised
        while chunk := source.read(min(1 << 20, left)):
            out.write(chunk)
            left -= len(chunk)


def _refused(en: str, ko: str) -> Told:
    return Told(f"{t('damaged')['en']} {en}.", f"{t('damaged')['ko']} {ko}.")


def _forget_old() -> None:
    """Uploaded checkpoints last a day, and only the newest few hundred."""
    kept = sorted(_uploads().glob("*"), key=lambda p: p.stat().st_mtime, reverse=True)
    for place, folder in enumerate(kept):
        if place >= MAX_UPLOADS or time.time() - folder.stat().st_mtime > UPLOAD_DAYS * 86400:
            shutil.rmtree(folder, ignore_errors=True)
