"""The decoder's steps one after another, each hearing the last frame of the one before.

`full` computes all steps so far again for each new one; `cached` keeps every layer's keys and values. Both draw alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from playground.families.speech.transformer_tts.model import Text, TransformerTTS

BACK, AHEAD = 1, 3
"""Symbols that a steady voice's attention may move in a step. A step of three frames is as long as a short phone."""


class Step(NamedTuple):
    """frames (r, bands) before the postnet; the probability that it is the last; on_text (layers, H, N)."""

    frames: Tensor
    stop: float
    on_text: Tensor
    place: int
    """The symbol that the guided heads attend to."""


def cached(model: TransformerTTS, text: Text, rng: torch.Generator, steady: bool = False) -> Iterator[Step]:
    heard = text.memory.new_zeros(1, 1, model.config.front.mels)
    pasts, t, seen = model.pasts(text), 0, window(model, text, 0, steady)
    while True:
        frames, stop, pasts, on_text, _ = model.decode(heard, text._replace(seen=seen), pasts, t, kept(model, rng))
        step = step_of(model, frames, stop, on_text)
        yield step
        heard, t, seen = frames[:, -1:], t + 1, window(model, text, step.place, steady)


def full(model: TransformerTTS, text: Text, rng: torch.Generator, steady: bool = False) -> Iterator[Step]:
    heard = text.memory.new_zeros(1, 1, model.config.front.mels)
    masks, seen = kept(model, rng), window(model, text, 0, steady)
    while True:
        frames, stop, _, on_text, _ = model.decode(heard, text._replace(seen=seen), model.pasts(text), 0, masks)
        step = step_of(model, frames, stop, on_text)
        yield step
        heard = torch.cat([heard, frames[:, -1:]], dim=1)
        masks = torch.cat([masks, kept(model, rng)], dim=2)
        seen = torch.cat([seen, window(model, text, step.place, steady)], dim=2)


def window(model: TransformerTTS, text: Text, place: int, steady: bool) -> Tensor:
    """Which symbols each head may attend to in the step after one at `place`: (1, H, 1, N).

    Guided heads of a steady voice see the place and its neighbours only, so that they pass over nothing and do not fall
    back (as in Deep Voice 3, Ping et al. 2018, arXiv:1710.07654, section 3.4).
    """
    seen = text.seen.repeat(1, model.config.heads, 1, 1)
    if steady:
        seen[:, : model.config.guided, :, : max(0, place - BACK)] = False
        seen[:, : model.config.guided, :, place + AHEAD + 1 :] = False
    return seen


def kept(model: TransformerTTS, rng: torch.Generator) -> Tensor:
    """Which units of the prenet are kept in one step: (2, 1, 1, P)."""
    drawn = torch.rand(2, 1, 1, model.config.prenet, generator=rng)
    return (drawn >= model.config.prenet_dropout).to(model.speaker.weight.device)


def step_of(model: TransformerTTS, frames: Tensor, stop: Tensor, on_text: list[Tensor]) -> Step:
    """The last of some steps."""
    weights = torch.cat([layer[:, :, -1] for layer in on_text])  # (layers, H, N)
    place = int(weights[:, : model.config.guided].mean((0, 1)).argmax())
    return Step(frames[0, -model.config.reduction :], float(stop[0, -1].sigmoid()), weights, place)


SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {"cached": cached, "full": full}
