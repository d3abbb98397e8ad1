"""The cached sampler as machine code: plain loops that numba compiles once for this processor, for one thread.

The inner loops are written so that the compiler turns them into vector instructions: sums of products over a row, and a
tanh of multiplications and divisions only. At 0.4 million weights they stay in the processor's cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numba import njit
from torch import Tensor

from playground.families.speech.wavenet.config import STEP
from playground.signal import mulaw

if TYPE_CHECKING:
    from playground.families.speech.wavenet.model import WaveNet

f32 = np.float32


def jit(function: Callable[..., Any]) -> Any:
    """Compiled without Python, and kept on disk for the next start where there is a folder for it."""
    options: dict[str, Any] = {"fastmath": True, "error_model": "numpy", "nogil": True}
    try:
        return njit(function, cache=True, **options)
    except RuntimeError:  # nowhere to write
        return njit(function, **options)


@jit
def tanh(x):
    """tanh x to 3e-7, in operations that vectorise.

    Lambert's continued fraction x / (1 + x^2 / (3 + x^2 / (5 + ...))), cut after seven terms, of x / 8; then thrice
    tanh 2y = 2 tanh y / (1 + tanh^2 y). Beyond 9 it is 1 in single precision.
    """
    y = min(max(x, f32(-9)), f32(9)) * f32(0.125)
    q = y * y
    over = f32(135135) + q * (f32(62370) + q * (f32(3150) + q * f32(28)))
    y = y * (f32(135135) + q * (f32(17325) + q * (f32(378) + q))) / over
    y = f32(2) * y / (f32(1) + y * y)
    y = f32(2) * y / (f32(1) + y * y)
    return f32(2) * y / (f32(1) + y * y)


@jit
def add(y, w, x):
    """y += w x, of w (len(y), len(x))."""
    for i in range(len(y)):
        total = f32(0)
        for j in range(len(x)):
            total += w[i, j] * x[j]
        y[i] += total


@jit
def drawn(logits, u, cold):
    """The symbol at which the cumulative distribution of cold * logits passes u. Overwrites the logits."""
    most = logits.max()
    total = 0.0
    for k in range(len(logits)):
        logits[k] = math.exp(cold * (logits[k] - most))
        total += logits[k]
    left = u * total
    for k in range(len(logits) - 1):
        left -= logits[k]
        if left < 0:
            return k
    return len(logits) - 1


@jit
def run(
    symbol, t0, u, cold, told, embed, conv, out, hidden, hidden_bias, last, last_bias, dilations, places, memory, made
):
    """Draws len(u) symbols into `made` from time t0 on, after `symbol`. memory (sum of dilations, R): what each layer remembers."""
    width, skip = embed.shape[1], len(hidden)
    x = np.empty(width + skip, f32)  # the residual path, then the sum of the skips
    pair, h, z = np.empty(2 * width, f32), np.empty(2 * width, f32), np.empty(width, f32)
    inner, logits = np.empty(skip, f32), np.empty(len(last), f32)
    for t in range(len(u)):
        x[:width] = embed[symbol]
        x[width:] = 0
        for layer in range(len(dilations)):
            remembered = memory[places[layer] + (t0 + t) % dilations[layer]]  # x_(t-d) of this layer
            for j in range(width):
                pair[j], pair[width + j] = remembered[j], x[j]
                remembered[j] = x[j]
            h[:] = told[t // STEP, layer]
            add(h, conv[layer], pair)
            for j in range(width):
                z[j] = tanh(h[j]) * (f32(0.5) + f32(0.5) * tanh(f32(0.5) * h[width + j]))
            add(x, out[layer], z)
        inner[:] = hidden_bias
        add(inner, hidden, np.maximum(x[width:], f32(0)))
        logits[:] = last_bias
        add(logits, last, np.maximum(inner, f32(0)))
        symbol = drawn(logits, u[t], cold)
        made[t] = symbol


class Machine:
    """A model's weights as arrays, and what its layers remember of the sound so far."""

    def __init__(self, model: WaveNet):
        plain = lambda tensor: np.ascontiguousarray(tensor.detach().float().cpu().numpy())
        dilations = np.array(model.config.dilations)
        self.weights = (
            plain(model.embed.weight),
            plain(torch.stack([layer.conv.weight for layer in model.layers])),
            plain(torch.stack([layer.out.weight for layer in model.layers])),
            plain(model.hidden.weight),
            plain(model.hidden.bias),
            plain(model.logits.weight),
            plain(model.logits.bias),
            dilations,
            dilations.cumsum() - dilations,
        )
        self.memory = np.zeros((dilations.sum(), model.config.channels), f32)
        self.symbol, self.time = mulaw.SILENCE, 0

    def draw(self, told: Tensor, u: Tensor, temperature: float) -> Tensor:
        """The next len(u) symbols, int64, of what each layer is told (steps, layers, 2 R)."""
        made = np.empty(len(u), np.int64)
        plain = np.ascontiguousarray(told.detach().float().cpu().numpy())
        draws, cold = u.double().cpu().numpy(), 1 / max(temperature, 1e-3)
        run(self.symbol, self.time, draws, cold, plain, *self.weights, self.memory, made)
        self.symbol, self.time = int(made[-1]), self.time + len(u)
        return torch.from_numpy(made)
