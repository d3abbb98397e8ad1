"""The VAE's bound against torch.distributions, diffusers and, for a linear decoder, the exact likelihood."""

from __future__ import annotations

import itertools
import math

import pytest
import small
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

from playground import registry
from playground.contract import BadSetting, DataInfo, configure
from playground.families.image.vae import VAE, Config, kl_to_standard_normal
from trainers.vae import follow


def model(channels: int = 1, classes: int = 0, side: int = 8, seed: int = 0, **settings: object) -> VAE:
    """A small VAE with weights large enough that every term matters."""
    torch.manual_seed(seed)
    info = DataInfo("x", channels, side, side, tuple(map(str, range(classes))))
    made = VAE(configure(Config, info, **{"latents": 3, "maps": 4, "hidden": 16, **settings}))
    for parameter in made.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return made


def pictures(n: int, channels: int = 1, side: int = 8, seed: int = 1) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


# --- The terms of the bound -----------------------------------------------------------------------------------


def test_kl_equals_torch_and_diffusers():
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    mu, log_var = 2 * torch.randn(50, 6), 3 * torch.randn(50, 6)
    ours = kl_to_standard_normal(mu, log_var)
    theirs = kl_divergence(Normal(mu, (0.5 * log_var).exp()), Normal(0.0, 1.0))
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    posterior = DiagonalGaussianDistribution(torch.cat([mu, log_var], dim=1)[:, :, None, None])
    assert torch.allclose(ours.sum(1), posterior.kl(), rtol=1e-5)


def test_bernoulli_likelihood_equals_torch():
    made, x, z = model(), (pictures(7) > 0.5).float(), torch.randn(7, 3)
    logits = made.decoder(z, z.new_zeros(7, 0))
    expected = Bernoulli(logits=logits).log_prob(x).sum(dim=(1, 2, 3))
    assert torch.allclose(made.log_likelihood(x, z), expected, rtol=1e-5)
    assert torch.allclose(made.decode(z), torch.sigmoid(logits))


@pytest.mark.parametrize("channels", [1, 3])
def test_gaussian_likelihood_equals_torch(channels):
    made, x, z = model(channels, likelihood="gaussian"), pictures(7, channels), torch.randn(7, 3)
    means = made.decoder(z, z.new_zeros(7, 0))
    expected = Normal(means, made.log_sigma.exp()).log_prob(x).sum(dim=(1, 2, 3))
    assert torch.allclose(made.log_likelihood(x, z), expected, rtol=1e-5)


def test_grey_pictures_are_bernoulli_and_colour_ones_gaussian():
    assert model(1).log_sigma is None
    assert model(3).log_sigma is not None
    assert model(3, likelihood="bernoulli").log_sigma is None


def test_loss_is_minus_the_bound_plus_what_beta_and_free_bits_add():
    made, x, eps = model(), pictures(9), torch.randn(9, 3)
    mu, log_var = made.encode(x)
    kl = kl_divergence(Normal(mu, (0.5 * log_var).exp()), Normal(0.0, 1.0))
    rebuilt = made.log_likelihood(x, mu + (0.5 * log_var).exp() * eps).mean()
    for beta in (0.0, 1.0, 4.0):
        loss, terms = made(x, None, eps, beta)
        assert loss.item() == pytest.approx((-rebuilt + beta * kl.sum(1).mean()).item(), rel=1e-5)
        assert float(terms["bound (nats)"]) == pytest.approx((rebuilt - kl.sum(1).mean()).item(), rel=1e-5)
    each = kl.mean(0)
    threshold = each.median().item() + 1e-3
    loss, _ = made(x, None, eps, 1.0, threshold)
    assert loss.item() == pytest.approx((-rebuilt + each.clamp(min=threshold).sum()).item(), rel=1e-5)


def test_free_bits_stop_the_gradient_of_latents_below_them():
    made, x, eps = model(), pictures(9), torch.randn(9, 3)
    last = made.encoder.out
    nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([0.01, 3.0, 0.01, 0.0, 0.0, 0.0])  # the second mean alone costs 4.5 nats
    gradients = []
    for free in (0.0, 0.5):
        (loss, _), (quiet, _) = made(x, None, eps, 1.0, free), made(x, None, eps, 0.0)
        made.zero_grad()
        (loss - quiet).backward()
        gradients.append(last.bias.grad[:3].clone())
    assert bool((gradients[0].abs() > 1e-3).all())
    assert gradients[1][0].abs() < 1e-5
    assert gradients[1][2].abs() < 1e-5
    assert torch.allclose(gradients[1][1], gradients[0][1], rtol=1e-4)


def test_reparametrised_gradient_is_that_of_the_expectation():
    """d/d(mu, log_var) of E[z^2] is (2 mu, var), where a draw without eq. 4 would have none."""
    mu = torch.tensor([0.7], requires_grad=True)
    log_var = torch.tensor([-0.4], requires_grad=True)
    eps = torch.randn(400_000, 1, generator=torch.Generator().manual_seed(0))
    (mu + (0.5 * log_var).exp() * eps).square().mean().backward()
    assert float(mu.grad) == pytest.approx(1.4, rel=0.01)
    assert float(log_var.grad) == pytest.approx(math.exp(-0.4), rel=0.01)


def test_the_objective_sends_a_gradient_to_every_weight():
    made = model(3, classes=4)
    loss, _ = made(pictures(6, 3), torch.arange(6) % 4, torch.randn(6, 3))
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in made.parameters())


# --- The importance-weighted bound ----------------------------------------------------------------------------


def bounds(made: VAE, x: Tensor, samples: int, repeats: int, y: Tensor | None = None) -> Tensor:
    """(repeats, B) independent estimates."""
    many_y = None if y is None else y.repeat(repeats)
    rng = torch.Generator().manual_seed(samples)
    with torch.no_grad():
        many = made.log_prob_bound(x.repeat(repeats, 1, 1, 1), samples, many_y, rng=rng)
    return many.view(repeats, -1)


def test_one_sample_is_the_bound_of_training_in_expectation():
    made, x = model(), pictures(1)
    estimates = bounds(made, x, samples=1, repeats=20_000)
    rng = torch.Generator().manual_seed(9)
    with torch.no_grad():
        _, terms = made(x.repeat(20_000, 1, 1, 1), None, torch.randn(20_000, 3, generator=rng))
    error = float(estimates.std()) / math.sqrt(20_000)
    assert float(estimates.mean()) == pytest.approx(float(terms["bound (nats)"]), abs=8 * error)


def test_more_samples_raise_the_bound():
    made, x = model(), pictures(4)
    made.encoder.out.weight.data *= 0.1  # a posterior near the prior: wrong, and wide enough for few samples
    means = [bounds(made, x, k, 9000 // k).mean(0) for k in (1, 4, 30)]
    for fewer, more in itertools.pairwise(means):
        assert bool((more > fewer).all())
    assert bool((means[1] > means[0] + 0.1).all()), "the posterior of random weights is far from exact"


def test_with_the_exact_posterior_one_sample_is_enough():
    """A linear Gaussian decoder has a Gaussian posterior; with it, every weight is p(x) itself."""
    made, x, exact = linear_gaussian()
    for samples in (1, 7):
        estimates = bounds(made, x, samples, 20)
        assert torch.allclose(estimates, exact.expand(20, -1), rtol=1e-4)


def test_with_another_posterior_many_samples_approach_the_exact_likelihood():
    made, x, exact = linear_gaussian(shift=0.3)
    one, many = bounds(made, x, 1, 200).mean(0), bounds(made, x, 4000, 1)[0]
    assert bool((one < exact - 0.02).all())
    assert torch.allclose(many, exact, rtol=1e-2)
    assert bool(((many - exact).abs() < 0.2 * (one - exact).abs()).all())


def linear_gaussian(shift: float = 0.0) -> tuple[VAE, Tensor, Tensor]:
    """A VAE whose decoder is x = W z + b with Gaussian pixels, its exact posterior moved by `shift`; and log p(x)."""
    torch.manual_seed(0)
    made, x = model(likelihood="gaussian", side=4), pictures(3, side=4)
    w, b, sigma = 0.5 * torch.randn(16, 3), torch.rand(16), 0.6
    made.log_sigma.data.fill_(math.log(sigma))
    precision = torch.eye(3) + w.T @ w / sigma**2
    values, vectors = torch.linalg.eigh(precision)
    w, precision = w @ vectors, torch.diag(values)  # in the eigenvectors' axes the posterior is diagonal

    class Decode(nn.Module):
        def forward(self, z: Tensor, label: Tensor) -> Tensor:
            return (z @ w.T + b).view(-1, 1, 4, 4)

    class Encode(nn.Module):
        def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
            mu = (x.flatten(1) - b) @ w / sigma**2 / values
            return mu + shift, (-values.log()).expand_as(mu)

    made.encoder, made.decoder = Encode(), Decode()
    exact = MultivariateNormal(b, w @ w.T + sigma**2 * torch.eye(16)).log_prob(x.flatten(1))
    return made, x, exact


def test_the_order_of_chunks_does_not_matter():
    made, x = model(), pictures(2)
    with torch.no_grad():
        whole = made.log_prob_bound(x, 32, rng=torch.Generator().manual_seed(0), chunk=32)
        parts = made.log_prob_bound(x, 32, rng=torch.Generator().manual_seed(0), chunk=16)
    assert torch.allclose(whole, parts, rtol=1e-5)


def test_the_class_is_told_to_both_nets_and_each_chunk():
    made, x, y = model(classes=5), pictures(4), torch.tensor([0, 1, 2, 3])
    made.decoder.dense1.weight.data[:, 3:] *= 10  # what the decoder hears of the class
    alone = torch.cat([bounds(made, x[i : i + 1], 400, 4, y[i : i + 1]).mean(0) for i in range(4)])
    assert torch.allclose(bounds(made, x, 400, 4, y).mean(0), alone, atol=1.0)
    assert not torch.allclose(bounds(made, x, 400, 4, y.flip(0)).mean(0), alone, atol=1.0)
    with pytest.raises(ValueError, match="give y"):
        made.encode(x)


# --- The rest -------------------------------------------------------------------------------------------------


def test_samples_are_decoded_draws_of_the_prior():
    made = model(classes=3)
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(4))
    drawn = made.sample(6, rng=torch.Generator().manual_seed(4), spread=0.5)
    assert torch.equal(drawn, made.decode(0.5 * z, torch.arange(6) % 3))


def test_the_average_follows_the_weights():
    slow, fast = model(seed=1), model(seed=2)
    before = [p.clone() for p in slow.parameters()]
    follow(slow, fast, 0.9)
    for was, now, target in zip(before, slow.parameters(), fast.parameters(), strict=True):
        assert torch.allclose(now, 0.9 * was + 0.1 * target, rtol=1e-4, atol=1e-6)
    follow(slow, fast, 0.0)
    assert small.same(slow.state_dict(), fast.state_dict())


def test_odd_sizes_are_refused_by_name():
    with pytest.raises(BadSetting, match="4 divides, not 30×28"):
        Config(height=30)


def test_the_counterpart_has_the_same_objective():
    """Its loss is diffusers' own posterior and decoder in the same formula."""
    module = registry.reference("vae")
    torch.manual_seed(0)
    made = module.Model(module.Config(height=8, width=8, block_channels=8)).eval()
    x, eps = pictures(3), torch.randn(3, *made.noise_shape)
    with torch.no_grad():
        loss, terms = made(x, None, eps, beta=2.0)
        posterior = made.net.encode(2 * x - 1).latent_dist
        logits = made.net.decode(posterior.mean + posterior.std * eps).sample
        likelihood = -nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
    assert loss.item() == pytest.approx(float((-likelihood + 2 * posterior.kl()).mean()), rel=1e-5)
    assert float(terms["bound (nats)"]) == pytest.approx(float((likelihood - posterior.kl()).mean()), rel=1e-5)
