"""How far the features of one take of speech are from another's, frame by frame along the best alignment."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from playground.signal import dtw
from playground.signal.world import Features

DECIBELS = 10 * math.sqrt(2) / math.log(10)
"""What turns a distance between mel-cepstra into dB (Kubichek 1993)."""


@dataclass(frozen=True)
class Difference:
    """A take against a reference."""

    distortion: float
    """Mel-cepstral distortion, c_1 to c_24, in dB: the mean over the paired frames."""
    f0_hertz: float
    """Root mean square error of F0 over the pairs voiced in both, in Hz; NaN if there are none."""
    f0_cents: float
    """The same in cents (hundredths of a semitone)."""
    voicing: float
    """Share of the pairs in which one is voiced and the other is not, in [0, 1]."""


def of_features(take: Features, reference: Features) -> Difference:
    """The figures of takes already analysed (by `analysed`, or straight from a model)."""
    i, j = dtw.align(take.cepstra[:, 1:], reference.cepstra[:, 1:])
    hertz, wanted = take.f0[i].double(), reference.f0[j].double()
    both = (hertz > 0) & (wanted > 0)
    rms = lambda error: float(error.square().mean().sqrt()) if len(error) else math.nan
    return Difference(
        float(distortion(take.cepstra[i], reference.cepstra[j]).mean()),
        rms(hertz[both] - wanted[both]),
        rms(1200 * (hertz[both] / wanted[both]).log2()),
        float(((hertz > 0) != (wanted > 0)).double().mean()),
    )


def distortion(a: Tensor, b: Tensor) -> Tensor:
    """Mel-cepstral distortion in dB, (L,), of mel-cepstra (L, order + 1) frame by frame; c_0, the energy, is left out."""
    return DECIBELS * (a[:, 1:].double() - b[:, 1:].double()).norm(dim=1)
