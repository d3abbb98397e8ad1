"""ViT-GAN: distance, and digits that are what was asked for, taught by a ViT and by a convolutional discriminator."""

from __future__ import annotations

from benchmarks.quality import Bar, read_as_asked, real_read, rfd, rfd_floor

CONVOLUTIONAL = "mnist-convolutional"
"""The checkpoint whose discriminator is convolutional. The reference's is a ViT, as the default one's."""


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
