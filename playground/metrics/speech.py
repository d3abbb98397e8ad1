"""How far one recording of speech is from another: spectrum, pitch, voicing, intelligibility, words.

Every figure but the log-spectral distance and STOI compares two takes that need not be equally long: silence is trimmed
at both ends, WORLD analyses every 5 ms, and dynamic time warping on the mel-cepstra pairs the frames. Distortion
measured so rewards what is too smooth (it may even be less between a model and a take than between two real takes), so
it is told without global variance, and always beside what the ear or a recogniser makes of the same recordings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from playground.signal import checks, edges, world
from playground.signal.difference import Difference, of_features
from playground.signal.world import Features

RATE = 16_000
"""Takes of a higher rate are compared at this one, 8 kHz takes at theirs."""
FLOOR_DB = 60.0
"""Log-spectral distance: levels further below the reference's loudest count as that."""


def compare(take: Tensor, reference: Tensor, rate: int) -> Difference:
    """How a take (T,) differs from a reference (S,) of the same rate in Hz, frame by frame along the best alignment.

    Raises `BadSound` where one is silent, shorter than 50 ms or not finite.
    """
    return of_features(analysed(take, rate), analysed(reference, rate))


def mel_cepstral_distortion(take: Tensor, reference: Tensor, rate: int) -> float:
    """`compare`'s first figure, in dB."""
    return compare(take, reference, rate).distortion


def analysed(samples: Tensor, rate: int) -> Features:
    """The features that takes are compared by: 24 mel-cepstra at 8 or 16 kHz, silence trimmed."""
    wanted = 8_000 if rate == 8_000 else RATE
    heard = edges.resample(samples, rate, wanted)
    return world.analyse(edges.trim(heard, wanted, keep_ms=0), wanted, order=24)


def log_spectral_distance(take: Tensor, reference: Tensor, rate: int) -> float:
    """Root mean square over frequency of the difference in level, in dB, averaged over frames.

    For copies that keep time (vocoders): the longer is cut to the shorter. Windows of 32 ms every 8 ms, equal gain;
    levels more than 60 dB below the reference's loudest count as 60 below.
    """
    n = min(len(take), len(reference))
    levels = [_levels(x[:n], rate) for x in (take, reference)]
    floor = float(levels[1].max()) - FLOOR_DB
    difference = levels[0].clamp_min(floor) - levels[1].clamp_min(floor)  # (bins, frames)
    return float(difference.square().mean(0).sqrt().mean())


def _levels(samples: Tensor, rate: int) -> Tensor:
    window = 1 << round(math.log2(0.032 * rate))
    x = checks.recording(samples, least=window).double()
    spectrum = torch.stft(x, window, window // 4, window=torch.hann_window(window).to(x), return_complex=True)
    return 20 * spectrum.abs().clamp_min(1e-10).log10()


def intelligibility(take: Tensor, reference: Tensor, rate: int) -> float:
    """STOI (Taal et al. 2011), 0 to 1, of a copy that keeps time with its reference: the longer is cut to the shorter.

    Says nothing of a second reading. Raises `BadSound` where less than 0.4 seconds of the reference are not silent.
    """
    from pystoi import stoi

    n = min(len(take), len(reference))
    take, reference = checks.recording(take[:n], rate // 5), checks.recording(reference[:n], rate // 5)
    begin, end = edges.sounding(reference, rate, below_db=40)
    if end - begin < 0.4 * rate:
        raise checks.BadSound(
            "STOI needs 0.4 seconds that are not silent", "STOI를 계산하려면 무음이 아닌 구간이 0.4초 이상 필요합니다"
        )
    return float(stoi(reference.double().numpy(), take.double().numpy(), rate))


# --- Words ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WordErrors:
    """Word error rate of some recordings. heard: what the recogniser made of each, in lower case."""

    rate: float
    """Substitutions, deletions and insertions for each word that should be heard: 0 is perfect, and 1 is no bound."""
    heard: tuple[str, ...]


def word_errors(recordings: Sequence[Tensor], texts: Sequence[str], rate: int) -> WordErrors:
    """What pocketsphinx, a small recogniser of American English, understands of recordings (T,) of read sentences.

    A figure to set beside that of natural speech and of Griffin-Lim in the same run (it mishears one natural word in
    six), never one of espeak's voices, of which it mishears nearly all. Raises RuntimeError where it is not installed.
    """
    if len(recordings) != len(texts) or not recordings:
        raise ValueError(f"{len(recordings)} recordings and {len(texts)} texts")
    from torchmetrics.functional.text import word_error_rate

    recogniser = _recogniser()
    heard = tuple(_heard(recogniser, edges.resample(recording, rate, RATE)) for recording in recordings)
    return WordErrors(float(word_error_rate(list(heard), [spelled(text) for text in texts])), heard)


def spelled(text: str) -> str:
    """A sentence as the recogniser writes: lower case, words of letters and apostrophes with single spaces between."""
    return " ".join(re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower().replace("’", "'")))


def _recogniser():  # type: ignore[no-untyped-def]
    try:
        from pocketsphinx import Decoder
    except ImportError:
        raise RuntimeError(
            "word errors are counted by pocketsphinx, which only tests and benchmarks use: "
            "python -m pip install -r requirements-test.txt"
        ) from None
    return Decoder(samprate=RATE, loglevel="FATAL")


def _heard(recogniser, samples: Tensor) -> str:  # type: ignore[no-untyped-def]
    loud = edges.level(samples, RATE)
    recogniser.start_utt()
    recogniser.process_raw((loud.clamp(-1, 1) * 32767).short().numpy().tobytes(), no_search=False, full_utt=True)
    recogniser.end_utt()
    best = recogniser.hyp()
    return spelled(best.hypstr) if best else ""
