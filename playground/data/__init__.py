"""Data sets by name: embedded, downloaded, or a person's own pictures."""

from __future__ import annotations

from functools import lru_cache

from playground.data import sets
from playground.data.pictures import BadData, ImageData, Pictures
from playground.data.sets import root

__all__ = ["BadData", "ImageData", "Pictures", "load", "root"]


@lru_cache(maxsize=8)
def load(name: str, size: int | None = None) -> ImageData:
    """The data set `name`: "digits" or "mnist"."""
    loaders = {"digits": sets.digits, "mnist": sets.mnist}
    if name not in loaders:
        raise BadData(f"{name!r}: no such data set; there are {', '.join(loaders)}")
    return loaders[name]()
