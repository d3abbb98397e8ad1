"""Forward, backward and Viterbi over left-to-right chains, in log space, compiled by numba.

Rabiner (1989), "A tutorial on hidden Markov models and selected applications in speech recognition": equation numbers
are his. A state is followed by itself, by the next one, or, where that one begins something that may be left out (a
pause between words), by the one behind it. A take begins where `first` allows and must end where `last` does.

Shapes: S states of the chain, N frames of all its takes, which lie one after another; take k ends before ends[k].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

NEVER = -math.inf
NOTHING = -40.0
"""Log probability below which a share of a frame is taken for none: e^-40 is less than what double precision adds to 1."""


@dataclass(frozen=True, eq=False)
class Chain:
    """Log probabilities (S,): first, of beginning in a state; stay, of s after s; enter, of s after s - 1; leap, of s after
    s - 1 - width; last, of ending after s."""

    first: np.ndarray
    stay: np.ndarray
    enter: np.ndarray
    leap: np.ndarray
    last: np.ndarray
    width: int


@dataclass(frozen=True, eq=False)
class Expected:
    """What the E-step says of some takes. log_p: (takes,) nats. share: gamma (N, S). stays: (S,) expected self-transitions."""

    log_p: np.ndarray
    share: np.ndarray
    stays: np.ndarray


def expect(log_b: np.ndarray, ends: np.ndarray, chain: Chain) -> Expected:
    """The E-step: log_b (N, S) are log densities of the frames in the states, log b_s(o_t)."""
    alpha = np.empty_like(log_b)
    share, stays = np.zeros_like(log_b), np.zeros(log_b.shape[1])
    steps = (chain.stay, chain.enter, chain.leap, chain.width)
    log_p = _forward(log_b, ends, chain.first, *steps, chain.last, alpha)
    _backward(log_b, ends, *steps, chain.last, alpha, log_p, share, stays)
    return Expected(log_p, share, stays)


def log_likelihood(log_b: np.ndarray, ends: np.ndarray, chain: Chain) -> np.ndarray:
    """log P(O | lambda) of each take (takes,), in nats."""
    steps = (chain.stay, chain.enter, chain.leap, chain.width)
    return _forward(log_b, ends, chain.first, *steps, chain.last, np.empty_like(log_b))


def best_path(log_b: np.ndarray, chain: Chain) -> tuple[np.ndarray, float]:
    """The likeliest states of one take (N,) and their joint log probability with it, in nats."""
    return _viterbi(log_b, chain.first, chain.stay, chain.enter, chain.leap, chain.width, chain.last)


@njit(cache=True, nogil=True)
def _add(a: float, b: float) -> float:
    """log(e^a + e^b)"""
    if a < b:
        a, b = b, a
    return a if b - a < NOTHING or a == NEVER else a + math.log1p(math.exp(b - a))


@njit(cache=True, nogil=True)
def _forward(log_b, ends, first, stay, enter, leap, width, last, alpha):  # type: ignore[no-untyped-def]
    n_states = log_b.shape[1]
    log_p = np.full(len(ends), NEVER)
    begin = 0
    for k in range(len(ends)):
        for s in range(n_states):  # eq. 19
            alpha[begin, s] = first[s] + log_b[begin, s]
        for t in range(begin + 1, ends[k]):
            for s in range(n_states):  # eq. 20
                a = alpha[t - 1, s] + stay[s]
                if s > 0:
                    a = _add(a, alpha[t - 1, s - 1] + enter[s])
                if s > width:
                    a = _add(a, alpha[t - 1, s - 1 - width] + leap[s])
                alpha[t, s] = a + log_b[t, s]
        for s in range(n_states):  # eq. 21, of the states that a take may end in
            log_p[k] = _add(log_p[k], alpha[ends[k] - 1, s] + last[s])
        begin = ends[k]
    return log_p


@njit(cache=True, nogil=True)
def _backward(log_b, ends, stay, enter, leap, width, last, alpha, log_p, share, stays):  # type: ignore[no-untyped-def]
    n_states = log_b.shape[1]
    beta, ahead = np.empty(n_states), np.empty(n_states)
    begin = 0
    for k in range(len(ends)):
        beta[:] = last  # eq. 24
        for t in range(ends[k] - 1, begin - 1, -1):
            for s in range(n_states):
                log_gamma = alpha[t, s] + beta[s] - log_p[k]  # eq. 27
                if log_gamma > NOTHING:
                    share[t, s] = math.exp(log_gamma)
                ahead[s] = log_b[t, s] + beta[s]
            if t == begin:
                break
            for s in range(n_states):  # eq. 25, and of eq. 37 what stays
                staying = stay[s] + ahead[s]
                log_xi = alpha[t - 1, s] + staying - log_p[k]
                if log_xi > NOTHING:
                    stays[s] += math.exp(log_xi)
                if s + 1 < n_states:
                    staying = _add(staying, enter[s + 1] + ahead[s + 1])
                if s + 1 + width < n_states:
                    staying = _add(staying, leap[s + 1 + width] + ahead[s + 1 + width])
                beta[s] = staying
        begin = ends[k]


@njit(cache=True, nogil=True)
def _viterbi(log_b, first, stay, enter, leap, width, last):  # type: ignore[no-untyped-def]
    n_frames, n_states = log_b.shape
    came_from = np.zeros((n_frames, n_states), np.int32)
    delta, before = first + log_b[0], np.empty(n_states)  # eq. 32
    for t in range(1, n_frames):
        before[:] = delta
        for s in range(n_states):  # eq. 33
            best, origin = before[s] + stay[s], s
            if s > 0 and before[s - 1] + enter[s] > best:
                best, origin = before[s - 1] + enter[s], s - 1
            if s > width and before[s - 1 - width] + leap[s] > best:
                best, origin = before[s - 1 - width] + leap[s], s - 1 - width
            delta[s], came_from[t, s] = best + log_b[t, s], origin
    path = np.empty(n_frames, np.int32)
    path[-1] = np.argmax(delta + last)  # eq. 34
    for t in range(n_frames - 1, 0, -1):  # eq. 35
        path[t - 1] = came_from[t, path[t]]
    return path, np.max(delta + last)
