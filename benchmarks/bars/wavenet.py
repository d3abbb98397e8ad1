"""WaveNet: bits a sample of held-out digits beside GPT-2's, and digits that are heard as what was asked for.

A vocoder, where one is shipped, is judged by its copies of held-out recordings beside Griffin-Lim's of the same mels.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from benchmarks.quality import Bar
from playground import data
from playground.checkpoint import Checkpoint
from playground.families.speech.wavenet import alphabet
from playground.metrics import speech
from playground.metrics import spoken_digit_judge as judge
from playground.signal import griffin_lim
from playground.signal.mel import SPEECH, log_mel
from trainers.wavenet import prepared

DRAWN = 300
"""Digits drawn: thirty of each, by the speakers in turn."""
HELD_OUT = 100
"""Held-out recordings whose likelihood is asked: both sides hear the same ones, every third of the test split."""
COPIED = 20
VOCODER = "sentences"
"""Name of the shipped vocoder."""


def bits_a_sample(made: Checkpoint, n: int) -> float:
    """-log2 p of held-out digits, a sample, each digit trimmed and equally loud, as in training."""
    test: Any = data.load(made.about.dataset).test
    rate, total, samples = made.info.sample_rate, 0.0, 0
    model: Any = made.model
    for i in range(0, len(test), max(1, len(test) // HELD_OUT)):
        symbols = alphabet.encode(prepared(test.audio(i), rate), made.config.emphasis)
        total += float(model.bits_of(symbols, int(test.labels[i]), int(test.speakers[i])).sum())
        samples += len(symbols)
    return total / samples


@lru_cache(maxsize=2)
def _drawn(made: Checkpoint) -> tuple[list[Tensor], Tensor]:
    labels = torch.arange(DRAWN) % made.info.classes
    speakers = torch.arange(DRAWN) // made.info.classes % len(made.info.speakers)
    rng = torch.Generator().manual_seed(0)
    model: Any = made.model
    return model.sample(labels.tolist(), speakers.tolist(), rng=rng, temperature=0.9), labels


def read_as_asked(made: Checkpoint, n: int) -> float:
    """Share of drawn digits read with over 0.95 confidence as the digit asked for."""
    return judge.recognisable(*_drawn(made), made.info.sample_rate).share


def by_the_speaker(made: Checkpoint, n: int) -> float:
    """Share of drawn digits in which the speaker asked for is the likeliest of the six."""
    recordings, _ = _drawn(made)
    asked = [made.info.speakers[i // made.info.classes % len(made.info.speakers)] for i in range(DRAWN)]
    return judge.heard_as(recordings, asked, made.info.sample_rate)


def real_read(n: int) -> float:
    return judge.figures()["share_as_asked"]


# --- The vocoder ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _held_out() -> list[Tensor]:
    test: Any = data.load("kathleen").test
    return [test.audio(i)[: 3 * SPEECH.rate] for i in range(min(COPIED, len(test)))]


def copy_distance(made: Checkpoint, n: int) -> float:
    """Log-spectral distance of copies of held-out sentences, in dB."""
    model: Any = made.model
    distances = []
    for i, original in enumerate(_held_out()):
        copy = model.vocode(log_mel(original, SPEECH), torch.Generator().manual_seed(i))
        distances.append(speech.log_spectral_distance(copy, original, SPEECH.rate))
    return sum(distances) / len(distances)


def griffin_lim_distance(n: int) -> float:
    pairs = [(griffin_lim.griffin_lim(log_mel(x, SPEECH)), x) for x in _held_out()]
    return sum(speech.log_spectral_distance(copy, x, SPEECH.rate) for copy, x in pairs) / len(pairs)


BARS = (
    Bar("bits/sample of held-out digits", bits_a_sample, no_worse_than_reference=True, counts=False),
    Bar("digits read as asked", read_as_asked, "higher", 0.85, floor=real_read, ours_only=True, counts=False),
    Bar("heard as the speaker asked for", by_the_speaker, "higher", ours_only=True, counts=False),
    Bar(
        "vocoder: log-spectral distance, dB (floor: Griffin-Lim)",
        copy_distance,
        floor=griffin_lim_distance,
        ours_only=True,
        checkpoint=VOCODER,
        counts=False,
    ),
)
