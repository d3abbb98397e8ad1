"""What a loaded data set is: pictures at rest as uint8, batches as float32 in [0, 1], and a held-out part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from playground.contract import DataInfo


class BadData(ValueError):
    """A data set that is there but cannot be used; the message says what is wrong with it."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """One part of a data set.

    x: (N, C, H, W) uint8, C of 1 or 3. labels: (N,) int64 indices into `DataInfo.class_names`, or None.
    texts: one caption for each picture, or None; texts_ko: the same in Korean, "" where there is no such name.
    """

    x: Tensor
    labels: Tensor | None = None
    texts: tuple[str, ...] | None = None
    texts_ko: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor | None]:
        """The pictures at `indices` (B,) as float32 (B, C, H, W) in [0, 1], with their labels (B,) or None."""
        return self.x[indices].float() / 255, None if self.labels is None else self.labels[indices]

    def select(self, indices: Sequence[int] | Tensor) -> Pictures:
        """The part made of the pictures at `indices`, in that order."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        texts, texts_ko = (t and tuple(t[i] for i in chosen.tolist()) for t in (self.texts, self.texts_ko))
        labels = None if self.labels is None else self.labels[chosen]
        return Pictures(self.x[chosen], labels, texts, texts_ko)


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set of pictures: what to know of it, its training part and its held-out part."""

    info: DataInfo
    train: Pictures
    test: Pictures


def image_data(
    name: str, train: Pictures, test: Pictures, class_names: Sequence[str] = (), credit: str = ""
) -> ImageData:
    """The data set made of two parts of one shape; everything in its `DataInfo` but the names is read off them."""
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


def split(n: int, share: float) -> tuple[list[int], list[int]]:
    """(training, held-out) indices of n examples: the same for equal n on every machine, at least one in each.

    RandomState's stream is frozen by NumPy, so that the held-out part never changes under a checkpoint.
    """
    order = np.random.RandomState(0).permutation(n)
    held_out = min(max(round(n * share), 1), n - 1)
    return sorted(order[held_out:].tolist()), sorted(order[:held_out].tolist())
