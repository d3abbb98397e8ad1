"""The autoencoder against PCA, its mixture against torch.distributions and scikit-learn, and what training leaves."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import small
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal
from toys import run, same_state

from playground import registry
from playground.contract import BadSetting, DataInfo, Scene, configure
from playground.families.image import autoencoder
from playground.families.image.autoencoder import Autoencoder, Config, Mixture, corrupt, seen_from
from trainers.plans import Job, job_from_preset


def model(channels: int = 1, side: int = 8, classes: int = 0, **settings: object) -> Autoencoder:
    """A small autoencoder with weights large enough that every part matters."""
    torch.manual_seed(0)
    info = DataInfo("x", channels, side, side, tuple(map(str, range(classes))))
    made = Autoencoder(configure(Config, info, **{"latents": 3, "maps": 4, "hidden": 16, **settings}))
    for parameter in made.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return made


def pictures(n: int, channels: int = 1, side: int = 8) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(1))


def mixture(groups: int = 2, gaussians: int = 3, latents: int = 4, seed: int = 0) -> Mixture:
    """A mixture with parameters at random."""
    rng = torch.Generator().manual_seed(seed)
    made = Mixture(groups, gaussians, latents)
    made.pi.copy_(torch.rand(groups, gaussians, generator=rng) + 0.2)
    made.pi /= made.pi.sum(1, keepdim=True)
    made.mu.copy_(3 * torch.randn(made.mu.shape, generator=rng))
    lower = torch.randn(made.scale_tril.shape, generator=rng).tril(-1)
    made.scale_tril.copy_(lower + torch.diag_embed(0.5 + torch.rand(groups, gaussians, latents, generator=rng)))
    return made


def torchs(made: Mixture, group: int) -> MixtureSameFamily:
    normals = MultivariateNormal(made.mu[group].double(), scale_tril=made.scale_tril[group].double())
    return MixtureSameFamily(Categorical(made.pi[group].double()), normals)


def clusters(n: int = 600, seed: int = 0) -> Tensor:
    """Codes (n, 3) in three clusters of different shapes, far from the origin."""
    rng = torch.Generator().manual_seed(seed)
    which = torch.arange(n) % 3
    centres = torch.tensor([[0.0, 8, 2], [5, 6, 0], [2, 12, 4]])
    stretch = torch.tensor([[1.0, 0.2, 0.5], [0.3, 1.5, 0.4], [0.8, 0.8, 0.1]])
    turned, _ = torch.linalg.qr(torch.randn(3, 3, 3, generator=rng))
    noise = torch.randn(n, 3, generator=rng) * stretch[which]
    return centres[which] + (noise[:, None] @ turned[which])[:, 0]


# --- The nets -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Flat:
    """Pictures of 4x6 pixels that vary much in two directions and a little in all others."""

    x: Tensor
    labels: None = None
    texts: None = None

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Tensor) -> tuple[Tensor, None]:
        return self.x[indices], None


def flat_pictures(n: int = 512) -> Flat:
    rng = torch.Generator().manual_seed(0)
    turned, _ = torch.linalg.qr(torch.randn(24, 24, generator=rng))
    scale = torch.tensor([0.35, 0.3] + 22 * [0.03])
    return Flat((0.1 + (torch.randn(n, 24, generator=rng) * scale) @ turned.T).view(n, 1, 4, 6))


def test_a_linear_autoencoder_finds_the_plane_of_pca():
    """By the recipe itself: largest principal angle below 1e-2 (Baldi and Hornik 1989)."""
    examples = flat_pictures()
    data: Any = small.FewData(DataInfo("flat", height=4, width=6), examples, examples)
    config = {"linear": True, "latents": 2, "gaussians": 1}
    recipe = {"steps": 800, "iterations": 1, "batch_size": 128, "learning_rate": 0.03}
    made, loop = small.course(Job("autoencoder", "flat", recipe=recipe, config=config), data)
    for _ in loop:
        pass
    x = examples.x.flatten(1).double()
    centred = x - x.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    directions = directions[:2].T  # (24, 2), PCA's
    basis, _ = torch.linalg.qr(made.decoder[0].weight.detach().double())
    cosines = torch.linalg.svdvals(basis.T @ directions)
    assert math.acos(min(1.0, float(cosines.min()))) < 1e-2
    best = (centred - centred @ directions @ directions.T).square().mean()
    with torch.no_grad():
        loss, _ = made(examples.x, examples.x)
    assert float(loss) == pytest.approx(float(best), rel=1e-2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("linear", [False, True])
def test_every_weight_gets_a_gradient(linear, channels):
    made, x = model(channels, linear=linear), pictures(6, channels)
    loss, _ = made(x, x)
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in made.parameters())


def test_the_error_is_measured_against_the_clean_picture():
    made, x = model(), pictures(6)
    seen = (x + 0.3).clamp(0, 1)
    loss, z = made(x, seen)
    assert loss.item() == pytest.approx((made.decode(made.encode(seen)) - x).square().mean().item(), rel=1e-5)
    assert torch.equal(z, made.encode(seen))
    assert not z.requires_grad


def test_corruption_blacks_out_a_share_and_adds_noise_to_the_rest():
    x, rng = torch.full((4, 1, 200, 200), 0.5), torch.Generator().manual_seed(0)
    u, eps = torch.rand(x.shape, generator=rng), torch.randn(x.shape, generator=rng)
    assert torch.equal(corrupt(x, 0.0, 0.0, u, eps), x)
    amount = torch.tensor([0.0, 0.25, 0.5, 1.0])[:, None, None, None]
    share = (corrupt(x, amount, 0.0, u, eps) == 0).double().mean(dim=(1, 2, 3))
    assert torch.allclose(share, amount.flatten().double(), atol=0.01)
    noisy = corrupt(x, 0.3, 0.1, u, eps)
    kept = noisy[noisy > 0]
    assert float(kept.std()) == pytest.approx(0.1, rel=0.02)
    assert float(kept.mean()) == pytest.approx(0.5, abs=0.005)
    wild = corrupt(x, 0.0, 5.0, u, eps)
    assert wild.min() == 0
    assert wild.max() == 1


def test_the_recipe_shows_corrupted_pictures_and_asks_for_clean_ones(monkeypatch):
    """How much is drawn for each picture anew, from nothing up to the recipe's amounts."""
    met: list[tuple[Tensor, Tensor]] = []
    plain = Autoencoder.forward

    def watched(self: Autoencoder, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        met.append((x, seen))
        return plain(self, x, seen)

    monkeypatch.setattr(Autoencoder, "forward", watched)
    trained(8, masked=0.0, noise=0.0)
    assert all(seen is x for x, seen in met)
    met.clear()
    trained(8, masked=0.6)
    x, seen = (torch.cat(part) for part in zip(*met, strict=True))
    kept = seen == x
    assert bool((kept | (seen == 0)).all())
    lit = (x > 0).flatten(1)
    share = ((seen == 0).flatten(1) & lit).sum(1) / lit.sum(1)  # of each picture's pixels that were not black
    assert share.mean() == pytest.approx(0.3, abs=0.05)
    assert share.min() < 0.1
    assert 0.5 < share.max() < 0.9
    met.clear()
    trained(8, noise=0.2)
    x, seen = (torch.cat(part) for part in zip(*met, strict=True))
    inside = (x > 0.4) & (x < 0.6)  # far enough from where noise is clipped
    assert float((seen - x)[inside].square().mean()) == pytest.approx(0.2**2 / 3, rel=0.3)
    assert bool(((x == 0).flatten(1).any(1)).all()), "the targets stay clean: background is black"


def test_odd_sizes_are_refused_by_name_where_there_are_convolutions():
    with pytest.raises(BadSetting, match="4 divides, not 30×28"):
        Config(height=30)
    assert Config(height=30, linear=True).pixels == 840


# --- The mixture ----------------------------------------------------------------------------------------------


def test_log_density_equals_torch():
    made = mixture()
    z, y = 4 * torch.randn(50, 4), torch.arange(50) % 2
    each = torch.stack([torchs(made, g).log_prob(z.double()) for g in (0, 1)], dim=1)
    assert torch.allclose(made.log_prob(z, y).double(), each.gather(1, y[:, None])[:, 0], rtol=1e-5)
    assert torch.allclose(made.log_prob(z).double(), each.logsumexp(1) - math.log(2), rtol=1e-5)


def test_em_equals_scikit_learn(monkeypatch):
    monkeypatch.setattr(autoencoder, "FLOOR", 0.0)
    monkeypatch.setattr(autoencoder, "TINY", 0.0)
    made, z = Mixture(1, 3, 3), clusters()
    made.start(z)
    precision = torch.linalg.inv(made.scale_tril[0].double() @ made.scale_tril[0].double().mT).numpy()
    start = {"weights_init": made.pi[0].numpy(), "means_init": made.mu[0].numpy(), "precisions_init": precision}
    likelihoods = [made.em_step(z) for _ in range(8)]
    theirs = GaussianMixture(3, tol=0, reg_covar=0, max_iter=8, **start)
    with pytest.warns(UserWarning, match="converge"):
        theirs.fit(z.double().numpy())
    assert np.allclose(made.pi[0], theirs.weights_, rtol=1e-4)
    assert np.allclose(made.mu[0], theirs.means_, rtol=1e-4)
    assert np.allclose(made.scale_tril[0] @ made.scale_tril[0].mT, theirs.covariances_, rtol=1e-3, atol=1e-3)
    assert float(made.log_prob(z).mean()) == pytest.approx(theirs.score(z.double().numpy()), rel=1e-5)
    assert all(later > earlier - 1e-6 for earlier, later in itertools.pairwise(likelihoods))
    assert likelihoods[-1] > likelihoods[0] + 0.1


def test_em_of_each_group_sees_its_own_codes_alone():
    z, y = clusters(300), torch.arange(300) % 2
    together = Mixture(2, 2, 3)
    together.start(z, y)
    total = together.em_step(z, y)
    alone = [Mixture(1, 2, 3) for _ in (0, 1)]
    for g, made in enumerate(alone):
        made.start(z[y == g])
    assert total == pytest.approx(sum(made.em_step(z[y == g]) for g, made in enumerate(alone)) / 2, rel=1e-6)
    for name, value in together.state_dict().items():
        assert torch.equal(value, torch.cat([made.state_dict()[name] for made in alone])), name


def test_the_running_estimate_of_one_gaussian_is_the_mean_and_covariance_so_far(monkeypatch):
    """At rates 1, 1/2, 1/3, ... every batch counts alike."""
    monkeypatch.setattr(autoencoder, "FLOOR", 0.0)
    monkeypatch.setattr(autoencoder, "TINY", 0.0)
    made, z = Mixture(1, 2, 3), clusters()
    for step, batch in enumerate(z.split(60), start=1):
        made.em_step(batch, rate=1 / step)
    for m in (0, 1):  # both stay where they began: together
        assert torch.allclose(made.mu[0, m], z.mean(0), rtol=1e-4)
        covariance = made.scale_tril[0, m] @ made.scale_tril[0, m].T
        assert torch.allclose(covariance, torch.cov(z.T, correction=0), rtol=1e-3, atol=1e-3)


def test_draws_have_the_moments_of_their_group():
    made, rng = mixture(), torch.Generator().manual_seed(0)
    y = torch.arange(80_000) % 2
    drawn = made.sample(len(y), y, rng=rng)
    for g in (0, 1):
        z, pi, mu = drawn[y == g], made.pi[g], made.mu[g]
        mean = pi @ mu
        covariance = torch.einsum("m,mij->ij", pi, made.scale_tril[g] @ made.scale_tril[g].mT)
        covariance = covariance + ((mu - mean).T * pi) @ (mu - mean)
        assert torch.allclose(z.mean(0), mean, atol=0.1)
        assert torch.allclose(torch.cov(z.T), covariance, atol=0.04 * float(covariance.abs().max()))
    still = made.sample(40, rng=rng, spread=0.0)
    assert all(bool((made.mu[i % 2] == z).all(1).any()) for i, z in enumerate(still))


def test_few_codes_of_a_group_or_none_are_no_trouble():
    made, z = Mixture(4, 3, 5), torch.randn(9, 5) + 2
    y = torch.tensor([0] * 7 + [1] + [3])  # fewer than the numbers of a code; one; none; one
    z[8] = z[7]
    made.start(z, y)
    for _ in range(5):
        assert math.isfinite(made.em_step(z, y))
    assert all(bool(v.isfinite().all()) for v in made.state_dict().values())
    assert torch.equal(made.mu[2], torch.zeros(3, 5))
    drawn = made.sample(40, torch.full((40,), 1), rng=torch.Generator().manual_seed(0))
    assert torch.allclose(drawn, z[7].expand(40, 5), atol=0.05)
    before = made.state_dict()["mu"].clone()
    made.em_step(torch.full((3, 5), math.nan), torch.zeros(3, dtype=torch.int64))
    assert torch.equal(made.mu, before), "codes that are no numbers leave the mixture as it was"


# --- What training leaves -------------------------------------------------------------------------------------


def trained(steps: int, iterations: int = 4, **recipe: object) -> Autoencoder:
    settings = {"steps": 60, "iterations": iterations, **recipe}
    made, loop = small.course(job_from_preset("autoencoder", "fast", minutes=0.0, recipe=settings))
    for _ in zip(range(steps), loop, strict=False):
        pass
    return made


def heldout_density(made: Autoencoder) -> tuple[float, float]:
    """Mean log-density of held-out codes under the mixture, and under a standard normal."""
    x, y = small.load("digits").test.batch(torch.arange(200))
    with torch.no_grad():
        z = made.encode(x)
    normal = MultivariateNormal(torch.zeros(z.shape[1]), torch.eye(z.shape[1]))
    return float(made.mixture.log_prob(z, y).mean()), float(normal.log_prob(z).mean())


def test_a_mixture_is_there_at_any_time_and_better_at_the_end():
    early, end = trained(35), trained(64)
    for made in (early, end):
        fitted, normal = heldout_density(made)
        assert fitted > normal + 1
    assert bool((early.mixture.mu[:, 0] == early.mixture.mu[:, 1]).all()), "until the end both are one"
    assert not bool((end.mixture.mu[:, 0] == end.mixture.mu[:, 1]).any(1).all())
    before = trained(61)
    assert heldout_density(end)[0] > heldout_density(before)[0]


def test_without_a_mixture_codes_are_standard_normal():
    made = trained(64, mixture=False)
    fresh = Mixture(made.config.groups, made.config.gaussians, made.config.latents)
    assert small.same(made.mixture.state_dict(), fresh.state_dict())


@pytest.mark.parametrize("reports", [13, 37])
def test_a_run_stopped_in_either_phase_ends_as_if_nothing_had_happened(tmp_path, reports):
    job = job_from_preset(
        "autoencoder", "fast", minutes=0.0, recipe={"steps": 30, "iterations": 12, "masked": 0.3, "noise": 0.2}
    )
    run(job, tmp_path / "whole")
    run(job, tmp_path / "parts", stop_after=reports)
    assert not same_state(tmp_path / "whole", tmp_path / "parts")
    run(job, tmp_path / "parts")
    assert same_state(tmp_path / "whole", tmp_path / "parts")


# --- Views and counterpart ------------------------------------------------------------------------------------


def test_the_map_is_seen_along_the_two_leading_directions():
    z = clusters()
    centre, axes = seen_from(z)
    seen = (z - centre) @ axes
    spectrum = torch.linalg.eigvalsh(torch.cov(z.T)).flip(0)
    assert torch.allclose(torch.cov(seen.T), torch.diag(spectrum[:2]), atol=1e-3)
    centre, axes = seen_from(z[:, :2])
    assert torch.equal((z[:, :2] - centre) @ axes, z[:, :2])


def test_the_plane_lies_as_a_plot_does():
    """Pictures from the top left, the map's rows from the bottom; both over the middle 98% of the held-out codes."""
    made, digits = model(latents=2), small.load("digits")
    scene = Scene(torch.Generator(), digits.info, lambda: digits.test)
    with torch.no_grad():
        ((sheet, heat),) = list(autoencoder.plane(made, scene, side=5))
        (left, right), (bottom, top) = heat.x_range, heat.y_range
        corners = torch.tensor([[left, top], [right, top], [left, bottom], [right, bottom]])
        assert torch.allclose(sheet.pictures[[0, 4, 20, 24]], made.decode(corners), atol=1e-5)
        z = made.encode(digits.test.batch(torch.arange(len(digits.test)))[0])
        distance = autoencoder.moved(made, corners, z.std(0))
    assert z.quantile(0.01, dim=0).tolist() == pytest.approx([left, bottom], rel=1e-3)
    assert z.quantile(0.99, dim=0).tolist() == pytest.approx([right, top], rel=1e-3)
    assert torch.allclose(heat.values[[-1, -1, 0, 0], [0, -1, 0, -1]], distance, rtol=1e-3)


def test_a_code_that_comes_back_has_not_moved():
    made = model(linear=True)
    turned, _ = torch.linalg.qr(torch.randn(64, 3))
    made.decoder[0].weight.data, made.decoder[0].bias.data = 0.1 * turned, torch.full((64,), 0.5)
    made.encoder[1].weight.data, made.encoder[1].bias.data = 10 * turned.T, -5 * turned.sum(0)
    z, unit = torch.randn(20, 3), torch.tensor([1.0, 2.0, 4.0])
    with torch.no_grad():
        assert torch.allclose(autoencoder.moved(made, z, unit), torch.zeros(20), atol=1e-4)
        made.encoder[1].bias.data += torch.tensor([3.0, 0.0, 8.0])
        assert torch.allclose(autoencoder.moved(made, z, unit), torch.tensor(13 / 3).sqrt().expand(20), rtol=1e-4)


def test_the_counterpart_has_the_same_objective_and_every_weight_a_gradient():
    """Its codes must not be rounded to bytes on the way: the encoder would learn nothing."""
    module = registry.reference("autoencoder")
    made = module.Model(module.Config(height=8, width=8, block_channels=8))
    x, seen = pictures(5), pictures(5).flip(0)
    loss, z = made(x, seen)
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in made.parameters())
    codes = made.net.encode(2 * seen - 1).latents
    rebuilt = made.net.decode(codes).sample
    assert loss.item() == pytest.approx(((rebuilt + 1) / 2 - x).square().mean().item(), rel=1e-5)
    assert torch.equal(z, codes.flatten(1))
    assert torch.equal(made.encode(seen), z)
    assert torch.allclose(made.decode(z), ((rebuilt + 1) / 2).clamp(0, 1))
