"""Recordings as frames that the mixtures learn from, and which frames belong together.

A take is trimmed, brought to equal loudness and analysed by WORLD. Its pitch is taken out of log F0 and kept beside it,
so that a mixture learns melody, not who was hoarse that day. Where in its word a frame stands, and which frame of one
speaker belongs to which of another, dynamic time warping says: first by the takes as they are, later by what the
mixtures have made of them (Toda et al. 2007, section V-A, align again by converted frames).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from playground.contract import Told
from playground.families.speech.gmm.config import ANYONE, CEPSTRA, Config
from playground.signal import checks, dtw, edges, world
from playground.signal.mlpg import with_deltas
from playground.signal.world import Features

PITCH = CEPSTRA
"""The column of log F0."""
SHORTEST = 10
"""Frames of a take, 50 ms."""
VOICED = 3
"""Frames that a pitch is heard in."""


@dataclass(frozen=True, eq=False)
class Takes:
    """N takes of F frames together, those of a unit one after another.

    x: (F, static) float32, log F0 without its pitch. ends: (N + 1,), take i is x[ends[i] : ends[i + 1]]. units: (N,), the
    class times the voices plus the voice. pitch: (N,) mean log F0 of the voiced frames, NaN where hardly one is.
    """

    x: Tensor
    ends: tuple[int, ...]
    units: Tensor
    pitch: Tensor

    def __len__(self) -> int:
        return len(self.units)

    def of(self, i: int) -> Tensor:
        return self.x[self.ends[i] : self.ends[i + 1]]

    @property
    def lengths(self) -> Tensor:
        return torch.tensor(self.ends).diff()

    def said(self, unit: int) -> list[int]:
        """The takes of a unit."""
        return torch.nonzero(self.units == unit)[:, 0].tolist()


def analysed(samples: Tensor, rate: int) -> Features:
    """A recording (T,) as the model hears it: trimmed, at equal loudness, in WORLD's parameters. Raises `BadSound`."""
    heard = edges.level(edges.trim(samples, rate), rate)
    return world.analyse(heard, rate)


def melody(features: Features) -> tuple[Tensor, float]:
    """(columns (T, static), pitch): log F0 less the take's mean over voiced frames, and that mean; NaN for none."""
    x, voiced = features.matrix(), features.voicing > 0.5
    heard = int(voiced.sum()) >= VOICED
    pitch = float(features.log_f0[voiced].mean()) if heard else float(features.log_f0.mean())
    x[:, PITCH] -= pitch
    return x, pitch if heard else float("nan")


@lru_cache(maxsize=2)
def heard(part: Any, voices: int, most: int) -> Takes:
    """The first `most` takes (0: all) of every class by every voice, those that WORLD can work with. Raises `Told`.

    Kept for the next caller: what times the first steps, and both sides of a race, hear the same recordings.
    """
    rows: list[tuple[int, Tensor, float]] = []
    count: dict[int, int] = {}
    for i in range(len(part)):
        unit = int(part.labels[i]) * voices + (0 if part.speakers is None else int(part.speakers[i]))
        if most and count.get(unit, 0) >= most:
            continue
        try:
            x, pitch = melody(analysed(part.audio(i), part.rate))
        except checks.BadSound:  # silent, or shorter than WORLD needs
            continue
        if len(x) >= SHORTEST:
            rows.append((unit, x, pitch))
            count[unit] = count.get(unit, 0) + 1
    if not rows:
        raise Told("no recording holds a word that could be used", "쓸 수 있는 단어가 담긴 녹음이 없습니다")
    rows.sort(key=lambda row: row[0])
    lengths = torch.tensor([0, *(len(x) for _, x, _ in rows)])
    return Takes(
        torch.cat([x for _, x, _ in rows]),
        tuple(lengths.cumsum(0).tolist()),
        torch.tensor([unit for unit, _, _ in rows]),
        torch.tensor([pitch for _, _, pitch in rows], dtype=torch.float64),
    )


# --- Time within a word ---------------------------------------------------------------------------------------


def evenly(frames: int) -> Tensor:
    """Positions (T,) in (0, 1) of frames that pass evenly."""
    return (torch.arange(frames, dtype=torch.float64) + 0.5) / frames


def positions(take: Tensor, model_take: Tensor) -> Tensor:
    """Where in the word each frame of a take (T, static) stands by the time of another (S, static): (T,) in (0, 1).

    Each frame has the mean position of those it is paired with.
    """
    i, j = dtw.align(take[:, :CEPSTRA], model_take[:, :CEPSTRA])
    total = torch.zeros(len(take), dtype=torch.float64).index_add_(0, i, evenly(len(model_take))[j])
    return total / torch.bincount(i, minlength=len(take))


def middle(takes: Takes, said: Sequence[int]) -> Tensor:
    """The take of middling length, by whose time the others are placed at first: (T, static)."""
    by_length = sorted(said, key=lambda i: takes.ends[i + 1] - takes.ends[i])
    return takes.of(by_length[len(by_length) // 2])


# --- Pairs of voices ------------------------------------------------------------------------------------------


def couples(takes: Takes, config: Config, route: tuple[int, int]) -> list[tuple[int, int]]:
    """(take of the source, take of the target) that say the same word. Of the voice with fewer takes some come again.

    Anyone is every other voice in turn, so that there are no more couples than for two voices.
    """
    a, b = route
    found: list[tuple[int, int]] = []
    for word in range(config.classes):
        target = takes.said(word * config.voices + b)
        others = [voice for voice in range(config.voices) if voice != b] if a == ANYONE else [a]
        source = [takes.said(word * config.voices + voice) for voice in others]
        source = [said for said in source if said]
        if source and target:
            n = max(len(target), *(len(said) for said in source))
            found += [
                (said[k % len(said)], target[k % len(target)]) for k in range(n) for said in [source[k % len(source)]]
            ]
    return found


def aligned(takes: Takes, pairs: Sequence[tuple[int, int]], sources: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
    """Indices (L,), (L,) of the frames of all takes that belong together in the couples.

    sources: the first take of each couple as it is, or converted, (T, at least CEPSTRA).
    """
    rows = [(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))]
    for i, j in pairs:
        # Without the energy: two rooms differ in it more than two vowels.
        p, q = dtw.align(sources[i][:, 1:CEPSTRA], takes.of(j)[:, 1:CEPSTRA])
        rows.append((p + takes.ends[i], q + takes.ends[j]))
    return torch.cat([p for p, _ in rows]), torch.cat([q for _, q in rows])


def dynamic(takes: Takes, columns: int) -> Tensor:
    """The first columns of every frame with their deltas and accelerations, (F, 3 columns) float32, take by take."""
    return torch.cat([with_deltas(takes.of(i)[:, :columns]) for i in range(len(takes))])
