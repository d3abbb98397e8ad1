"""Where data sets lie: the data folder, which may be read-only, and the user's cache; and where runs do."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """A folder of this program's own in the user's cache."""
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "generative-playground"


def root() -> Path:
    """The data folder: `PLAYGROUND_DATA`, or the cache. It may be read-only, or not there yet."""
    named = os.environ.get("PLAYGROUND_DATA")
    return Path(named) if named else cache()


def writable() -> Path:
    """Where downloads go: the data folder if it can be written, the cache otherwise."""
    folder = root()
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    return folder if os.access(existing, os.W_OK) else cache()


def locate(name: str) -> Path | None:
    """The file or folder `name` ("MNIST/raw/...") in the data folder or in the cache."""
    return next((path for path in (root() / name, cache() / name) if path.exists()), None)


def runs() -> Path:
    """The folder of training runs and uploads: `PLAYGROUND_RUNS`, or `runs` in the cache."""
    named = os.environ.get("PLAYGROUND_RUNS")
    return Path(named) if named else cache() / "runs"
