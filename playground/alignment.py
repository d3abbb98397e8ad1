"""What attention from frames to symbols should look like in speech: near the diagonal, and always moving on.

Tachibana, Uenoyama and Aihara (2018), "Efficiently trainable text-to-speech system based on deep convolutional networks
with guided attention", arXiv:1710.08969, for the guide. Dimension letters: B utterances, T frames (or groups of them), N
symbols.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from playground.contract import HeatMap, Text

Fault: TypeAlias = Literal["run-on", "skip", "repeat"]
FAULTS: dict[Fault, Text] = {
    "run-on": {"en": "did not find its end", "ko": "끝을 찾지 못함"},
    "skip": {"en": "left something out", "ko": "일부를 건너뜀"},
    "repeat": {"en": "went back and said something twice", "ko": "되돌아가 같은 곳을 다시 말함"},
}
JUMP = 6
"""Symbols, about half a second of speech: more of them passed over between two frames are left out, not just short."""
BACK = 4
"""Symbols: attention that falls back further than this says something twice."""
BAND = 0.2


def guided_weights(text_lengths: Tensor, frame_lengths: Tensor, width: float = 0.2) -> Tensor:
    """What attention costs at each place, (B, T, N) float32 for lengths (B,): W = 1 - exp(-(n/N - t/T)^2 / 2 g^2).

    Tachibana et al., section 4.1, with their g as `width`; 0 outside an utterance's own frames and symbols.
    """
    n, text_inside = _places(text_lengths)  # (B, N)
    t, frame_inside = _places(frame_lengths)  # (B, T)
    weights = 1 - torch.exp(-(n[:, None, :] - t[:, :, None]).square() / (2 * width**2))
    return weights * (text_inside[:, None, :] & frame_inside[:, :, None])


def _places(lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Each place as a share of its row's length, and whether it lies inside: both (B, longest)."""
    at = torch.arange(int(lengths.max()), device=lengths.device)
    return at / lengths[:, None], at < lengths[:, None]


def guided_loss(attention: Tensor, text_lengths: Tensor, frame_lengths: Tensor, width: float = 0.2) -> Tensor:
    """Mean over frames of the cost of each frame's attention: 0 on the diagonal, below 1. attention: (B, T, N)."""
    cost = (attention * guided_weights(text_lengths, frame_lengths, width)).sum()
    return cost / frame_lengths.sum()


def diagonality(attention: Tensor) -> float:
    """Share of one utterance's attention (T, N) that lies within `BAND` of the diagonal, both axes from 0 to 1.

    Attention spread evenly has 0.36; speech said from beginning to end in one go is near 1.
    """
    frames, symbols = attention.shape
    t, n = ((torch.arange(k, device=attention.device) + 0.5) / k for k in (frames, symbols))
    near = (n[None, :] - t[:, None]).abs() < BAND
    return float((attention * near).sum() / attention.sum().clamp_min(1e-9))


def focus(attention: Tensor) -> float:
    """How sure a frame is of its symbol: the mean over frames of the largest attention, in [1/N, 1]."""
    return float(attention.amax(1).mean())


def faults(attention: Tensor, ended: bool) -> tuple[Fault, ...]:
    """What is wrong with one utterance, by its attention (T, N) and whether it ended before its limit; () if nothing.

    run-on: no end. skip: more than `JUMP` symbols passed over between frames, at the beginning or at the end. repeat: more
    than `BACK` symbols back.
    """
    path = attention.argmax(1)  # (T,)
    found: list[Fault] = [] if ended else ["run-on"]
    start, end = path.new_zeros(1), path.new_full((1,), attention.shape[1] - 1)
    furthest = torch.cat([start, path, end]).cummax(0).values
    if bool((furthest.diff() > JUMP).any()):
        found.append("skip")
    if bool((furthest[1:-1] - path > BACK).any()):
        found.append("repeat")
    return tuple(found)


SYMBOL: Text = {"en": "symbol", "ko": "기호"}
TIME: Text = {"en": "time (s)", "ko": "시간(초)"}


def picture(attention: Tensor, seconds: float, title: Text | None = None) -> HeatMap:
    """One utterance's attention (T, N) as it is usually drawn: time to the right, the text upwards."""
    return HeatMap(attention.T.float().cpu(), TIME, SYMBOL, title, origin="bottom", x_range=(0.0, seconds))
