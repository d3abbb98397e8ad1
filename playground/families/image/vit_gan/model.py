"""The game of the two players, and the model that holds them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground.augmentation import augment
from playground.families.image.vit_gan.config import Config
from playground.families.image.vit_gan.nets import CRITICS, Generator

# --- The game: two losses of one shape, and what may be added to the discriminator's ---------------------------


def non_saturating(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """(discriminator's, generator's) loss of scores, the paper's choice: the generator maximises log D."""
    return F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()


def hinge(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Lim and Ye (2017), arXiv:1705.02894: scores beyond a margin of 1 on the right side no longer count."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean(), -fake.mean()


def relativistic(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """By how much a real picture outscores a generated one of its class (Jolicoeur-Martineau 2018, arXiv:1807.00734).

    Pair by pair, as Huang et al. (2024), arXiv:2501.05441, eq. 2: no generated picture can please by scoring what all do.
    """
    return F.softplus(fake - real).mean(), F.softplus(real - fake).mean()


LOSSES = {"relativistic": relativistic, "hinge": hinge, "non-saturating": non_saturating}


def steepness(scores: Tensor, x: Tensor) -> Tensor:
    """Half the squared slope of each score (B,) at its picture (B, C, H, W): (B,), to be learnt from in its turn.

    Mescheder (2018), arXiv:1801.04406: its mean is R1 (eq. 9) at real pictures and R2 (eq. 10) at generated ones.
    """
    (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return 0.5 * slope.flatten(1).square().sum(1)


def judged(critics: nn.ModuleDict, x: Tensor, y: Tensor) -> Tensor:
    """Scores (K, B) of pictures (B, C, H, W) in [-1, 1] by each of K discriminators."""
    return torch.stack([critic(x, y).float() for critic in critics.values()])


@dataclass(frozen=True)
class Rules:
    """The rules of the game: which loss, which penalties, whether pictures are augmented."""

    loss: str = "relativistic"
    r1: float = 0.0
    r2: float = 0.0
    consistency: float = 0.0
    augment: bool = False


class DiscriminatorTurn(nn.Module):
    """The discriminators' training objective, as a module of its own so that it can be distributed."""

    def __init__(self, critics: nn.ModuleDict, rules: Rules):
        super().__init__()
        self.critics = critics
        self.rules = rules

    def forward(self, real: Tensor, fake: Tensor, y: Tensor, u: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """real, fake (B, C, H, W) in [-1, 1]; y (B,); u (B, 16) uniform. Returns the loss and what to plot."""
        rules, x, y_both = self.rules, torch.cat([real, fake]), y.repeat(2)
        u_seen, u_again = u.view(len(u), 4, 4).transpose(0, 1).flatten(0, 1).chunk(2)  # (2B, 4) each
        if rules.augment:
            x = augment(x, u_seen)
        x.requires_grad_(bool(rules.r1 or rules.r2))
        if rules.consistency:
            scores, again = judged(self.critics, torch.cat([x, augment(x, u_again)]), y.repeat(4)).chunk(2, dim=1)
        else:
            scores = again = judged(self.critics, x, y_both)
        score_real, score_fake = scores.chunk(2, dim=1)
        loss, _ = LOSSES[rules.loss](score_real, score_fake)
        # bCR (Zhao 2020, arXiv:2002.04724): a picture and its augmented self should score alike.
        loss = loss + rules.consistency * 2 * (scores - again).square().mean()
        if x.requires_grad:
            at_real, at_fake = torch.stack([steepness(each, x) for each in scores]).chunk(2, dim=1)
            loss = loss + rules.r1 * at_real.mean() + rules.r2 * at_fake.mean()
        return loss, {"D(real)": score_real.mean().detach(), "D(fake)": score_fake.mean().detach()}


class GeneratorTurn(nn.Module):
    """The generator's training objective. The discriminators are only consulted: they are no part of this module."""

    def __init__(self, generator: nn.Module, critics: nn.ModuleDict, rules: Rules):
        super().__init__()
        self.generator = generator
        self._opponents = (critics,)  # in a tuple, so that their parameters are not this module's
        self.rules = rules

    def forward(self, z: Tensor, y: Tensor, u: Tensor, real: Tensor) -> Tensor:
        """z (B, latents), y (B,), u (B, 8) uniform, real (B, C, H, W) in [-1, 1], of classes y. Returns the loss."""
        (critics,) = self._opponents
        fake = self.generator(z, y)
        if self.rules.augment:
            u_real, u_fake = u.chunk(2, dim=1)
            real, fake = augment(real, u_real), augment(fake, u_fake)
        with torch.no_grad():
            score_real = judged(critics, real, y)
        _, loss = LOSSES[self.rules.loss](score_real, judged(critics, fake, y))
        return loss


# --- The model ------------------------------------------------------------------------------------------------


class Game(nn.Module):
    """Both players, and the slow average of the generator that draws (Yazici 2018, arXiv:1806.04498).

    Whatever nets they are: generator(z, y) gives pictures (B, C, H, W) in [-1, 1], each of the critics(x, y) scores (B,).
    config: `latents` and `labels`, how many classes the players are told, 0 for none.
    """

    generator: Any
    average: Any

    def __init__(self, config: Any, generator: nn.Module, critics: nn.ModuleDict):
        super().__init__()
        self.config = config
        self.generator = generator
        self.critics = critics
        self.average = copy.deepcopy(generator).requires_grad_(False)

    def turns(self, rules: Rules) -> tuple[DiscriminatorTurn, GeneratorTurn]:
        """The two training objectives: there is no single `forward` to an adversarial model."""
        return DiscriminatorTurn(self.critics, rules), GeneratorTurn(self.generator, self.critics, rules)

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the average generator towards the trained one: average <- decay average + (1 - decay) generator."""
        torch._foreach_lerp_(list(self.average.parameters()), list(self.generator.parameters()), 1 - decay)

    def classes(self, y: Tensor | None, n: int) -> Tensor:
        """(n,) class indices: those given, each in turn, or zeros where the model takes none."""
        if y is not None and self.config.labels:
            return y
        return torch.arange(n, device=next(self.parameters()).device) % max(1, self.config.labels)

    def noise(self, n: int, rng: torch.Generator) -> Tensor:
        """z (n, latents), standard Gaussian."""
        return torch.randn(n, self.config.latents, generator=rng)

    def drawer(self, average: bool = True) -> nn.Module:
        return self.average if average else self.generator

    def decode(self, z: Tensor, y: Tensor | None = None, average: bool = True) -> Tensor:
        """Noise (B, latents) to pictures (B, C, H, W) in [0, 1]."""
        return (self.drawer(average)(z, self.classes(y, len(z))) + 1) / 2

    def sample(
        self, n: int, y: Tensor | None = None, *, rng: torch.Generator, spread: float = 1.0, average: bool = True
    ) -> Tensor:
        """n pictures (n, C, H, W) in [0, 1]; y (n,) names their classes. spread < 1 trades variety for safety."""
        return self.decode(spread * self.noise(n, rng), y, average)

    def scores(self, x: Tensor, y: Tensor | None = None) -> dict[str, Tensor]:
        """What each discriminator thinks of pictures (B, C, H, W) in [0, 1]: scores (B,) by its kind."""
        return {kind: critic(2 * x - 1, self.classes(y, len(x))) for kind, critic in self.critics.items()}


class ViTGAN(Game):
    def __init__(self, config: Config):
        critics = nn.ModuleDict({kind: CRITICS[kind](config) for kind in config.critics})
        super().__init__(config, Generator(config), critics)
