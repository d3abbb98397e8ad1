"""The two players: convolutions from mel frames up to samples, and from samples down to scores."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from playground.families.speech.melgan.config import Config

LEAK = 0.2
MIDDLE = -2.5
"""What is taken from log10 mels before they are heard: about the mean of speech."""
STRIDED = 4
"""Layers of a discriminator that keep every fourth value."""


def conv(inputs: int, outputs: int, width: int, **options: Any) -> nn.Module:
    """Its weights as g v / |v|, direction and length apart (Salimans and Kingma 2016, arXiv:1602.07868)."""
    return weight_norm(nn.Conv1d(inputs, outputs, width, **options))


def longer(inputs: int, outputs: int, factor: int) -> nn.Module:
    """`factor` values for each; the kernel is twice as wide, so that every value is heard equally often (section 2.1)."""
    return weight_norm(nn.ConvTranspose1d(inputs, outputs, 2 * factor, stride=factor, padding=factor // 2))


class ResidualBlock(nn.Module):
    """A dilated convolution, so that three of them hear 27 steps (section 2.1)."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.block = nn.Sequential(
            nn.LeakyReLU(LEAK),
            nn.ReflectionPad1d(dilation),
            conv(channels, channels, 3, dilation=dilation),
            nn.LeakyReLU(LEAK),
            conv(channels, channels, 1),
        )
        self.shortcut = conv(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.block(x)


class Generator(nn.Module):
    """log10 mels (B, frames, mels) to samples (B, frames * hop) in [-1, 1]. The layers stand in the published order."""

    def __init__(self, config: Config):
        super().__init__()
        widths = [config.channels * 2 ** (len(config.factors) - i) for i in range(len(config.factors) + 1)]
        layers: list[nn.Module] = [nn.ReflectionPad1d(3), conv(config.front.mels, widths[0], 7)]
        for factor, (before, after) in zip(config.factors, pairwise(widths), strict=True):
            layers += [nn.LeakyReLU(LEAK), longer(before, after, factor)]
            layers += [ResidualBlock(after, 3**j) for j in range(config.blocks)]
        layers += [nn.LeakyReLU(LEAK), nn.ReflectionPad1d(3), conv(widths[-1], 1, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, mel: Tensor) -> Tensor:
        return self.model(mel.transpose(1, 2) - MIDDLE)[:, 0]


class Critic(nn.Module):
    """Samples (B, 1, T) to what each layer makes of them, the last a row of scores, one for each window (section 2.2).

    Strided convolutions in groups: a wide window at few weights.
    """

    def __init__(self, config: Config):
        super().__init__()
        width = config.critic_channels
        layers = [nn.Sequential(nn.ReflectionPad1d(7), conv(1, width, 15), nn.LeakyReLU(LEAK))]
        for _ in range(STRIDED):
            before, width = width, min(4 * width, config.critic_limit)
            strided = conv(before, width, 41, stride=4, padding=20, groups=max(1, before // 4))
            layers.append(nn.Sequential(strided, nn.LeakyReLU(LEAK)))
        before, width = width, min(2 * width, config.critic_limit)
        layers.append(nn.Sequential(conv(before, width, 5, padding=2), nn.LeakyReLU(LEAK)))
        layers.append(nn.Sequential(conv(width, 1, 3, padding=1)))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        heard = []
        for layer in self.layers:
            x = layer(x)
            heard.append(x)
        return heard


class Critics(nn.Module):
    """Discriminators of one shape: the first hears the samples, each further one at half the rate (section 2.2)."""

    def __init__(self, config: Config):
        super().__init__()
        self.scales = nn.ModuleList(Critic(config) for _ in range(config.scales))

    def forward(self, samples: Tensor) -> list[list[Tensor]]:
        """What each layer of each discriminator makes of samples (B, T): maps (B, C, T'), the last the scores (B, 1, T')."""
        x, heard = samples[:, None], []
        for critic in self.scales:
            heard.append(critic(x))
            x = F.avg_pool1d(x, 4, stride=2, padding=1, count_include_pad=False)
        return heard
