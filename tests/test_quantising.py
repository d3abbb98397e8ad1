"""The choice of a code, the gradient past it, and the averages that a codebook follows."""

from __future__ import annotations

import pytest
import torch

from playground.quantising import DECAY, Follower, nearest, perplexity, straight_through


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("n", [3, 700])  # torch.cdist computes few and many distances in two ways
def test_the_nearest_code_is_that_of_the_least_distance(n):
    z, codebook = torch.randn(n, 24, generator=seeded()), torch.randn(50, 24, generator=seeded(1))
    expected = (z.double()[:, None] - codebook.double()).square().sum(-1).argmin(1)
    assert torch.equal(nearest(z, codebook), expected)
    assert torch.equal(nearest(codebook, codebook), torch.arange(50))
    assert n < 10 or len(expected.unique()) > 30


def test_the_gradient_passes_the_choice_by():
    z = torch.randn(7, 4, generator=seeded()).requires_grad_()
    e = torch.randn(7, 4, generator=seeded(1)).requires_grad_()
    weights = torch.randn(7, 4, generator=seeded(2))
    taken = straight_through(z, e)
    assert torch.allclose(taken, e, atol=1e-6)
    (weights * taken).sum().backward()
    assert torch.equal(z.grad, weights)
    assert e.grad is None, "the codebook learns by other means"


def test_vectors_follow_the_mean_of_what_chose_them():
    codebook, z = torch.randn(3, 2, generator=seeded()), torch.randn(16, 2, generator=seeded(1))
    codebook[2] = 100.0  # nothing chooses it
    follower, before = Follower(codebook), codebook.clone()
    follower.often += torch.tensor([3.0, 4.0, 5.0])
    follower.total += before * follower.often[:, None]
    chosen = nearest(z, before)
    follower.follow(codebook, z, torch.rand(16), restart=False)
    for k in range(3):
        n, total = (chosen == k).sum(), z[chosen == k].sum(0)
        often = DECAY * (3.0 + k) + (1 - DECAY) * n  # van den Oord (2017), eqs. 6 to 8
        mean = (DECAY * before[k] * (3.0 + k) + (1 - DECAY) * total) / often
        assert torch.allclose(codebook[k], mean, rtol=1e-5)
    assert torch.allclose(codebook[2], before[2])
    assert not torch.allclose(codebook[:2], before[:2])


def test_a_code_that_nothing_chooses_is_restarted_where_the_order_is_highest():
    codebook, z = torch.randn(4, 2, generator=seeded()), torch.randn(16, 2, generator=seeded(1))
    order = torch.rand(16, generator=seeded(2))
    codebook[1] = codebook[3] = 100.0
    before, follower = codebook.clone(), Follower(codebook, moves=False)
    follower.follow(codebook, z, order, restart=False)
    assert torch.equal(codebook, before)
    follower.follow(codebook, z, order, restart=True)
    assert torch.equal(codebook[[1, 3]], z[order.argsort(descending=True)[:2]])
    assert torch.equal(codebook[[0, 2]], before[[0, 2]])


def test_perplexity_counts_the_codes_that_are_used_alike():
    assert float(perplexity(torch.tensor([5, 5, 0, 5]))) == pytest.approx(3.0)
    assert float(perplexity(torch.tensor([9, 0, 0]))) == pytest.approx(1.0)
    assert float(perplexity(torch.zeros(4, dtype=torch.int64))) == pytest.approx(1.0)
    p = torch.tensor([0.5, 0.25, 0.25])
    assert float(perplexity(8 * p)) == pytest.approx(2**1.5)
