"""Drawing codes with our transformer and its cache, and with `GPT2LMHeadModel.generate` on the same weights."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks import speed
from playground import data
from playground.contract import configure
from playground.families.image.dalle import DALLE, Config
from playground.families.image.dalle.convert import gpt2_settings, to_gpt2
from playground.families.image.dalle.samplers import Choice

PICTURES = 16
CHOICE = Choice(top_p=0.95)
FASTER = 1.5


def race(rounds: int) -> Iterator[speed.Row]:
    shapes = data.load("shapes")
    torch.manual_seed(0)
    ours = DALLE(configure(Config, shapes.info)).eval()
    theirs = GPT2LMHeadModel(GPT2Config(**gpt2_settings(ours.config))).eval()
    theirs.load_state_dict(to_gpt2(ours.prior.state_dict()))
    text = ours.read([""] * PICTURES)
    peer = "GPT2LMHeadModel.generate, same weights"
    yield from speed.alternate(
        "dalle",
        "drawing",
        "codes/s",
        lambda: drawing(ours),
        {peer: lambda: generating(theirs, text, ours.config)},
        rounds,
        {peer: FASTER},
    )


@torch.inference_mode()
def drawing(model: DALLE) -> float:
    """Codes a second."""
    began = time.perf_counter()
    *_, _ = model.drawing([""] * PICTURES, rng=torch.Generator().manual_seed(0), choice=CHOICE)
    return PICTURES * model.config.places / (time.perf_counter() - began)


@torch.inference_mode()
def generating(model: GPT2LMHeadModel, text: torch.Tensor, config: Config) -> float:
    """Codes a second, with generate's own cache."""
    began = time.perf_counter()
    model.generate(
        text,
        attention_mask=torch.ones_like(text),
        do_sample=True,
        top_k=CHOICE.top_k,
        top_p=CHOICE.top_p,
        min_new_tokens=config.places,
        max_new_tokens=config.places,
        suppress_tokens=list(range(config.text_tokens)),
    )
    return PICTURES * config.places / (time.perf_counter() - began)
