"""MelGAN: copies of held-out sentences from their mels, beside Griffin-Lim's of the same mels and the recordings.

Both sides hear the fifty held-out prompts of one reader. Distance is between spectra that keep time; words are counted by
a recogniser, which mishears the recordings too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from benchmarks.quality import Bar
from playground import data
from playground.checkpoint import Checkpoint
from playground.metrics import speech
from playground.metrics import spoken_digit_judge as judge
from playground.signal import griffin_lim
from playground.signal.mel import DIGITS, SPEECH, log_mel

RATE = SPEECH.rate
DIGITS_NAME = "digits-8khz"
"""The shipped checkpoint of 8 kHz; the default one is of sentences at 16."""
MORE_WORDS = 0.02
"""Word error that counts as no worse."""


@lru_cache(maxsize=1)
def _sentences() -> tuple[list[Tensor], list[str]]:
    test: Any = data.load("kathleen").test
    return [test.audio(i) for i in range(len(test))], list(test.texts)


@lru_cache(maxsize=2)
def _copies(made: Checkpoint | None) -> list[Tensor]:
    """The sentences by a vocoder; by Griffin-Lim for None."""
    recordings, _ = _sentences()
    copy: Any = griffin_lim.griffin_lim if made is None else made.model.vocode
    return [copy(log_mel(x, SPEECH))[: len(x)].clamp(-1, 1) for x in recordings]


@lru_cache(maxsize=4)
def _distance(made: Checkpoint | None) -> float:
    recordings, _ = _sentences()
    each = [speech.log_spectral_distance(y, x, RATE) for y, x in zip(_copies(made), recordings, strict=True)]
    return sum(each) / len(each)


@lru_cache(maxsize=4)
def _errors(made: Checkpoint | None) -> float:
    return speech.word_errors(_copies(made), _sentences()[1], RATE).rate


@lru_cache(maxsize=1)
def _natural_errors() -> float:
    return speech.word_errors(*_sentences(), RATE).rate


def understood(made: Checkpoint, n: int) -> float:
    """STOI of the copies, averaged."""
    recordings, _ = _sentences()
    each = [speech.intelligibility(y, x, RATE) for y, x in zip(_copies(made), recordings, strict=True)]
    return sum(each) / len(each)


def griffin_lim_understood(n: int) -> float:
    recordings, _ = _sentences()
    each = [speech.intelligibility(y, x, RATE) for y, x in zip(_copies(None), recordings, strict=True)]
    return sum(each) / len(each)


@torch.inference_mode()
def digits_read(made: Checkpoint, n: int) -> float:
    """Share of copies of held-out digits that are still read with over 0.95 confidence."""
    test: Any = data.load("spoken_digits").test
    model: Any = made.model
    padded = [torch.nn.functional.pad(x, (0, max(0, DIGITS.least - len(x)))) for x in map(test.audio, range(len(test)))]
    copies = [model.vocode(log_mel(x, DIGITS))[: len(x)] for x in padded]
    return judge.recognisable(copies, test.labels, DIGITS.rate).share


def real_read(n: int) -> float:
    return judge.figures()["share_as_asked"]


BARS = (
    Bar(
        "log-spectral distance, dB (floor: Griffin-Lim)",
        lambda made, n: _distance(made),
        floor=lambda n: _distance(None),
        counts=False,
    ),
    Bar(
        "log-spectral distance over Griffin-Lim's, dB",
        lambda made, n: _distance(made) - _distance(None),
        target=0.0,
        counts=False,
    ),
    Bar(
        "word error (floor: the recordings)",
        lambda made, n: _errors(made),
        floor=lambda n: _natural_errors(),
        counts=False,
    ),
    Bar(
        "word error over Griffin-Lim's",
        lambda made, n: _errors(made) - _errors(None),
        target=MORE_WORDS,
        counts=False,
    ),
    Bar("STOI (floor: Griffin-Lim)", understood, "higher", floor=griffin_lim_understood, counts=False),
    Bar(
        "8 kHz: copied digits still read (floor: recordings)",
        digits_read,
        "higher",
        floor=real_read,
        ours_only=True,
        checkpoint=DIGITS_NAME,
        counts=False,
    ),
)
