"""Mels to sound on one core: our generator, the published size of it, transformers' HiFi-GAN at our size, Griffin-Lim.

Weights are random: how long a sound takes does not depend on them. One sentence at a time, its weight norm included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from benchmarks import speed
from playground.families.speech.melgan import OFFICIAL, Config, MelGAN
from playground.references import melgan as reference
from playground.signal import griffin_lim
from playground.signal.mel import SPEECH

FRAMES = 250
"""Of 16 ms: four seconds."""
FASTER = 5.0
"""Times the samples a second of the published size."""
ITERATIONS = 32


def race(rounds: int) -> Iterator[speed.Row]:
    torch.manual_seed(0)
    ours, official = MelGAN(Config()).eval(), MelGAN(Config(**OFFICIAL)).eval()
    hifigan = reference.Model(reference.Config()).eval()
    published = f"published size ({size(official):.2f} M beside {size(ours):.2f} M)"
    peers: dict[str, Callable[[], float]] = {
        published: lambda: sounding(official.vocode),
        f"SpeechT5HifiGan ({size(hifigan):.2f} M)": lambda: sounding(hifigan.vocode),
        f"Griffin-Lim, {ITERATIONS} iterations": lambda: sounding(griffin_lim.griffin_lim),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        mine = 0.0
        for row in speed.alternate(
            "melgan", "sounding", "samples/s", lambda: sounding(ours.vocode), peers, rounds, {published: FASTER}
        ):
            mine = row.ours
            yield row
        yield speed.Row("melgan", "sounding", "x real time", mine / SPEECH.rate)
    finally:
        torch.set_num_threads(threads)


def size(model: reference.Model | MelGAN) -> float:
    return sum(p.numel() for p in model.generator.parameters()) / 1e6


@torch.inference_mode()
def sounding(vocode: Callable[[Tensor], Tensor]) -> float:
    """Samples a second."""
    mel = torch.rand(FRAMES, SPEECH.mels, generator=torch.Generator().manual_seed(0)) * 3 - 4
    began = time.perf_counter()
    return len(vocode(mel)) / (time.perf_counter() - began)
