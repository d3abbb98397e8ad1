"""VQ-VAE: what codes leave of held-out digits, what they cost, and digits that the prior writes.

Both sides code as many bits a second. Spectra are sounded by Griffin-Lim, the reference's samples are taken as they are.
Distortion pairs the frames by dynamic time warping and rewards what is too smooth: what is read stands beside it.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from benchmarks.quality import Bar
from playground import data, sounding
from playground.checkpoint import Checkpoint
from playground.contract import Mel
from playground.data import Recordings
from playground.metrics import speech
from playground.metrics import spoken_digit_judge as judge
from playground.quantising import perplexity
from playground.signal.mel import DIGITS, log_mel

AT_ONCE = 50
MADE = 300
COMPARED = 100
"""Recordings whose distortion is taken: each is analysed by WORLD, twice."""


@lru_cache(maxsize=1)
def held_out() -> Recordings:
    found = data.load("spoken_digits").test
    assert isinstance(found, Recordings) and found.labels is not None and found.speakers is not None
    return found


def heard(made: Tensor) -> Tensor:
    """Samples (T,) of a mel spectrogram (frames, mels), or samples as they are."""
    return sounding.plainly(Mel(made, DIGITS.rate)).samples if made.ndim == 2 else made


_REBUILT: WeakKeyDictionary[Checkpoint, dict[bool, list[Tensor]]] = WeakKeyDictionary()


def rebuilt(made: Checkpoint, swapped: bool = False) -> list[Tensor]:
    """The held-out recordings through their codes and back; `swapped`: by the next speaker."""
    kept = _REBUILT.setdefault(made, {})
    if swapped not in kept:
        model: Any = made.model
        parts = []
        for places in torch.arange(len(held_out())).split(AT_ONCE):
            x, lengths, _, speakers = held_out().batch(places)
            parts += model.reconstruct(x, lengths, next_speaker(speakers) if swapped else speakers)
        kept[swapped] = [heard(part) for part in parts]
    return kept[swapped]


def next_speaker(speakers: Tensor | None) -> Tensor:
    assert speakers is not None
    return (speakers + 1) % len(judge.speaker_judge().config.answers)


def names_of(speakers: Tensor) -> list[str]:
    return [judge.speaker_judge().config.answers[i] for i in speakers.tolist()]


def read_after(made: Checkpoint, n: int) -> float:
    return judge.recognisable(rebuilt(made), held_out().labels).share


def read_swapped(made: Checkpoint, n: int) -> float:
    return judge.recognisable(rebuilt(made, swapped=True), held_out().labels).share


def heard_as_the_other(made: Checkpoint, n: int) -> float:
    return judge.heard_as(rebuilt(made, swapped=True), names_of(next_speaker(held_out().speakers)))


def distortion(made: Checkpoint, n: int) -> float:
    """Mel-cepstral distortion in dB, mean over recordings."""
    places = torch.linspace(0, len(held_out()) - 1, COMPARED).long().tolist()
    found = [speech.mel_cepstral_distortion(rebuilt(made)[i], held_out().audio(i), DIGITS.rate) for i in places]
    return sum(found) / len(found)


def distortion_of_griffin_lim(n: int) -> float:
    """The same of the recordings' own spectra, uncoded: no decoder of spectra can do better by this way to sound."""
    places = torch.linspace(0, len(held_out()) - 1, COMPARED).long().tolist()
    found = []
    for i in places:
        take = held_out().audio(i)
        found.append(speech.mel_cepstral_distortion(heard(log_mel(take, DIGITS)), take, DIGITS.rate))
    return sum(found) / len(found)


def coded(made: Checkpoint) -> tuple[Tensor, float]:
    """All codes (N,) of the held-out recordings, and the bits that the prior asks for them and their ends."""
    model: Any = made.model
    codes, bits = [], 0.0
    for places in torch.arange(len(held_out())).split(AT_ONCE):
        x, lengths, labels, speakers = held_out().batch(places)
        found, counts = model.encode(x, lengths)
        codes.append(found[torch.arange(found.shape[1]) < counts[:, None]])
        bits += float(model.prior.nats(found, counts, labels, speakers)[0].sum()) / math.log(2)
    return torch.cat(codes), bits


def perplexity_share(made: Checkpoint, n: int) -> float:
    size: int = made.config.codes
    return float(perplexity(torch.bincount(coded(made)[0], minlength=size))) / size


def compression(made: Checkpoint, n: int) -> float:
    """Bits of 16-bit samples over bits of codes, each of which takes log2 K."""
    return float(made.config.compression)


def prior_bits(made: Checkpoint, n: int) -> float:
    """Bits a second of the held-out recordings if each code is stored as the prior foresees it."""
    return coded(made)[1] / held_out().seconds


_WRITTEN: WeakKeyDictionary[Checkpoint, list[Tensor]] = WeakKeyDictionary()


def asked() -> tuple[Tensor, Tensor]:
    """Digits (MADE,) in turn, by each speaker in turn."""
    return torch.arange(MADE) % 10, torch.arange(MADE) // 10 % len(judge.speaker_judge().config.answers)


def written(made: Checkpoint) -> list[Tensor]:
    """Digits of seed 0 from the prior."""
    if made not in _WRITTEN:
        model: Any = made.model
        _WRITTEN[made] = [heard(one) for one in model.sample(*asked(), rng=torch.Generator().manual_seed(0))]
    return _WRITTEN[made]


def read_as_asked(made: Checkpoint, n: int) -> float:
    return judge.recognisable(written(made), asked()[0]).share


def heard_as_asked(made: Checkpoint, n: int) -> float:
    return judge.heard_as(written(made), names_of(asked()[1]))


def real_read(n: int) -> float:
    return judge.figures()["share_as_asked"]


def real_heard(n: int) -> float:
    return judge.figures(judge.SPEAKERS_FOLDER)["accuracy"]


BARS = (
    Bar("read after reconstruction", read_after, "higher", target=0.9, floor=real_read, counts=False),
    Bar("generated, read as asked", read_as_asked, "higher", target=0.8, floor=real_read, counts=False),
    Bar("codebook perplexity over its size", perplexity_share, "higher", target=0.5, counts=False),
    Bar("compression of 128 kbit/s", compression, "higher", target=64.0, counts=False),
    Bar(
        "distortion after reconstruction, dB", distortion, no_worse_than_reference=True,
        floor=distortion_of_griffin_lim, counts=False,
    ),
    Bar("bits a second by the prior", prior_bits, counts=False),
    Bar("generated, heard as the speaker", heard_as_asked, "higher", floor=real_heard, counts=False),
    Bar("said by another, read", read_swapped, "higher", floor=real_read, counts=False, ours_only=True),
    Bar("said by another, heard as that one", heard_as_the_other, "higher", floor=real_heard, counts=False, ours_only=True),
)  # fmt: skip
