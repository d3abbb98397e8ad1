"""Three ways to draw the same samples, one after the other; each yields them part by part, so that a sound can begin.

naive      the whole receptive field again for every sample                                    (section 2)
cached     each layer remembers the d samples it will need again (Le Paine et al. 2016)        in PyTorch
compiled   the same as machine code for one thread, by numba

They share their arguments: the model; h (steps, features), what it is told; u (n,) in [0, 1), the draws, one a sample;
the temperature that logits are divided by. Equal draws give equal samples, up to rounding where u meets a border.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from playground.families.speech.wavenet.config import STEP
from playground.signal import mulaw

if TYPE_CHECKING:
    from playground.families.speech.wavenet.model import WaveNet

PART = 64
"""Steps in a part: 1,024 samples."""
COLDEST = 1e-3

Sampler = Callable[["WaveNet", Tensor, Tensor, float], Iterator[Tensor]]


def choose(logits: Tensor, u: Tensor, temperature: float) -> Tensor:
    """The symbol at which the cumulative distribution of logits (256,) passes u (): an int64 ()."""
    p = (logits.double() / max(temperature, COLDEST)).softmax(-1).cumsum(-1)
    return torch.searchsorted(p, u.double()[None], right=True)[0].clamp(max=mulaw.LEVELS - 1)


def naive(model: WaveNet, h: Tensor, u: Tensor, temperature: float) -> Iterator[Tensor]:
    reach = -(-model.config.receptive_field // STEP)  # steps
    symbols = torch.zeros(0, dtype=torch.int64)
    for t, draw in enumerate(u):
        now = t // STEP
        first = max(0, now - reach)
        window = F.pad(symbols[first * STEP :], (0, 1), value=mulaw.SILENCE)  # the last is not seen: it is predicted
        before = int(symbols[first * STEP - 1]) if first else mulaw.SILENCE
        logits = model.predict(window, h[first : now + 1], before)[-1]
        symbols = torch.cat([symbols, choose(logits, draw, temperature)[None]])
        if (t + 1) % (PART * STEP) == 0 or t + 1 == len(u):
            yield symbols[t // (PART * STEP) * PART * STEP :]


def cached(model: WaveNet, h: Tensor, u: Tensor, temperature: float) -> Iterator[Tensor]:
    memory = [torch.zeros(layer.dilation, model.config.channels) for layer in model.layers]
    symbol, t = torch.tensor(mulaw.SILENCE), 0
    for part, draws in zip(h.split(PART), u.split(PART * STEP), strict=False):
        told, made = model.told(part), []
        for i, draw in enumerate(draws):
            symbol = choose(model.step(symbol, told[i // STEP], memory, t), draw, temperature)
            made.append(symbol)
            t += 1
        yield torch.stack(made)


def compiled(model: WaveNet, h: Tensor, u: Tensor, temperature: float) -> Iterator[Tensor]:
    from playground.families.speech.wavenet.compiled import Machine  # numba takes a second to import

    machine = Machine(model)
    for part, draws in zip(h.split(PART), u.split(PART * STEP), strict=False):
        yield machine.draw(model.told(part), draws, temperature)


SAMPLERS: dict[str, Sampler] = {"naive": naive, "cached": cached, "compiled": compiled}
