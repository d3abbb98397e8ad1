"""Training the VAE: through the driver, and in plain PyTorch loops of the same net and of diffusers' AutoencoderKL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import nn
from torch.optim import Adam

from benchmarks import speed
from playground import data
from playground.contract import configure
from playground.data import ImageData
from playground.families.image.vae import VAE, Config
from playground.references import vae as reference
from trainers.plans import Job
from trainers.vae import Recipe, follow

STEPS = 200
PEER_STEPS = 5
"""AutoencoderKL takes several times as long a picture: fewer steps give the same rate."""


def race(rounds: int) -> Iterator[speed.Row]:
    digits = data.load("mnist")
    assert isinstance(digits, ImageData)
    job = Job("vae", "mnist", recipe={"steps": STEPS})
    ours, theirs = configure(Config, digits.info), configure(reference.Config, digits.info)
    same = "plain PyTorch loop, same net"
    other = f"AutoencoderKL, plain loop ({_size(reference.Model(theirs))} beside our {_size(VAE(ours))})"
    peers = {
        same: lambda: plain(VAE(ours), digits, Recipe(steps=STEPS)),
        other: lambda: plain(reference.Model(theirs), digits, Recipe(steps=PEER_STEPS)),
    }
    asked = {same: speed.ENOUGH, other: speed.ENOUGH}
    yield from speed.alternate("vae", "training", "images/s", lambda: speed.driven(job), peers, rounds, asked)


def _size(model: nn.Module) -> str:
    return f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M"


def plain(model: nn.Module, digits: ImageData, recipe: Recipe) -> float:
    """Images a second of the default recipe written as a script would: no driver, no saves, no reports."""
    torch.manual_seed(0)
    average = deepcopy(model)
    optimizer = Adam(model.parameters(), recipe.learning_rate, betas=(0.9, 0.99))
    order, size = torch.randperm(len(digits.train)), recipe.batch_size
    began = 0.0
    for step in range(recipe.steps):
        x, y = digits.train.batch(order[step * size : (step + 1) * size])
        x = torch.bernoulli(x)
        loss, _ = model(x, y, torch.randn(size, *model.noise_shape))  # type: ignore[misc]
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 200.0)
        optimizer.step()
        follow(average, model, recipe.average)
        if step == 0:
            began = time.perf_counter()  # the first step pays for warming up, here and in `speed.driven`
    return size * (recipe.steps - 1) / (time.perf_counter() - began)
