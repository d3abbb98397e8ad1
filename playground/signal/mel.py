"""The one mel front end: every spectrogram that a family reads or writes is made here.

16 kHz speech follows transformers' `SpeechT5FeatureExtractor`, so that mels and vocoders of this project and of the hub
(`microsoft/speecht5_hifigan`) can be exchanged: a Hann window of 1024 samples every 256, magnitudes (not power), 80
filters of equal area between 80 and 7600 Hz on Slaney's mel scale, log10. Spoken digits keep their own 8 kHz with the
same window and hop in milliseconds (64 and 16) and filters as dense on the mel axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from playground.signal import checks

FLOOR = 1e-10
"""Mel magnitudes below it are taken for it, as `SpeechT5FeatureExtractor` does: a silent frame is -10 throughout."""


@dataclass(frozen=True)
class Front:
    """How a spectrogram is made. rate, low and high in Hz; n_fft (window and transform) and hop in samples."""

    rate: int
    n_fft: int
    hop: int
    mels: int
    low: float
    high: float

    @property
    def least(self) -> int:
        """Samples that a recording must have: its edges are mirrored by half a window."""
        return self.n_fft // 2 + 1

    def frames(self, samples: int) -> int:
        """Frames of a recording of that many samples; frame t is centred on sample t * hop."""
        return 1 + samples // self.hop


SPEECH = Front(rate=16_000, n_fft=1024, hop=256, mels=80, low=80.0, high=7600.0)
DIGITS = Front(rate=8_000, n_fft=512, hop=128, mels=64, low=80.0, high=3800.0)


def log_mel(samples: Tensor, front: Front = SPEECH) -> Tensor:
    """Recordings (..., T) at `front.rate` -> log10 mel magnitudes (..., frames, mels), frames = 1 + T // hop.

    Differentiable, in the precision and on the device of the samples. Raises `BadSound` for fewer than `front.least`.
    """
    checks.long_enough(samples.shape[-1], front.least)
    mel = _transform(front, samples.device, samples.dtype)(samples)  # (..., mels, frames)
    return mel.clamp_min(FLOOR).log10().transpose(-1, -2)


def filters(front: Front, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
    """The bank of triangular filters (n_fft // 2 + 1, mels); mel magnitudes are magnitudes @ filters."""
    bank: Tensor = _transform(front, torch.device(device), dtype).get_buffer("mel_scale.fb")
    return bank


@lru_cache(maxsize=16)
def _transform(front: Front, device: torch.device, dtype: torch.dtype) -> nn.Module:
    from torchaudio.transforms import MelSpectrogram

    # Not in a caller's inference mode: its tensors could never take part in training afterwards.
    # The window in double precision: rounded, it leaks into mels that lie 60 dB below their neighbours.
    with torch.inference_mode(False):
        return MelSpectrogram(
            sample_rate=front.rate,
            n_fft=front.n_fft,
            hop_length=front.hop,
            f_min=front.low,
            f_max=front.high,
            n_mels=front.mels,
            power=1.0,
            norm="slaney",
            mel_scale="slaney",
            wkwargs={"dtype": torch.float64},
        ).to(device, dtype)
