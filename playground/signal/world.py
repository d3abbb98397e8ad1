"""The WORLD vocoder as features that a statistical model can learn, and back to sound.

Morise, Yokomori and Ozawa (2016), "WORLD: a vocoder-based high-quality speech synthesis system for real-time
applications"; the analysis is pyworld's (F0 by DIO and StoneMask, envelope by CheapTrick, aperiodicity by D4C). A frame
of 5 ms becomes

    cepstra       order + 1 mel-cepstra of the envelope: log|H(w)| = sum_m c_m cos(m w~), w~ the warped frequency
    log_f0        ln Hz; where nothing is voiced, a straight line between its voiced neighbours
    voicing       1 or 0
    aperiodicity  dB, one band at 16 kHz and none at 8 kHz, where D4C finds nothing but a slope: there voiced frames
                  get that slope, -60 dB at 0 Hz to 0 dB at 4 kHz

Mel-cepstra: Tokuda et al. (1994), "Mel-generalized cepstral analysis". The bilinear warping is that of Oppenheim and
Johnson (1972), "Discrete representation of signals".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from playground.contract import BadSetting, World
from playground.signal import checks

FRAME_MS = 5.0
ALPHA = {8_000: 0.31, 16_000: 0.42}
"""The bilinear warping that comes closest to the mel scale, by sampling rate in Hz."""
FFT_SIZE = {8_000: 512, 16_000: 1024}
"""CheapTrick's transform: envelopes have half as many bins, and one."""
ORDER = 24
LOW, HIGH = 60.0, 400.0
"""F0 is sought between these, in Hz: speech, low men's voices to children's."""
FLOOR = 1e-10
"""Power: about the noise of 16-bit samples. Digital silence would lie 70 dB below, an outlier in any model."""
GAP = 0.2
"""Seconds of silence between two words or sentences."""


@dataclass(frozen=True)
class Features:
    """A recording as parameters, float32: cepstra (T, order + 1), log_f0 and voicing (T,), aperiodicity (T, bands)."""

    cepstra: Tensor
    log_f0: Tensor
    voicing: Tensor
    aperiodicity: Tensor
    rate: int
    frame_ms: float = FRAME_MS

    def __len__(self) -> int:
        return len(self.cepstra)

    @property
    def f0(self) -> Tensor:
        """(T,) Hz, 0 where unvoiced (voicing of a half or less)."""
        return torch.where(self.voicing > 0.5, self.log_f0.exp(), torch.zeros_like(self.log_f0))

    def matrix(self) -> Tensor:
        """(T, order + 3 + bands): cepstra, log F0, voicing, aperiodicity."""
        return torch.cat([self.cepstra, self.log_f0[:, None], self.voicing[:, None], self.aperiodicity], dim=1)

    @staticmethod
    def of(matrix: Tensor, rate: int, frame_ms: float = FRAME_MS) -> Features:
        """The features whose `matrix()` this is."""
        cepstra, log_f0, voicing, aperiodicity = matrix.split([matrix.shape[1] - 2 - bands(rate), 1, 1, bands(rate)], 1)
        return Features(cepstra, log_f0[:, 0], voicing[:, 0], aperiodicity, rate, frame_ms)

    def world(self) -> World:
        """The parameters in WORLD's own terms, as a view yields them; `synthesise` makes them sound."""
        voiced = self.voicing > 0.5
        full = _decoded(self.aperiodicity, self.rate)
        aperiodicity = torch.where(voiced[:, None], full, torch.ones_like(full))
        return World(self.f0, envelope_of(self.cepstra, self.rate), aperiodicity, self.rate, self.frame_ms)


def analyse(
    samples: Tensor, rate: int, order: int = ORDER, low: float = LOW, high: float = HIGH, frame_ms: float = FRAME_MS
) -> Features:
    """A recording (T,) at 8,000 or 16,000 Hz -> one frame every `frame_ms`; F0 is sought in low ... high Hz.

    A recording without a voiced frame gets the middle of the F0 range throughout, and voicing 0. Raises `BadSound` for
    another rate and for recordings of less than 50 ms. 0.2 seconds for a second of speech at 16 kHz on one core.
    """
    import pyworld

    _known(rate)
    x = checks.recording(samples, least=rate // 20).detach().cpu().double().numpy()
    f0, times = pyworld.dio(x, rate, f0_floor=low, f0_ceil=high, frame_period=frame_ms)
    f0 = pyworld.stonemask(x, f0, times, rate)  # (T,)
    envelope = pyworld.cheaptrick(x, f0, times, rate, fft_size=FFT_SIZE[rate])  # (T, bins), power
    coded = np.zeros((len(f0), 0))
    if bands(rate):
        coded = pyworld.code_aperiodicity(pyworld.d4c(x, f0, times, rate, fft_size=FFT_SIZE[rate]), rate)
    as_tensor = lambda values: torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return Features(
        cepstra_of(as_tensor(envelope), rate, order),
        as_tensor(continuous(f0, default=float(np.sqrt(low * high)))),
        as_tensor(f0 > 0),
        as_tensor(coded),
        rate,
        frame_ms,
    )


def synthesise(spoken: World) -> Tensor:
    """Samples (T * rate * frame_ms / 1000,) at `spoken.rate`, float32; not normalised. Equal parameters, equal samples.

    Values that WORLD cannot work with are brought to the nearest it can; `BadSound` where they are not finite, or the
    three do not have equal frames.
    """
    import pyworld

    checks.frames(spoken.envelope)
    checks.frames(spoken.aperiodicity, columns=spoken.envelope.shape[1])
    checks.finite(spoken.f0)
    if not len(spoken.f0) == len(spoken.envelope) == len(spoken.aperiodicity):
        lengths = f"{len(spoken.f0)}, {len(spoken.envelope)}, {len(spoken.aperiodicity)}"
        raise checks.BadSound(
            f"F0, envelope and aperiodicity differ in length: {lengths} frames",
            f"F0, 포락선, 비주기성의 길이가 다릅니다: {lengths}프레임",
        )
    as_array = lambda values: np.ascontiguousarray(values.detach().cpu().double().numpy())
    y = pyworld.synthesize(
        as_array(spoken.f0.clamp(0, spoken.rate / 8)),
        as_array(spoken.envelope.clamp_min(FLOOR)),
        as_array(spoken.aperiodicity.clamp(1e-3, 1)),
        spoken.rate,
        spoken.frame_ms,
    )
    return torch.from_numpy(y).float()


def joined(parts: Sequence[World], gap: float = GAP) -> World:
    """Parameters of equal kind one after another, with `gap` seconds of silence between."""
    rate, frame_ms = parts[0].rate, parts[0].frame_ms
    n, bins = round(1000 * gap / frame_ms), parts[0].envelope.shape[1]
    silence = World(torch.zeros(n), torch.full((n, bins), FLOOR), torch.ones(n, bins), rate, frame_ms)
    row = [piece for part in parts for piece in (silence, part)][1:]
    together = lambda name: torch.cat([getattr(piece, name) for piece in row])
    return World(together("f0"), together("envelope"), together("aperiodicity"), rate, frame_ms)


# --- Mel-cepstra ----------------------------------------------------------------------------------------------


def cepstra_of(envelope: Tensor, rate: int, order: int = ORDER) -> Tensor:
    """A power envelope (T, bins) -> its mel-cepstra c_0 ... c_order, (T, order + 1). Least power: `FLOOR`."""
    _known(rate)
    log_power = envelope.detach().double().clamp_min(FLOOR).log()
    cepstrum = torch.fft.irfft(log_power)[:, : envelope.shape[1]]  # (T, bins)
    # log|H| is half of log power; the terms at 0 and at the last quefrency occur once in the sum over both signs.
    cepstrum[:, [0, -1]] /= 2
    return (cepstrum @ _warping(ALPHA[rate], order, envelope.shape[1]).T).to(envelope)


def envelope_of(cepstra: Tensor, rate: int) -> Tensor:
    """Mel-cepstra (T, order + 1) -> the power envelope |H|^2 (T, bins) at the bins of WORLD for that rate."""
    _known(rate)
    omega = torch.linspace(0, torch.pi, FFT_SIZE[rate] // 2 + 1, dtype=torch.float64)
    alpha = ALPHA[rate]
    warped = omega + 2 * torch.atan2(alpha * omega.sin(), 1 - alpha * omega.cos())
    waves = torch.cos(torch.arange(cepstra.shape[1])[:, None] * warped)  # (order + 1, bins)
    return (2 * cepstra.double() @ waves).clamp(-60, 60).exp().to(cepstra)


@lru_cache(maxsize=8)
def _warping(alpha: float, order: int, bins: int) -> Tensor:
    """The matrix (order + 1, bins) that takes a cepstrum to the first mel-cepstra.

    Its column n is ((alpha + z^-1) / (1 + alpha z^-1))^n as a series in z^-1: each is the one before, all-pass filtered.
    """
    from scipy.signal import lfilter

    columns = [np.eye(1, order + 1)[0]]
    while len(columns) < bins:
        columns.append(lfilter([alpha, 1], [1, alpha], columns[-1]))
    with torch.inference_mode(False):
        return torch.from_numpy(np.stack(columns, axis=1))


# --- F0 and aperiodicity --------------------------------------------------------------------------------------


def continuous(f0: np.ndarray, default: float) -> np.ndarray:
    """F0 in Hz (T,), 0 where unvoiced -> ln F0 everywhere: interpolated, held at the ends; ln default if all is 0."""
    voiced = np.flatnonzero(f0 > 0)
    if not len(voiced):
        return np.full(len(f0), np.log(default))
    return np.interp(np.arange(len(f0)), voiced, np.log(f0[voiced]))


def bands(rate: int) -> int:
    """Columns of aperiodicity at that rate: 1 at 16 kHz, 0 at 8 kHz."""
    return max(0, int(min(15_000, rate / 2 - 3_000) / 3_000))


def _decoded(coded: Tensor, rate: int) -> Tensor:
    """Aperiodicity of voiced frames (T, bins), amplitude ratio in (0, 1], from its bands in dB (T, bands)."""
    import pyworld

    bins = FFT_SIZE[rate] // 2 + 1
    if not coded.shape[1]:
        return (10 ** (torch.linspace(-60, 0, bins) / 20)).expand(len(coded), bins)
    levels = np.ascontiguousarray(coded.detach().cpu().double().clamp(-60, 0).numpy())
    return torch.from_numpy(pyworld.decode_aperiodicity(levels, rate, FFT_SIZE[rate])).to(coded)


def check_setting(rate: int) -> None:
    """Raises `BadSetting` where a configuration names a rate, in Hz, at which no features are made."""
    if rate not in ALPHA:
        raise BadSetting(
            f"sample_rate = {rate}: WORLD's features are made at 8,000 or 16,000 Hz",
            f"sample_rate = {rate}: WORLD 특징은 8,000 또는 16,000 Hz에서 만듭니다",
        )


def _known(rate: int) -> None:
    if rate not in ALPHA:
        raise checks.BadSound(
            f"mel-cepstra are made at {' or '.join(map(str, ALPHA))} Hz, not at {rate}: resample first",
            f"멜 켑스트럼은 {' 또는 '.join(map(str, ALPHA))} Hz에서 만듭니다. {rate} Hz는 먼저 리샘플링해 주세요",
        )
