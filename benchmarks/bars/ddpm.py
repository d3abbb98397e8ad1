"""DDPM: distance and digits as asked with 25 looks of the net; without classes, beside the library's net of equal size.

With classes it draws as the tab does: 12 steps of DPM-Solver++, each guided by a second look of the net, 24 in all.
Without, both sides take 25 steps of DDIM and are set side by side on 1,000 samples each.
"""

from __future__ import annotations

from torch import Tensor

from benchmarks.quality import Bar, real_read, rfd_floor, samples
from playground import metrics
from playground.checkpoint import Checkpoint

BESIDE = 1000
"""Samples of either side where the reference is drawn too."""
UNCONDITIONAL = "mnist-unconditional"
"""Of ours and of the reference: a net that is told no class, which is all that diffusers' pipelines can draw with."""


def drawn(made: Checkpoint, n: int) -> tuple[Tensor, Tensor | None]:
    if made.config.conditional:
        return samples(made, n, steps=12, sampler="dpm_solver", guidance=0.25)
    return samples(made, min(n, BESIDE), steps=25)


def rfd(made: Checkpoint, n: int) -> float:
    return metrics.rfd(drawn(made, n)[0])


def recognised(made: Checkpoint, n: int) -> float:
    """Share read with over 0.95 confidence as the class asked for; as any digit where the model takes no class."""
    return metrics.recognisable(*drawn(made, n)).share


def real_as_any(n: int) -> float:
    return float(metrics.statistics()["share_as_any"])


BARS = (
    Bar("rFD, 25 evaluations", rfd, target=0.08, floor=rfd_floor, ours_only=True),
    Bar("recognisable as asked", recognised, "higher", target=0.97, floor=real_read, ours_only=True),
    Bar("rFD of the good preset", rfd, target=0.4, floor=rfd_floor, preset="good", ours_only=True),
    Bar(
        "rFD of 1,000 without classes",
        rfd,
        no_worse_than_reference=True,
        floor=lambda n: rfd_floor(min(n, BESIDE)),
        checkpoint=UNCONDITIONAL,
    ),
    Bar("recognisable of 1,000 without classes", recognised, "higher", floor=real_as_any, checkpoint=UNCONDITIONAL),
)
