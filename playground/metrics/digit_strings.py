"""Whether a string of digits is said as asked: it is split where there is silence, and each piece is read by the judge."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from playground.metrics.spoken_digit_judge import read
from playground.signal import edges

QUIET_DB, GAP, LEAST = 35.0, 0.08, 0.06
"""A pause is quieter than the loudest place by so many dB for so many seconds at least; a piece sounds for so many."""


def split(
    samples: Tensor, rate: int, quiet_db: float = QUIET_DB, gap: float = GAP, least: float = LEAST
) -> list[Tensor]:
    """The pieces (T_i,) of a recording (T,) that silence parts, without what is too short to be a word."""
    window = max(2, rate // 100)
    blocks = torch.nn.functional.pad(samples.float(), (0, -len(samples) % window)).view(-1, window)
    power = blocks.square().mean(1)  # every 10 ms
    loud = (power > max(float(power.max()) * 10 ** (-quiet_db / 10), 10 ** (edges.SILENCE_DB / 10))).nonzero()[:, 0]
    if not len(loud):
        return []
    cuts = (loud.diff() > round(gap * rate / window)).nonzero()[:, 0] + 1
    runs = [run for run in loud.tensor_split(cuts.tolist()) if len(run) * window >= least * rate]
    return [samples[int(run[0]) * window : (int(run[-1]) + 1) * window] for run in runs]


def read_of(recordings: Sequence[Tensor], digits: Sequence[Sequence[int]], rate: int) -> tuple[int, int]:
    """(digits heard where they were asked for, digits asked for) over some strings. A string with another count of
    digits has none of its own."""
    right = 0
    pieces: list[Tensor] = []
    wanted: list[int] = []
    for samples, asked in zip(recordings, digits, strict=True):
        parts = split(samples, rate)
        if len(parts) == len(asked):
            pieces += parts
            wanted += asked
    if pieces:
        right = int((read(pieces, rate)[0] == torch.tensor(wanted)).sum())
    return right, sum(len(asked) for asked in digits)
