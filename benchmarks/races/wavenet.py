"""Drawing samples one after the other: our compiled sampler, the same in PyTorch, the naive one, torchaudio's WaveRNN,
GPT-2's `generate`. One sound at a time, on as many threads as the command line gives (ours always uses one).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torchaudio.models import WaveRNN

from benchmarks import speed
from playground import data
from playground.contract import configure
from playground.families.speech.wavenet import Config, WaveNet
from playground.families.speech.wavenet.samplers import SAMPLERS
from playground.references import wavenet as reference

SAMPLES = {"naive": 50, "cached": 400, "compiled": 16_000}
"""Samples a sampler draws in a round."""
FASTER = 20.0
REAL_TIME = 8_000.0
"""Samples a second asked of the compiled sampler."""
WAVERNN_SCALES = [4, 4, 8]
"""Upsampling of torchaudio's WaveRNN: their product is its hop of 128 samples."""


def race(rounds: int) -> Iterator[speed.Row]:
    digits = data.load("espeak_digits")
    torch.manual_seed(0)
    model = WaveNet(configure(Config, digits.info)).eval()
    gpt2 = reference.Model(configure(reference.Config, digits.info)).eval()
    peers: dict[str, Callable[[], float]] = {
        "cached, in PyTorch": lambda: drawing(model, "cached"),
        "naive": lambda: drawing(model, "naive"),
        f"torchaudio WaveRNN ({size(wavernn()):.2f} M beside our {size(model):.2f} M)": lambda: inferring(wavernn()),
        f"GPT2LMHeadModel.generate ({size(gpt2):.2f} M)": lambda: generating(gpt2),
    }
    rows = speed.alternate(
        "wavenet",
        "drawing, compiled",
        "samples/s",
        lambda: drawing(model, "compiled"),
        peers,
        rounds,
        {"cached, in PyTorch": FASTER},
    )
    mine = 0.0
    for row in rows:
        mine = row.ours
        yield row
    yield speed.Row(
        "wavenet", "drawing, compiled", "samples/s", mine, target=f">= {REAL_TIME:g}", met=mine >= REAL_TIME
    )


def size(model: torch.nn.Module) -> float:
    return sum(p.numel() for p in model.parameters()) / 1e6


@torch.inference_mode()
def drawing(model: WaveNet, sampler: str) -> float:
    """Samples a second."""
    n = SAMPLES[sampler]
    h, u = model.told_labels(3, 0, n), torch.rand(n, dtype=torch.float64)
    began = time.perf_counter()
    for _ in SAMPLERS[sampler](model, h, u, 0.9):
        pass
    return n / (time.perf_counter() - began)


def wavernn() -> WaveRNN:
    """torchaudio's net at about our size, for mels of 64 bands at 8 kHz."""
    torch.manual_seed(0)
    return WaveRNN(
        WAVERNN_SCALES, n_classes=256, hop_length=128, n_res_block=2, n_rnn=128, n_fc=128, n_freq=64, n_hidden=64,
        n_output=64,
    ).eval()  # fmt: skip


@torch.inference_mode()
def inferring(net: WaveRNN) -> float:
    """Samples a second of `infer`."""
    began = time.perf_counter()
    made, _ = net.infer(torch.randn(1, 64, 8))
    return made.shape[-1] / (time.perf_counter() - began)


@torch.inference_mode()
def generating(model: reference.Model) -> float:
    began = time.perf_counter()
    n = sum(map(len, model.drawing(3, 0, 200, 3_000, rng=torch.Generator().manual_seed(0))))
    return n / (time.perf_counter() - began)
