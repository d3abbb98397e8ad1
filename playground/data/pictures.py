"""What a loaded data set is: pictures at rest as uint8, batches as float32 in [0, 1], and a held-out part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from playground.contract import DataInfo, Told


class BadData(Told, ValueError):
    """Data that is there and cannot be used, or a name that means none; the message says why."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """One part of a set of pictures.

    x: (N, C, H, W) uint8, C of 1 or 3. labels: (N,) int64 indices into `DataInfo.class_names`, or None.
    texts: one caption for each picture, or None; texts_ko: the same in Korean, "" where there is no such name.
    checker: (caption, picture (C, H, W) in [0, 1]) -> whether the picture shows it, or None where no program can tell.
    """

    x: Tensor
    labels: Tensor | None = None
    texts: tuple[str, ...] | None = None
    texts_ko: tuple[str, ...] | None = None
    checker: Callable[[str, Tensor], bool] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """The pictures at `indices` (B,) as float32 (B, C, H, W) in [0, 1], with their labels (B,) or None."""
        return self.x[indices].float() / 255, None if self.labels is None else self.labels[indices]

    def select(self, indices: Sequence[int]) -> Pictures:
        """The part made of the pictures at `indices`, in that order."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        texts, texts_ko = (t and tuple(t[i] for i in indices) for t in (self.texts, self.texts_ko))
        return Pictures(
            self.x[chosen], None if self.labels is None else self.labels[chosen], texts, texts_ko, self.checker
        )


@dataclass(frozen=True, eq=False)
class ImageData:
    """A set of pictures: what to know of it, its training part and its held-out part."""

    info: DataInfo
    train: Pictures
    test: Pictures


def image_data(name: str, train: Pictures, test: Pictures, class_names: Iterable[str], credit: str) -> ImageData:
    """The data set made of two parts whose pictures have one shape, which its `DataInfo` takes from them."""
    _, channels, height, width = train.x.shape
    info = DataInfo(
        name=name,
        channels=channels,
        height=height,
        width=width,
        class_names=tuple(class_names),
        captioned=train.texts is not None,
        size=len(train),
        credit=credit,
    )
    return ImageData(info, train, test)


def split(n: int, share: float, labels: Tensor | None = None) -> tuple[list[int], list[int]]:
    """(training, held-out) indices of n >= 2 examples, neither empty; share < 0.5 of each class is held out.

    RandomState's stream is frozen by NumPy, so that the held-out part never changes under a checkpoint.
    """
    order = np.random.RandomState(0).permutation(n)
    kinds = np.zeros(n) if labels is None else labels.numpy()
    by_class = [order[kinds[order] == kind] for kind in np.unique(kinds)]
    held_out = np.concatenate([group[: round(share * len(group))] for group in by_class])
    if not len(held_out):
        held_out = order[:1]
    return sorted(set(range(n)) - set(held_out.tolist())), sorted(held_out.tolist())


def resized(data: ImageData, side: int) -> ImageData:
    """The same data with pictures of `side` by `side` pixels, by area-weighted bilinear interpolation."""

    def fit(part: Pictures) -> Pictures:
        # In chunks: the interpolation holds several float copies of what it is given.
        chunks = [interpolate(x, (side, side), mode="bilinear", antialias=True) for x in part.x.split(4096)]
        return replace(part, x=torch.cat(chunks))

    if data.info.height == data.info.width == side:
        return data
    info = replace(data.info, name=f"{data.info.name}:{side}", height=side, width=side)
    return ImageData(info, fit(data.train), fit(data.test))
