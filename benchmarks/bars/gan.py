"""GAN: distance, and digits that are what was asked for; the reference is a diffusion model of the same minutes."""

from __future__ import annotations

from benchmarks.quality import Bar, rfd_floor, samples
from playground import data, metrics
from playground.checkpoint import Checkpoint


def rfd(made: Checkpoint, n: int) -> float:
    return metrics.rfd(samples(made, n)[0])


def read_as_asked(made: Checkpoint, n: int) -> float:
    """Share read with over 0.95 confidence as the class asked for; as any digit where the model takes no class."""
    return metrics.recognisable(*samples(made, n)).share


def real_read(n: int) -> float:
    """The same share of real test pictures."""
    return float(metrics.statistics()["share_as_asked"])


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
