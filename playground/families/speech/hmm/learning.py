"""Expectation-maximisation, and what it begins from.

Rabiner (1989): re-estimation (eq. 40 and 52 to 54; one Gaussian a state, with a diagonal covariance). The chains of a
sentence's phones are put together for each take and share what they learn: embedded re-estimation. Durations: Yoshimura
et al. (1998), "Duration modeling for HMM-based speech synthesis": one Gaussian over all the states of a unit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from playground.families.speech.hmm.chain import expect
from playground.families.speech.hmm.script import KINDS, Script
from playground.families.speech.hmm.trees import Sums
from playground.signal import world

if TYPE_CHECKING:
    from playground.families.speech.hmm.model import HMM

VOICING_FLOOR = 5.0
"""Voicing is 0 or 1: its least variance is so many times the others' share, lest a state rule out what it never saw."""
LEAST_FRAMES, LEAST_OCCURRENCES = 20.0, 8.0
"""What a leaf of the trees of spectrum and pitch must have seen, and one of the trees of durations."""
PRICE_OF_SPECTRUM, PRICE_OF_PITCH = 0.25, 4.0
"""MDL's cost of a split, multiplied: on held-out prompts spectra gain from more contexts than MDL allows (distortion 5.66 dB
at 1, 5.54 at 1/2, 5.45 at 1/4 and below, of 300 prompts), pitch, of few and slow numbers, from fewer."""
ROUNDING = 1 / 12
"""Variance, in frames squared, of what rounding to whole frames does to a duration."""


@dataclass(frozen=True, eq=False)
class Takes:
    """Recordings that say the same: o (N, 3 D) float32, one after another, each ending before its number in `ends`."""

    script: Script
    o: np.ndarray
    ends: np.ndarray

    @property
    def begins(self) -> np.ndarray:
        return np.concatenate([[0], self.ends[:-1]])


class Statistics:
    """The sums that the M-step needs. occurrences: also those of each occurrence of each state, which trees are grown of."""

    def __init__(self, model: HMM, occurrences: bool):
        config = model.config
        self.model, self.states = model, config.states
        self.streams = [Sums.none(len(f.mean), len(columns)) for f, columns in model.streams]
        self.stays, self.passed = np.zeros((2, config.units, config.states))
        self.pauses, self.chances = np.zeros((2, len(KINDS)))
        self.scripts: list[Script] = []
        self.units: list[np.ndarray] = []  # of every place that was passed through: its unit,
        self.places: list[np.ndarray] = []  # its row among the places of all scripts,
        self.durations: list[np.ndarray] = []  # and the frames spent in each state (n, S)
        self.occurrences: list[Sums] | None = [] if occurrences else None

    def add(self, takes: Takes, share: np.ndarray, stays: np.ndarray) -> None:
        """share: gamma (N, C). stays: (C,) expected self-transitions."""
        said, o = takes.script, takes.o.astype(np.float64)
        sums = Sums(share.sum(0), share.T @ o, share.T @ (o * o))
        for stream, nodes, (_, columns) in zip(self.streams, self.model.nodes(said), self.model.streams, strict=True):
            stream.add(nodes, sums.columns(columns))
        if self.occurrences is not None:
            self.occurrences.append(Sums(*(part.astype(np.float32) for part in (sums.n, sums.x, sums.xx))))
        by_place = (len(said), self.states)
        np.add.at(self.stays, said.units, stays.reshape(by_place))
        np.add.at(self.passed, said.units, sums.n.reshape(by_place))
        entries, pause = (sums.n - stays).reshape(by_place)[:, 0], said.kinds >= 0
        np.add.at(self.pauses, said.kinds[pause], entries[pause])
        np.add.at(self.chances, said.kinds[pause], len(takes.ends))
        spent = np.add.reduceat(share, takes.begins).reshape(-1, *by_place)  # (takes, P, S)
        passed = spent.sum(2) > self.states - 0.5  # each state takes a frame at least
        place = np.nonzero(passed)[1]
        self.durations.append(spent[passed])
        self.units.append(said.units[place])
        self.places.append(place + sum(map(len, self.scripts)))
        self.scripts.append(said)


def flat_start(model: HMM, takes: Sequence[Takes], floor: float) -> None:
    """The first M-step: each take is cut into equal parts, one for each state that it is sure to pass through."""
    n = sum(len(t.o) for t in takes)
    mean = sum(t.o.sum(0, dtype=np.float64) for t in takes) / n
    square = sum((t.o.astype(np.float64) ** 2).sum(0) for t in takes) / n
    model.variance.copy_(torch.from_numpy(square - mean**2))
    for forest, columns in model.streams:
        forest.forget()
        forest.mean.copy_(torch.from_numpy(mean[columns]))
        forest.variance.copy_(model.variance[torch.from_numpy(columns)])
    model.durations.forget()
    _global_variance(model, takes)
    found = Statistics(model, occurrences=False)
    for t in takes:
        sure = (t.script.kinds < 0) | np.isin(t.script.kinds, [KINDS.index(mark) for mark in ",.?!"])
        sure[-1] = t.script.kinds[-1] < 0
        states = np.flatnonzero(np.repeat(sure, model.config.states))
        within = np.arange(len(t.o)) - np.repeat(t.begins, t.ends - t.begins)
        share = np.zeros((len(t.o), len(sure) * model.config.states))
        share[np.arange(len(t.o)), states[within * len(states) // np.repeat(t.ends - t.begins, t.ends - t.begins)]] = 1
        found.add(t, share, np.maximum(share.sum(0) - len(t.ends) * (share.sum(0) > 0), 0))
    maximise(model, found, floor)
    model.paused.fill_(0.5)


def _global_variance(model: HMM, takes: Sequence[Takes]) -> None:
    """Toda and Tokuda (2007): the variance of each static column within a recording, averaged over those of a voice."""
    static = model.config.static
    total, n = np.zeros((len(model.global_variance), static)), np.zeros((len(model.global_variance), 1))
    for t in takes:
        x = t.o[:, :static].astype(np.float64)
        lengths = (t.ends - t.begins)[:, None]
        mean = np.add.reduceat(x, t.begins) / lengths
        total[t.script.voice] += (np.add.reduceat(x * x, t.begins) / lengths - mean**2).sum(0)
        n[t.script.voice] += len(t.ends)
    every = total.sum(0) / max(1, n.sum())
    model.global_variance.copy_(torch.from_numpy(np.where(n > 0, total / np.maximum(n, 1), every)))


def em_step(model: HMM, takes: Sequence[Takes], floor: float, split: bool = False) -> float:
    """One iteration; returns the log-likelihood of the takes before it, in nats a frame.

    floor: least variance, as a share of that of all frames. split: grow the trees of context anew, where phones are units.
    """
    found, log_p = Statistics(model, occurrences=split and not model.config.words), 0.0
    for t in takes:
        log_b = model.log_densities(t.o, t.script)
        expected = expect(log_b, t.ends, model.chain(t.script))
        found.add(t, expected.share, expected.stays)
        log_p += float(expected.log_p.sum())
    maximise(model, found, floor)
    return log_p / sum(len(t.o) for t in takes)


def maximise(model: HMM, found: Statistics, floor: float) -> None:
    """The M-step."""
    states = model.config.states
    floors = floor * model.variance.cpu().numpy()
    floors[world.ORDER + 2] *= VOICING_FLOOR
    if found.occurrences is None:
        for (forest, columns), sums in zip(model.streams, found.streams, strict=True):
            forest.set(sums, floors[columns])
    else:
        _split(model, found, floors)
    units, places, spent = (np.concatenate(part) for part in (found.units, found.places, found.durations))
    lengths = Sums(np.ones(len(units)), spent, spent**2)
    answers = np.concatenate([model.answers(said) for said in found.scripts])[places]
    if found.occurrences is not None:
        model.durations.grow(lengths, units, answers, np.full(states, ROUNDING), LEAST_OCCURRENCES)
    leaves = model.durations.leaves(units, answers)
    by_leaf = Sums.none(len(model.durations.mean), states)
    by_leaf.add(leaves, lengths)
    model.durations.set(by_leaf, np.full(states, ROUNDING))
    rest = spent - model.durations.mean.cpu().numpy()[leaves]
    products, n = np.zeros((model.config.units, states, states)), np.bincount(units, minlength=model.config.units)
    np.add.at(products, units, rest[:, :, None] * rest[:, None, :])
    model.heard.copy_(torch.from_numpy(n))
    model.duration_covariance.copy_(torch.from_numpy(products / np.maximum(1, n)[:, None, None]))
    # Eq. 40b: of all the frames spent in a state, those that are followed by another there. A last frame leads out.
    stay = np.where(found.passed > 0, found.stays / np.maximum(found.passed, 1e-12), model.stay.cpu().numpy())
    model.stay.copy_(torch.from_numpy(stay))
    paused = np.where(found.chances > 0, found.pauses / np.maximum(1, found.chances), model.paused.cpu().numpy())
    model.paused.copy_(torch.from_numpy(paused))


def _split(model: HMM, found: Statistics, floors: np.ndarray) -> None:
    """Grow the trees of spectrum and pitch anew, from one Gaussian a state."""
    assert found.occurrences is not None
    states, roots = model.config.states, np.concatenate([model.roots(said) for said in found.scripts])
    every = Sums(*(np.concatenate([getattr(s, part) for s in found.occurrences]) for part in ("n", "x", "xx")))
    for forest, columns in model.streams:
        forest.forget()
        whole = Sums.none(len(forest.mean), len(columns))
        whole.add(roots, every.columns(columns))
        forest.set(whole, floors[columns])
    model.sets.copy_(torch.from_numpy(_sets(model)))
    answers = np.concatenate([model.answers(said) for said in found.scripts])
    answers = np.repeat(answers, states, axis=0)
    for (forest, columns), price in zip(model.streams, (PRICE_OF_SPECTRUM, PRICE_OF_PITCH), strict=True):
        forest.grow(every.columns(columns), roots, answers, floors[columns], LEAST_FRAMES, price)


def _sets(model: HMM) -> np.ndarray:
    """(2 U - 1, U) bool: each unit alone, then what Ward's clustering of their static means puts together, pair by pair.

    So no table of phonetics is needed: Beulen and Ney (1998), "Automatic question generation for decision tree based state
    tying".
    """
    from scipy.cluster.hierarchy import linkage

    units, statics = model.config.units, model.config.static - 1
    scale = model.variance.cpu().numpy()[model.columns["spectrum"][:statics]] ** 0.5
    mean = model.spectrum.mean[: model.spectrum.roots, :statics].cpu().numpy() / scale
    sets = list(np.eye(units, dtype=bool))
    for first, second, *_ in linkage(mean.reshape(units, -1), "ward"):
        sets.append(sets[int(first)] | sets[int(second)])
    return np.stack(sets)
