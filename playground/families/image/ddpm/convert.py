"""The same net by the names of diffusers' `UNet2DModel`: weights and settings, both ways. Plain dictionaries only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from playground.contract import BadSetting
from playground.families.image.ddpm.config import Config

RENAMED = (
    (r"^start\.", "conv_in."),
    (r"^end_norm\.", "conv_norm_out."),
    (r"^end\.", "conv_out."),
    (r"^time\.1\.", "time_embedding.linear_1."),
    (r"^time\.3\.", "time_embedding.linear_2."),
    (r"^label\.", "class_embedding."),
    (r"^middle\.0\.", "mid_block.resnets.0."),
    (r"^middle\.1\.", "mid_block.attentions.0."),
    (r"^middle\.2\.", "mid_block.resnets.1."),
    (r"^(down|up)\.(\d+)\.resize\.", r"\1_blocks.\2.\1samplers.0.conv."),
    (r"^(down|up)\.(\d+)\.blocks\.", r"\1_blocks.\2.resnets."),
    (r"^(down|up)\.(\d+)\.attentions\.", r"\1_blocks.\2.attentions."),
    (r"(resnets\.\d+)\.time\.", r"\1.time_emb_proj."),
    (r"(resnets\.\d+)\.skip\.", r"\1.conv_shortcut."),
    (r"(attentions\.\d+)\.norm\.", r"\1.group_norm."),
    (r"(attentions\.\d+)\.out\.", r"\1.to_out.0."),
)
"""Applied in turn, they make a name of theirs from one of ours."""

CONVENTIONS = {
    "paper": {"flip_sin_to_cos": False, "freq_shift": 1, "downsample_padding": 0, "norm_eps": 1e-6},
    "diffusers": {"flip_sin_to_cos": True, "freq_shift": 0, "downsample_padding": 1, "norm_eps": 1e-5},
}
PREDICTIONS = {"v": "v_prediction", "epsilon": "epsilon"}
BETAS = {"cosine": "squaredcos_cap_v2", "linear": "linear"}
BETA_RANGE = (1e-4, 0.02)
FIXED = {
    "center_input_sample": (False,),
    "time_embedding_type": ("positional",),
    "mid_block_type": ("UNetMidBlock2D",),
    "mid_block_scale_factor": (1,),
    "downsample_type": ("conv",),
    "upsample_type": ("conv",),
    "dropout": (0.0,),
    "act_fn": ("silu", "swish"),
    "attn_norm_num_groups": (None,),
    "resnet_time_scale_shift": ("default",),
    "add_attention": (True,),
    "class_embed_type": (None,),
    "num_class_embeds": (None,),  # without a row for "no class" there is no guidance
    "time_embedding_dim": (None,),
}
"""What theirs may be told and ours is not: the values that it has here."""


def their_names(name: str) -> list[str]:
    """Their names of one of our tensors; ours holds query, key and value one after the other."""
    for pattern, replacement in RENAMED:
        name = re.sub(pattern, replacement, name)
    return [name.replace(".qkv.", f".to_{part}.") for part in "qkv"] if ".qkv." in name else [name]


def to_unet2d(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of our U-Net by the names of `UNet2DModel`."""
    named = ((their_names(name), tensor) for name, tensor in state.items())
    return {
        theirs: part for names, tensor in named for theirs, part in zip(names, tensor.chunk(len(names)), strict=True)
    }


def from_unet2d(state: Mapping[str, Tensor], ours: Iterable[str]) -> dict[str, Tensor]:
    """Theirs by our names, of which there are `ours`. Raises KeyError for what is missing, ValueError for more."""
    names = {name: their_names(name) for name in ours}
    if unknown := sorted(set(state) - {theirs for parts in names.values() for theirs in parts}):
        raise ValueError(f"{unknown[0]}: this net has no such weights")
    return {name: torch.cat([state[theirs] for theirs in parts]) for name, parts in names.items()}


def unet2d_settings(config: Config) -> dict[str, Any]:
    """The arguments that make a `UNet2DModel` of the same net. It does not fold: it is given folded pictures."""
    down = [f"{'Attn' * attends}DownBlock2D" for _, attends in config.widths]
    up = [f"{'Attn' * attends}UpBlock2D" for _, attends in reversed(config.widths)]
    height, width = config.height // config.fold, config.width // config.fold
    return {
        "sample_size": height if height == width else (height, width),
        "in_channels": config.channels * config.fold**2,
        "out_channels": config.channels * config.fold**2,
        "block_out_channels": tuple(maps for maps, _ in config.widths),
        "down_block_types": tuple(down),
        "up_block_types": tuple(up),
        "layers_per_block": config.blocks,
        "norm_num_groups": config.groups,
        "attention_head_dim": config.head or None,
        "num_class_embeds": config.labels + 1 if config.labels else None,
        **CONVENTIONS[config.layout],
    }


def scheduler_settings(config: Config) -> dict[str, Any]:
    """The arguments of diffusers' schedulers that make them step as the samplers here do."""
    return {
        "num_train_timesteps": config.noise_steps,
        "beta_schedule": BETAS[config.schedule],
        "beta_start": BETA_RANGE[0],
        "beta_end": BETA_RANGE[1],
        "prediction_type": PREDICTIONS[config.prediction],
        "timestep_spacing": "trailing",
    }


def config_of(unet: Mapping[str, Any], scheduler: Mapping[str, Any]) -> Config:
    """Our Config of the net and schedule in their configurations. Raises `BadSetting`, naming what ours cannot be."""
    for name, allowed in FIXED.items():
        if unet.get(name, allowed[0]) not in allowed:
            raise _cannot(name, unet[name])
    widths, down, up = unet["block_out_channels"], unet["down_block_types"], unet["up_block_types"]
    attends = [kind == "AttnDownBlock2D" for kind in down]
    if [f"{'Attn' * a}DownBlock2D" for a in attends] != list(down):
        raise _cannot("down_block_types", down)
    if [f"{'Attn' * a}UpBlock2D" for a in reversed(attends)] != list(up):
        raise _cannot("up_block_types", up)
    if any(wide % widths[0] for wide in widths):
        raise _cannot("block_out_channels", widths)
    if unet["in_channels"] != unet["out_channels"]:
        raise _cannot("out_channels", unet["out_channels"])
    if scheduler["trained_betas"] is not None or (scheduler["beta_start"], scheduler["beta_end"]) != BETA_RANGE:
        raise _cannot("beta_start, beta_end", (scheduler["beta_start"], scheduler["beta_end"]))
    size = unet["sample_size"]
    height, width = (size, size) if isinstance(size, int) else size
    return Config(
        channels=unet["in_channels"],
        height=height,
        width=width,
        maps=widths[0],
        levels="-".join(f"{wide // widths[0]}{'a' * a}" for wide, a in zip(widths, attends, strict=True)),
        blocks=unet["layers_per_block"],
        fold=1,
        groups=unet["norm_num_groups"],
        head=unet["attention_head_dim"] or 0,
        layout=_key(CONVENTIONS, {name: unet[name] for name in CONVENTIONS["paper"]}, "flip_sin_to_cos, ..."),
        schedule=_key(BETAS, scheduler["beta_schedule"], "beta_schedule"),
        noise_steps=scheduler["num_train_timesteps"],
        prediction=_key(PREDICTIONS, scheduler["prediction_type"], "prediction_type"),
    )


def _key(table: Mapping[str, Any], value: Any, name: str) -> str:
    for key, known in table.items():
        if known == value:
            return key
    raise _cannot(name, value)


def _cannot(name: str, value: Any) -> BadSetting:
    return BadSetting(
        f"{name} = {value!r}: the U-Net here cannot be built so",
        f"{name} = {value!r}: 이곳의 U-Net은 이렇게 만들 수 없습니다",
    )
