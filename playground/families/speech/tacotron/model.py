"""The model: a text becomes frames, and the frames learn from those of a recording.

Dimension letters as in `nets.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.alignment import guided_loss
from playground.families.speech.tacotron.config import Config
from playground.families.speech.tacotron.nets import ENCODERS, Attention, Postnet, Prenet, Text, inside
from playground.speaking import Experience, Utterance
from playground.spoken_batches import SILENCE, SYNTHETIC, restored
from playground.text import Reading

STOPS = 0.5
"""Probability of the end from which on a step is taken for the last."""
END_WEIGHT = 5.0
"""How much more the one last step counts than each of the others in the loss of the stop token."""
GUIDE_WIDTH = 0.3
"""g of the guided attention."""
DROPOUT = 0.1
"""Of what the two LSTMs of the decoder give."""


class Made(NamedTuple):
    """What the decoder makes of a batch when it is told the frames before. before, after: (B, T, M), without and with the
    postnet; stop: (B, S) logits; attention: (B, S, N)."""

    before: Tensor
    after: Tensor
    stop: Tensor
    attention: Tensor


@dataclass(frozen=True, eq=False)
class Uttered(Utterance):
    """before: (frames, M) log10, the mel as it is without the postnet."""

    before: Tensor


class Tacotron(nn.Module):
    reduction: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        mels = config.front.mels
        wide = config.cells + config.width  # what the decoder's second LSTM gives, and the context
        self.symbols = nn.Embedding(len(config.alphabet.symbols), config.width, padding_idx=0)
        self.speakers = nn.Embedding(config.voices + SYNTHETIC, config.width)
        self.encoder = ENCODERS[config.encoder](config.width)
        self.prenet = Prenet(mels, config.prenet)
        self.attention = Attention(config)
        self.lstm = nn.LSTM(wide, config.cells, batch_first=True)
        self.frames = nn.Linear(wide, config.most_frames * mels)
        self.stop = nn.Linear(wide, 1)
        self.postnet = Postnet(mels, config.postnet)
        self.experience = Experience(len(config.alphabet.symbols))
        self.register_buffer("reduction", torch.tensor(config.most_frames))  # frames a step, as it was trained last
        nn.init.normal_(self.speakers.weight, std=0.1)

    # --- Training

    def forward(
        self,
        text: Tensor,
        text_length: Tensor,
        mel: Tensor,
        mel_length: Tensor,
        speaker: Tensor,
        guide: float = 1.0,
        progress: float = 1.0,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The training objective of a batch (see `spoken_batches.Batch`) and what to plot of it.

        guide: weight of the guided attention. progress: share of the training that is done, which decides the frames a step.
        """
        r = self.config.reduction_at(progress)
        self.reduction.fill_(r)
        mel, steps = whole_steps(mel.float(), mel_length, r)
        made = self.following(text, text_length, mel, steps, speaker, r)
        said = inside(steps * r, mel.shape[1])[:, :, None]  # (B, T, 1)
        before, after = (distance(guess, mel, said) for guess in (made.before, made.after))  # absolute, squared
        doubt = ending(made.stop, steps)
        astray = guided_loss(made.attention, text_length, steps, GUIDE_WIDTH)
        sure = (made.attention.amax(2) * inside(steps, made.stop.shape[1])).sum() / steps.sum()
        terms = {
            "error after the postnet": after[0],
            "stop token (nats)": doubt,
            "attention off the diagonal": astray,
            "attention focus": sure,
        }
        return sum(before) + sum(after) + doubt + guide * astray, {name: term.detach() for name, term in terms.items()}

    def following(self, text: Tensor, text_length: Tensor, mel: Tensor, steps: Tensor, speaker: Tensor, r: int) -> Made:
        """The decoder told the frames (B, T, M) of a recording, each step the last of the step before (teacher forcing)."""
        read = self.read(text, text_length, speaker)
        told = F.pad(mel[:, r - 1 : -1 : r], (0, 0, 1, 0))  # (B, S, M): nothing first
        prenet = self.prenet(told.transpose(0, 1))  # (S, B, prenet)
        look, looks = self.attention.begin(read), []
        for frame in prenet.unbind():
            look = self.attention(frame, read, look)
            looks.append(look)
        hidden = torch.stack([look.hidden for look in looks], 1)  # (B, S, H)
        context = torch.stack([look.context for look in looks], 1)  # (B, S, E)
        attention = torch.stack([look.weights for look in looks], 1)  # (B, S, N)
        # The second LSTM steers no attention: it goes over all steps at once.
        deep, _ = self.lstm(torch.cat([self.dropped(hidden), context], 2))
        state = torch.cat([self.dropped(deep), context], 2)  # (B, S, H + E)
        before = self.said(state, r)
        after = before + self.postnet(before, inside(steps * r, before.shape[1]))
        return Made(before, after, self.stop(state)[:, :, 0], attention)

    def dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, DROPOUT, self.training)

    def read(self, text: Tensor, text_length: Tensor, speaker: Tensor) -> Text:
        """Symbols (B, N) as the attention sees them, coloured by who speaks."""
        memory = self.encoder(self.symbols(text), text_length) + self.speakers(speaker)[:, None]
        return self.attention.read(memory, text_length)

    def said(self, state: Tensor, r: int) -> Tensor:
        """The frames (B, S r, M) of states (B, S, H + E): the first r of those that the net gives."""
        n = r * self.config.front.mels
        made = F.linear(state, self.frames.weight[:n], self.frames.bias[:n])
        return made.view(len(state), -1, self.config.front.mels)

    # --- Synthesis

    @torch.no_grad()
    def say(self, reading: Reading, speaker: int, rng: torch.Generator, stops: float = STOPS) -> Uttered:
        """One sentence by one speaker. rng draws what the prenet drops; `stops` is the probability taken for the end."""
        device, r = self.symbols.weight.device, int(self.reduction)
        ids = torch.tensor([reading.ids], device=device)
        read = self.read(ids, ids.new_tensor([ids.shape[1]]), ids.new_tensor([speaker]))
        frame = read.memory.new_zeros(1, 1, self.config.front.mels)
        look, memory = self.attention.begin(read), None
        frames: list[Tensor] = []
        stop: list[float] = []
        attention: list[Tensor] = []
        most = max(1, self.experience.most_frames(ids.shape[1]) // r)
        while len(stop) < most and not (stop and stop[-1] > stops):
            look = self.attention(self.prenet(frame[:, -1], rng), read, look)
            deep, memory = self.lstm(torch.cat([look.hidden, look.context], 1)[:, None], memory)
            state = torch.cat([deep, look.context[:, None]], 2)
            frame = self.said(state, r)
            frames.append(frame)
            stop.append(float(self.stop(state).sigmoid()))
            attention.append(look.weights)
        before = torch.cat(frames, 1)
        after = before + self.postnet(before, before.new_ones(before.shape[:2]))
        return Uttered(
            restored(after[0]).cpu(),
            torch.cat(attention).cpu(),
            torch.tensor(stop),
            stop[-1] > stops,
            restored(before[0]).cpu(),
        )


def whole_steps(mel: Tensor, length: Tensor, r: int) -> tuple[Tensor, Tensor]:
    """(mels (B, T, M) with T a multiple of r, silence at the end; the steps (B,) of each)"""
    return F.pad(mel, (0, 0, 0, -mel.shape[1] % r), value=SILENCE), -(-length // r)


def distance(made: Tensor, mel: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
    """Mean absolute and mean squared error of mels (B, T, M) where `said` (B, T, 1) is true."""
    error = (made - mel) * said
    n = said.sum() * mel.shape[2]
    return error.abs().sum() / n, error.square().sum() / n


def ending(stop: Tensor, steps: Tensor) -> Tensor:
    """Cross-entropy in nats a step of the stop token's logits (B, S): an utterance's last step is the end, and weighs more."""
    last = F.one_hot(steps - 1, stop.shape[1]).float()
    here = inside(steps, stop.shape[1]).float()
    weight = last.new_tensor(END_WEIGHT)
    return F.binary_cross_entropy_with_logits(stop, last, here, pos_weight=weight, reduction="sum") / steps.sum()
