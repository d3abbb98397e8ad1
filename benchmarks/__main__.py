"""Benchmarks of quality and speed.

    python -m benchmarks quality [FAMILY ...] [--n N] [--json FILE]
    python -m benchmarks speed [NAME ...] [--rounds N] [--json FILE]

Quality prints every bar of the named families (all by default): the shipped checkpoint's figure, the reference's, the
floor that real data sets, the target. Speed prints races as ratios. Nothing here is a timed test: the exit status is 1
only where something could not be measured.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks import quality, speed
from playground import registry


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return options.run(options)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(required=True, metavar="quality | speed")
    q = commands.add_parser("quality", help="the bars of the families, from their shipped checkpoints")
    q.add_argument("names", nargs="*", metavar="FAMILY", help="families (default: all that are registered)")
    q.add_argument("--n", type=int, default=quality.SAMPLES, help=f"samples to draw (default {quality.SAMPLES})")
    q.add_argument("--presets", action="store_true", help="also train and measure the presets that have a bar")
    q.add_argument("--fresh", action="store_true", help="measure again what the cache knows")
    q.add_argument("--cards", action="store_true", help="write the figures into the shipped model cards")
    q.set_defaults(run=run_quality)
    s = commands.add_parser("speed", help="races against peers, as ratios")
    s.add_argument("names", nargs="*", metavar="NAME", help=f"races (default: all): {', '.join(speed.names())}")
    s.add_argument("--rounds", type=int, default=speed.ROUNDS, help=f"alternating rounds (default {speed.ROUNDS})")
    s.set_defaults(run=run_speed)
    for command in (q, s):
        command.add_argument("--json", type=Path, metavar="FILE", help="also write the rows as JSON")
    return top


def run_quality(options: argparse.Namespace) -> int:
    names = options.names or list(registry.families())
    for name in names:
        registry.family(name)  # a misspelt name is told before the first long measurement
    cache = quality.Cache(fresh=options.fresh)
    print(QUALITY.format("bar", "figure", "reference", "floor", "target", "met"))
    rows = []
    for row in quality.measure_all(names, options.n, options.presets, cache):
        rows.append(row)
        figures = [_short(row.figure), _short(row.reference), _short(row.floor)]
        print(QUALITY.format(f"{row.family}: {row.bar}", *figures, row.target or "-", MET[row.met]), flush=True)
        if row.note:
            print(f"    {row.note}", flush=True)
    if options.cards:
        write_cards(rows)
    _write(options.json, rows)
    return 1 if any("FAILED" in row.note for row in rows) else 0


def write_cards(rows: Sequence[quality.Row]) -> None:
    """The figures of each side into the cards of the checkpoints that they were measured on."""
    measured: dict[tuple[str, str, Path], dict[str, float]] = {}
    for row in rows:
        if any(bar.preset for bar in quality.bars(row.family) if bar.name == row.bar):
            continue  # of what was trained just now, not of what is shipped
        for side, figure in (("ours", row.figure), ("reference", row.reference)):
            folder = quality.shipped(row.family, side, row.checkpoint)
            if figure is not None and folder is not None:
                bar = f"{row.bar} (n = {row.n:,})" if row.n else row.bar
                measured.setdefault((row.family, side, folder), {})[bar] = figure
    for (name, side, folder), figures in measured.items():
        quality.write_figures(folder, side, figures)
        print(f"wrote {len(figures)} figures into {name}/{side}/{folder.name}")


def run_speed(options: argparse.Namespace) -> int:
    names = options.names or speed.names()
    if unknown := sorted(set(names) - set(speed.names())):
        raise SystemExit(f"no race is called {unknown[0]!r}; there are {', '.join(speed.names())}")
    print(SPEED.format("race", "ours", "peer's", "ratio", "(spread)", "target", "met"))
    rows = []
    for name in names:
        for row in speed.run(name, options.rounds):
            rows.append(row)
            spread = "" if row.lowest is None else f"({row.lowest:.2f}-{row.highest:.2f})"
            ratio = "-" if row.ratio is None else f"{row.ratio:.2f}x"
            title = f"{row.race}: {row.figure}, {row.unit}" + (f" / {row.peer}" if row.peer else "")
            numbers = [_short(row.ours), _short(row.theirs), ratio, spread, row.target or "-", MET[row.met]]
            print(SPEED.format(title, *numbers), flush=True)
    _write(options.json, rows)
    return 0


QUALITY = "{:<58} {:>11} {:>11} {:>9}  {:<24} {}"
SPEED = "{:<76} {:>9} {:>9} {:>7} {:>13}  {:<10} {}"
MET = {True: "yes", False: "NO", None: "-"}


def _short(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.4g}" if abs(figure) < 1e5 else f"{figure:,.0f}"


def _write(path: Path | None, rows: Sequence[Any]) -> None:
    if path is None:
        return
    machine = {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "scikit-learn", "torchmetrics")},
    }
    path.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    raise SystemExit(main())
