"""The model: a chain of Gaussian states for each unit, and speech made from chains put one after another.

Shapes: U units of S states, D static columns of a frame (mel-cepstra, log F0, voicing, aperiodicity), observations o of
3 D (with deltas and accelerations), P places of a script, C = P S states of its chain, N frames, V rows of global
variances. Everything learnt is a buffer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from playground.families.speech.hmm import learning, script
from playground.families.speech.hmm.chain import NEVER, Chain, best_path, expect, log_likelihood
from playground.families.speech.hmm.config import Config
from playground.families.speech.hmm.learning import ROUNDING, Takes
from playground.families.speech.hmm.script import KINDS, Script
from playground.families.speech.hmm.trees import Forest
from playground.signal import world
from playground.signal.mlpg import mlpg, with_deltas, with_variance
from playground.signal.world import Features

LONGEST = 400
"""Frames in one state, at most: two seconds."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """Speech made: features of T frames, said by `script`, and the state of its chain (T,) that each frame comes from."""

    features: Features
    script: Script
    path: Tensor


class HMM(nn.Module):
    stay: Tensor
    paused: Tensor
    duration_covariance: Tensor
    variance: Tensor
    global_variance: Tensor
    sets: Tensor
    heard: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        units, states, static = config.units, config.states, config.static
        splits = 0 if config.words else config.splits
        ones = lambda *shape: torch.ones(*shape, dtype=torch.float64)
        self.spectrum = Forest(units * states, splits, 3 * (static - 1))
        self.spectrum.mean[:, 0] = -5.0  # as quiet as a room, until it has learnt better
        self.pitch = Forest(units * states, splits, 3)
        self.pitch.mean[:, 0] = math.log(150.0)
        self.durations = Forest(units, splits, states)
        self.durations.mean.fill_(4.0)  # frames
        self.register_buffer("stay", 0.75 * ones(units, states))  # a_ss; the rest leads on
        self.register_buffer("paused", 0.5 * ones(len(KINDS)))  # how often a place for a pause has one
        self.register_buffer("duration_covariance", ones(states).diag().repeat(units, 1, 1))  # (U, S, S)
        self.register_buffer("variance", ones(3 * static))  # of all frames
        self.register_buffer("global_variance", ones(units if config.words else config.voices, static))  # (V, D)
        self.register_buffer("heard", 0 * ones(units))  # how often each unit was, in training
        # What may be asked of a neighbour: sets of units.
        asked = 0 if config.words else units
        self.register_buffer("sets", torch.eye(asked, dtype=torch.bool).repeat(2, 1)[: max(0, 2 * asked - 1)])
        pitch = world.ORDER + 1 + static * np.arange(3)
        self.columns = {"spectrum": np.setdiff1d(np.arange(3 * static), pitch), "pitch": pitch}

    @property
    def streams(self) -> tuple[tuple[Forest, np.ndarray], ...]:
        """The trees of spectrum and pitch, each with its columns of o."""
        return (self.spectrum, self.columns["spectrum"]), (self.pitch, self.columns["pitch"])

    # --- Chains -----------------------------------------------------------------------------------------------

    def word(self, label: int, speaker: int = 0) -> Script:
        """The script of a word, where words are the units."""
        return script.word(self.config, label, speaker)

    def sentence(self, symbols: Sequence[str], speaker: int = 0) -> Script:
        """The script of a text's symbols, where phones are the units."""
        return script.sentence(self.config, symbols, speaker)

    def answers(self, said: Script) -> np.ndarray:
        """(P, Q) bool: whether the unit before is in each set, whether the one behind is, and the facts."""
        sets = self.sets.cpu().numpy()
        left, right = (
            sets[:, units].T if len(sets) else sets.reshape(len(said), 0) for units in (said.left, said.right)
        )
        return np.concatenate([left, right, said.facts], axis=1)

    def roots(self, said: Script) -> np.ndarray:
        """(C,) the trees of the chain's states."""
        states = self.config.states
        return (said.units[:, None] * states + np.arange(states)).reshape(-1)

    def nodes(self, said: Script) -> list[np.ndarray]:
        """(C,) the leaves of the chain's states, in each stream."""
        answers = np.repeat(self.answers(said), self.config.states, axis=0)
        return [forest.leaves(self.roots(said), answers) for forest, _ in self.streams]

    def gaussians(self, said: Script) -> tuple[Tensor, Tensor]:
        """Means and variances (C, 3 D) of the chain's states, float64."""
        mean, variance = torch.empty(2, len(said) * self.config.states, 3 * self.config.static, dtype=torch.float64)
        for (forest, columns), at in zip(self.streams, self.nodes(said), strict=True):
            mean[:, columns], variance[:, columns] = forest.mean[at].cpu(), forest.variance[at].cpu()
        return mean, variance

    def chain(self, said: Script) -> Chain:
        """The places' states in a row, log probabilities. Pauses may be left out; the end is behind the last state, or
        before a last pause."""
        states, n = self.config.states, len(said)
        stay = self.stay.cpu().numpy()[said.units].clip(1e-4, 1 - 1e-4)  # (P, S)
        optional = said.kinds >= 0
        paused = np.where(optional, self.paused.cpu().numpy()[said.kinds].clip(1e-3, 1 - 1e-3), 1.0)
        with np.errstate(divide="ignore"):
            present, absent = np.log(paused), np.log1p(-paused)  # (P,)
        leave = np.log1p(-stay)
        enter = np.roll(leave.reshape(-1), 1).reshape(n, states)
        enter[:, 0] += present
        first, leap, last = (np.full((n, states), NEVER) for _ in range(3))
        first[0, 0], last[-1, -1] = present[0], leave[-1, -1]
        leap[2:, 0] = leave[:-2, -1] + absent[1:-1]
        if n > 1:
            first[1, 0], last[-2, -1] = absent[0], leave[-2, -1] + absent[-1]
        flat = lambda part: part.reshape(-1)
        return Chain(flat(first), flat(np.log(stay)), flat(enter), flat(leap), flat(last), states)

    def log_densities(self, o: np.ndarray, said: Script) -> np.ndarray:
        """log b_s(o_t) (N, C) of frames (N, 3 D) in the states of a script's chain, in nats."""
        mean, variance = (part.numpy() for part in self.gaussians(said))
        x, constant = o.astype(np.float64), (np.log(2 * np.pi * variance) + mean**2 / variance).sum(1)
        return x @ (mean / variance).T - 0.5 * ((x * x) @ (1 / variance).T + constant)

    # --- Listening --------------------------------------------------------------------------------------------

    def log_likelihood(self, o: Tensor, said: Script) -> float:
        """log P of one take (N, 3 D) given its script, in nats; minus infinity where it is too short to say it."""
        ends = np.array([len(o)])
        return float(log_likelihood(self.log_densities(o.numpy(), said), ends, self.chain(said))[0])

    def shares(self, o: Tensor, said: Script) -> Tensor:
        """gamma (N, C): the probability of each state in each frame of one take."""
        expected = expect(self.log_densities(o.numpy(), said), np.array([len(o)]), self.chain(said))
        return torch.from_numpy(expected.share)

    def path(self, o: Tensor, said: Script) -> Tensor:
        """(N,) the states of the likeliest way of one take through its script's chain."""
        return torch.from_numpy(best_path(self.log_densities(o.numpy(), said), self.chain(said))[0]).long()

    def shortest(self, said: Script) -> int:
        """Frames that a take must have: one for each state; two in a word, that those of a slip do not count."""
        return int((said.kinds < 0).sum()) * self.config.states * (2 if self.config.words else 1)

    # --- Learning ---------------------------------------------------------------------------------------------

    def flat_start(self, takes: Sequence[Takes], floor: float) -> None:
        learning.flat_start(self, takes, floor)

    def em_step(self, takes: Sequence[Takes], floor: float, split: bool = False) -> float:
        """One iteration; returns the log-likelihood before it, in nats a frame. split: grow the trees of context anew."""
        return learning.em_step(self, takes, floor, split)

    # --- Speaking ---------------------------------------------------------------------------------------------

    def said(self, said: Script) -> Script:
        """The script with those pauses only that are made more often than not."""
        pause = said.kinds >= 0
        return said.select(~pause | (self.paused.cpu().numpy()[said.kinds] >= 0.5))

    def lengths(self, said: Script, rng: torch.Generator, variation: float = 1.0, pace: float = 1.0) -> Tensor:
        """Frames (P, S) int64 of each state, drawn from the Gaussian of its unit's durations.

        variation: what the deviation from their mean is multiplied by; 0 gives the mean itself.
        """
        units = torch.from_numpy(said.units)
        mean = self.durations.mean.cpu()[self.durations.leaves(said.units, self.answers(said))]  # (P, S)
        rounding = ROUNDING * torch.eye(self.config.states, dtype=torch.float64)
        root = torch.linalg.cholesky(self.duration_covariance.cpu()[units] + rounding)  # (P, S, S)
        z = torch.randn(len(said), self.config.states, 1, generator=rng, dtype=torch.float64)
        drawn = mean + variation * (root @ z)[..., 0]
        return (drawn / pace).round().clamp(1, LONGEST).long()

    def speak(
        self,
        said: Script,
        *,
        rng: torch.Generator,
        variation: float = 1.0,
        pace: float = 1.0,
        smooth: bool = True,
        lively: float = 1.0,
    ) -> Spoken:
        """Speech of a script. smooth: by deltas and accelerations (MLPG), else the states' means as they stand.
        lively: how much of the global variance is given back, 0 to 1."""
        said = self.said(said)
        lengths = self.lengths(said, rng, variation, pace).reshape(-1)
        path = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
        return Spoken(self.trajectory(said, path, smooth, lively), said, path)

    def trajectory(self, said: Script, path: Tensor, smooth: bool = True, lively: float = 1.0) -> Features:
        """The features of a way (T,) through the states of a script's chain."""
        static = self.config.static
        mean, variance = (part[path] for part in self.gaussians(said))  # (T, 3 D)
        x = mlpg(mean, variance) if smooth else mean[:, :static]
        if lively:
            # Energy, voicing and aperiodicity keep the variance they have.
            kept = [0, *range(world.ORDER + 2, static)]
            wanted = self.global_variance[said.voice].cpu().clone()
            wanted[kept] = x.var(0, correction=0)[kept]
            x = with_variance(x, wanted, lively)
        return Features.of(x.float(), self.config.sample_rate)

    def observed(self, features: Features) -> Tensor:
        """(T, 3 D) float32: what the states see of a recording."""
        return with_deltas(features.matrix())
