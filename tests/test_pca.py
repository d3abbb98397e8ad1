"""PCA against scikit-learn, torch.distributions and its own definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import small
import torch
from sklearn import decomposition
from torch import Tensor
from torch.distributions import MultivariateNormal

from playground import registry
from playground.contract import DataInfo, configure
from playground.families.image.pca import PCA, Config, best_class, with_fixed_signs


def model(pixels: tuple[int, int] = (8, 8), **settings: object) -> PCA:
    info = DataInfo("x", height=pixels[0], width=pixels[1], class_names=tuple("abc"))
    return PCA(configure(Config, info, **settings))


def fitted(x: Tensor, **settings: object) -> PCA:
    made = model(tuple(x.shape[2:]), **settings)
    made.fit(x)
    return made


def correlated(n: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Pictures in about [0, 1] whose pixels vary together, their variances spread over two orders of magnitude."""
    rng = torch.Generator().manual_seed(seed)
    pixels = height * width
    turned, _ = torch.linalg.qr(torch.randn(pixels, pixels, generator=rng))
    scale = torch.logspace(-0.7, -2.7, pixels)
    x = 0.5 + torch.rand(pixels, generator=rng) / 5 + (torch.randn(n, pixels, generator=rng) * scale) @ turned.T
    return x.view(n, 1, height, width)


@pytest.fixture(scope="module")
def digits() -> Tensor:
    data = small.load("digits")
    return data.train.batch(torch.arange(len(data.train)))[0]


@pytest.fixture(scope="module")
def both(digits) -> tuple[PCA, decomposition.PCA]:
    """Ours, and scikit-learn's in double precision, of the same pictures and 20 components."""
    theirs = decomposition.PCA(20, svd_solver="full").fit(digits.flatten(1).double().numpy())
    return fitted(digits, components=20), theirs


def relative(a: object, b: object) -> float:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max())


# --- Against scikit-learn -------------------------------------------------------------------------------------


def test_components_up_to_sign(both):
    ours, theirs = both
    signs = np.sign((ours.components[0].numpy() * theirs.components_).sum(1, keepdims=True))
    assert relative(ours.components[0] * torch.from_numpy(signs).float(), theirs.components_) < 1e-5


def test_variance_and_noise(both):
    ours, theirs = both
    assert np.allclose(ours.variance[0].double(), theirs.explained_variance_, rtol=1e-6, atol=0)
    assert np.allclose(ours.explained().double(), theirs.explained_variance_ratio_, rtol=1e-6, atol=0)
    assert relative(ours.noise[0], theirs.noise_variance_) < 1e-5


def test_mean_projection_and_inverse(both, digits):
    ours, theirs = both
    x = digits[:200]
    flat = x.flatten(1).double().numpy()
    z = theirs.transform(flat)
    signs = np.sign((ours.components[0].numpy() * theirs.components_).sum(1))
    assert relative(ours.mean[0], theirs.mean_) < 1e-5
    assert relative(ours.encode(x) * torch.from_numpy(signs).float(), z) < 1e-5
    assert relative(ours.reconstruct(x).flatten(1), theirs.inverse_transform(z)) < 1e-5


def test_score(both, digits):
    ours, theirs = both
    assert float(-ours(digits)) == pytest.approx(theirs.score(digits.flatten(1).double().numpy()), rel=1e-5)
    each = theirs.score_samples(digits[:50].flatten(1).double().numpy())
    assert relative(ours.log_likelihood(digits[:50]), each) < 1e-5


def test_many_chunks_are_summed_as_one(digits):
    """60,000 pictures are summed in parts: as many here, so that the parts and the last, shorter one matter."""
    x = digits.repeat(9, 1, 1, 1)[:9001]
    theirs = decomposition.PCA(20, svd_solver="covariance_eigh").fit(x.flatten(1).double().numpy())
    ours = fitted(x, components=20)
    assert np.allclose(ours.variance[0].double(), theirs.explained_variance_, rtol=1e-6, atol=0)


def test_spectrum_of_mnist(mirror):
    x, _ = small.load("mnist").train.batch(torch.arange(10_000))
    theirs = decomposition.PCA(64, svd_solver="covariance_eigh").fit(x.flatten(1).double().numpy())
    ours = fitted(x, components=64)
    assert np.allclose(ours.explained().double(), theirs.explained_variance_ratio_, rtol=1e-6, atol=0)
    assert float(-ours(x)) == pytest.approx(theirs.score(x.flatten(1).double().numpy()), rel=1e-5)


def test_the_counterpart_has_the_same_density_and_inverse(digits):
    reference = registry.reference("pca").Model(configure(Config, small.load("digits").info, components=20))
    reference.fit(digits, 0)
    ours = fitted(digits, components=20)
    # It fits in single precision, so its weaker components are turned a little.
    assert relative(reference.reconstruct(digits[:50]), ours.reconstruct(digits[:50])) < 2e-4
    score = reference.estimator().score(digits.flatten(1).numpy())
    assert float(-ours(digits)) == pytest.approx(score, rel=1e-5)
    made = reference.sample(4000, rng=torch.Generator().manual_seed(0))
    mine = ours.sample(4000, rng=torch.Generator().manual_seed(1))
    assert relative(made.mean(0), mine.mean(0)) < 0.05
    assert made.var(0).sum().item() == pytest.approx(mine.var(0).sum().item(), rel=0.05)


# --- Against the definitions ----------------------------------------------------------------------------------


def covariance(made: PCA, group: int = 0) -> Tensor:
    """C = W W^T + sigma^2 I of eq. 3, with W of eq. 7, in double precision."""
    u, noise = made.components[group].double().T, made.noise[group].double()
    w = u * (made.variance[group].double() - noise).clamp(min=0).sqrt()
    return w @ w.T + noise * torch.eye(len(u), dtype=torch.float64)


@pytest.mark.parametrize("kept", [1, 5, 11])
def test_likelihood_is_that_of_the_gaussian_it_stands_for(kept):
    x = correlated(300, 3, 4)
    made = fitted(x, components=kept)
    gaussian = MultivariateNormal(made.mean[0].double(), covariance(made))
    expected = gaussian.log_prob(x.flatten(1).double())
    assert relative(made.log_likelihood(x), expected) < 1e-5


def test_the_fit_is_a_maximum_of_the_likelihood():
    x = correlated(400, 3, 4)
    made = fitted(x, components=4)
    best = float(made(x))
    rng = torch.Generator().manual_seed(1)
    for name in ("mean", "variance", "noise"):
        kept = getattr(made, name).clone()
        for change in (1.05, 0.95):
            getattr(made, name).copy_(kept * change)
            assert float(made(x)) > best, f"{name} times {change}"
        getattr(made, name).copy_(kept)
    turned, _ = torch.linalg.qr(made.components[0].T + 0.05 * torch.randn(12, 4, generator=rng))
    made.components[0] = turned.T
    assert float(made(x)) > best, "components turned"


def test_samples_have_the_covariance_of_the_model():
    x = correlated(2000, 3, 4)
    made = fitted(x, components=4)
    made.noise[0] = 0.6 * made.variance[0, -1]  # so that what eq. 7 takes off the components can be seen
    drawn = made.sample(200_000, rng=torch.Generator().manual_seed(0), noisy=True)
    assert float(((drawn == 0) | (drawn == 1)).float().mean()) < 0.02, "clipping would bend the covariance"
    assert relative(torch.cov(drawn.flatten(1).double().T), covariance(made)) < 0.03
    assert relative(drawn.mean(0).flatten(), made.mean[0]) < 0.01
    smooth = made.sample(100_000, rng=torch.Generator().manual_seed(0))
    along = made.encode(smooth).double().var(0)
    assert np.allclose(along, made.variance[0] - made.noise[0], rtol=0.05)
    wide = made.sample(100_000, rng=torch.Generator().manual_seed(0), spread=0.5)
    assert np.allclose(made.encode(wide).double().var(0), along / 4, rtol=0.05)


def test_whitened_coordinates_are_uncorrelated_with_unit_variance():
    x = correlated(500, 3, 4)
    z = fitted(x, components=6).encode(x, whiten=True)
    assert torch.allclose(torch.cov(z.double().T), torch.eye(6, dtype=torch.float64), atol=1e-4)
    assert float(z.mean(0).abs().max()) < 1e-4


def test_more_components_never_rebuild_worse_and_error_is_the_variance_left_out():
    x = correlated(500, 3, 4)
    made = fitted(x, components=11)
    errors = [float((made.reconstruct(x, k=k) - x).square().flatten(1).sum(1).mean()) for k in range(12)]
    assert all(a > b for a, b in itertools.pairwise(errors))
    scale = (len(x) - 1) / len(x)  # variances divide by N - 1
    for k in range(11):
        left = float(made.total[0] - made.variance[0, :k].sum()) * scale
        assert errors[k] == pytest.approx(left, rel=1e-3)


def test_one_model_for_each_class():
    parts = [correlated(200, 3, 4, seed) for seed in range(3)]
    made = model((3, 4), components=5, conditional=True)
    for group, x in enumerate(parts):
        made.fit(x, group)
        alone = fitted(x, components=5)
        assert torch.equal(made.components[group], alone.components[0])
        y = torch.full((200,), group)
        assert torch.equal(made.log_likelihood(x, y), alone.log_likelihood(x))
        assert relative(made.reconstruct(x, y), alone.reconstruct(x)) < 1e-6
        assert float((best_class(made, x) == group).float().mean()) > 0.95
    drawn = made.sample(3000, torch.full((3000,), 2), rng=torch.Generator().manual_seed(0))
    assert relative(drawn.mean(0).flatten(), made.mean[2]) < 0.05


def test_without_centring_the_first_component_points_at_the_mean(digits):
    made = model(components=5)
    made.fit(digits, centred=False)
    mean = digits.flatten(1).mean(0)
    cosine = float(made.components[0, 0] @ mean / mean.norm())
    assert abs(cosine) > 0.95
    honest = fitted(digits, components=5)
    assert abs(float(honest.components[0, 0] @ mean / mean.norm())) < 0.5


def test_signs_are_fixed_by_the_largest_entry():
    components = torch.tensor([[0.1, -0.9], [0.8, 0.2]])
    assert torch.equal(with_fixed_signs(components), torch.tensor([[-0.1, 0.9], [0.8, 0.2]]))
    assert torch.equal(with_fixed_signs(-components), with_fixed_signs(components))


def test_fewer_pictures_than_components_is_no_error():
    x = correlated(5, 3, 4)
    made = fitted(x, components=11)
    assert bool(made.log_likelihood(x).isfinite().all())
    assert relative(made.reconstruct(x), x) < 1e-4
    assert math.isfinite(float(made.explained().sum()))


def test_one_picture_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        fitted(correlated(1, 3, 4))


def test_at_least_one_direction_is_left_for_the_noise():
    assert model((3, 4), components=1024).config.kept == 11
