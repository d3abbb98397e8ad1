"""What the judges of pictures and of recordings share: how they are trained, written and read again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from playground import checkpoint

WEIGHTS, SETTINGS, STATISTICS = "model.safetensors", "config.json", "statistics.safetensors"

Net = TypeVar("Net", bound=nn.Module)


def fit(
    model: Net,
    epoch_of: Callable[[], Iterable[tuple[Tensor, Tensor]]],
    epochs: int,
    steps: int,
    rate: float,
    decay: float,
) -> Net:
    """The running average, by `decay` a step, of a classifier trained on the batches (x, labels) of some epochs.

    AdamW on a one-cycle schedule to the learning rate `rate`; steps: of all epochs together.
    """
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    loss = torch.tensor(float("nan"))
    for epoch in range(epochs):
        for x, labels in epoch_of():
            loss = F.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            average.update_parameters(model)
        print(f"epoch {epoch + 1} of {epochs}: last loss {loss.item():.4f}", flush=True)
    judge = average.module.eval().requires_grad_(False)
    assert isinstance(judge, type(model))
    return judge


def write(folder: Path, model: nn.Module, config: Any, statistics: Mapping[str, Tensor], card: str) -> None:
    """A judge's folder: weights, settings, statistics, model card, checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / WEIGHTS)
    (folder / SETTINGS).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")
    save_file(dict(statistics), folder / STATISTICS)
    (folder / "README.md").write_text(card, encoding="utf-8")
    checkpoint.list_files(folder)


def load(folder: Path, settings: type, build: Callable[[Any], Net]) -> Net:
    """The judge of `folder`, verified, in evaluation mode. Raises `checkpoint.Damaged`, naming the file."""
    listing = checkpoint.verify_files(folder)
    if missing := {WEIGHTS, SETTINGS, STATISTICS} - set(listing):
        raise checkpoint.Damaged(f"files.json: {min(missing)}: not listed, and the judge needs it")
    written = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    model = build(checkpoint.read_fields(settings, written, SETTINGS))
    model.load_state_dict(checkpoint.read_state(folder / WEIGHTS, model.state_dict()))
    return model.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
