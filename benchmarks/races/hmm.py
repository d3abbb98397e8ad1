"""One EM iteration over all spoken digits: sixty chains of ten states, ours and hmmlearn's, on the same frames.

Ours goes on from iteration to iteration; hmmlearn's, which has no floor under its variances and cannot be made to end in the
last state, begins from the same flat start each time, before a state of its can vanish. One thread each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy

import numpy as np
from hmmlearn.hmm import GaussianHMM

from benchmarks import speed
from playground import data
from playground.contract import Data, configure
from playground.families.speech.hmm import HMM, Config, Takes
from trainers import hmm as trainer

PEER = "hmmlearn GaussianHMM"


def race(rounds: int) -> Iterator[speed.Row]:
    digits = data.load("spoken_digits")
    model = HMM(configure(Config, digits.info))
    takes = observed(model, digits)
    model.flat_start(takes, trainer.Recipe().floor)
    n = sum(len(t.ends) for t in takes)
    frames = [(t.o.astype(np.float64), t.ends - t.begins) for t in takes]
    flat = deepcopy(model)

    def ours() -> float:
        began = time.perf_counter()
        model.em_step(takes, trainer.Recipe().floor)
        return n / (time.perf_counter() - began)

    def theirs() -> float:
        peers = [peer(flat, t) for t in takes]
        began = time.perf_counter()
        with np.errstate(all="ignore"):  # it adds infinities
            for made, (x, lengths) in zip(peers, frames, strict=True):
                made.fit(x, lengths)
        return n / (time.perf_counter() - began)

    yield from speed.alternate(
        "hmm", "EM iteration", "recordings/s", ours, {PEER: theirs}, rounds, {PEER: speed.ENOUGH}
    )


def observed(model: HMM, digits: Data) -> list[Takes]:
    analysis = trainer.analysed(model, digits, most=10_000)
    while True:
        try:
            next(analysis)
        except StopIteration as done:
            return trainer.together(done.value)


def peer(model: HMM, takes: Takes) -> GaussianHMM:
    """hmmlearn's model of one word as the flat start left it."""
    states = model.config.states
    made = GaussianHMM(states, "diag", n_iter=1, init_params="")
    mean, variance = model.gaussians(takes.script)
    stay = model.stay[int(takes.script.units[0])].numpy().clip(0.01, 0.99)
    made.startprob_ = np.eye(states)[0]
    made.transmat_ = np.diag([*stay[:-1], 1.0]) + np.diag(1 - stay[:-1], 1)
    made.n_features = mean.shape[1]
    made.means_, made.covars_ = mean.numpy(), variance.numpy()
    return made
