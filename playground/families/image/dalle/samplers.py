"""Drawing: one code after the other, each chosen among those that the transformer finds likely."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from playground.families.image.dalle.transformer import Transformer


@dataclass(frozen=True)
class Choice:
    """How a code is chosen. A temperature of 0 takes the likeliest; top_k = 0 and top_p = 1 leave all in."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance: float = 0.0


@dataclass(frozen=True)
class Moment:
    """codes (B, n) so far, and of each how open its choice was: the entropy in bits (B, n)."""

    codes: Tensor
    bits: Tensor


def keep_likely(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """Logits (B, K) with -inf for all but the top_k likeliest, and of those all but the fewest that have top_p together.

    Fan et al. (2018), arXiv:1805.04833; Holtzman et al. (2019), arXiv:1904.09751.
    """
    if 0 < top_k < logits.shape[-1]:
        logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -torch.inf)
    if top_p < 1:
        falling, order = logits.sort(descending=True)
        p = falling.softmax(-1)
        enough = p.cumsum(-1) - p >= top_p  # the likelier ones suffice without this one
        enough[:, 0] = False
        logits = logits.masked_fill(enough.scatter(1, order, enough), -torch.inf)
    return logits


def guided(logits: Tensor, w: float) -> Tensor:
    """Logits (2 B, K), the second half of them without the text, to (B, K): (1 + w) with - w without.

    Ho and Salimans (2022), arXiv:2207.12598, eq. 6, for the tokens of pictures as in Gafni et al. (2022), arXiv:2203.13131.
    """
    with_text, without = logits.chunk(2)
    return (1 + w) * with_text - w * without


def draw(
    prior: Transformer, text: Tensor, untold: Tensor, choice: Choice, rng: torch.Generator, begun: Tensor | None = None
) -> Iterator[Moment]:
    """The codes of a picture for each text (B, T), after every code.

    untold (1, T): no text, for the guidance. begun (B, n): codes that are given, the first rows of a picture.
    """
    codes = text.new_empty(len(text), 0) if begun is None else begun
    bits = torch.zeros(codes.shape, device=text.device)
    asked = torch.cat([text, untold.expand_as(text)]) if choice.guidance else text
    copies = len(asked) // len(text)
    cache = prior.cache(len(asked))
    logits = prior.next_code(prior.joined(asked, codes.repeat(copies, 1)), cache)
    while True:
        logits = guided(logits, choice.guidance) if choice.guidance else logits
        logits = keep_likely(logits / max(choice.temperature, 1e-6), choice.top_k, choice.top_p)
        p = logits.softmax(-1)
        code = torch.multinomial(p.cpu(), 1, generator=rng).to(p.device) if choice.temperature else p.argmax(-1, True)
        codes = torch.cat([codes, code], dim=1)
        bits = torch.cat([bits, torch.special.entr(p).sum(-1, keepdim=True) / math.log(2)], dim=1)
        yield Moment(codes, bits)
        if codes.shape[1] == prior.config.places:
            return
        logits = prior.next_code(code.repeat(copies, 1) + prior.config.text_tokens, cache)
