"""One recording out of a file that anybody may have made, within bounds: samples of one channel, or a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import torch

from playground.data.archive import Bounds, Skip
from playground.signal import edges

RATES = (8_000, 16_000)
"""Hz that a set of recordings may be asked for in: those of the two mel front ends."""
ODD_RATES = (1_000, 192_000)
MOST_CHANNELS = 8
SILENT = 0.004
"""The loudest sample of a recording in which nothing is heard."""
BLOCK = 1 << 16


@dataclass(frozen=True)
class Limits(Bounds):
    """What recordings may ask of this machine beyond that."""

    seconds: float = 30.0
    """One recording."""
    least: float = 0.05
    """One recording, the silence around it cut off."""
    total: float = 7_200.0
    """All recordings, in seconds."""


LIMITS = Limits()


def decode(file: BinaryIO, most: float, least_rate: int = ODD_RATES[0]) -> tuple[np.ndarray, int]:
    """(samples (T,) float32, rate) of WAV, FLAC, OGG or MP3, its channels mixed. `Skip` where it cannot be used.

    `most`: seconds. What a file says of itself is not trusted: no more is read than those seconds hold.
    """
    import soundfile

    try:
        with soundfile.SoundFile(file) as opened:
            rate, channels = int(opened.samplerate), opened.channels
            if not least_rate <= rate <= ODD_RATES[1] or channels > MOST_CHANNELS:
                raise Skip(
                    f"an unusual recording ({rate:,} Hz, {channels} channels)",
                    f"특이한 녹음입니다({rate:,} Hz, {channels}채널)",
                )
            if opened.frames > most * rate:
                raise _too_long(most)
            # Block by block: a minute of eight channels would be large.
            blocks, heard = [], 0
            for block in opened.blocks(BLOCK, dtype="float32", always_2d=True):
                blocks.append(block.mean(axis=1))
                heard += len(block)
                if heard > most * rate:
                    raise _too_long(most)
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError, OSError) as error:
        raise Skip("not a recording that can be read", "읽을 수 있는 녹음이 아닙니다") from error
    if not heard:
        raise Skip("an empty recording", "빈 녹음입니다")
    return np.concatenate(blocks), rate


def _too_long(most: float) -> Skip:
    return Skip(f"longer than {most:g} seconds", f"{most:g}초보다 깁니다")


def prepared(samples: np.ndarray, rate: int, wanted: int, limits: Limits = LIMITS) -> np.ndarray:
    """The recording as a set keeps it: at the wanted rate, silence at both ends cut off, (T,) int16.

    `Skip` where it holds no numbers, no sound, or too little of it.
    """
    if not np.isfinite(samples).all():
        raise Skip("it holds values that are no numbers", "숫자가 아닌 값이 들어 있습니다")
    if np.abs(samples).max(initial=0) < SILENT:
        raise Skip("nothing is heard in it", "아무 소리도 들리지 않습니다")
    made = edges.resample(torch.from_numpy(samples).clamp(-1, 1), rate, wanted)
    begin, end = edges.sounding(made, wanted)
    if end - begin < limits.least * wanted:
        raise Skip(f"shorter than {limits.least:g} seconds", f"{limits.least:g}초보다 짧습니다")
    return as_int16(edges.trim(made, wanted).numpy())


def as_int16(samples: np.ndarray) -> np.ndarray:
    return (samples * 32768).round().clip(-32768, 32767).astype(np.int16)


def at_rate(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """(T,) float32 at another rate."""
    return edges.resample(torch.from_numpy(samples), rate, wanted).numpy()
