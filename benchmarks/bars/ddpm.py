"""DDPM: distance and digits as asked with 25 looks of the net; without classes, beside the library's net of equal size."""

from __future__ import annotations

from benchmarks.quality import Bar, rfd_floor, samples
from playground import metrics
from playground.checkpoint import Checkpoint

EVALUATIONS = 25
UNCONDITIONAL = "mnist-unconditional"
"""Of ours and of the reference: a net that is told no class, which is all that diffusers' pipelines can draw with."""


def rfd(made: Checkpoint, n: int) -> float:
    return metrics.rfd(samples(made, n, steps=EVALUATIONS)[0])


def recognised(made: Checkpoint, n: int) -> float:
    """Share read with over 0.95 confidence as the class asked for; as any digit where the model takes no class."""
    return metrics.recognisable(*samples(made, n, steps=EVALUATIONS)).share


def real_as_asked(n: int) -> float:
    """The same share of real test pictures."""
    return float(metrics.statistics()["share_as_asked"])


def real_as_any(n: int) -> float:
    return float(metrics.statistics()["share_as_any"])


BARS = (
    Bar("rFD, 25 evaluations", rfd, target=0.08, floor=rfd_floor, ours_only=True),
    Bar("recognisable as asked", recognised, "higher", target=0.97, floor=real_as_asked, ours_only=True),
    Bar("rFD of the good preset", rfd, target=0.4, floor=rfd_floor, preset="good", ours_only=True),
    Bar("rFD without classes", rfd, no_worse_than_reference=True, floor=rfd_floor, checkpoint=UNCONDITIONAL),
    Bar("recognisable without classes", recognised, "higher", floor=real_as_any, checkpoint=UNCONDITIONAL),
)
