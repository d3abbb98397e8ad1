"""The mixtures against scikit-learn, torch.distributions and quadrature; words and conversions against what is known."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import small
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal
from toys import curve, run, same_state

from playground import registry, staging
from playground.checkpoint import About, Checkpoint
from playground.contract import Audio, BadSetting, DataInfo, Told, Words, World, configure
from playground.data import SpeechData, recordings
from playground.families.speech.gmm import ANYONE, CEPSTRA, GMM, KINDS, Config, Mixture
from playground.families.speech.gmm.mixture import clusters
from playground.families.speech.gmm.model import Lesson, paced
from playground.families.speech.gmm.takes import Takes, analysed, couples, dynamic, evenly, heard, positions
from playground.signal.difference import of_features
from playground.signal.world import Features

TYPES = {"full": "full", "diagonal": "diag", "tied": "tied"}
every_kind = pytest.mark.parametrize("kind", list(KINDS))
A, B = slice(0, 2), slice(2, None)


def frames(n: int = 400, d: int = 5, seed: int = 0) -> Tensor:
    """Three turned, stretched heaps (n, d)."""
    rng = torch.Generator().manual_seed(seed)
    shape = torch.randn(3, d, d, generator=rng, dtype=torch.float64)
    middle = 3 * torch.randn(3, d, generator=rng, dtype=torch.float64)
    which = torch.randint(3, (n,), generator=rng)
    eps = torch.randn(n, d, generator=rng, dtype=torch.float64)
    return middle[which] + (shape[which] @ eps[:, :, None])[:, :, 0]


def randomised(kind: str, k: int = 4, d: int = 5, seed: int = 1) -> Mixture:
    """A mixture of any parameters."""
    rng = torch.Generator().manual_seed(seed)
    made = Mixture(2, k, d, kind)
    made.pi[1] = torch.rand(k, generator=rng, dtype=torch.float64).softmax(0)
    made.mu[1] = 2 * torch.randn(k, d, generator=rng, dtype=torch.float64)
    root = torch.randn(k, d, d, generator=rng, dtype=torch.float64)
    sigma = root @ root.mT + 0.5 * torch.eye(d)
    made.sigma[1] = {"full": sigma, "tied": sigma[0], "diagonal": sigma.diagonal(dim1=1, dim2=2)}[kind]
    return made


def matrices(made: Mixture) -> Tensor:
    """Sigma_k of the second mixture as matrices (K, D, D)."""
    return made.covariance(1, range(made.mu.shape[2]))


def peer(made: Mixture, kind: str, floor: float, iterations: int) -> GaussianMixture:
    """scikit-learn's mixture that begins where the second of ours is."""
    sigma = made.sigma[1]
    precision = 1 / sigma if kind == "diagonal" else torch.linalg.inv(sigma)
    return GaussianMixture(
        made.mu.shape[1],
        covariance_type=TYPES[kind],
        tol=0,
        reg_covar=floor,
        max_iter=iterations,
        weights_init=made.pi[1].numpy(),
        means_init=made.mu[1].numpy(),
        precisions_init=precision.numpy(),
    )


def fit(made: GaussianMixture, x: Tensor) -> GaussianMixture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return made.fit(x.numpy())


def relative(a: object, b: object) -> float:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max())


# --- EM against scikit-learn ----------------------------------------------------------------------------------


@every_kind
def test_ten_em_steps_are_scikit_learns(kind):
    x, made = frames(), randomised(kind)
    theirs = fit(peer(made, kind, 1e-6, 10), x)
    for _ in range(10):
        bound = made.em_step(1, x, 1e-6)
    assert relative(made.pi[1], theirs.weights_) < 1e-8
    assert relative(made.mu[1], theirs.means_) < 1e-8
    assert relative(made.sigma[1], theirs.covariances_) < 1e-8
    assert bound == pytest.approx(theirs.lower_bound_, rel=1e-8)
    assert relative(made.log_prob(1, x), theirs.score_samples(x.numpy())) < 1e-8
    assert relative(made.responsibilities(1, x), theirs.predict_proba(x.numpy())) < 1e-8
    assert made.bic(1, x) == pytest.approx(theirs.bic(x.numpy()), rel=1e-8)


@every_kind
def test_ten_em_steps_on_digits_are_scikit_learns(kind, takes):
    x = dynamic(takes, CEPSTRA).double()[:1500]
    x = x / x.std(0)
    made = Mixture(2, 4, x.shape[1], kind)
    made.start(1, x, x, 0.01, torch.Generator().manual_seed(0))
    theirs = fit(peer(made, kind, 0.01, 10), x)
    for _ in range(10):
        bound = made.em_step(1, x, 0.01)
    assert bound == pytest.approx(theirs.lower_bound_, rel=1e-8)
    assert relative(made.mu[1], theirs.means_) < 1e-8
    assert relative(made.sigma[1], theirs.covariances_) < 1e-8


@every_kind
def test_likelihood_is_that_of_torch(kind):
    made, x = randomised(kind), frames(50)
    gaussians = MultivariateNormal(made.mu[1], matrices(made))
    expected = MixtureSameFamily(Categorical(made.pi[1]), gaussians).log_prob(x)
    assert relative(made.log_prob(1, x), expected) < 1e-12
    marginal = MultivariateNormal(made.mu[1, :, B], matrices(made)[:, B, B])
    expected = MixtureSameFamily(Categorical(made.pi[1]), marginal).log_prob(x[:, B])
    assert relative(made.log_joint(1, x[:, B], B).logsumexp(1), expected) < 1e-12


@every_kind
def test_em_never_makes_the_likelihood_fall(kind):
    x, made = frames(300), Mixture(1, 5, 5, kind)
    made.start(0, x, x, 1e-9, torch.Generator().manual_seed(3))
    reached = [made.em_step(0, x, 1e-9) for _ in range(40)]
    assert all(b >= a - 1e-6 for a, b in itertools.pairwise(reached))
    assert reached[-1] > reached[0] + 1e-3


@every_kind
def test_samples_have_the_moments_of_the_mixture(kind):
    made = randomised(kind)
    x = made.sample(1, 200_000, torch.Generator().manual_seed(0))
    mean = made.pi[1] @ made.mu[1]
    apart = made.mu[1] - mean
    covariance = (made.pi[1, :, None, None] * (matrices(made) + apart[:, :, None] * apart[:, None, :])).sum(0)
    assert torch.allclose(x.mean(0), mean, atol=0.03)
    assert relative(torch.cov(x.T), covariance) < 0.02


# --- Regression -----------------------------------------------------------------------------------------------


@every_kind
def test_one_gaussian_regresses_in_closed_form(kind):
    made = randomised(kind, k=1)
    sigma, mu, x = matrices(made)[0], made.mu[1, 0], frames(20)[:, A]
    slope = sigma[B, A] @ torch.linalg.inv(sigma[A, A])
    mean, variance = made.regress(1, x, A, B)
    assert relative(mean, mu[B] + (x - mu[A]) @ slope.T) < 1e-12
    assert relative(variance, (sigma[B, B] - slope @ sigma[A, B]).diagonal().expand_as(variance)) < 1e-9


@every_kind
def test_regression_is_the_conditional_mean_and_variance_by_quadrature(kind):
    made = randomised(kind, k=3, d=2)
    y = torch.linspace(-40, 40, 40_001, dtype=torch.float64)
    for x in (-1.5, 0.3, 2.0):
        density = made.log_prob(1, torch.stack([torch.full_like(y, x), y], dim=1)).exp()
        density = density / density.sum()
        expected = (density * y).sum()
        mean, variance = made.regress(1, torch.tensor([[x]], dtype=torch.float64), slice(0, 1), slice(1, 2))
        assert float(mean) == pytest.approx(float(expected), rel=1e-8)
        assert float(variance) == pytest.approx(float((density * (y - expected).square()).sum()), rel=1e-8)


def test_regression_goes_both_ways():
    made = randomised("full")
    turned = randomised("full")
    order = [2, 3, 4, 0, 1]
    turned.mu[1], turned.sigma[1] = made.mu[1][:, order], made.sigma[1][:, order][:, :, order]
    x = frames(10)[:, B]
    back, _ = made.regress(1, x, B, A)
    forth, _ = turned.regress(1, x, slice(0, 3), slice(3, None))
    assert relative(back, forth) < 1e-12


# --- Where EM begins ------------------------------------------------------------------------------------------


def test_k_means_finds_what_lies_apart():
    rng = torch.Generator().manual_seed(0)
    truth = torch.arange(300) % 3
    x = 20 * torch.nn.functional.one_hot(truth) + torch.randn(300, 3, generator=rng, dtype=torch.float64)
    found = clusters(x, 3, rng).argmax(1)
    assert len(set(zip(truth.tolist(), found.tolist(), strict=True))) == 3
    assert (clusters(x, 3, rng).sum(1) == 1).all()


@every_kind
def test_fewer_frames_than_gaussians_are_no_error(kind):
    x = frames(3)
    made = Mixture(1, 8, 5, kind)
    made.start(0, x, x, 0.01, torch.Generator().manual_seed(0))
    assert all(math.isfinite(made.em_step(0, x, 0.01)) for _ in range(5))
    mean, variance = made.regress(0, x[:, A], A, B)
    assert bool(mean.isfinite().all()) and bool((variance > 0).all())
    assert bool(torch.stack([part.isfinite().all() for part in made.state_dict().values()]).all())


@every_kind
def test_gaussians_that_begin_alike_stay_alike(kind):
    x = frames()
    made = Mixture(1, 4, 5, kind)
    made.start_equal(0, x, 1e-6)
    first = made.em_step(0, x, 1e-6)
    for _ in range(8):  # only rounding tells them apart, and it takes longer than this to be seen
        last = made.em_step(0, x, 1e-6)
    assert last == pytest.approx(first, rel=1e-9)
    assert relative(made.mu[0], x.mean(0).expand(4, -1)) < 1e-6
    made.start(0, x, x, 1e-6, torch.Generator().manual_seed(0))
    for _ in range(20):
        apart = made.em_step(0, x, 1e-6)
    assert apart > first + 0.1


# --- Takes ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> SpeechData:
    return small.few("espeak_digits", 80)  # type: ignore[return-value]


@pytest.fixture(scope="module")
def takes(data) -> Takes:
    return heard(data.train, len(data.info.speakers), 0)


@pytest.fixture(scope="module")
def trained(data) -> Checkpoint:
    job = small.job("gmm", "espeak_digits", steps=6)
    model, loop = small.course(job, data)  # type: ignore[arg-type]
    for _ in loop:
        pass
    return Checkpoint("gmm", model.eval(), model.config, data.info, About(dataset="espeak_digits"))


def test_takes_lie_by_unit_and_pitch_is_taken_out(data, takes):
    assert len(takes) == 80 and takes.ends[-1] == len(takes.x)
    assert takes.units.tolist() == sorted(takes.units.tolist())
    for i in (0, 33, 79):
        x = takes.of(i)
        voiced = x[:, CEPSTRA + 1] > 0.5
        assert float(x[voiced, CEPSTRA].mean()) == pytest.approx(0, abs=1e-5)
        assert math.log(60) < float(takes.pitch[i]) < math.log(400)
    assert len(heard(data.train, len(data.info.speakers), 1)) == 40


def test_a_take_stands_in_its_own_time(takes):
    x = takes.of(0)
    assert torch.allclose(positions(x, x), evenly(len(x)))
    slow = x.repeat_interleave(2, dim=0)
    assert float((positions(slow, x) - evenly(len(slow))).abs().max()) < 0.01
    other = positions(takes.of(1), x)
    assert bool((other.diff() >= 0).all()) and 0 < float(other[0]) < float(other[-1]) < 1


def test_couples_say_the_same_word(takes):
    config = Config(speakers=("a", "b", "c", "d"))
    for route in config.routes:
        pairs = couples(takes, config, route)
        assert len(pairs) == 20
        for i, j in pairs:
            word, source = divmod(int(takes.units[i]), 4)
            assert int(takes.units[j]) == word * 4 + route[1]
            assert source == route[0] or (route[0] == ANYONE and source != route[1])
    anyone = couples(takes, config, (ANYONE, 0))
    assert {int(takes.units[i]) % 4 for i, _ in anyone} == {1, 2}, "two takes of each word, by two of the others"


def test_one_take_of_a_voice_meets_all_of_another():
    unit = torch.tensor([0, 0, 0, 1])
    takes = Takes(torch.zeros(8, 27), (0, 2, 4, 6, 8), unit, torch.zeros(4))
    config = Config(classes=1, speakers=("many", "one"))
    assert couples(takes, config, (1, 0)) == [(3, 0), (3, 1), (3, 2)]


def test_every_route_can_be_found():
    config = Config(speakers=tuple("abcd"))
    model = GMM(
        configure(Config, DataInfo("x", class_names=("w",), speakers=tuple("abcd"), sample_rate=8000), components=2)
    )
    assert len(config.routes) == 6 + 4
    for a in range(4):
        for b in range(4):
            r, backwards = model.route(a, b)
            found = config.routes[r]
            assert found == ((ANYONE, b) if a == b else (b, a) if backwards else (a, b))
    many = Config(speakers=tuple(map(str, range(10))))
    assert many.routes == tuple((ANYONE, b) for b in range(10))
    assert Config().routes == ()


# --- Words ----------------------------------------------------------------------------------------------------


def test_words_have_their_length_and_their_sounds(trained, takes):
    model = trained.model
    for unit in (0, 13, 27):
        word, voice = divmod(unit, 4)
        said = model.speak(word, voice, rng=torch.Generator().manual_seed(0), spread=0.0)
        lengths = takes.lengths[takes.units == unit].double()
        assert len(said) == round(float(lengths.log().mean().exp()))
        taken = takes.of(takes.said(unit)[0])
        others = [Features.of(takes.of(takes.said(other)[0]), said.rate) for other in (4, 21, 38)]
        near = of_features(said, Features.of(taken, said.rate)).distortion
        far = min(of_features(said, other).distortion for other in others)
        assert near < 0.7 * far


def test_global_variance_and_spread(trained):
    model = trained.model
    say = lambda **options: model.speak(3, 1, rng=torch.Generator().manual_seed(5), **options)
    whole, none = say(share=1.0), say(share=0.0)
    wanted = model.variance[1, 1:CEPSTRA]
    assert torch.allclose(whole.cepstra[:, 1:].var(0, correction=0), wanted, rtol=1e-3)
    assert float((none.cepstra[:, 1:].var(0, correction=0) / wanted).mean()) < 0.95
    assert torch.equal(whole.cepstra[:, 0], none.cepstra[:, 0])
    assert len(say(spread=0.0)) != len(say(spread=2.0))


def test_a_voice_that_never_said_a_word_borrows_it(trained):
    model, info = trained.model, trained.info
    assert model.unit(3, 2) == (14, 2)
    kept = int(model.heard[14])
    model.heard[14] = 0
    try:
        assert model.unit(3, 2) == (12, 0)
        *_, outputs = staging.render(
            staging.view(trained), model, model.config, staging.scene(trained), {"label": 3, "speaker": 2}
        )
        assert any(isinstance(o, Words) and info.speakers[2] in o.text["en"] for o in outputs)
    finally:
        model.heard[14] = kept


# --- Conversion -----------------------------------------------------------------------------------------------


def two_voices(turned: Tensor) -> tuple[GMM, Takes]:
    """A model of two voices whose second says each frame c as c @ turned, fitted with one full Gaussian."""
    rng = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(8):
        c = torch.randn(60, CEPSTRA, generator=rng).cumsum(0) / 8
        rows.append([torch.cat([x, torch.zeros(60, 1), torch.ones(60, 1)], 1) for x in (c, c @ turned)])
    x = torch.cat([a for a, _ in rows] + [b for _, b in rows])
    units = torch.tensor([0] * 8 + [1] * 8)
    takes = Takes(x, tuple(range(0, 961, 60)), units, torch.tensor([5.0] * 8 + [5.5] * 8, dtype=torch.float64))
    info = DataInfo("x", class_names=("word",), speakers=("a", "b"), sample_rate=8000)
    config = configure(Config, info, components=1, pair_components=1, pair_covariance="full")
    model = GMM(config)
    model.listen(takes)
    lesson = model.lesson(takes)
    paired = torch.arange(480)  # frame by frame: time warping has nothing to find here
    routes = [(paired + 480 * (1 - b), paired + 480 * b) for _, b in config.routes]
    lesson = Lesson(takes, lesson.dynamic, lesson.positions, routes)
    model.start(lesson, 1e-9, None)
    model.em_step(lesson, 1e-9)
    return model, takes


def test_conversion_finds_a_linear_change_of_voice_and_its_inverse():
    rng = torch.Generator().manual_seed(2)
    turned = torch.eye(CEPSTRA) + 0.3 * torch.randn(CEPSTRA, CEPSTRA, generator=rng) / 5
    model, takes = two_voices(turned)
    for i, target, source in ((0, 1, 0), (8, 0, 1), (3, 1, ANYONE)):
        x = takes.of(i).clone()
        x[:, CEPSTRA] = 5.0 if i < 8 else 5.5
        made = model.convert(Features.of(x, 8000), target, source, share=0.0)
        wanted = takes.of((i + 8) % 16)[:, :CEPSTRA]
        assert relative(made.cepstra, wanted) < 0.02
        assert float(made.log_f0.mean()) == pytest.approx(5.5 if target else 5.0, abs=1e-3)


def test_conversion_brings_a_held_out_take_nearer_to_the_target(trained):
    model, test = trained.model, small.load("espeak_digits").test
    of = lambda digit, voice: next(
        i for i in range(len(test)) if int(test.labels[i]) == digit and int(test.speakers[i]) == voice
    )
    gains = []
    for digit in (1, 5, 8):
        source, target = (analysed(test.audio(of(digit, v)), test.rate) for v in (0, 1))
        converted = model.convert(source, 1, 0, share=0.0)
        gains.append(of_features(source, target).distortion - of_features(converted, target).distortion)
        assert len(converted) == round(len(source) * model.haste(0, 1))
    assert sum(gains) / len(gains) > 1.0


def test_a_known_voice_is_lent_the_others_pace(trained, takes):
    model, spoken = trained.model, Features.of(takes.of(0), 8000)
    means = [takes.lengths[takes.units % 4 == voice].double().log().mean() for voice in (0, 1)]
    assert model.haste(0, 1) == pytest.approx(float((means[1] - means[0]).exp()), rel=1e-6)
    assert model.haste(0, 1) * model.haste(1, 0) == pytest.approx(1)
    assert len(model.convert(spoken, 1)) == len(spoken), "nobody knows the pace of a stranger"
    assert torch.equal(paced(spoken, 1.0).matrix(), spoken.matrix())
    twice = paced(spoken, 2.0)
    assert len(twice) == 2 * len(spoken)
    assert torch.allclose(twice.cepstra.mean(0), spoken.cepstra.mean(0), atol=1e-4)


def test_a_recording_of_ones_own_is_converted(trained):
    samples = small.load("espeak_digits").test.audio(0)
    take = Audio(samples, 8000)
    view = staging.view(trained, "convert")
    *_, outputs = staging.render(
        view, trained.model, trained.config, staging.scene(trained), {"take": take, "target": 2}
    )
    original, converted = outputs
    assert isinstance(original, Audio) and isinstance(converted, World)
    assert bool((converted.f0 > 0).any())
    with pytest.raises(Told):
        list(
            staging.render(
                view, trained.model, trained.config, staging.scene(trained), {"take": Audio(torch.zeros(8000), 8000)}
            )
        )


def test_ten_recordings_of_ones_own_beside_others(data):
    """A voice with one take of each digit joins the others: it speaks, and others speak with it."""
    own = small.load("espeak_digits").test
    mine = [i for i in range(len(own)) if int(own.speakers[i]) == 3][:10]
    say = [recordings.Take(f"{i}", own.x[i].numpy(), str(int(own.labels[i])), "me", "", False) for i in mine]
    both = recordings.joined("both", [data, recordings.in_memory("own:x", "mine", say, 8000)])
    assert both.info.speakers[-2:] == ("eve", "me")
    model, loop = small.course(small.job("gmm", "espeak_digits", steps=3, recipe={"takes": 1}), both)
    reports = list(loop)
    assert len(reports) == 3 and all(math.isfinite(v) for p in reports for v in p.values.values())
    said = model.speak(7, 4, rng=torch.Generator().manual_seed(0))
    assert bool(said.matrix().isfinite().all())
    lent = model.convert(analysed(data.train.audio(0), 8000), 4, 0)
    assert float(lent.log_f0.mean()) == pytest.approx(float(model.voice[4, 0]), abs=0.25)


# --- Data -----------------------------------------------------------------------------------------------------


def test_recordings_without_labels_are_refused():
    with pytest.raises(BadSetting, match="labels"):
        configure(Config, DataInfo("x", speakers=("a", "b"), sample_rate=8000))
    with pytest.raises(BadSetting, match="8,000 or 16,000"):
        configure(Config, DataInfo("x", class_names=("a",), sample_rate=22_050))


def test_more_than_memory_is_refused():
    names = tuple(map(str, range(200)))
    with pytest.raises(BadSetting, match="fewer"):
        configure(
            Config, DataInfo("x", class_names=tuple("0123456789"), speakers=names, sample_rate=8000), covariance="full"
        )


def test_one_nameless_voice_at_16_khz_speaks_and_converts_nothing():
    part = small.load("espeak_digits").train
    say = [recordings.Take(f"{i}", part.x[i].numpy(), str(int(part.labels[i])), "", "", False) for i in range(10)]
    whole = recordings.resampled(recordings.in_memory("own:x", "mine", say, 8000), 16_000, "own:x")
    model, loop = small.course(small.job("gmm", "espeak_digits", steps=2), whole)
    assert [set(p.values) for p in loop] == [{"log-likelihood (nats a frame)"}] * 2
    made = Checkpoint("gmm", model.eval(), model.config, whole.info)
    assert [view.key for view in staging.views(made)] == ["generate", "ellipses", "responsibilities", "bic", "babble"]
    outputs = staging.draw(staging.view(made), made.model, made.config, staging.scene(made), {"label": 2})
    assert isinstance(outputs[0], World) and outputs[0].rate == 16_000


def test_silence_and_clicks_are_left_out():
    say = [
        recordings.Take("quiet", np.zeros(8000, np.int16), "0", "a"),
        recordings.Take("click", np.full(40, 9000, np.int16), "0", "a"),
    ]
    with pytest.raises(Told):
        heard(recordings.in_memory("own:x", "mine", say, 8000).train, 1, 0)


# --- Training -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_after", [2, 3])
def test_a_resumed_run_equals_the_uninterrupted_one(stop_after, data, tmp_path):
    """Also at the second alignment, which comes after half of the iterations, and past it."""
    config = {"components": 3, "pair_components": 4}
    job = small.job("gmm", "espeak_digits", steps=4, recipe={"takes": 1}, config=config)
    whole = curve(run(job, tmp_path / "whole", data=data))
    first = run(job, tmp_path / "parts", stop_after=stop_after, data=data)
    assert curve(first) + curve(run(job, tmp_path / "parts", data=data)) == whole
    assert same_state(tmp_path / "whole", tmp_path / "parts")


def test_the_broken_preset_does_not_learn(data):
    values: dict[str, list[float]] = {}
    for start in ("k-means", "all alike"):
        recipe = {"start": start, "takes": 1}
        _, loop = small.course(small.job("gmm", "espeak_digits", steps=3, recipe=recipe), data)
        values[start] = [p.values["log-likelihood (nats a frame)"] for p in loop]
    alike = values["all alike"]
    assert max(alike) - min(alike) < 1.0
    assert values["k-means"][-1] > max(alike) + 3


# --- The counterpart ------------------------------------------------------------------------------------------


@every_kind
def test_the_counterpart_is_scikit_learns_mixture(kind):
    reference = registry.reference("gmm")
    x, ours = frames(), randomised(kind)
    theirs = reference.Mixtures(2, 4, 5, kind)
    theirs.weights_.copy_(ours.pi)
    theirs.means_.copy_(ours.mu)
    theirs.covariances_.copy_(ours.sigma)
    for columns, other in ((A, B), (B, A)):
        mine, his = ours.regress(1, x[:, columns], columns, other), theirs.regress(1, x[:, columns], columns, other)
        assert relative(mine[0], his[0]) < 1e-8 and relative(mine[1], his[1]) < 1e-8
    bounds = [(ours.em_step(1, x, 1e-4), theirs.em_step(1, x, 1e-4)) for _ in range(5)]
    assert relative(*zip(*bounds, strict=True)) < 1e-8
    assert relative(ours.mu[1], theirs.means_[1]) < 1e-8
    assert isinstance(theirs.estimator(1), GaussianMixture)
    assert relative(ours.log_prob(1, x), theirs.estimator(1).score_samples(x.numpy())) < 1e-8


@every_kind
def test_the_counterpart_takes_fewer_frames_than_gaussians(kind):
    made = registry.reference("gmm").Mixtures(1, 8, 5, kind)
    x = frames(6)
    made.start(0, x, x, 0.01, torch.Generator().manual_seed(0))
    assert math.isfinite(made.em_step(0, x, 0.01))
    assert bool(made.regress(0, x[:, A], A, B)[0].isfinite().all())


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield
