"""VAE: the likelihood by the field's protocol, and the distance of decoder means beside the reference's.

The protocol: MNIST's 10,000 test pictures binarised once by a Bernoulli draw of seed 0, log p(x) bounded by importance
sampling (Burda 2015) from the encoder's posterior, in nats.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.quality import Bar, rfd, rfd_floor
from playground import data
from playground.checkpoint import Checkpoint

IMPORTANCE_SAMPLES = 500
BATCH = 40
"""Pictures at a time: with the model's chunks of 50 samples, 2,000 decoded pictures are in memory."""


@lru_cache(maxsize=1)
def binarised() -> tuple[Tensor, Tensor]:
    """The test pictures (10000, 1, 28, 28) as zeros and ones, with their labels."""
    test = data.load("mnist").test
    assert test.labels is not None
    x = torch.bernoulli(test.x.float() / 255, generator=torch.Generator().manual_seed(0))
    return x, test.labels


def negative_log_likelihood(made: Checkpoint, n: int) -> float:
    """-log p(x) of n test pictures with 500 importance samples: an upper bound, in nats a picture.

    A model told the class bounds log p(x | y). log p(x) >= log p(y) + log p(x | y) for any y, so the true class with
    its probability of one tenth gives a bound on log p(x) itself: 2.30 nats are charged for the label.
    """
    x, y = binarised()
    rng = torch.Generator().manual_seed(1)
    told = bool(made.config.labels)
    model: Any = made.model
    total = 0.0
    for first in range(0, min(n, len(x)), BATCH):
        part = slice(first, min(first + BATCH, n))
        total += float(model.log_prob_bound(x[part], IMPORTANCE_SAMPLES, y[part] if told else None, rng=rng).sum())
    return (math.log(made.config.labels) if told else 0.0) - total / min(n, len(x))


def negative_bound(made: Checkpoint, n: int) -> float:
    """The bound that training maximises, one sample a picture, negated, in nats; the label charged as above.

    The reference's code has 784 numbers, for which 500 decoded samples a picture would take hours: this bound is the
    likelihood that both sides can be asked for.
    """
    x, y = (part[:n] for part in binarised())
    rng = torch.Generator().manual_seed(1)
    model: Any = made.model
    total, told = 0.0, bool(getattr(made.config, "labels", 0))
    for pictures, labels in zip(x.split(250), y.split(250), strict=True):
        asked = labels if told else None
        eps = torch.randn(len(pictures), *model.noise_shape, generator=rng)
        loss, _ = model(pictures, asked, eps)
        total += float(loss.detach()) * len(pictures)
    return total / len(x) + (math.log(made.config.labels) if told else 0.0)


def reconstruction_error(made: Checkpoint, n: int) -> float:
    """Squared error a pixel of grey test pictures through the mean of their code and back."""
    test = data.load("mnist").test
    x, y = test.batch(torch.arange(min(n, len(test))))
    assert y is not None
    told = bool(getattr(made.config, "labels", 0))
    model: Any = made.model
    errors = [
        F.mse_loss(model.reconstruct(pictures, labels if told else None), pictures).item() * len(pictures)
        for pictures, labels in zip(x.split(250), y.split(250), strict=True)
    ]
    return sum(errors) / len(x)


BARS = (
    Bar("-log p(x), nats, 500 samples", negative_log_likelihood, target=86.8, ours_only=True),
    Bar("-bound, nats, 1 sample", negative_bound),
    Bar("rFD of decoder means", rfd, no_worse_than_reference=True, floor=rfd_floor),
    Bar("reconstruction, squared error a pixel", reconstruction_error),
)
