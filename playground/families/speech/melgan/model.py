"""The game of the two players, and the vocoder that it makes."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.contract import Text
from playground.families.speech.melgan.config import QUIET, Config
from playground.families.speech.melgan.losses import (
    discriminator_hinge,
    distance,
    feature_matching,
    generator_hinge,
)
from playground.families.speech.melgan.nets import Critics, Generator
from playground.signal.mel import Front

BEYOND = 4
"""Frames that a mel is lengthened by on either side before it is sounded, and what they sound is cut off."""


class WarmUp(nn.Module):
    """The generator's objective before the game: spectra alone."""

    def __init__(self, generator: nn.Module, front: Front):
        super().__init__()
        self.generator, self.front = generator, front

    def forward(self, mel: Tensor, x: Tensor) -> Tensor:
        """mel (B, frames, mels) of samples x (B, frames * hop)."""
        return distance(self.generator(mel), x, self.front)


class DiscriminatorTurn(nn.Module):
    """The discriminators' training objective, as a module of its own so that it can be distributed."""

    def __init__(self, critics: Critics):
        super().__init__()
        self.critics = critics

    def forward(self, real: Tensor, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Samples (B, T) of either kind. Returns the loss, and each scale's mean score of both."""
        heard = self.critics(torch.cat([real, fake]))
        of_real = [[h[: len(real)] for h in maps] for maps in heard]
        of_fake = [[h[len(real) :] for h in maps] for maps in heard]
        means = {"D(real)": mean_score(of_real), "D(fake)": mean_score(of_fake)}
        return discriminator_hinge(of_real, of_fake), means


def mean_score(heard: list[list[Tensor]]) -> Tensor:
    return torch.stack([maps[-1].mean() for maps in heard]).mean().detach()


class GeneratorTurn(nn.Module):
    """The generator's training objective. The discriminators are only consulted: they are no part of this module.

    matching: lambda, the weight of feature matching; spectral: the weight of what the warm-up asks for.
    """

    def __init__(self, generator: nn.Module, critics: Critics, front: Front, matching: float, spectral: float):
        super().__init__()
        self.generator, self.front = generator, front
        self._opponents = (critics,)  # in a tuple, so that their parameters are not this module's
        self.matching, self.spectral = matching, spectral

    def forward(self, mel: Tensor, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """mel (B, frames, mels) of samples x (B, frames * hop). Returns the loss and what to plot."""
        (critics,) = self._opponents
        made = self.generator(mel)
        with torch.no_grad():
            real = critics(x)
        fake = critics(made)
        loss, terms = generator_hinge(fake), {}
        if self.matching:  # eq. 4
            terms["feature matching"] = feature_matching(real, fake)
            loss = loss + self.matching * terms["feature matching"]
        if self.spectral:
            terms["spectral distance"] = distance(made, x, self.front)
            loss = loss + self.spectral * terms["spectral distance"]
        return loss, {name: term.detach() for name, term in terms.items()}


class Vocoder(nn.Module):
    """A generator, its slow average in fact, and the discriminators that taught it, whatever net the generator is.

    generator(mel (B, frames, mels)) gives samples (B, frames * hop) in [-1, 1].
    """

    title: ClassVar[Text]

    def __init__(self, config: Config, generator: nn.Module):
        super().__init__()
        self.config = config
        self.generator = generator
        self.critics = Critics(config)

    def vocode(self, mel: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """A log10 mel (frames, mels) of the one front end as samples (frames * hop,) in [-1, 1]. Nothing is drawn."""
        hop = self.config.front.hop
        longer = F.pad(mel.T[None], (BEYOND, BEYOND), mode="replicate").transpose(1, 2)
        return self.generator(longer.clamp_min(QUIET))[0, BEYOND * hop : -BEYOND * hop]

    def scores(self, samples: Tensor) -> list[Tensor]:
        """Each discriminator's scores (N_k,) along a recording (T,): above 0 it takes it for real, from 1 on it is sure."""
        return [maps[-1][0, 0] for maps in self.critics(samples[None])]


class MelGAN(Vocoder):
    title: ClassVar[Text] = {"en": "MelGAN", "ko": "MelGAN"}

    def __init__(self, config: Config):
        super().__init__(config, Generator(config))
