"""What is done at the edges of a recording: its rate, the silence around it, its loudness, cuts without clicks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from playground.signal import checks

FADE_MS = 5.0
LEVEL_DB = -23.0
"""RMS over the parts that sound, in dB below full scale: speech at it seldom peaks above 0.9."""
PEAK = 0.99
SILENCE_DB = -75.0
"""RMS below it, in dB of full scale, is silence: mu-law's smallest steps are, the quietest real voice 26 dB softer is not."""


def resample(samples: Tensor, rate: int, wanted: int) -> Tensor:
    """The recording (T,) at another rate, float32, band-limited (soxr, high quality)."""
    import soxr

    checks.recording(samples)
    if rate == wanted:
        return samples.float()
    return torch.from_numpy(soxr.resample(samples.detach().cpu().float().numpy(), rate, wanted, quality="HQ"))


def sounding(samples: Tensor, rate: int, below_db: float = 30.0) -> tuple[int, int]:
    """(begin, end) of the recording (T,) without the silence around it, in samples; (0, 0) if all of it is silent.

    Silent is a window of 25 ms whose RMS lies more than `below_db` under the loudest's, or under `SILENCE_DB`. (30 dB
    is above the room's noise in every corpus used here; the noise of some recordings lies only 37 dB below speech.)
    """
    window, hop = max(2, rate // 40), max(1, rate // 100)
    checks.recording(samples)
    padded = torch.nn.functional.pad(samples.detach().float(), (0, window))
    power = padded.unfold(0, window, hop).square().mean(1)  # (windows,)
    loud = torch.nonzero(power > max(float(power.max()) * 10 ** (-below_db / 10), 10 ** (SILENCE_DB / 10)))[:, 0]
    return (int(loud[0]) * hop, min(len(samples), int(loud[-1]) * hop + window)) if len(loud) else (0, 0)


def trim(samples: Tensor, rate: int, below_db: float = 30.0, keep_ms: float = 20.0) -> Tensor:
    """The recording (T,) without the silence around it, but for `keep_ms` of it on either side.

    Raises `BadSound` where there is nothing but silence.
    """
    begin, end = sounding(samples, rate, below_db)
    if begin == end:
        raise checks.BadSound("the recording is silent", "녹음에 소리가 없습니다")
    keep = round(rate * keep_ms / 1000)
    return samples[max(0, begin - keep) : end + keep]


def level(samples: Tensor, rate: int, db: float = LEVEL_DB) -> Tensor:
    """The recording (T,) at equal loudness: RMS of `db` where it sounds, less if its peak would pass `PEAK`.

    Silence stays silence.
    """
    begin, end = sounding(samples, rate)
    if begin == end:
        return samples
    rms = samples[begin:end].square().mean().sqrt()
    return samples * torch.minimum(10 ** (db / 20) / rms, PEAK / samples.abs().max())


def fade(samples: Tensor, rate: int, ms: float = FADE_MS) -> Tensor:
    """The recording (T,) with both ends brought to zero by half a Hann window each: no click where it is cut."""
    n = min(round(rate * ms / 1000), len(samples) // 2)
    ramp = torch.from_numpy(0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / max(1, n))).to(samples)
    ones = torch.ones(len(samples) - 2 * n, dtype=samples.dtype, device=samples.device)
    return samples * torch.cat([ramp, ones, ramp.flip(0)])


def join(parts: Sequence[Tensor], rate: int, gap_ms: float = 0.0) -> Tensor:
    """Recordings (T_i,) one after another with `gap_ms` of silence between, each faded at its ends. None give (0,)."""
    if not parts:
        return torch.zeros(0)
    gap = torch.zeros(round(rate * gap_ms / 1000)).to(parts[0])
    pieces = [piece for part in parts for piece in (gap, fade(part, rate))]
    return torch.cat(pieces[1:])
