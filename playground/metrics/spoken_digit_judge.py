"""The judges of spoken digits: which digit is said, if any, and which of six people says it.

Both are small convolutional nets over the log-mels of one second, trained on real recordings only (Free Spoken Digit
Dataset) by `train_spoken_judge.py`. The judge of digits has an eleventh answer, "no digit", learned from noises, tones,
babble and digits cut into pieces and shuffled: a digit's confidence is its share among all eleven, so that what is no
digit is read with none. Silence (`edges.SILENCE_DB`) is read with confidence 0 without asking the net.

What a judge hears is made independent of gain, of the silence around the word and of the sampling rate first: 8 kHz,
trimmed, the loudest second in the middle of the picture, levels down to 50 dB below the loudest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from playground import checkpoint
from playground.metrics import judging
from playground.metrics.recognition import Recognised, share_read
from playground.signal import edges
from playground.signal.mel import DIGITS, log_mel

_SHELF = Path(__file__).resolve().parents[2] / "checkpoints" / "judge"
FOLDER, SPEAKERS_FOLDER = _SHELF / "spoken_digits", _SHELF / "speakers"
"""The shipped judges: weights, config, reference figures, model card, checksums."""

RATE = DIGITS.rate
SAMPLES = RATE
"""One second: three digits of the corpus in a thousand are longer once trimmed."""
FRAMES = DIGITS.frames(SAMPLES)
RANGE = 2.5
"""log10 of magnitude: 50 dB from the loudest to what is taken for silence."""
NO_DIGIT = "no digit"


@dataclass(frozen=True)
class Config:
    """Architecture: channels of the first convolution, features, names of the answers."""

    width: int = 16
    features: int = 96
    answers: tuple[str, ...] = (*map(str, range(10)), NO_DIGIT)


class Judge(nn.Module):
    """Four convolutions and one hidden layer: 64 mels x 63 frames -> 32x32 -> 16x16 -> 8x8 -> 4x4 -> features -> logits.

    Time is not pooled away, so that the order of sounds counts.
    """

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        self.config = config
        w = config.width
        block = lambda a, b: (nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
        self.body = nn.Sequential(
            nn.Conv2d(1, w, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(w), nn.ReLU(),  # (N, w, 32, 32)
            *block(w, 2 * w), *block(2 * w, 3 * w), *block(3 * w, 4 * w),  # (N, 4 w, 4, 4)
            nn.Flatten(), nn.Linear(4 * w * 4 * 4, config.features), nn.ReLU(),
        )  # fmt: skip
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(config.features, len(config.answers))

    def forward(self, heard: Tensor) -> Tensor:
        """Logits (N, answers) of pictures (N, 1, mels, FRAMES) as `pictured` makes them."""
        return self.head(self.drop(self.body(heard.contiguous(memory_format=torch.channels_last))))


# --- Hearing --------------------------------------------------------------------------------------------------


def listened(recordings: Sequence[Tensor] | Tensor, rate: int) -> tuple[Tensor, Tensor]:
    """Recordings (T_i,) at `rate` Hz -> (one second each (N, SAMPLES) at 8 kHz, whether each sounds (N,) bool).

    Trimmed, the loudest second of what is longer, in the middle of what is shorter. Raises `BadSound`.
    """
    taken = [_second(recording, rate) for recording in recordings]
    if not taken:
        return torch.zeros(0, SAMPLES), torch.zeros(0, dtype=torch.bool)
    return torch.stack(taken), torch.tensor([bool(second.any()) for second in taken])


def _second(recording: Tensor, rate: int) -> Tensor:
    x = edges.resample(recording, rate, RATE)
    begin, end = edges.sounding(x, RATE)
    x = x[begin:end]
    if len(x) > SAMPLES:
        energy = torch.cat([torch.zeros(1), x.double().square().cumsum(0).float()])
        loudest = int((energy[SAMPLES:] - energy[:-SAMPLES]).argmax())
        x = x[loudest : loudest + SAMPLES]
    return centred(x)


def centred(x: Tensor) -> Tensor:
    """At most a second (T,) in the middle of one (SAMPLES,), with silence around."""
    before = (SAMPLES - len(x)) // 2
    return nn.functional.pad(x, (before, SAMPLES - len(x) - before))


def pictured(seconds: Tensor) -> Tensor:
    """Seconds (N, SAMPLES) -> log-mels (N, 1, mels, FRAMES) in [0, 1]: 1 is the loudest of each, 0 is 50 dB below."""
    return scaled(log_mel(seconds, DIGITS).transpose(1, 2)[:, None])


def scaled(mels: Tensor) -> Tensor:
    return ((mels - mels.amax((1, 2, 3), keepdim=True)) / RANGE + 1).clamp(0, 1)


@torch.inference_mode()
def probabilities_of(recordings: Sequence[Tensor] | Tensor, rate: int, judge: Judge | None = None) -> Tensor:
    """Probability of each answer (N, answers) for recordings (T_i,) at `rate` Hz; 0 throughout for silence.

    `judge` is the judge of digits unless another is given. Raises `BadSound` for what is no recording.
    """
    net = judge or digit_judge()
    seconds, sounds = listened(recordings, rate)
    found = [net(pictured(part)).softmax(1) for part in seconds.split(256) if len(part)]
    return torch.cat([*found, torch.zeros(0, len(net.config.answers))]) * sounds[:, None]


# --- Verdicts -------------------------------------------------------------------------------------------------


def read(recordings: Sequence[Tensor] | Tensor, rate: int = RATE) -> tuple[Tensor, Tensor]:
    """(the digit heard in each recording (N,) int64, the confidence (N,) in [0, 1]); see the module's words."""
    confidence, label = probabilities_of(recordings, rate)[:, :10].max(1)
    return label, confidence


def recognisable(recordings: Sequence[Tensor] | Tensor, labels: Tensor | None = None, rate: int = RATE) -> Recognised:
    """How many recordings are read with over 0.95 confidence: as `labels` (N,) int64, or as any digit if None."""
    if len(recordings) == 0 or (labels is not None and len(labels) != len(recordings)):
        raise ValueError(f"{len(recordings)} recordings with {'no' if labels is None else len(labels)} labels")
    stored = figures()
    share = share_read(probabilities_of(recordings, rate)[:, :10], labels)
    return Recognised(share, stored["share_as_asked" if labels is not None else "share_as_any"], stored["accuracy"])


def speakers_of(recordings: Sequence[Tensor] | Tensor, rate: int = RATE) -> Tensor:
    """The probability (N, 6) that each of `speaker_judge().config.answers` speaks in each recording.

    One of the six is always the likeliest: whether the recording is speech at all, this judge does not say.
    """
    return probabilities_of(recordings, rate, speaker_judge())


def heard_as(recordings: Sequence[Tensor] | Tensor, speakers: Sequence[str], rate: int = RATE) -> float:
    """Share of the recordings (N) in which the one of `speakers` (N) is the likeliest of the six.

    Raises ValueError for another name, and where there are none or not as many of both.
    """
    answers = speaker_judge().config.answers
    if not set(speakers) <= set(answers) or not 0 < len(recordings) == len(speakers):
        raise ValueError(f"{len(recordings)} recordings by {len(speakers)} speakers of {', '.join(answers)}")
    probabilities = speakers_of(recordings, rate)
    chosen = probabilities.argmax(1) == torch.tensor([answers.index(name) for name in speakers])
    return float((chosen & (probabilities.amax(1) > 0)).double().mean())


# --- The shipped judges ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def digit_judge() -> Judge:
    """The shipped judge of digits, loaded and verified once in a process."""
    return load(FOLDER)


@lru_cache(maxsize=1)
def speaker_judge() -> Judge:
    """The shipped judge of speakers, loaded and verified once in a process."""
    return load(SPEAKERS_FOLDER)


@lru_cache(maxsize=2)
def figures(folder: Path = FOLDER) -> dict[str, float]:
    """What was measured of a judge on the corpus's test split when it was trained: shares in [0, 1] by name."""
    checkpoint.verify_files(folder)
    return {name: float(value) for name, value in load_file(folder / judging.STATISTICS).items()}


def load(folder: Path) -> Judge:
    """The judge of `folder`, verified, in evaluation mode. Raises `checkpoint.Damaged`, naming the file."""
    return judging.load(folder, Config, Judge)
