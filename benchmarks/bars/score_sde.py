"""Score-based: distance at 25 evaluations, digits that are what was asked for, exact likelihood.

A sample takes 25 evaluations of the score net and, since it is guided, as strongly as the tab does it, 25 gradients of
the classifier: 50 together.
The reference is drawn by the same sampler with 50 evaluations of its one net, which take a core half a second a picture:
the two are set side by side on 1,000 samples each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.quality import Bar, real_read, rfd_floor, samples
from playground import data, metrics
from playground.checkpoint import Checkpoint

EVALUATIONS = 50
BESIDE = 1000
"""Samples of either side where the reference is drawn too."""
LIKELIHOODS = 200
"""Test pictures whose likelihood is taken: each costs about two hundred evaluations and gradients."""


def drawn(made: Checkpoint, n: int) -> tuple[Tensor, Tensor | None]:
    both = made.side == "ours" and bool(made.config.labels)
    return (
        samples(made, n, evaluations=EVALUATIONS // 2, guidance=5.0)
        if both
        else samples(made, n, evaluations=EVALUATIONS)
    )


def rfd(made: Checkpoint, n: int) -> float:
    return metrics.rfd(drawn(made, n)[0])


def rfd_beside(made: Checkpoint, n: int) -> float:
    return rfd(made, min(n, BESIDE))


def read_as_asked(made: Checkpoint, n: int) -> float:
    """Share read with over 0.95 confidence as the class asked for; as any digit where the model takes no class."""
    return metrics.recognisable(*drawn(made, min(n, BESIDE))).share


def bits_per_dim(made: Checkpoint, n: int) -> float:
    """Bits a pixel of test pictures, uniform dequantisation, by the probability-flow ODE with tolerance 1e-4."""
    test = data.load("mnist").test
    rng = torch.Generator().manual_seed(0)
    chosen = torch.arange(min(n, LIKELIHOODS, len(test)))
    model: Any = made.model
    total = 0.0
    for part in chosen.split(100):
        *_, (_, bits) = model.bits_per_dim(test.batch(part)[0], rng=rng, tolerance=1e-4)
        total += float(bits.sum())
    return total / len(chosen)


BARS = (
    Bar("rFD, 50 evaluations", rfd, target=0.15, floor=rfd_floor, ours_only=True),
    Bar(
        "rFD of 1,000, 50 evaluations",
        rfd_beside,
        no_worse_than_reference=True,
        floor=lambda n: rfd_floor(min(n, BESIDE)),
    ),
    Bar("recognisable as asked", read_as_asked, "higher", floor=real_read),
    Bar("bits/dim, uniform dequantisation", bits_per_dim, ours_only=True),
)
