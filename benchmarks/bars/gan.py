"""GAN: distance, and digits that are what was asked for; the reference is a diffusion model of the same minutes."""

from __future__ import annotations

from benchmarks.quality import Bar, read_as_asked, real_read, rfd, rfd_floor, samples
from playground import data, metrics
from playground.checkpoint import Checkpoint


def precision(made: Checkpoint, n: int) -> float:
    return metrics.precision_recall(samples(made, min(n, 5000))[0], data.load("mnist").test.x).precision


def recall(made: Checkpoint, n: int) -> float:
    return metrics.precision_recall(samples(made, min(n, 5000))[0], data.load("mnist").test.x).recall


BARS = (
    Bar("rFD", rfd, target=0.08, floor=rfd_floor),
    Bar("recognisable as asked", read_as_asked, "higher", target=0.98, floor=real_read),
    Bar("rFD of the good preset", rfd, target=0.5, floor=rfd_floor, preset="good", ours_only=True),
    Bar("precision (k = 5)", precision, "higher"),
    Bar("recall (k = 5)", recall, "higher"),
)
