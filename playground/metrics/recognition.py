"""Recognisability: the share of samples that the digit judge reads with over 0.95 confidence, as what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from playground.metrics.digit_judge import probabilities_of
from playground.metrics.frechet import statistics

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Recognised:
    """A share of samples, beside what the judge makes of real held-out examples by the same rule."""

    share: float
    """Samples read with over 0.95 confidence, as what was asked for where that is known; in [0, 1]."""
    real_share: float
    """The same share of the real held-out examples (10,000 pictures, 300 recordings): the ceiling."""
    judge_accuracy: float
    """The judge's plain accuracy on them."""


def recognisable(pictures: Tensor, labels: Tensor | None = None) -> Recognised:
    """How many pictures (N, 1, 28, 28) the judge reads: as `labels` (N,) int64, or as any digit if labels is None."""
    if len(pictures) == 0 or (labels is not None and len(labels) != len(pictures)):
        raise ValueError(f"{len(pictures)} pictures with {'no' if labels is None else len(labels)} labels")
    stored = statistics()
    real_share = stored["share_as_any" if labels is None else "share_as_asked"]
    return Recognised(share_read(probabilities_of(pictures), labels), float(real_share), float(stored["accuracy"]))


def share_read(probabilities: Tensor, labels: Tensor | None) -> float:
    """Share of rows of `probabilities` (N, 10) over 0.95 at the label, or anywhere if labels is None."""
    confidence = probabilities.amax(1) if labels is None else probabilities.gather(1, labels[:, None])[:, 0]
    return float((confidence > CONFIDENCE).double().mean())
