"""Codebooks: the nearest vector in the middle of a net, the gradient past that choice, and vectors that follow it.

Van den Oord et al. (2017), arXiv:1711.00937 (equations are theirs). Dhariwal et al. (2020), arXiv:2005.00341: restarts.
Dimension letters: N vectors, D numbers in each, K codes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

COMMITMENT = 0.25
"""Weight of the encoder's distance from the codes it chose (eq. 3)."""
DECAY = 0.99
"""Of the averages that the vectors follow (appendix A.1)."""
DEAD = 0.02
"""A code chosen less often than this share of the average is restarted."""


def nearest(z: Tensor, codebook: Tensor) -> Tensor:
    """Eqs. 1 and 2: the code (N,) of the vector of the codebook (K, D) that lies nearest to each z (N, D)."""
    return torch.cdist(z, codebook).argmin(1)


def straight_through(z: Tensor, e: Tensor) -> Tensor:
    """The value of e, the chosen vectors; the gradient goes to z as if z itself had been taken (section 3.2)."""
    return z + (e - z).detach()


def perplexity(often: Tensor) -> Tensor:
    """How many codes the choice is open to: exp of the entropy of how often (K,) each is chosen; K if all alike."""
    return torch.special.entr(often / often.sum().clamp(min=1e-12)).sum().exp()


class Follower(nn.Module):
    """How often each vector of a codebook is chosen, and the mean of what chose it. Kept with a run, not with the model.

    moves: whether the vectors go where those means are; else they are only restarted.
    """

    often: Tensor
    total: Tensor

    def __init__(self, codebook: Tensor, moves: bool = True):
        super().__init__()
        self.moves = moves
        self.register_buffer("often", torch.zeros(len(codebook), device=codebook.device))
        self.register_buffer("total", torch.zeros_like(codebook.data))

    def choose(self, z: Tensor, codebook: Tensor) -> Tensor:
        """The code (N,) that the net itself takes for each z (N, D)."""
        return nearest(z, codebook)

    @torch.no_grad()
    def follow(self, codebook: Tensor, z: Tensor, order: Tensor, restart: bool) -> None:
        """Move every vector (K, D) towards the mean of the z (N, D) of a whole batch that chose it (eqs. 6 to 8).

        restart: a code that hardly anything chooses any more becomes one of z, those of the highest `order` (N,) first
        (Dhariwal 2020, section 3.2).
        """
        chosen = self.choose(z, codebook)
        self.often.mul_(DECAY).add_(torch.bincount(chosen, minlength=len(codebook)), alpha=1 - DECAY)
        self.total.mul_(DECAY).add_(torch.zeros_like(codebook).index_add_(0, chosen, z), alpha=1 - DECAY)
        if self.moves:
            alive = self.often > 1e-6
            codebook[alive] = self.total[alive] / self.often[alive, None]
        if restart:
            average = self.often.mean()
            dead = torch.where(self.often < DEAD * average)[0][: len(z)]
            codebook[dead] = z[order.topk(len(dead)).indices]
            self.often[dead] = 5 * DEAD * average  # time to be chosen before they count as dead again
            self.total[dead] = codebook[dead] * self.often[dead, None]
