"""The net: gated, dilated, causal convolutions over the samples so far, and a softmax over the 256 values of the next.

It computes one recording at a time, as matrices (T, channels): a convolution of width two over time is then one matrix
product of what is here beside what was d samples ago, and batches of unequal recordings need no padding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.families.speech.wavenet import alphabet, samplers
from playground.families.speech.wavenet.config import STEP, Config
from playground.families.speech.wavenet.guides import Durations, LabelGuide, MelGuide
from playground.signal import mulaw

VOCODING = 0.8
"""Temperature at which mels are sounded where nobody asks for another."""


class Layer(nn.Module):
    """One dilated layer (figure 4): to what goes on, x, it adds what the gate lets through; the rest goes to the skips."""

    def __init__(self, config: Config, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.conv = nn.Linear(2 * config.channels, 2 * config.channels, bias=False)  # its bias comes with the guide's V
        self.out = nn.Linear(config.channels, config.channels + config.skip, bias=False)

    def forward(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """x (T, R) and V h (T / STEP, 2 R) -> (x for the next layer (T, R), skip (T, S))."""
        d = min(self.dilation, len(x))
        past = F.pad(x[: len(x) - d], (0, 0, d, 0))  # x_(t-d), zero before the beginning
        h = self.conv(torch.cat([past, x], dim=1))  # W * x: (T, 2 R)
        h = (h.view(len(told), STEP, -1) + told[:, None]).flatten(0, 1)
        filtered, gate = h.chunk(2, dim=1)
        z = filtered.tanh() * gate.sigmoid()  # eq. 2, with eq. 3's condition: (T, R)
        onward, skip = self.out(z).split([x.shape[1], self.out.out_features - x.shape[1]], dim=1)
        return x + onward, skip


class WaveNet(nn.Module):
    layers: Any
    """An nn.ModuleList of `Layer`."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        width = config.channels
        self.embed = nn.Embedding(mulaw.LEVELS, width)
        self.guide = MelGuide(config) if config.vocoder else LabelGuide(config)
        words = config.classes and not config.vocoder
        self.durations = Durations(config.classes, max(1, len(config.speakers))) if words else None
        self.tell = nn.Linear(config.features, len(config.dilations) * 2 * width)  # V of every layer
        self.layers = nn.ModuleList(Layer(config, d) for d in config.dilations)
        self.hidden = nn.Linear(config.skip, config.skip)
        self.logits = nn.Linear(config.skip, mulaw.LEVELS)
        self.order_values()

    @torch.no_grad()
    def order_values(self) -> None:
        """Before training: let neighbouring values be neighbours, in the net's input and in its output.

        The embedding begins as tanh(g x) of the amplitude x, g from loud to quiet; each unit of the last layer begins as
        a cosine over the 256 values, so that it moves probability smoothly.
        """
        gains = torch.logspace(0, 3, self.config.channels)
        self.embed.weight.copy_((gains * mulaw.decode(torch.arange(mulaw.LEVELS))[:, None]).tanh())
        place = (torch.arange(mulaw.LEVELS) + 0.5) / mulaw.LEVELS
        waves = torch.cos(math.pi * place[:, None] * torch.arange(self.config.skip))
        self.logits.weight.copy_(waves / self.config.skip**0.5)

    @staticmethod
    def vocodes(config: Config) -> bool:
        """Whether a model of that configuration has a use for `vocode`."""
        return config.vocoder

    # --- Likelihood -------------------------------------------------------------------------------------------

    def forward(self, symbols: Sequence[Tensor], *told: Any) -> Tensor:
        """The training objective: -log2 p(x) a sample (eq. 1), averaged over each recording and then over them.

        symbols: recordings of mu-law values (T_i,); told: what the guide takes, each by recording.
        """
        each = [self.bits(s, self.features(len(s), *own)).mean() for s, *own in zip(symbols, *told, strict=True)]
        return torch.stack(each).mean()

    def features(self, samples: int, *told: Any) -> Tensor:
        """h (steps, features) for so many samples, from what the guide takes."""
        return self.guide(*told, steps=-(-samples // STEP))

    def bits(self, symbols: Tensor, h: Tensor) -> Tensor:
        """-log2 p(x_t | x_1 ... x_(t-1), h) of each of the symbols (T,), in bits: (T,)."""
        return F.cross_entropy(self.predict(symbols, h), symbols, reduction="none") / math.log(2)

    def bits_of(self, symbols: Tensor, label: int, speaker: int) -> Tensor:
        """-log2 p of each sample of a whole recording (T,) of that class by that speaker, in bits: (T,)."""
        return self.bits(symbols, self.told_labels(label, speaker, len(symbols)))

    def predict(self, symbols: Tensor, h: Tensor, before: int = mulaw.SILENCE) -> Tensor:
        """Logits (T, 256) of each of the symbols (T,) from those before it; `before` stands before the first."""
        *_, skips = self.skips(self.embed(self.shifted(symbols, len(h), before)), h)
        return self.head(skips)[: len(symbols)]

    def shifted(self, symbols: Tensor, steps: int, before: int = mulaw.SILENCE) -> Tensor:
        """The net's input (steps * STEP,): at each time the symbol before it."""
        after = F.pad(symbols[:-1], (0, steps * STEP - len(symbols)), value=mulaw.SILENCE)
        return F.pad(after, (1, 0), value=before)

    def skips(self, x: Tensor, h: Tensor) -> Iterator[Tensor]:
        """The sum of the skips (T, S) after each layer, of embedded inputs x (T, R)."""
        total = torch.zeros((), device=h.device)
        for layer, told in zip(self.layers, self.told(h).unbind(1), strict=True):
            x, skip = layer(x, told)
            total = total + skip
            yield total

    def told(self, h: Tensor) -> Tensor:
        """V h + b of every layer: (steps, layers, 2 R)."""
        return self.tell(h).unflatten(1, (len(self.layers), -1))

    def head(self, skips: Tensor) -> Tensor:
        """Logits (T, 256) of the sum of the skips (T, S): section 2.4."""
        return self.logits(F.relu(self.hidden(F.relu(skips)))).float()

    def step(self, symbol: Tensor, told: Tensor, memory: list[Tensor], t: int) -> Tensor:
        """Logits (256,) of the sample at time t from the one before it; told (layers, 2 R).

        memory[l] (d, R) holds the last d inputs of layer l, that of time t at place t % d: what is there is d samples old.
        """
        x, skips = self.embed(symbol), torch.zeros(self.config.skip)
        for layer, v, remembered in zip(self.layers, told, memory, strict=True):
            place = t % layer.dilation
            h = layer.conv(torch.cat([remembered[place], x])) + v
            remembered[place] = x
            filtered, gate = h.chunk(2)
            onward, skip = layer.out(filtered.tanh() * gate.sigmoid()).split([len(x), len(skips)])
            x, skips = x + onward, skips + skip
        return self.head(skips)

    # --- Sound ------------------------------------------------------------------------------------------------

    def drawing(
        self, h: Tensor, samples: int, *, rng: torch.Generator, temperature: float = 1.0, sampler: str = "compiled"
    ) -> Iterator[Tensor]:
        """Samples in [-1, 1], part by part as they are made, `samples` in all, of what the net is told, h."""
        u = torch.rand(samples, generator=rng, dtype=torch.float64)
        return alphabet.decode(samplers.SAMPLERS[sampler](self, h, u, temperature), self.config.emphasis)

    def duration(self, label: int, speaker: int, rng: torch.Generator) -> int:
        """Samples that a recording of that class by that speaker is to last: drawn."""
        assert self.durations is not None, "it says no words"
        return round(self.durations.draw(label, speaker, rng) * self.config.sample_rate)

    def told_labels(self, label: int, speaker: int, samples: int) -> Tensor:
        """h for a whole recording of that class by that speaker."""
        return self.features(samples, *map(torch.tensor, (0, samples, label, speaker)))

    def sample(
        self, labels: Sequence[int], speakers: Sequence[int], *, rng: torch.Generator, temperature: float = 1.0
    ) -> list[Tensor]:
        """A recording (T_i,) in [-1, 1] for each class and speaker, its length drawn too."""
        made = []
        for label, speaker in zip(labels, speakers, strict=True):
            n = self.duration(label, speaker, rng)
            h = self.told_labels(label, speaker, n)
            made.append(torch.cat([*self.drawing(h, n, rng=rng, temperature=temperature)]))
        return made

    def told_mel(self, mel: Tensor) -> Tensor:
        """h for a whole log10 mel (frames, mels) of the one front end: hop samples a frame."""
        return self.features(len(mel) * self.config.front.hop, torch.tensor(0), torch.tensor(0), mel)

    def vocode(self, mel: Tensor, rng: torch.Generator) -> Tensor:
        """A log10 mel (frames, mels) as samples (frames * hop,) in [-1, 1]."""
        h = self.told_mel(mel)
        return torch.cat([*self.drawing(h, len(h) * STEP, rng=rng, temperature=VOCODING)])
