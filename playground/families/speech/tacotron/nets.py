"""What a Tacotron is made of: two encoders, the prenet, attention that knows where it has been, the decoder, the postnet.

Dimension letters: B utterances, N symbols, E width of the encoder, S steps of the decoder, r frames a step, T = S r frames,
M mels, H cells, A width of the attention.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from playground.families.speech.tacotron.config import Config

KERNEL = 5
"""Symbols or frames that a convolution of the encoder or the postnet sees."""
POSTNET_LAYERS, ENCODER_LAYERS = 5, 3
DROPPED = 0.1
"""Of what a layer of the encoder or the postnet gives, in training."""
FILTERS, SPAN = 32, 31
"""Of the location features: filters, and the symbols that one sees."""
BANK, HIGHWAYS = 8, 4
"""Of the CBHG: the widest convolution of its bank, and highway layers."""


def inside(lengths: Tensor, longest: int) -> Tensor:
    """(B, longest) bool: whether a place lies inside its utterance."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def convolution(a: int, b: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(a, b, kernel, padding=kernel // 2), nn.BatchNorm1d(b))


# --- Encoders -------------------------------------------------------------------------------------------------


class Convolutions(nn.Module):
    """Shen et al. section 2.2: three convolutions, each with batch normalisation, ReLU and dropout, then a BiLSTM."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.ModuleList(convolution(width, width, KERNEL) for _ in range(ENCODER_LAYERS))
        self.lstm = nn.LSTM(width, width // 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Embedded symbols (B, N, E) and their lengths (B,) -> (B, N, E)."""
        here = inside(lengths, x.shape[1])[:, None]  # (B, 1, N)
        x = x.transpose(1, 2) * here  # (B, E, N)
        for layer in self.layers:
            x = F.dropout(F.relu(layer(x)), DROPPED, self.training) * here
        return both_ways(self.lstm, x.transpose(1, 2), lengths)


class CBHG(nn.Module):
    """Wang et al. section 3.1: a bank of convolutions of 1 to K symbols, highway layers and a bidirectional GRU."""

    def __init__(self, width: int):
        super().__init__()
        half = width // 2
        self.prenet = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width)])
        self.bank = nn.ModuleList(
            nn.Sequential(
                nn.ConstantPad1d(((k - 1) // 2, k // 2), 0.0), nn.Conv1d(width, half, k), nn.BatchNorm1d(half)
            )
            for k in range(1, BANK + 1)
        )
        self.first, self.second = convolution(BANK * half, width, 3), convolution(width, width, 3)
        self.highways = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(HIGHWAYS))
        self.gru = nn.GRU(width, half, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Embedded symbols (B, N, E) and their lengths (B,) -> (B, N, E)."""
        for linear in self.prenet:
            x = F.dropout(F.relu(linear(x)), DROPPED, self.training)
        here = inside(lengths, x.shape[1])[:, None]  # (B, 1, N)
        x = x.transpose(1, 2) * here  # (B, E, N)
        y = torch.cat([F.relu(layer(x)) for layer in self.bank], 1) * here  # (B, K E/2, N)
        y = F.max_pool1d(F.pad(y, (1, 0)), 2, stride=1)  # of this symbol and the one before it
        y = F.relu(self.first(y * here)) * here
        y = (self.second(y) + x).transpose(1, 2)  # (B, N, E)
        for highway in self.highways:
            h, t = highway(y).chunk(2, 2)
            y = torch.lerp(y, F.relu(h), t.sigmoid())
        return both_ways(self.gru, y, lengths)


def both_ways(rnn: nn.LSTM | nn.GRU, x: Tensor, lengths: Tensor) -> Tensor:
    """A bidirectional net over (B, N, E) that begins its way back at each row's own end."""
    packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(rnn(packed)[0], batch_first=True, total_length=x.shape[1])[0]


ENCODERS = {"convolutions": Convolutions, "cbhg": CBHG}


# --- Decoder --------------------------------------------------------------------------------------------------


class Prenet(nn.Module):
    """Two layers through which the last frame comes back, half of each dropped always, in synthesis too."""

    def __init__(self, mels: int, width: int):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(mels, width, bias=False), nn.Linear(width, width, bias=False)])

    def forward(self, frame: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Frames (..., M) -> (..., prenet). rng: what drops, instead of PyTorch's own generator."""
        for linear in self.layers:
            frame = F.relu(linear(frame))
            if rng is None:
                frame = F.dropout(frame, 0.5, training=True)
            else:
                kept = torch.rand(frame.shape, generator=rng) >= 0.5
                frame = frame * (2.0 * kept).to(frame.device)
        return frame


class Text(NamedTuple):
    """A batch of encoded texts, with what attention asks of them worked out once.

    memory: (B, N, E). keys: (B, A, N), V h_j + b of the energies. outside: (B, N), -inf after each text's end. kernel: (A, 2,
    SPAN), the location filters and their projection in one; None where there are none.
    """

    memory: Tensor
    keys: Tensor
    outside: Tensor
    kernel: Tensor | None


class Look(NamedTuple):
    """What goes from step to step. hidden, cell: (B, H). context: (B, E). weights: (B, N), the last attention; total: (B, N),
    the sum of all so far."""

    hidden: Tensor
    cell: Tensor
    context: Tensor
    weights: Tensor
    total: Tensor


class Attention(nn.Module):
    """The first LSTM of the decoder and the attention that it steers (Chorowski et al. 2015, as in Shen et al. 2.2)."""

    def __init__(self, config: Config):
        super().__init__()
        width, attention = config.width, config.attention
        self.located = config.located
        self.lstm = nn.LSTMCell(config.prenet + width, config.cells)
        self.query = nn.Linear(config.cells, attention, bias=False)  # W
        self.key = nn.Linear(width, attention)  # V, b
        self.energy = nn.Linear(attention, 1, bias=False)  # w
        if config.located:
            self.filters = nn.Parameter(torch.empty(FILTERS, 2, SPAN))  # F
            self.location = nn.Linear(FILTERS, attention, bias=False)  # U
            nn.init.kaiming_uniform_(self.filters, a=5**0.5)

    def read(self, memory: Tensor, lengths: Tensor) -> Text:
        """Encoded symbols (B, N, E) of texts that are `lengths` (B,) long."""
        here = inside(lengths, memory.shape[1])
        outside = torch.zeros_like(here, dtype=memory.dtype).masked_fill(~here, -torch.inf)
        kernel = torch.einsum("af,fck->ack", self.location.weight, self.filters) if self.located else None
        return Text(memory, self.key(memory).transpose(1, 2), outside, kernel)

    def begin(self, text: Text) -> Look:
        b, n, e = text.memory.shape
        zero = text.memory.new_zeros
        cells = self.lstm.hidden_size
        return Look(zero(b, cells), zero(b, cells), zero(b, e), zero(b, n), zero(b, n))

    def forward(self, frame: Tensor, text: Text, last: Look) -> Look:
        """One step. frame: (B, prenet), what was said last.

        e_j = w^T tanh(W s_i + V h_j + U f_ij + b), f_i = F * (a_{i-1}, sum of a): the last attention and that of all steps.
        """
        hidden, cell = self.lstm(torch.cat([frame, last.context], 1), (last.hidden, last.cell))
        energies = text.keys + self.query(hidden)[:, :, None]  # (B, A, N)
        if text.kernel is not None:
            been = torch.stack([last.weights, last.total], 1)  # (B, 2, N)
            energies = energies + F.conv1d(been, text.kernel, padding=SPAN // 2)
        energies = (self.energy.weight @ energies.tanh())[:, 0]  # (B, N)
        weights = (energies + text.outside).softmax(1)
        context = torch.bmm(weights[:, None], text.memory)[:, 0]  # (B, E)
        return Look(hidden, cell, context, weights, last.total + weights)


class Postnet(nn.Module):
    """Shen et al. section 2.2: five convolutions over time that give what a step could not know, to be added."""

    def __init__(self, mels: int, width: int):
        super().__init__()
        sizes = [mels, *[width] * (POSTNET_LAYERS - 1), mels]
        self.layers = nn.ModuleList(convolution(a, b, KERNEL) for a, b in pairwise(sizes))

    def forward(self, mel: Tensor, here: Tensor) -> Tensor:
        """mel (B, T, M), of which the frames where `here` (B, T) is true are said -> (B, T, M)."""
        x = mel.transpose(1, 2)
        *layers, last = self.layers
        for layer in layers:
            x = F.dropout(layer(x * here[:, None]).tanh(), DROPPED, self.training)
        return last(x * here[:, None]).transpose(1, 2)
