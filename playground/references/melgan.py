"""`transformers.SpeechT5HifiGan` as the generator in the same game: same mels, same losses, same discriminators.

HiFi-GAN (Kong et al. 2020, arXiv:2010.05646) is MelGAN's successor: residual blocks of pairs of convolutions, added up over
several kernel sizes where there are. It is saved and loaded as the library does; our discriminators lie beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file, save_file
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

from playground.contract import Text, knob
from playground.families.speech import melgan as ours
from playground.families.speech.melgan.nets import MIDDLE

__all__ = ["Config", "Model", "from_hub", "load", "save"]

CRITICS = "critics.safetensors"


@dataclass(frozen=True)
class Config(ours.Config):
    width: int = knob(
        192,
        "Channels at the generator's beginning; halved in each stage",
        "생성자 첫 단의 채널 수 (단마다 절반)",
        16,
        512,
    )

    def library(self) -> SpeechT5HifiGanConfig:
        """The same in the library's terms, with one residual block in a stage."""
        return SpeechT5HifiGanConfig(
            model_in_dim=self.front.mels,
            sampling_rate=self.sample_rate,
            upsample_initial_channel=self.width,
            upsample_rates=list(self.factors),
            upsample_kernel_sizes=[2 * factor for factor in self.factors],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1, 3, 5]],
            normalize_before=True,  # by buffers of its own: ours is told less of the mean too
        )


class Model(ours.Vocoder):
    title: ClassVar[Text] = ours.FAMILY.reference.title

    def __init__(self, config: Config, net: SpeechT5HifiGan | None = None):
        super().__init__(config, net or begun(SpeechT5HifiGan(config.library())))


@torch.no_grad()
def begun(net: SpeechT5HifiGan) -> SpeechT5HifiGan:
    """The net with torch's own first weights: the library's, of a deviation of 0.01, let hardly a sound through.

    Of the mels it takes the same middle as ours.
    """
    net.mean.fill_(MIDDLE)
    for layer in net.modules():
        if isinstance(layer, (torch.nn.Conv1d, torch.nn.ConvTranspose1d)):
            layer.reset_parameters()
    return net


def save(model: Model, folder: Path) -> None:
    net: Any = model.generator
    net.save_pretrained(folder, safe_serialization=True)
    save_file({name: tensor.contiguous() for name, tensor in model.critics.state_dict().items()}, folder / CRITICS)


def load(folder: Path, config: Config) -> Model:
    model = Model(config, SpeechT5HifiGan.from_pretrained(folder, local_files_only=True, use_safetensors=True))
    model.critics.load_state_dict(load_file(folder / CRITICS))
    return model


# --- The hub's model ------------------------------------------------------------------------------------------


class Pretrained(ours.Vocoder):
    """The hub's generator, of 14 million parameters, with our verbs; nobody has taught discriminators beside it."""

    title: ClassVar[Text] = {"en": "microsoft/speecht5_hifigan", "ko": "microsoft/speecht5_hifigan"}

    def __init__(self, net: SpeechT5HifiGan):
        super().__init__(ours.Config(sample_rate=net.config.sampling_rate), net)


def from_hub() -> Pretrained:
    """The hub's vocoder. Raises OSError where it cannot be had."""
    hub = ours.FAMILY.reference.hub
    assert hub is not None
    return Pretrained(SpeechT5HifiGan.from_pretrained(hub.repo, use_safetensors=True))
