"""HMM: digits by the judge of spoken digits; sentences by their distance from a person's reading of the same prompts.

Distortion rewards what is too smooth, so it is measured without global variance; words are counted with it. As the papers
on such synthesis do, the model's mel-cepstra are compared as they are; what is heard of them, analysed again, is farther
off, for the noise in unvoiced sounds is another each time. That is how the reference, which draws mels, can be measured.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from benchmarks.quality import Bar
from playground import data, sounding
from playground.checkpoint import Checkpoint
from playground.contract import Mel
from playground.data import Recordings
from playground.metrics import speech, spoken_digit_judge
from playground.signal.difference import Difference, of_features
from playground.signal.world import Features
from playground.text import of

DIGITS, PROMPTS = 300, 50
SENTENCES = "sentences"
"""Name of the shipped checkpoint beside the default one."""
RESYNTHESISED = "accuracy_world"
"""What the judge reads of held-out recordings that went through WORLD and back."""


def said(made: Checkpoint, script, rng: torch.Generator, lively: float, variation: float) -> Tensor:  # type: ignore[no-untyped-def]
    """The script by either side, as samples (T,)."""
    if made.side == "reference":
        return sounding.sound(Mel(made.model.speak(script), made.info.sample_rate)).samples  # type: ignore[operator]
    spoken = made.model.speak(script, rng=rng, lively=lively, variation=variation)  # type: ignore[operator]
    return sounding.sound(spoken.features.world()).samples


def scripts_by(made: Checkpoint):  # type: ignore[no-untyped-def]
    """The HMM that knows how a side's scripts are made."""
    return made.model.aligner if made.side == "reference" else made.model


@lru_cache(maxsize=4)
def digits(made: Checkpoint) -> tuple[list[Tensor], Tensor]:
    """300 recordings of seed 0, digits and speakers in turn, with what was asked for (300,)."""
    rng, labels = torch.Generator().manual_seed(0), torch.arange(DIGITS) % 10
    voices = max(1, len(made.info.speakers))
    scripts = [scripts_by(made).word(int(label), k // 10 % voices) for k, label in enumerate(labels)]
    return [said(made, script, rng, lively=1.0, variation=1.0) for script in scripts], labels


def read(made: Checkpoint, n: int) -> float:
    """Share of the digits that the judge takes for what was asked."""
    recordings, labels = digits(made)
    return float((spoken_digit_judge.read(recordings, made.info.sample_rate)[0] == labels).double().mean())


def read_confidently(made: Checkpoint, n: int) -> float:
    recordings, labels = digits(made)
    return spoken_digit_judge.recognisable(recordings, labels, made.info.sample_rate).share


def real(name: str) -> float:
    return spoken_digit_judge.figures()[name]


@lru_cache(maxsize=1)
def prompts(dataset: str) -> Recordings:
    part = data.load(dataset).test
    assert isinstance(part, Recordings) and part.texts is not None
    return part.select(range(min(PROMPTS, len(part))))


@lru_cache(maxsize=4)
def sentences(made: Checkpoint, lively: float) -> list[Tensor]:
    """The held-out prompts of the checkpoint's data set, spoken with mean durations."""
    part, rng = prompts(made.about.dataset), torch.Generator().manual_seed(0)
    assert part.texts is not None
    alphabet = of(made.info.symbols)
    readings = [alphabet.read(text).symbols for text in part.texts]
    voices = [0] * len(part) if part.speakers is None else part.speakers.tolist()
    return [
        said(made, scripts_by(made).sentence(symbols, voice), rng, lively, variation=0.0)
        for symbols, voice in zip(readings, voices, strict=True)
    ]


def distortion(made: Checkpoint, n: int) -> float:
    """Of the parameters that the HMM generates, without the pauses at both ends."""
    part, model, rng = prompts(made.about.dataset), made.model, torch.Generator().manual_seed(0)
    assert part.texts is not None
    found = []
    for i, text in enumerate(part.texts):
        symbols, voice = of(made.info.symbols).read(text).symbols, 0 if part.speakers is None else int(part.speakers[i])
        spoken = model.speak(model.sentence(symbols, voice), rng=rng, variation=0.0, lively=0.0)  # type: ignore[operator]
        phones = np.flatnonzero(spoken.script.kinds[spoken.path.numpy() // made.config.states] < 0)
        cut = spoken.features.matrix()[phones[0] : phones[-1] + 1]
        take = Features.of(cut, made.info.sample_rate)
        found.append(of_features(take, speech.analysed(part.audio(i), part.rate)).distortion)
    return float(np.mean(found))


@lru_cache(maxsize=4)
def differences(made: Checkpoint) -> list[Difference]:
    """Of what is heard, from the recordings."""
    part, rate = prompts(made.about.dataset), made.info.sample_rate
    return [speech.compare(take, part.audio(i), rate) for i, take in enumerate(sentences(made, 0.0))]


def distortion_heard(made: Checkpoint, n: int) -> float:
    return float(np.mean([d.distortion for d in differences(made)]))


def f0_error(made: Checkpoint, n: int) -> float:
    return float(np.nanmean([d.f0_hertz for d in differences(made)]))


def voicing_error(made: Checkpoint, n: int) -> float:
    return float(np.mean([d.voicing for d in differences(made)]))


def word_errors(made: Checkpoint, n: int) -> float:
    part = prompts(made.about.dataset)
    assert part.texts is not None
    return speech.word_errors(sentences(made, 1.0), part.texts, made.info.sample_rate).rate


def natural_word_errors(made: Checkpoint, n: int) -> float:
    """The same of the person's own recordings: what no synthesis can beat by much."""
    part = prompts(made.about.dataset)
    assert part.texts is not None
    return speech.word_errors([part.audio(i) for i in range(len(part))], part.texts, part.rate).rate


BARS = (
    Bar("digits read as asked", read, "higher", target=0.95, floor=lambda n: real(RESYNTHESISED), counts=False),
    Bar(
        "digits read with over 0.95 confidence",
        read_confidently,
        "higher",
        floor=lambda n: real("share_as_asked"),
        counts=False,
    ),
    Bar(
        "sentences: mel-cepstral distortion without GV, dB",
        distortion,
        target=5.4,
        counts=False,
        ours_only=True,
        checkpoint=SENTENCES,
    ),
    Bar("sentences: the same of what is heard, dB", distortion_heard, counts=False, checkpoint=SENTENCES),
    Bar("sentences: F0 error, Hz", f0_error, counts=False, checkpoint=SENTENCES),
    Bar("sentences: voicing error", voicing_error, counts=False, checkpoint=SENTENCES),
    Bar("sentences: word errors", word_errors, counts=False, checkpoint=SENTENCES),
    Bar("natural sentences: word errors", natural_word_errors, counts=False, ours_only=True, checkpoint=SENTENCES),
)
