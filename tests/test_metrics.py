"""The digit judge and the figures measured with it."""

from __future__ import annotations

import shutil

import pytest
import small
import torch
from sklearn.neighbors import NearestNeighbors

from playground import checkpoint, metrics
from playground.metrics import digit_judge, frechet, manifolds, recognition, train_judge


@pytest.fixture(scope="module")
def test_pictures(mirror):
    """A thousand of MNIST's test pictures with their labels."""
    from playground import data

    part = data.load("mnist").test
    return part.x[:1000], part.labels[:1000]


def fake_digits(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, 28, 28, generator=torch.Generator().manual_seed(seed)) ** 4


def test_the_shipped_judge_is_small_and_keeps_its_promise():
    assert (digit_judge.FOLDER / "model.safetensors").stat().st_size < 2_000_000
    assert frechet.statistics()["accuracy"] >= 0.993


def test_the_shipped_judge_reads_real_digits(test_pictures):
    x, labels = test_pictures
    accuracy = (digit_judge.probabilities_of(x).argmax(1) == labels).double().mean()
    assert accuracy >= 0.99


def test_logits_are_the_head_of_the_features():
    judge = metrics.judge()
    x = fake_digits(3)
    assert torch.allclose(judge(x), judge.head(judge.features(x)))
    assert judge.features(x).shape == (3, digit_judge.Config().features)
    assert judge.features(x).min() >= 0


def test_stored_bytes_and_floats_are_the_same_pictures():
    stored = torch.randint(0, 256, (5, 28, 28), dtype=torch.uint8)
    assert torch.equal(digit_judge.features_of(stored), digit_judge.features_of(stored[:, None].float() / 255))


UNREADABLE = {
    "three channels": torch.zeros(2, 3, 28, 28),
    "another size": torch.zeros(2, 1, 32, 32),
    "too bright": torch.full((2, 1, 28, 28), 1.5),
    "negative": torch.full((2, 1, 28, 28), -0.1),
    "not a number": torch.full((2, 1, 28, 28), float("nan")),
}


@pytest.mark.parametrize("wrong", UNREADABLE.values(), ids=UNREADABLE)
def test_what_the_judge_cannot_read_is_refused(wrong):
    with pytest.raises(ValueError, match="digit judge reads"):
        digit_judge.features_of(wrong)


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "unlisted"])
def test_a_damaged_judge_is_refused_by_name(tmp_path, damage):
    folder = shutil.copytree(digit_judge.FOLDER, tmp_path / "judge")
    small.damage(folder, damage)
    with pytest.raises(checkpoint.Damaged, match=r"model\.safetensors"):
        digit_judge.load(folder)


def test_frechet_distance_of_gaussians_in_closed_form():
    """Between N(m, diag(s)) and N(0, diag(t)) it is |m|^2 + sum (sqrt(s) - sqrt(t))^2, whatever the extractor."""
    judge = metrics.judge()
    features = digit_judge.features_of(fake_digits(300)).double()
    fitted = frechet.gaussian(features)
    assert frechet.distance_to(fitted, fake_digits(300), judge) == pytest.approx(0, abs=1e-3)
    shifted = {**fitted, "mean": fitted["mean"] + 0.5}
    assert frechet.distance_to(shifted, fake_digits(300), judge) == pytest.approx(0.25 * features.shape[1], rel=1e-4)
    wider = {**fitted, "covariance": 4 * fitted["covariance"]}
    trace = fitted["covariance"].trace().item()
    assert frechet.distance_to(wider, fake_digits(300), judge) == pytest.approx(trace, rel=1e-3)


def test_frechet_distance_is_that_of_the_matrix_square_root():
    a, b = fake_digits(400, seed=1), fake_digits(500, seed=2).clamp(max=0.5)
    p, q = (frechet.gaussian(digit_judge.features_of(x)) for x in (a, b))
    values, vectors = torch.linalg.eigh(p["covariance"])
    half = vectors * values.clamp(min=0).sqrt() @ vectors.T
    # tr (P Q)^1/2 by the symmetric product, whose eigenvalues are real
    root = torch.linalg.eigvalsh(half @ q["covariance"] @ half).clamp(min=0).sqrt().sum()
    expected = (p["mean"] - q["mean"]).square().sum() + p["covariance"].trace() + q["covariance"].trace() - 2 * root
    assert metrics.frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-4)


def test_stored_statistics_are_those_of_the_test_pictures(mirror):
    from playground import data

    digits = data.load("mnist")
    measured = frechet.gaussian(digit_judge.features_of(digits.test.x))
    assert torch.allclose(measured["mean"], frechet.statistics()["mean"], rtol=1e-3, atol=1e-4)
    assert metrics.rfd(digits.train.x[:1000]) == pytest.approx(metrics.rfd_floor(1000), rel=1e-2)


def test_rfd_orders_what_the_eye_orders(test_pictures):
    x = test_pictures[0].float() / 255
    noisy = (x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    assert metrics.rfd_floor(10_000) < metrics.rfd_floor(1000) < 1 < metrics.rfd(noisy) < metrics.rfd(fake_digits(1000))


def test_recognisable_counts_confident_reading_as_asked(test_pictures):
    x, labels = test_pictures
    asked = metrics.recognisable(x, labels)
    assert asked.share > 0.95 and asked.judge_accuracy >= 0.993
    assert asked.share == pytest.approx(asked.real_share, abs=0.02)
    assert metrics.recognisable(x, (labels + 1) % 10).share < 0.01
    assert metrics.recognisable(x).share >= asked.share


def test_recognisable_counts_strictly_more_than_the_confidence():
    certain = torch.tensor([[0.96, 0.04], [0.95, 0.05], [0.02, 0.98]])
    assert recognition.share_read(certain, None) == pytest.approx(2 / 3)
    assert recognition.share_read(certain, torch.tensor([0, 0, 0])) == pytest.approx(1 / 3)


def test_precision_and_recall_agree_with_nearest_neighbours_of_scikit_learn():
    rng = torch.Generator().manual_seed(0)
    real, samples = torch.randn(1200, 8, generator=rng), 0.6 * torch.randn(1100, 8, generator=rng)
    result = manifolds.of_features(samples, real, k=5)

    def share_inside(points, centres):
        radii = NearestNeighbors(n_neighbors=6).fit(centres).kneighbors(centres)[0][:, -1]
        return (torch.cdist(points.double(), centres.double()) <= torch.as_tensor(radii)).any(1).double().mean().item()

    assert result.precision == pytest.approx(share_inside(samples, real), abs=2e-3)
    assert result.recall == pytest.approx(share_inside(real, samples), abs=2e-3)
    assert result.precision > result.recall  # a narrower sample is precise and misses the edges


def test_collapse_keeps_precision_and_loses_recall():
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(500, 4, generator=rng)
    collapsed = real[:1] + 0.01 * torch.randn(500, 4, generator=rng)
    result = manifolds.of_features(collapsed, real, k=5)
    assert result.precision > 0.95 and result.recall < 0.05


def test_too_few_pictures_for_neighbours_are_refused():
    with pytest.raises(ValueError, match="more than k"):
        metrics.precision_recall(fake_digits(5), fake_digits(50))


def test_the_judge_trains_and_is_measured(tmp_path):
    """The whole of train_judge, small: it learns to tell two plain patterns apart, and its folder loads again."""
    labels = torch.arange(1280) % 2
    x = torch.zeros(1280, 1, 28, 28, dtype=torch.uint8)
    x[labels == 0, :, 4:24, 12:16] = 255
    x[labels == 1, :, 12:16, 4:24] = 255
    x += torch.randint(0, 40, x.shape, dtype=torch.uint8) * (x == 0)
    model = train_judge.train(x, labels, epochs=1)
    figures = train_judge.measure(model, x, x[:300], labels[:300])
    assert 0 <= figures["accuracy"] <= 1 and figures["fd_pca64"] > 0
    train_judge.write(tmp_path, model, figures, epochs=1, minutes=0.1)
    assert torch.equal(digit_judge.load(tmp_path)(x[:4].float()), model(x[:4].float()))
