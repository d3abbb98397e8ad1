"""ViT-GAN: distance, and digits that are what was asked for, taught by a ViT and by a convolutional discriminator."""

from __future__ import annotations

from benchmarks.quality import Bar, rfd_floor, samples
from playground import metrics
from playground.checkpoint import Checkpoint

CONVOLUTIONAL = "mnist-convolutional"
"""The checkpoint whose discriminator is convolutional. The reference's is a ViT, as the default one's."""


def rfd(made: Checkpoint, n: int) -> float:
    return metrics.rfd(samples(made, n)[0])


def read_as_asked(made: Checkpoint, n: int) -> float:
    """Share read with over 0.95 confidence as the class asked for; as any digit where the model takes no class."""
    return metrics.recognisable(*samples(made, n)).share


def real_read(n: int) -> float:
    """The same share of real test pictures."""
    return float(metrics.statistics()["share_as_asked"])


BARS = (
    Bar("rFD", rfd, target=0.6, floor=rfd_floor),
    Bar("recognisable as asked", read_as_asked, "higher", target=0.9, floor=real_read),
    Bar(
        "rFD, convolutional discriminator",
        rfd,
        target=0.2,
        floor=rfd_floor,
        ours_only=True,
        checkpoint=CONVOLUTIONAL,
    ),
    Bar(
        "recognisable as asked, convolutional discriminator",
        read_as_asked,
        "higher",
        target=0.9,
        floor=real_read,
        ours_only=True,
        checkpoint=CONVOLUTIONAL,
    ),
)
