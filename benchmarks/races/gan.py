"""Training the GAN: through the driver, and in a plain PyTorch loop of the same nets. The gap is the driver's price."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch.optim import Adam

from benchmarks import speed
from playground import data
from playground.contract import configure
from playground.data import ImageData
from playground.families.image.gan import GAN, Config, hinge
from trainers.gan import Recipe
from trainers.plans import Job

STEPS = 150


def race(rounds: int) -> Iterator[speed.Row]:
    digits = data.load("mnist")
    assert isinstance(digits, ImageData)
    job = Job("gan", "mnist", recipe={"steps": STEPS})
    peer = "plain PyTorch loop, same nets"
    yield from speed.alternate(
        "gan",
        "training",
        "images/s",
        lambda: speed.driven(job),
        {peer: lambda: plain(digits, Recipe(steps=STEPS))},
        rounds,
        {peer: speed.ENOUGH},
    )


def plain(digits: ImageData, recipe: Recipe) -> float:
    """Images a second of the default recipe written as a script would: no driver, no saves, no reports."""
    torch.manual_seed(0)
    model = GAN(configure(Config, digits.info))
    generator, discriminator = model.generator, model.discriminator
    d_optimizer = Adam(discriminator.parameters(), recipe.discriminator_rate, (recipe.momentum, 0.99))
    g_optimizer = Adam(generator.parameters(), recipe.generator_rate, (recipe.momentum, 0.99))
    order, size = torch.randperm(len(digits.train)), recipe.batch_size
    began = 0.0
    for step in range(recipe.steps):
        x, y = digits.train.batch(order[step * size : (step + 1) * size])
        assert y is not None
        real = 2 * x - 1
        discriminator.requires_grad_(True)
        with torch.no_grad():
            fake = generator(torch.randn(size, model.config.latents), y)
        d_loss, _ = hinge(*discriminator(torch.cat([real, fake]), y.repeat(2)).chunk(2))
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()

        discriminator.requires_grad_(False)
        score = discriminator(generator(torch.randn(size, model.config.latents), y), y)
        _, g_loss = hinge(score, score)
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        model.follow(recipe.average)
        if step == 0:
            began = time.perf_counter()  # the first step pays for warming up, here and in `speed.driven`
    return size * (recipe.steps - 1) / (time.perf_counter() - began)
