"""The transformer's weights under GPT-2's names in transformers, and back: the two are the same net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from playground.families.image.dalle.config import Config

IN_A_BLOCK = {
    "norm1": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.out": "attn.c_proj",
    "norm2": "ln_2",
    "wide": "mlp.c_fc",
    "narrow": "mlp.c_proj",
}
OUTSIDE = {
    "tokens.weight": "wte.weight",
    "places.weight": "wpe.weight",
    "norm.weight": "ln_f.weight",
    "norm.bias": "ln_f.bias",
}
TURNED = ("attention.qkv.weight", "attention.out.weight", "wide.weight", "narrow.weight")
"""GPT-2 keeps these as (in, out)."""


def gpt2_settings(config: Config) -> dict[str, Any]:
    """What `GPT2Config` takes for the same net. No token ends a picture: all have as many codes."""
    return {
        "vocab_size": config.tokens,
        "n_positions": config.text_length + config.places,
        "n_embd": config.size,
        "n_layer": config.layers,
        "n_head": config.heads,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "bos_token_id": 0,
        "eos_token_id": None,
        "pad_token_id": 0,
    }


def theirs_of(name: str) -> str:
    """GPT-2's name of a weight of ours."""
    if name in OUTSIDE:
        return f"transformer.{OUTSIDE[name]}"
    _, layer, part = name.split(".", 2)
    module, _, kind = part.rpartition(".")
    return f"transformer.h.{layer}.{IN_A_BLOCK[module]}.{kind}"


def to_gpt2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `GPT2LMHeadModel` with the weights of our transformer."""
    made = {
        theirs_of(name): tensor.T.contiguous() if name.endswith(TURNED) else tensor for name, tensor in state.items()
    }
    return {**made, "lm_head.weight": state["tokens.weight"]}


def from_gpt2(state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of our transformer, which has the names of `like`, with the weights of a `GPT2LMHeadModel`."""
    turned = {name: state[theirs_of(name)] for name in like}
    return {name: tensor.T.contiguous() if name.endswith(TURNED) else tensor for name, tensor in turned.items()}
