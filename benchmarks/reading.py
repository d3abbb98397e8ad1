"""What the voices that read are measured by: digits heard as asked, words misheard, sentences astray.

A model brings `say(reading, speaker, rng)`; what it says is sounded by Griffin-Lim, so that no vocoder's merit counts.
Digits and sentences are held out from training. The first try counts for faults; what is heard is the best of three, as
everywhere in the interface.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from benchmarks.quality import Bar
from playground import data, sounding
from playground.checkpoint import Checkpoint
from playground.contract import Mel
from playground.data import Recordings
from playground.data.speech import WORDS
from playground.metrics import digit_strings, speech
from playground.metrics import spoken_digit_judge as judge
from playground.signal.griffin_lim import griffin_lim
from playground.signal.mel import log_mel
from playground.speaking import Piece, joined, script, spoken
from playground.spoken_batches import front_of

DIGITS, SENTENCES = "digits", "sentences"
"""Names of the shipped checkpoints."""
STRINGS, PROMPTS = 120, 50


@lru_cache(maxsize=2)
def held_out(dataset: str, n: int) -> Recordings:
    """n held-out recordings of a set, evenly chosen."""
    part = data.load(dataset).test
    assert isinstance(part, Recordings) and part.texts is not None
    chosen = torch.linspace(0, len(part) - 1, min(n, len(part))).round().long().tolist()
    return part.select(chosen)


_SAID: WeakKeyDictionary[Checkpoint, list[list[Piece]]] = WeakKeyDictionary()


def said(made: Checkpoint, n: int) -> list[list[Piece]]:
    """The pieces of each held-out text, by the speaker of its recording."""
    if made not in _SAID:
        part, rng = held_out(made.about.dataset, n), torch.Generator().manual_seed(0)
        assert part.texts is not None
        model: Any = made.model
        voices = [0] * len(part) if part.speakers is None else part.speakers.tolist()
        found = []
        for text, voice in zip(part.texts, voices, strict=True):
            asked = script(text, made.config.alphabet, model.experience)
            *_, pieces = spoken(partial(model.say, speaker=voice, rng=rng), asked.readings)
            found.append(pieces)
        _SAID[made] = found
    return _SAID[made]


def heard(made: Checkpoint, n: int) -> list[Tensor]:
    rate = made.info.sample_rate
    return [sounding.plainly(Mel(joined(pieces), rate)).samples for pieces in said(made, n)]


def digits_of(text: str) -> list[int]:
    return [WORDS.index(word) for word in text.split()]


# --- Digits ---------------------------------------------------------------------------------------------------


def digits_read(made: Checkpoint, n: int) -> float:
    """Share of digits heard in their places; a string with another number of words has none."""
    part = held_out(made.about.dataset, STRINGS)
    assert part.texts is not None
    right, asked = digit_strings.read_of(heard(made, STRINGS), [digits_of(t) for t in part.texts], part.rate)
    return right / asked


def speakers_heard(made: Checkpoint, n: int) -> float:
    """Share of strings whose speaker is the likeliest of the six by the first word."""
    part = held_out(made.about.dataset, STRINGS)
    assert part.speakers is not None
    words = [digit_strings.split(samples, part.rate) for samples in heard(made, STRINGS)]
    found = [k for k, pieces in enumerate(words) if pieces]
    best = judge.speakers_of([words[k][0] for k in found], part.rate).argmax(1)
    return float((best == part.speakers[found]).float().sum()) / len(part)


def digits_of_griffin_lim(n: int) -> float:
    """The same of the recordings' own spectra."""
    part = held_out("digit_strings:16000", STRINGS)
    assert part.texts is not None
    copies = [griffin_lim(log_mel(part.audio(i), front_of(part.rate))) for i in range(len(part))]
    right, asked = digit_strings.read_of(copies, [digits_of(t) for t in part.texts], part.rate)
    return right / asked


# --- Sentences ------------------------------------------------------------------------------------------------


def word_errors(made: Checkpoint, n: int) -> float:
    part = held_out(made.about.dataset, PROMPTS)
    assert part.texts is not None
    return speech.word_errors(heard(made, PROMPTS), part.texts, part.rate).rate


def above_natural(made: Checkpoint, n: int) -> float:
    """Word errors beyond those that the recogniser makes with the person's own recordings."""
    return word_errors(made, n) - natural_word_errors(made, n)


def natural_word_errors(made: Checkpoint, n: int) -> float:
    part = held_out(made.about.dataset, PROMPTS)
    assert part.texts is not None
    return speech.word_errors([part.audio(i) for i in range(len(part))], part.texts, part.rate).rate


def griffin_lim_word_errors(made: Checkpoint, n: int) -> float:
    part = held_out(made.about.dataset, PROMPTS)
    assert part.texts is not None
    copies = [griffin_lim(log_mel(part.audio(i), front_of(part.rate))) for i in range(len(part))]
    return speech.word_errors(copies, part.texts, part.rate).rate


def astray(made: Checkpoint, n: int) -> float:
    """Sentences with a fault in what is heard, after as many tries as the interface makes."""
    return float(sum(bool(piece.faults) for pieces in said(made, PROMPTS) for piece in pieces))


def tried_again(made: Checkpoint, n: int) -> float:
    """Sentences that went astray at first."""
    return float(sum(piece.tries > 1 for pieces in said(made, PROMPTS) for piece in pieces))


def distortion(made: Checkpoint, n: int) -> float:
    """Mel-cepstral distortion in dB along the best alignment, of what is heard."""
    part = held_out(made.about.dataset, PROMPTS)
    takes = heard(made, PROMPTS)
    return float(
        np.mean([speech.mel_cepstral_distortion(take, part.audio(i), part.rate) for i, take in enumerate(takes)])
    )


BARS = (
    Bar("digits of strings, read as asked", digits_read, "higher", target=0.9, floor=digits_of_griffin_lim, counts=False, checkpoint=DIGITS),
    Bar("strings heard as the speaker", speakers_heard, "higher", counts=False, checkpoint=DIGITS),
    Bar("unseen sentences: word errors above natural speech", above_natural, target=0.25, counts=False, checkpoint=SENTENCES),
    Bar("unseen sentences: word errors", word_errors, counts=False, checkpoint=SENTENCES),
    Bar("natural sentences: word errors", natural_word_errors, counts=False, ours_only=True, checkpoint=SENTENCES),
    Bar("natural sentences by Griffin-Lim: word errors", griffin_lim_word_errors, counts=False, ours_only=True, checkpoint=SENTENCES),
    Bar("sentences with a run-on or skip, of 50", astray, target=0.0, counts=False, checkpoint=SENTENCES),
    Bar("sentences that needed a second try, of 50", tried_again, counts=False, checkpoint=SENTENCES),
    Bar("unseen sentences: mel-cepstral distortion, dB", distortion, counts=False, checkpoint=SENTENCES),
)  # fmt: skip
"""What both families are asked for; each may add its own."""
