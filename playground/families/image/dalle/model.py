"""The model: tokens of text, the discrete VAE, the transformer and the judge, and the verbs that draw with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from playground.families.image.dalle.clip import CLIP
from playground.families.image.dalle.config import Config
from playground.families.image.dalle.samplers import Choice, Moment, draw
from playground.families.image.dalle.text import Text
from playground.families.image.dalle.transformer import Transformer
from playground.families.image.dalle.vae import DiscreteVAE

LIKELY = Choice(temperature=0.5, top_k=0, top_p=0.95, guidance=0.5)
"""How codes are chosen where nobody asks for another way."""


class DALLE(nn.Module):
    """vae, prior, clip: other parts of the same calls in the place of this family's own.

    There is no single `forward`: each part is trained by its own, one after the other.
    """

    vae: Any
    prior: Any
    clip: Any

    def __init__(
        self,
        config: Config,
        vae: nn.Module | None = None,
        prior: nn.Module | None = None,
        clip: nn.Module | None = None,
    ):
        super().__init__()
        self.config = config
        self.text = Text(config)
        self.vae = vae or DiscreteVAE(config)
        self.prior = prior or Transformer(config)
        self.clip = clip or CLIP(config)

    def read(self, texts: Sequence[str]) -> Tensor:
        """Tokens (B, T) of texts; of an empty one, pads alone: no text is told."""
        return self.text.encode(texts)

    def encode(self, x: Tensor) -> Tensor:
        """Codes (B, N) of pictures (B, C, H, W) in [0, 1]."""
        return self.vae.encode(x)

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] of codes (B, N)."""
        return self.vae.decode(codes)

    def reconstruct(self, x: Tensor) -> Tensor:
        """Pictures through their codes and back."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def drawing(
        self,
        texts: Sequence[str],
        *,
        rng: torch.Generator,
        choice: Choice = LIKELY,
        begun: Tensor | None = None,
    ) -> Iterator[Moment]:
        """The codes of a picture for each text, code by code. begun (B, n): codes to begin with."""
        yield from draw(self.prior, self.read(texts), self.read([""]), choice, rng, begun)

    @torch.no_grad()
    def sample(
        self,
        texts: Sequence[str],
        *,
        rng: torch.Generator,
        choice: Choice = LIKELY,
        begun: Tensor | None = None,
    ) -> Tensor:
        """A picture (C, H, W) in [0, 1] for each text: (B, C, H, W)."""
        *_, last = self.drawing(texts, rng=rng, choice=choice, begun=begun)
        return self.decode(last.codes)

    @torch.no_grad()
    def scores(self, x: Tensor, texts: Sequence[str]) -> Tensor:
        """How well each picture fits its text, by the judge: cosines (B,)."""
        return self.clip.scores(x, self.read(texts))

    @torch.no_grad()
    def best(self, texts: Sequence[str], of: int, *, rng: torch.Generator, choice: Choice = LIKELY) -> Tensor:
        """The picture that the judge finds best among `of` drawn for each text (section 2.6): (B, C, H, W)."""
        many = [text for text in texts for _ in range(of)]
        x = self.sample(many, rng=rng, choice=choice)
        first = self.scores(x, many).view(-1, of).argmax(1)
        return x.unflatten(0, (-1, of))[torch.arange(len(texts), device=x.device), first]
