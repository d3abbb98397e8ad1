"""The digit judge: a small convolutional classifier of MNIST that gives pictures of digits their marks.

Nothing generative is judged by itself here: the judge saw only real training pictures. Its penultimate layer is the
space in which Frechet distance and k-NN precision and recall are measured (in place of Inception, which knows
photographs and no digits), and its confidence says whether a sample can be read. `train_judge.py` made its weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from playground.metrics import judging

FOLDER = Path(__file__).resolve().parents[2] / "checkpoints" / "judge" / "digits"
"""The shipped judge: weights, config, reference statistics, model card, checksums."""


@dataclass(frozen=True)
class Config:
    """Architecture: channels of the first and of the two further convolutions, features, classes."""

    narrow: int = 32
    wide: int = 64
    features: int = 96
    classes: int = 10


class Judge(nn.Module):
    """Three convolutions and one hidden layer: 28x28 -> 14x14 -> 7x7 -> 5x5 -> features -> logits."""

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        a, b = config.narrow, config.wide
        self.body = nn.Sequential(
            nn.Conv2d(1, a, 5, padding=2, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(a), nn.ReLU(),  # (N, a, 14, 14)
            nn.Conv2d(a, b, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(b), nn.ReLU(),  # (N, b, 7, 7)
            nn.Conv2d(b, b, 3, bias=False), nn.BatchNorm2d(b), nn.ReLU(),  # (N, b, 5, 5)
            nn.Flatten(), nn.Linear(b * 25, config.features), nn.ReLU(),  # (N, features)
        )  # fmt: skip
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(config.features, config.classes)

    def features(self, x: Tensor) -> Tensor:
        """The penultimate layer after its ReLU, (N, features), of pictures x (N, 1, 28, 28) in [0, 1]."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of pictures x (N, 1, 28, 28) in [0, 1]."""
        return self.head(self.drop(self.features(x)))


def as_pictures(pictures: Tensor) -> Tensor:
    """Pictures as the judge takes them: (N, 1, 28, 28), uint8 as it is stored or float in [0, 1].

    (N, 28, 28) gets its channel. Raises ValueError for another shape, for values outside [0, 1] or not finite.
    """
    x = pictures[:, None] if pictures.ndim == 3 else pictures
    if x.ndim != 4 or tuple(x.shape[1:]) != (1, 28, 28):
        raise ValueError(f"the digit judge reads pictures of (N, 1, 28, 28), not {tuple(pictures.shape)}")
    # A NaN fails both comparisons, so it is refused here too.
    if x.dtype != torch.uint8 and len(x) and not (x.min() >= 0 and x.max() <= 1):
        raise ValueError("the digit judge reads pictures with values in [0, 1]")
    return x


def batches(pictures: Tensor, size: int = 1000) -> Iterator[Tensor]:
    """The pictures as float32 in [0, 1], `size` at a time, in channels_last (twice as fast on a CPU)."""
    for part in as_pictures(pictures).split(size):
        x = part.float() / 255 if part.dtype == torch.uint8 else part.float()
        yield x.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def features_of(pictures: Tensor, judge_model: Judge | None = None) -> Tensor:
    """The judge's features (N, F) of pictures as `as_pictures` takes them, float32."""
    net = judge_model or judge()
    return torch.cat([net.features(x) for x in batches(pictures)])


@torch.inference_mode()
def probabilities_of(pictures: Tensor, judge_model: Judge | None = None) -> Tensor:
    """The judge's probability of each digit (N, 10) for pictures as `as_pictures` takes them."""
    net = judge_model or judge()
    return torch.cat([net(x).softmax(1) for x in batches(pictures)])


@lru_cache(maxsize=1)
def judge() -> Judge:
    """The shipped judge, loaded and verified once in a process."""
    return load()


def load(folder: Path = FOLDER) -> Judge:
    """The judge of `folder`, verified, in evaluation mode. Raises `checkpoint.Damaged`, naming the file."""
    return judging.load(folder, Config, Judge)
