"""A step of training beside torchaudio's `Tacotron2` of equal size, and how soon a sentence is heard.

torchaudio documents one frame a step only, so both say one; our usual four come as a row of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.models import Tacotron2

from benchmarks import speed
from playground import data, sounding
from playground.contract import Mel, configure
from playground.data import SpeechData
from playground.families.speech.tacotron import Config, Tacotron
from playground.speaking import joined, script, spoken
from playground.spoken_batches import Batch, Spoken

BATCH = 8
TEN_WORDS = "My brother found a broken mirror near the old bridge."
SOON = 3.0
"""Seconds in which a sentence of ten words should be heard."""


def race(rounds: int) -> Iterator[speed.Row]:
    espeak = data.load("espeak")
    assert isinstance(espeak, SpeechData)
    torch.manual_seed(0)
    usual = configure(Config, espeak.info)
    single = replace(usual, reduction=1)
    batch = Spoken(espeak.train.select(range(BATCH)), usual.alphabet).batch(torch.arange(BATCH))
    net = torchaudios(single)
    size = sum(p.numel() for p in net.parameters()) / 1e6
    peer = f"torchaudio Tacotron2, {size:.1f} M, one frame a step"
    for figure, config in (
        ("training, one frame a step", single),
        (f"training, {usual.reduction} frames a step", usual),
    ):
        model = Tacotron(config)
        yield from speed.alternate(
            "tacotron",
            figure,
            "utterances/s",
            stepping(model, partial(loss_of, model, batch)),
            {peer: stepping(net, partial(objective, net, batch))},
            rounds,
            {peer: 1.0},
        )
    yield first_sound(Tacotron(usual).eval(), rounds)


def torchaudios(config: Config) -> Tacotron2:
    return Tacotron2(
        n_mels=config.front.mels, n_symbol=len(config.symbols), symbol_embedding_dim=config.width,
        encoder_embedding_dim=config.width, decoder_rnn_dim=config.cells, attention_rnn_dim=config.cells,
        attention_hidden_dim=config.attention, prenet_dim=config.prenet, postnet_embedding_dim=config.postnet,
    )  # fmt: skip


def loss_of(model: Tacotron, batch: Batch) -> Tensor:
    loss: Tensor = model(*batch)[0]
    return loss


def objective(net: Tacotron2, batch: Batch) -> Tensor:
    """The paper's: squared errors before and after the postnet, and the stop token. It wants the longest text first."""
    order = batch[1].argsort(descending=True)
    text, text_length, mel, mel_length, _ = (part[order] for part in batch)
    mel = mel.float().transpose(1, 2)
    before, after, stop, _ = net(text, text_length, mel, mel_length)
    last = F.one_hot(mel_length - 1, mel.shape[2]).float()
    return F.mse_loss(before, mel) + F.mse_loss(after, mel) + F.binary_cross_entropy_with_logits(stop, last)


def stepping(net: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], float]:
    """A whole step of the net, forward, backward and Adam: utterances a second."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)

    def once() -> float:
        began = time.perf_counter()
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        return BATCH / (time.perf_counter() - began)

    return once


@torch.inference_mode()
def first_sound(model: Tacotron, rounds: int) -> speed.Row:
    """Seconds from the text to samples, by Griffin-Lim; an untrained voice talks until it is stopped, the worst case."""
    taken, rng = [], torch.Generator().manual_seed(0)
    for _ in range(rounds + 1):
        began = time.perf_counter()
        asked = script(TEN_WORDS, model.config.alphabet, model.experience)
        *_, pieces = spoken(partial(model.say, speaker=0, rng=rng, stops=1.0), asked.readings, tries=1)
        sounding.sound(Mel(joined(pieces), model.config.sample_rate))
        taken.append(time.perf_counter() - began)
    middle = sorted(taken[1:])[rounds // 2]
    return speed.Row(
        "tacotron", "ten words heard, Griffin-Lim", "s", middle, lowest=min(taken[1:]), highest=max(taken[1:]),
        target=f"<= {SOON:g}", met=middle <= SOON,
    )  # fmt: skip
