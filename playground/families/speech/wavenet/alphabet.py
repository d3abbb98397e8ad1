"""Recordings as the symbols that the net draws, and back.

Before mu-law a share of each sample is taken from the next (pre-emphasis). What mu-law and a net that is not yet sure add
is white noise, and speech has little power at high frequencies, where its noise would be louder than itself; undoing the
emphasis shapes that noise like speech. So LPCNet does: Valin and Skoglund (2018), arXiv:1810.11846.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from playground.signal import mulaw


def gain(emphasis: float) -> float:
    """What emphasised samples are multiplied by, so that speech uses mu-law's range as before: 1 without emphasis."""
    return 1 + emphasis


def encode(samples: Tensor, emphasis: float) -> Tensor:
    """Samples (T,) in [-1, 1] -> symbols (T,), int64: mu-law of gain * (x_t - emphasis * x_(t-1))."""
    before = torch.nn.functional.pad(samples, (1, 0))[:-1]
    return mulaw.encode(gain(emphasis) * (samples - emphasis * before))


def decode(parts: Iterable[Tensor], emphasis: float) -> Iterator[Tensor]:
    """Symbols part by part -> samples in [-1, 1] part by part: x_t = y_t / gain + emphasis * x_(t-1)."""
    from scipy.signal import lfilter

    state = [0.0]
    for symbols in parts:
        y = mulaw.decode(symbols).cpu().numpy() / gain(emphasis)
        x, state = lfilter([1.0], [1.0, -emphasis], y, zi=state)
        yield torch.from_numpy(x).float().clamp(-1, 1)
