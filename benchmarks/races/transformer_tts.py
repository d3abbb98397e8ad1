"""A training step of our Transformer TTS beside our Tacotron's and SpeechT5's, and decoding with and without its cache.

The same batches of read sentences, four frames a step for all; Tacotron is as wide as it takes to have as many parameters.
On a processor a step's cost is arithmetic; on a GPU it is how much can be done at once, which is where attention gains.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import nn

from benchmarks import speed
from playground import data
from playground.contract import Data, configure
from playground.families.speech.tacotron import Config as TacotronConfig
from playground.families.speech.tacotron import Tacotron
from playground.families.speech.transformer_tts import Config, TransformerTTS
from playground.families.speech.transformer_tts.samplers import SAMPLERS
from playground.references import transformer_tts as reference
from playground.spoken_batches import Spoken

REDUCTION = 4
BATCH = 16
STEPS = 100
"""Steps of the decoder that a sampler takes in a round: 6.4 seconds of speech."""


def race(rounds: int) -> Iterator[speed.Row]:
    voices = data.load("espeak")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ours = TransformerTTS(configure(Config, voices.info, reduction=REDUCTION)).to(device)
    rival = tacotron(voices, size(ours)).to(device)
    other = reference.Model(configure(reference.Config, voices.info, reduction=REDUCTION)).to(device)
    batches = [tuple(part.to(device) for part in batch) for batch in some(voices)]
    tacotrons = f"our Tacotron ({size(rival):.2f} M parameters beside {size(ours):.2f} M)"
    yield from speed.alternate(
        "transformer_tts",
        f"training step, {device.type}",
        "recordings/s",
        training(ours, batches),
        {tacotrons: training(rival, batches), f"SpeechT5 ({size(other):.2f} M)": training(other, batches)},
        rounds,
        {tacotrons: 1.0},
    )
    ours.cpu().eval()
    peers = {"computed again at every step": lambda: decoding(ours, "full")}
    yield from speed.alternate(
        "transformer_tts", "decoding, cached", "steps/s", lambda: decoding(ours, "cached"), peers, rounds
    )


def size(model: nn.Module) -> float:
    """Millions of parameters."""
    return sum(p.numel() for p in model.parameters()) / 1e6


def tacotron(voices: Data, millions: float) -> Tacotron:
    """A Tacotron of about as many parameters: its LSTMs are as wide as that takes."""
    config = configure(TacotronConfig, voices.info, reduction=REDUCTION, coarsest=REDUCTION)
    made = (Tacotron(replace(config, cells=cells)) for cells in range(128, 1024, 8))
    return next(model for model in made if size(model) >= millions)


def some(voices: Data) -> list[Any]:
    spoken = Spoken(voices.train, configure(Config, voices.info).alphabet)
    rng = torch.Generator().manual_seed(0)
    return [spoken.batch(torch.randint(len(spoken), (BATCH,), generator=rng)) for _ in range(4)]


def training(model: nn.Module, batches: list[Any]) -> Callable[[], float]:
    """Recordings a second through forward, backward and Adam."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def run() -> float:
        model.train()
        began = time.perf_counter()
        for batch in batches:
            loss, _ = model(*batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()  # a GPU has done all of it
        return BATCH * len(batches) / (time.perf_counter() - began)

    return run


@torch.inference_mode()
def decoding(model: TransformerTTS, sampler: str) -> float:
    """Steps of the decoder a second."""
    text = model.text_of(list(range(3, 63)), 0)
    rng = torch.Generator().manual_seed(0)
    began = time.perf_counter()
    for _ in islice(SAMPLERS[sampler](model, text, rng), STEPS):
        pass
    return STEPS / (time.perf_counter() - began)
