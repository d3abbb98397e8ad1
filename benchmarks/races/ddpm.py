"""Training and drawing with a U-Net of ours and with diffusers' `UNet2DModel` of the same shape, both told no class.

Ours trains through the driver, theirs in a plain loop of the same recipe. Ours draws by our DDIM, theirs by DDIMPipeline.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import nn
from torch.optim import AdamW

from benchmarks import speed
from playground import data
from playground.contract import configure
from playground.data import ImageData
from playground.families.image.ddpm import DDPM, Config
from playground.references import ddpm as reference
from trainers.ddpm import Recipe, follow
from trainers.plans import Job

STEPS = 60
PICTURES, EVALUATIONS = 40, 25


def race(rounds: int) -> Iterator[speed.Row]:
    digits = data.load("mnist")
    assert isinstance(digits, ImageData)
    ours = DDPM(configure(Config, digits.info, conditional=False)).eval()
    config = configure(reference.Config, digits.info)
    theirs = reference.Model(config).eval()
    assert _size(ours) == _size(theirs)
    peer = f"UNet2DModel, plain loop ({_size(theirs) / 1e6:.2f} M each)"
    job = Job("ddpm", "mnist", recipe={"steps": STEPS}, config={"conditional": False})
    train = {peer: lambda: plain(reference.Model(config), digits, Recipe(steps=STEPS))}
    yield from speed.alternate(
        "ddpm", "training", "images/s", lambda: speed.driven(job), train, rounds, {peer: speed.ENOUGH}
    )
    peer = "DDIMPipeline, same shape"
    draw = {peer: lambda: drawing(theirs)}
    yield from speed.alternate(
        "ddpm", "drawing, 25 evaluations", "images/s", lambda: drawing(ours), draw, rounds, {peer: speed.ENOUGH}
    )


def _size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def plain(model: reference.Model, digits: ImageData, recipe: Recipe) -> float:
    """Images a second of the default recipe written as a script would: no driver, no saves, no reports."""
    torch.manual_seed(0)
    average = deepcopy(model)
    optimizer = AdamW(model.parameters(), recipe.learning_rate, betas=(0.9, 0.99))
    order, size = torch.randperm(len(digits.train)), recipe.batch_size
    told = torch.zeros(size, dtype=torch.bool)
    began = 0.0
    for step in range(recipe.steps):
        x, _ = digits.train.batch(order[step * size : (step + 1) * size])
        t = model.config.noise_steps * (torch.arange(size) + torch.rand(size)) / size
        falling = 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
        optimizer.param_groups[0]["lr"] = recipe.learning_rate * falling
        loss = model(x, None, t, torch.randn_like(x), told)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        follow(average, model, recipe.average)
        if step == 0:
            began = time.perf_counter()  # the first step pays for warming up, here and in `speed.driven`
    return size * (recipe.steps - 1) / (time.perf_counter() - began)


@torch.inference_mode()
def drawing(model: DDPM) -> float:
    """Pictures a second."""
    began = time.perf_counter()
    model.sample(PICTURES, rng=torch.Generator().manual_seed(0), steps=EVALUATIONS, sampler="ddim")
    return PICTURES / (time.perf_counter() - began)
