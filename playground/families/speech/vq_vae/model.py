"""The model: what is heard of a recording, its codes, the frames they give in any voice, and codes of its own.

Dimension letters: B recordings, T samples, M mels, L frames, N = L / stride codes, D numbers in a code's vector, K codes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.families.speech.vq_vae.config import Config
from playground.families.speech.vq_vae.nets import Decoder, Encoder
from playground.families.speech.vq_vae.prior import Moment, Prior
from playground.quantising import COMMITMENT, nearest, perplexity, straight_through
from playground.signal.mel import log_mel

RANGE = 3.0
"""log10 of magnitude, 60 dB: what lies further below a recording's loudest place is silence."""
TEMPERATURE = 0.8
"""Of the prior where nobody asks for another."""


class Coder(nn.Module):
    """Encoder, codebook and decoder: the first phase of training."""

    codebook: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        vectors = torch.randn(config.codes, config.code_size)
        if config.codebook == "gradient":
            self.codebook = nn.Parameter(vectors)
        else:
            self.register_buffer("codebook", vectors)

    def forward(self, level: Tensor, frames: Tensor, speaker: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The training objective (eq. 3), what to plot, and the z_e (B, D, N) that codes were chosen for.

        level (B, M, L) as `heard` gives it, of which `frames` (B,) belong to each recording; speaker (B,). The likelihood
        of a level is a Gaussian of fixed width: its term is the squared error. Every frame weighs the same, in whatever
        batch it stands.
        """
        stride = self.config.stride
        there = up_to(frames, level.shape[2])  # (B, 1, L)
        z_e = self.encoder(level, there).float()
        coded = there[:, :, ::stride]  # (B, 1, N)
        codes = self.choose(z_e)
        e = self.vectors(codes)
        rebuilt = self.decoder(straight_through(z_e, e), coded, speaker).float()
        error = mean((rebuilt - level).square(), there)
        cost = COMMITMENT * mean((z_e - e.detach()).square(), coded)
        if self.codebook.requires_grad:
            cost = cost + mean((z_e.detach() - e).square(), coded)
        used = torch.bincount(codes[coded[:, 0] > 0], minlength=self.config.codes)
        db = 20 * (error.detach() * there.numel() / there.sum()).sqrt()
        return error + cost, {"error (dB)": db, "codebook perplexity": perplexity(used)}, z_e.detach()

    def choose(self, z_e: Tensor) -> Tensor:
        """The nearest code of every place (B, D, N): (B, N)."""
        return nearest(z_e.float().transpose(1, 2).flatten(0, 1), self.codebook.detach()).view(len(z_e), -1)

    def vectors(self, codes: Tensor) -> Tensor:
        """(B, D, N) vectors of codes (B, N)."""
        return F.embedding(codes, self.codebook).transpose(1, 2)


class VQVAE(nn.Module):
    """coder, prior: what the two phases of training train, each by its own `forward`."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.coder = Coder(config)
        self.prior = Prior.of(config)

    grain = 1
    """Of what `heard` gives, how much a frame of 16 ms has."""

    @torch.no_grad()
    def heard(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Levels (B, M, L) of recordings (B, T) in [-1, 1] that end after `lengths` (B,) samples, and their frames (B,).

        log10 of mel magnitudes above silence, from 0 to RANGE, which is the loudest place of each recording: how loud it
        was is not kept. L is a multiple of the stride.
        """
        front, stride = self.config.front, self.config.stride
        frames = (lengths + front.hop - 1) // front.hop  # frame t is centred on sample t * hop
        most = int(-(-int(frames.max()) // stride) * stride)
        x = F.pad(x, (0, front.n_fft + most * front.hop))  # so that an end sounds the same in any batch
        level = log_mel(x, front)[:, :most].transpose(1, 2)  # (B, M, L)
        there = up_to(frames, most)
        loudest = level.masked_fill(there == 0, -torch.inf).amax((1, 2), keepdim=True)
        return (level - loudest + RANGE).clamp(min=0) * there, frames

    def encode(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (B, N) of recordings as in `heard`, and how many belong to each (B,)."""
        return self.codes_of(*self.heard(x, lengths))

    def codes_of(self, level: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The same of what was heard."""
        z_e = self.coder.encoder(level, up_to(frames, level.shape[2]))
        return self.coder.choose(z_e), -(-frames // self.config.stride)

    def decode(self, codes: Tensor, counts: Tensor, speaker: Tensor) -> list[Tensor]:
        """A mel spectrogram (frames, M), log10, of each recording's codes (B, N), as `speaker` (B,) says it."""
        level = self.coder.decoder(self.coder.vectors(codes), up_to(counts, codes.shape[1]), speaker).float()
        mel = level.clamp(0, RANGE).transpose(1, 2) - RANGE  # (B, L, M)
        return [one[:n] for one, n in zip(mel, (counts * self.config.stride).tolist(), strict=True)]

    def reconstruct(self, x: Tensor, lengths: Tensor, speaker: Tensor) -> list[Tensor]:
        """Recordings through their codes and back, as mel spectrograms."""
        return self.decode(*self.encode(x, lengths), speaker)

    @torch.no_grad()
    def drawing(
        self, label: Tensor | None, speaker: Tensor, *, rng: torch.Generator, temperature: float = TEMPERATURE
    ) -> Iterator[Moment]:
        """Codes from the prior for labels and speakers (B,), code by code."""
        yield from self.prior.draw(label, speaker, temperature, rng)

    @torch.no_grad()
    def sample(
        self, label: Tensor | None, speaker: Tensor, *, rng: torch.Generator, temperature: float = TEMPERATURE
    ) -> list[Tensor]:
        """A mel spectrogram (frames, M), log10, for each label and speaker (B,)."""
        *_, last = self.drawing(label, speaker, rng=rng, temperature=temperature)
        return self.decode(last.codes, last.counts, speaker)


def up_to(counts: Tensor, length: int) -> Tensor:
    """(B, 1, length): 1 at the first `counts` (B,) places of each row, 0 after them."""
    return (torch.arange(length, device=counts.device) < counts[:, None])[:, None].float()


def mean(error: Tensor, there: Tensor) -> Tensor:
    """The mean of an error (B, C, L) over B, C and L, in which what is not there (B, 1, L) counts as none."""
    return (error * there).mean()
