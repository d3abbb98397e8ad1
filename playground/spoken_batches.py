"""Recordings with their texts, as a voice learns from them: symbols, level mel spectrograms, lengths, speakers.

A spectrogram is learned on a scale of its own: log10 magnitudes of recordings of equal loudness, cut off at `FLOOR`, about
zero on average and one wide. Batches hold recordings of like length, so that little of them is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from playground.contract import BadSetting
from playground.signal import edges
from playground.signal.mel import DIGITS, SPEECH, Front, log_mel
from playground.text import Alphabet

FRONTS = {front.rate: front for front in (DIGITS, SPEECH)}
FLOOR, MIDDLE, SPREAD = -4.0, -2.1, 0.8
"""log10 of mel magnitude at -23 dB: what is taken for silence, the mean and the deviation of speech."""
TAIL = 4
"""Frames of silence after each recording: a voice should have said all before it ends."""
POOL = 4
"""A batch is drawn from as many recordings of like length as this many batches hold."""


SYNTHETIC = 4
"""Speakers that a voice knows beside those of its recordings: espeak-ng's, which its training may begin with."""


def scaled(mel: Tensor) -> Tensor:
    """log10 mels as a voice learns them."""
    return (mel.clamp_min(FLOOR) - MIDDLE) / SPREAD


def restored(scaled_mel: Tensor) -> Tensor:
    """The log10 mels of what a voice gives."""
    return (scaled_mel * SPREAD + MIDDLE).clamp_min(FLOOR)


SILENCE = (FLOOR - MIDDLE) / SPREAD
"""A silent frame on a voice's scale."""


Batch: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""B utterances: text (B, N) int64, which ends with END and is padded with PAD (0), and its lengths (B,); mel (B, T, mels)
float16 on a voice's scale, padded with silence, and its lengths (B,); speaker (B,)."""


class Spoken:
    """Recordings ready to be learned from; `run.batches` takes it for a data set.

    alphabet: how texts are read. first: the model's number of the first speaker here.
    Raises `BadSetting` where there are no texts.
    """

    def __init__(self, examples: Any, alphabet: Alphabet, first: int = 0):
        if not examples.texts:
            raise BadSetting("recordings with texts are needed", "글이 딸린 녹음이 필요합니다")
        front = front_of(examples.rate)
        texts = [torch.tensor(alphabet.read(text).ids) for text in examples.texts]
        mels = [level_mel(examples.audio(i), front) for i in range(len(examples))]
        self.order = sorted(range(len(mels)), key=lambda i: len(mels[i]))
        self.texts, self.mels = [texts[i] for i in self.order], [mels[i] for i in self.order]
        speakers = torch.zeros(len(mels), dtype=torch.int64) if examples.speakers is None else examples.speakers
        self.speakers = first + speakers[self.order]

    @property
    def train(self) -> Spoken:
        return self

    def __len__(self) -> int:
        return len(self.mels)

    def batch(self, indices: Tensor) -> Batch:
        """So many utterances of like length: drawn from the pool in which the first of `indices` lies, by chance that the
        indices decide. In the long run each is drawn equally often."""
        n, size = len(self), len(indices)
        pools = max(1, n // (POOL * size))
        first = int(indices[0])
        pool = first * pools // n
        low, high = -(-pool * n // pools), -(-(pool + 1) * n // pools)
        rng = torch.Generator().manual_seed(first + n * int((indices * torch.arange(1, size + 1)).sum()))
        draws = [torch.randperm(high - low, generator=rng) for _ in range(-(-size // (high - low)))]
        return self.collated((low + torch.cat(draws)[:size]).tolist())

    def collated(self, places: Sequence[int]) -> Batch:
        """The utterances at `places`, counted from the shortest."""
        texts, mels = [self.texts[i] for i in places], [self.mels[i] for i in places]
        return (
            pad_sequence(texts, batch_first=True),
            torch.tensor([len(text) for text in texts]),
            pad_sequence(mels, batch_first=True, padding_value=SILENCE),
            torch.tensor([len(mel) for mel in mels]),
            self.speakers[list(places)],
        )


def front_of(rate: int) -> Front:
    """The front end of that rate in Hz. Raises `BadSetting`."""
    if rate not in FRONTS:
        listed = " or ".join(f"{known:,}" for known in FRONTS)
        raise BadSetting(
            f"recordings at {listed} Hz are needed, not {rate:,}", f"{listed} Hz의 녹음이 필요합니다 (지금 {rate:,})"
        )
    return FRONTS[rate]


def level_mel(samples: Tensor, front: Front) -> Tensor:
    """A recording (T,) at equal loudness, on a voice's scale, with its tail of silence: (frames, mels) float16."""
    heard = torch.nn.functional.pad(edges.level(samples, front.rate), (0, max(0, front.least - len(samples))))
    mel = scaled(log_mel(heard, front))
    return torch.cat([mel, mel.new_full((TAIL, front.mels), SILENCE)]).half()
