"""GMM: digits that are read, and voices taken for another's: nearer to it, the digit kept, heard as the target.

Distortion is measured without global variance (aligned by time warping, it rewards what is too smooth), everything that
is read or heard with it. Every ordered pair of the six speakers converts its held-out recordings of the ten digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import torch
from torch import Tensor

from benchmarks.quality import Bar
from playground import data
from playground.checkpoint import Checkpoint
from playground.data import SpeechData
from playground.families.speech.gmm import ANYONE, GMM
from playground.families.speech.gmm.takes import analysed
from playground.metrics import spoken_digit_judge as judge
from playground.signal import world
from playground.signal.difference import of_features
from playground.signal.world import Features

SPOKEN = 300
"""Digits that are said: five of each by each speaker."""


@dataclass(frozen=True)
class Said:
    """Recordings with what they should be heard as."""

    recordings: list[Tensor]
    labels: Tensor
    speakers: list[str]
    rate: int

    def read(self) -> float:
        """Share read with over 0.95 confidence as the digit."""
        return judge.recognisable(self.recordings, self.labels, self.rate).share

    def kept(self) -> float:
        """Share whose digit is the likeliest, however sure the judge is."""
        return float((judge.read(self.recordings, self.rate)[0] == self.labels).double().mean())

    def heard(self) -> float:
        """Share in which the speaker is the likeliest of the six."""
        return judge.heard_as(self.recordings, self.speakers, self.rate)


def model_of(made: Checkpoint) -> GMM:
    assert isinstance(made.model, GMM)
    return made.model


def sounded(spoken: Features) -> Tensor:
    return world.synthesise(spoken.world()).clamp(-1, 1)


@lru_cache(maxsize=2)
def digits(made: Checkpoint) -> Said:
    """Each digit by each speaker in turn, of seed 0, as the tab says it."""
    model, rng = model_of(made), torch.Generator().manual_seed(0)
    words = [(i % made.info.classes, i // made.info.classes % model.config.voices) for i in range(SPOKEN)]
    recordings = [sounded(model.speak(label, voice, rng=rng)) for label, voice in words]
    labels = torch.tensor([label for label, _ in words])
    return Said(recordings, labels, [made.info.speakers[voice] for _, voice in words], made.info.sample_rate)


@lru_cache(maxsize=8)
def held_out(dataset: str) -> dict[tuple[str, int], list[Features]]:
    """The held-out takes of each speaker and digit, analysed."""
    loaded = data.load(dataset)
    assert isinstance(loaded, SpeechData)
    test, found = loaded.test, dict[tuple[str, int], list[Features]]()
    assert test.labels is not None and test.speakers is not None
    for i, (label, speaker) in enumerate(zip(test.labels.tolist(), test.speakers.tolist(), strict=True)):
        found.setdefault((loaded.info.speakers[speaker], label), []).append(analysed(test.audio(i), test.rate))
    return found


@dataclass(frozen=True)
class Converted:
    before: float
    """Mean distortion of the sources to the target's own takes, in dB."""
    after: float
    """That of the conversions, without global variance."""
    said: Said
    """The conversions as they are heard, with it."""


@lru_cache(maxsize=2)
def conversions(made: Checkpoint) -> Converted:
    model, names, takes = model_of(made), made.info.speakers, held_out(made.info.name)
    before, after, recordings, labels, speakers = [], [], [], [], []
    for k, (source, target) in enumerate(permutations(range(len(names)), 2)):
        for label in range(made.info.classes):
            mine, wanted = takes[names[source], label], takes[names[target], label]
            spoken, example = mine[k % len(mine)], wanted[k % len(wanted)]
            before.append(of_features(spoken, example).distortion)
            after.append(of_features(model.convert(spoken, target, source, share=0.0), example).distortion)
            recordings.append(sounded(model.convert(spoken, target, source)))
            labels.append(label)
            speakers.append(names[target])
    mean = lambda values: sum(values) / len(values)
    said = Said(recordings, torch.tensor(labels), speakers, made.info.sample_rate)
    return Converted(mean(before), mean(after), said)


@lru_cache(maxsize=2)
def strangers(made: Checkpoint) -> Said:
    """Voices that training never heard, espeak-ng's, as each of the six: what becomes of one's own recording."""
    model, names, takes = model_of(made), made.info.speakers, held_out("espeak_digits")
    recordings, labels, speakers = [], [], []
    for k, ((_, label), said) in enumerate(sorted(takes.items())):
        for turn in range(2):
            target = (2 * k + turn) % len(names)
            recordings.append(sounded(model.convert(said[turn % len(said)], target, ANYONE)))
            labels.append(label)
            speakers.append(names[target])
    return Said(recordings, torch.tensor(labels), speakers, made.info.sample_rate)


@lru_cache(maxsize=1)
def unconverted() -> Said:
    """Those voices as they are, through WORLD and back."""
    rows = [(sounded(take), label) for (_, label), takes in held_out("espeak_digits").items() for take in takes]
    return Said([x for x, _ in rows], torch.tensor([label for _, label in rows]), [""] * len(rows), 8_000)


@lru_cache(maxsize=1)
def resynthesised() -> Said:
    """The held-out recordings through WORLD and back: no digit of the model can be read more often."""
    found = held_out("spoken_digits")
    rows = [(sounded(take), label, name) for (name, label), takes in found.items() for take in takes]
    return Said([x for x, _, _ in rows], torch.tensor([label for _, label, _ in rows]), [n for *_, n in rows], 8_000)


BARS = (
    Bar(
        "digits read as asked", lambda made, n: digits(made).read(), "higher", target=0.95,
        floor=lambda n: resynthesised().read(), counts=False,
    ),
    Bar(
        "digits heard as their speaker", lambda made, n: digits(made).heard(), "higher",
        floor=lambda n: resynthesised().heard(), counts=False,
    ),
    Bar(
        "conversion: distortion to the target falls by (dB)",
        lambda made, n: conversions(made).before - conversions(made).after, "higher", target=2.5, counts=False,
    ),
    Bar("conversion: distortion before (dB)", lambda made, n: conversions(made).before, counts=False),
    Bar("conversion: distortion after (dB)", lambda made, n: conversions(made).after, counts=False),
    Bar(
        "conversion: digit kept", lambda made, n: conversions(made).said.kept(), "higher", target=0.90,
        floor=lambda n: resynthesised().kept(), counts=False,
    ),
    Bar(
        "conversion: digit read with over 0.95 confidence", lambda made, n: conversions(made).said.read(), "higher",
        floor=lambda n: resynthesised().read(), counts=False,
    ),
    Bar(
        "conversion: heard as the target", lambda made, n: conversions(made).said.heard(), "higher", target=0.90,
        floor=lambda n: resynthesised().heard(), counts=False,
    ),
    Bar(
        "a stranger's voice: digit kept", lambda made, n: strangers(made).kept(), "higher",
        floor=lambda n: unconverted().kept(), counts=False,
    ),
    Bar("a stranger's voice: heard as the target", lambda made, n: strangers(made).heard(), "higher", counts=False),
)  # fmt: skip
