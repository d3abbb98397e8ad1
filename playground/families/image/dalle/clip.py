"""The judge (for section 2.6): texts and pictures as directions, near each other where they belong together.

Radford et al. (2021), arXiv:2103.00020, at the size of these pictures and trained on the same ones. Drawn pictures are
ranked by how near they lie to their text. Among other captions of a batch the right one can be found without minding
the order of its words; so each picture must also tell its caption from one with a wrong word in it, in the spirit of
Yuksekgonul et al. (2022), arXiv:2210.01936.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.families.image.dalle.config import Config
from playground.families.image.dalle.transformer import Block, start_small

LAYERS, HEADS = 2, 4
STRICTEST = math.log(100.0)
"""Largest log of the scale of the similarities (Radford 2021, section 2.5)."""


class TextTower(nn.Module):
    """Tokens of text (B, T) to (B, joint). The last place, which has read all others, speaks for the text."""

    def __init__(self, config: Config):
        super().__init__()
        self.tokens = nn.Embedding(config.text_tokens, config.joint)
        self.places = nn.Embedding(config.text_length, config.joint)
        self.blocks = nn.ModuleList(Block(config.joint, HEADS) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(config.joint)
        start_small(self, LAYERS)

    def forward(self, text: Tensor) -> Tensor:
        h = self.tokens(text) + self.places.weight
        for block in self.blocks:
            h = block(h)
        return self.norm(h[:, -1])


class PictureTower(nn.Sequential):
    """Pictures (B, C, H, W) in [0, 1] to (B, joint). A dense layer at the end, for it matters where things are."""

    def __init__(self, config: Config):
        half, last = config.joint // 2, 2 * config.joint
        height, width = math.ceil(config.height / 4), math.ceil(config.width / 4)
        super().__init__(
            nn.Conv2d(config.channels, half, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(half, config.joint, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(config.joint, config.joint, 3, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(config.joint * height * width, last),
            nn.SiLU(),
            nn.Linear(last, config.joint),
        )


class CLIP(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.text_tower = TextTower(config)
        self.picture_tower = PictureTower(config)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, x: Tensor, text: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The training objective of pictures x (B, C, H, W) in [0, 1]; text (M, T), first their own, then wrong ones."""
        near = self.log_scale.clamp(max=STRICTEST).exp() * self.pictures(x) @ self.texts(text).T  # (B, M)
        return contrast(near.float(), text)

    def pictures(self, x: Tensor) -> Tensor:
        """Directions (B, joint) of length 1."""
        return F.normalize(self.picture_tower(2 * x - 1), dim=1)

    def texts(self, text: Tensor) -> Tensor:
        """Directions (B, joint) of length 1."""
        return F.normalize(self.text_tower(text), dim=1)

    def scores(self, x: Tensor, text: Tensor) -> Tensor:
        """Cosine of each picture with its own text: (B,)."""
        return (self.pictures(x) * self.texts(text)).sum(1)


def contrast(near: Tensor, text: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Radford (2021), figure 3: each picture is to find its text among all, each of the pictures' texts its picture.

    near (B, M): similarities of pictures (rows) and texts (columns), of which the first B are the pictures' own. Equal texts
    (M, T) are equally right: where the captions are few, a batch holds most of them several times.
    """
    n = len(near)
    same = (text[:n, None] == text[None]).all(-1)  # (B, M)
    own = same[:, :n]
    of_pictures = F.cross_entropy(near, same / same.sum(1, keepdim=True))
    of_texts = F.cross_entropy(near[:, :n].T, own / own.sum(1, keepdim=True))
    loss = (of_pictures + of_texts) / 2
    right = same.gather(1, near.argmax(1, keepdim=True)).float().mean()
    return loss, {"right text": right}
