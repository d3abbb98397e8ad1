"""Any number of samples from one seed: the generating view drawn again and again, a bounded batch at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from playground import staging
from playground.checkpoint import Checkpoint
from playground.contract import BadSetting, Output, View
from playground.controls import EACH_IN_TURN, labels_for

MOST = 10_000_000
"""Samples in one call."""


@dataclass(frozen=True)
class Batch:
    """What one drawing of a view gave so far; `whole` once nothing more comes."""

    size: int
    """Samples asked for."""
    outputs: list[Output]
    labels: Tensor | None
    """(size,) int64: the classes asked for, where the view takes one."""
    settings: dict[str, Any]
    """The controls' checked values: they draw this batch again."""
    whole: bool


def draw(checkpoint: Checkpoint, view: View, raw: Mapping[str, Any], n: int | None = None) -> Iterator[Batch]:
    """One drawing of a view, or `n` samples by the generating view, as many at a time as it draws at most.

    Where that view has no control `n`, it makes one sample and is drawn `n` times. The first batch has the seed itself
    and later ones seeds derived from it: up to the view's limit, the samples are those of the interface.
    Raises `BadSetting` before anything is drawn.
    """
    sizes, counted, view = _planned(checkpoint, view, n)
    scene = staging.scene(checkpoint)
    first = staging.resolve(view, checkpoint.config, checkpoint.info, {**raw, **({"n": sizes[0]} if counted else {})})
    for i, size in enumerate(sizes):
        values = {**raw, **({"n": size} if counted else {})}
        if i:
            values["seed"] = derived(first["seed"], i)
        if not counted and len(sizes) > 1 and first.get("label") == EACH_IN_TURN:
            values["label"] = i % checkpoint.info.classes
        settings = staging.resolve(view, checkpoint.config, checkpoint.info, values)
        labels = labels_for(settings.get("label"), size, checkpoint.info)
        outputs: list[Output] = []
        for outputs in staging.render(view, checkpoint.model, checkpoint.config, scene, values):
            yield Batch(size, outputs, labels, settings, whole=False)
        yield Batch(size, outputs, labels, settings, whole=True)


def derived(seed: int, batch: int) -> int:
    """A seed for a later batch that no neighbouring seed's batches share."""
    digest = hashlib.blake2b(f"{seed}/{batch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (staging.MAX_SEED + 1)


def _planned(checkpoint: Checkpoint, view: View, n: int | None) -> tuple[list[int], bool, View]:
    """(sizes of the batches, whether the view's control `n` takes them, the view with that control's limit widened)"""
    shown = {c.name: c for c in view.controls if c.shown(checkpoint.config, checkpoint.info)}
    if view.key != staging.view(checkpoint).key or n is None:
        return [1], False, view
    if not 1 <= n <= MOST:
        raise BadSetting(f"n = {n}: must lie between 1 and {MOST:,}", f"n = {n}: 1 이상 {MOST:,} 이하여야 합니다")
    counter = shown.get("n")
    if n > 1 and "seed" not in shown and counter is None:
        raise BadSetting(
            f"n = {n}: the view {view.key} has no seed, so each sample would be the same",
            f"n = {n}: {view.key} 보기에는 시드가 없어 모든 표본이 같습니다",
        )
    if counter is None:
        return [1] * n, False, view
    most = int(counter.range(checkpoint.config, checkpoint.info)[1] or n)
    classes = checkpoint.info.classes if "label" in shown else 1
    batch = n if n <= most else max(classes, most - most % classes)  # whole rounds of the classes
    controls = [replace(c, high=max(batch, most), bounds=None) if c is counter else c for c in view.controls]
    sizes = [batch] * (n // batch) + [n % batch] * (n % batch > 0)
    return sizes, True, replace(view, controls=tuple(controls))
