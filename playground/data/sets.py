"""The registered picture sets: where each one's files lie and how they are read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from playground.contract import DataMissing
from playground.data.pictures import ImageData, Pictures, image_data, split


def root() -> Path:
    """The data folder: `PLAYGROUND_DATA`, or a folder in the user's cache. It may be read-only."""
    named = os.environ.get("PLAYGROUND_DATA")
    return Path(named) if named else Path.home() / ".cache" / "generative-playground"


def read_idx(path: Path) -> Tensor:
    """The uint8 array of an IDX file (LeCun's format), mapped rather than read: processes share its pages."""
    with path.open("rb") as file:
        magic = file.read(4)
        shape = np.frombuffer(file.read(4 * magic[3]), ">u4").astype(int)
    # Mode "c" is copy on write: torch wants writable memory, the file stays untouched.
    return torch.from_numpy(
        np.memmap(path, np.uint8, "c", offset=4 + 4 * magic[3], shape=tuple(shape))
    )


def digits() -> ImageData:
    """1,797 handwritten 8x8 digits, embedded in scikit-learn; every fifth or so is held out."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.from_numpy((data.images * (255 / 16)).round().astype(np.uint8))[
        :, None
    ]  # 0..16 -> 0..255
    pictures = Pictures(x, torch.from_numpy(data.target).long())
    train, test = split(len(x), share=0.2)
    credit = "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI; CC BY 4.0"
    return image_data(
        "digits", pictures.select(train), pictures.select(test), "0123456789", credit
    )


def mnist() -> ImageData:
    """70,000 handwritten 28x28 digits."""
    folder = root() / "MNIST" / "raw"
    if not (folder / "train-images-idx3-ubyte").exists():
        raise DataMissing("mnist is not on this machine; digits is always there")

    def part(stem: str) -> Pictures:
        images, labels = (
            read_idx(folder / f"{stem}-images-idx3-ubyte"),
            read_idx(folder / f"{stem}-labels-idx1-ubyte"),
        )
        return Pictures(images[:, None], labels.long())

    credit = "MNIST, Y. LeCun, C. Cortes and C. J. C. Burges (1998); CC BY-SA 3.0"
    return image_data("mnist", part("train"), part("t10k"), "0123456789", credit)
