"""Speed: this project and its peers in one process, turn by turn, told as ratios.

A race runs every contestant once to warm up and then in rounds, in alternating order, so that whatever else the machine
does falls on all alike. The ratio is that of the medians, ours / peer: 1.0 is equal, more is faster. The spread is the
lowest and highest ratio within a round: where it is wide, the machine was busy and the figure is worth little.
"""

from __future__ import annotations

import importlib
import pkgutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from trainers.driver import drive
from trainers.plans import Job

ROUNDS = 5
ENOUGH = 0.95
"""Ratio that counts as "no slower": five rounds on a shared machine tell no finer."""


@dataclass(frozen=True)
class Row:
    """One figure. ratio: ours over the peer's, None for a figure with no peer; met: None where nothing is asked."""

    race: str
    figure: str
    unit: str
    ours: float
    peer: str = ""
    theirs: float | None = None
    ratio: float | None = None
    lowest: float | None = None
    highest: float | None = None
    target: str = ""
    met: bool | None = None


def names() -> list[str]:
    """The races there are."""
    package = importlib.import_module("benchmarks.races")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def run(name: str, rounds: int = ROUNDS) -> Iterator[Row]:
    module: ModuleType = importlib.import_module(f"benchmarks.races.{name}")
    yield from module.race(rounds)


def alternate(
    race: str,
    figure: str,
    unit: str,
    ours: Callable[[], float],
    peers: Mapping[str, Callable[[], float]],
    rounds: int,
    least: Mapping[str, float] | None = None,
) -> Iterator[Row]:
    """A row for each peer. Contestants return a rate (higher is faster); `least` is the ratio asked for by peer."""
    contestants = {"": ours, **peers}
    for contestant in contestants.values():
        contestant()
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds):
        # Forwards, then backwards: nobody always runs in the cache, or the heat, that another left.
        for name in list(contestants)[:: 1 if turn % 2 == 0 else -1]:
            rates[name].append(contestants[name]())
    mine = statistics.median(rates[""])
    for peer in peers:
        ratios = [a / b for a, b in zip(rates[""], rates[peer], strict=True)]
        theirs = statistics.median(rates[peer])
        ratio = mine / theirs
        wanted = (least or {}).get(peer)
        yield Row(
            race, figure, unit, mine, peer, theirs, ratio, min(ratios), max(ratios),
            "" if wanted is None else f">= {wanted:g}x", None if wanted is None else ratio >= wanted,
        )  # fmt: skip


def driven(job: Job) -> float:
    """Examples a second of a training through the driver, from its first report to its end: saves and events count."""
    first: tuple[float, int] | None = None
    last = 0
    with tempfile.TemporaryDirectory() as folder:
        for event in drive(job, Path(folder)):
            if event["type"] == "progress":
                last = event["examples"]
                first = first or (time.perf_counter(), last)
    assert first is not None
    return (last - first[1]) / (time.perf_counter() - first[0])
