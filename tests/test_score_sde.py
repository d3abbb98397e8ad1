"""The score family: its equations against simulation, its samplers against diffusers, its likelihoods against Gaussians."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import small
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from playground import registry
from playground.contract import BadSetting, DataInfo, Told, configure
from playground.families.image.score_sde import Config, ScoreModel, samplers, views
from playground.families.image.score_sde.model import FOCUS, SAMPLERS, SIGMA_DATA, drawn_times
from playground.families.image.score_sde.sde import SDE, VE, VP, Score, SubVP, over
from trainers.score_sde import Recipe

EQUATIONS = [VE(20.0), VP(), SubVP()]
every_equation = pytest.mark.parametrize("sde", EQUATIONS, ids=lambda sde: type(sde).__name__)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(channels: int = 1, classes: int = 3, side: int = 8, seed: int = 0, **settings: object) -> ScoreModel:
    """A small model with weights large enough that every term matters."""
    torch.manual_seed(seed)
    info = DataInfo("x", channels, side, side, tuple(map(str, range(classes))))
    made = ScoreModel(configure(Config, info, **{"maps": 16, **settings}))
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval()


def plane(seed: int = 0, **settings: object) -> ScoreModel:
    return model(2, 2, 1, seed, **settings)


class Gaussian:
    """Data N(mean, covariance) in the plane, whose score is known under every equation."""

    mean = torch.tensor([0.3, -0.5], dtype=torch.float64)
    covariance = torch.tensor([[0.30, 0.12], [0.12, 0.10]], dtype=torch.float64)

    def __init__(self, sde: SDE):
        self.sde = sde

    def at(self, t: float) -> MultivariateNormal:
        time = torch.tensor(t, dtype=torch.float64)
        scale, std = self.sde.scale(time), self.sde.std(time)
        return MultivariateNormal(scale * self.mean, scale**2 * self.covariance + std**2 * torch.eye(2))

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        assert bool((t == t[0]).all())
        law = self.at(float(t[0]))
        offset = law.mean - x.flatten(1).double()
        return (offset @ law.precision_matrix).to(x.dtype).view_as(x)


# --- The equations --------------------------------------------------------------------------------------------


@every_equation
def test_marginals_equal_a_simulation_of_the_equation(sde):
    rng, n, steps = seeded(), 20_000, 500
    x0 = 0.7
    x = x0 + float(sde.std(torch.zeros(1))) * torch.randn(n, 1, generator=rng)
    for i in range(steps):
        t = torch.full((n,), (i + 0.5) / steps)
        f, g = sde.sde(x, t)
        x = x + f / steps + over(g, x) * math.sqrt(1 / steps) * torch.randn(n, 1, generator=rng)
        if i + 1 in (100, 250, 500):
            mean, std = sde.marginal(torch.full((1, 1), x0), torch.full((1,), (i + 1) / steps))
            assert float(x.std()) == pytest.approx(float(std), rel=0.02)
            assert float(x.mean()) == pytest.approx(float(mean), abs=4 * float(std) / math.sqrt(n) + 2e-3)


@every_equation
def test_time_is_the_inverse_of_sigma(sde):
    t = torch.linspace(sde.t_min, 1, 50, dtype=torch.float64)
    assert torch.allclose(sde.time(sde.sigma(t)), t, rtol=1e-9, atol=1e-9)
    assert bool((sde.sigma(t).diff() > 0).all())


@every_equation
def test_a_step_leads_from_one_marginal_to_the_next(sde):
    s, t = torch.tensor([0.2, 0.5]).double(), torch.tensor([0.3, 0.9]).double()
    a, g = sde.step(t, s)
    assert torch.allclose(a * sde.scale(s), sde.scale(t), rtol=1e-10)
    assert torch.allclose((a * sde.std(s)).square() + g.square(), sde.std(t).square(), rtol=1e-10)


def test_steps_are_the_papers():
    t, s = torch.tensor([[0.6], [0.5]], dtype=torch.float64)
    a, g = VE(20.0).step(t, s)
    assert float(a) == 1
    assert float(g**2) == pytest.approx((0.01 * 2000**0.6) ** 2 - (0.01 * 2000**0.5) ** 2, rel=1e-9)
    a, g = VP().step(t, s)
    beta = 1 - math.exp(-(0.1 * 0.1 + 0.5 * 19.9 * (0.6**2 - 0.5**2)))  # of t in (s, t]
    assert float(a) == pytest.approx(math.sqrt(1 - beta), rel=1e-9)
    assert float(g) == pytest.approx(math.sqrt(beta), rel=1e-9)


@every_equation
def test_prior_density_is_that_of_prior_samples(sde):
    x = sde.prior_sampling((5, 3, 2, 2), seeded()).double()
    std = float(sde.std(torch.ones(1).double()))
    expected = torch.distributions.Normal(0.0, std).log_prob(x).sum(dim=(1, 2, 3))
    assert torch.allclose(sde.prior_logp(x), expected, rtol=1e-7)
    many = sde.prior_sampling((20_000, 1, 1, 1), seeded())
    assert float(many.std()) == pytest.approx(std, rel=0.02)


@every_equation
def test_denoised_is_the_posterior_mean_of_a_gaussian(sde):
    law, t = Gaussian(sde), torch.full((4,), 0.6)
    x = torch.randn(4, 2, 1, 1, generator=seeded()) * float(sde.std(t[:1]))
    scale, variance = float(sde.scale(t[:1])), float(sde.std(t[:1])) ** 2
    gain = scale * law.covariance @ torch.linalg.inv(scale**2 * law.covariance + variance * torch.eye(2))
    expected = (law.mean + (x.flatten(1) - scale * law.mean) @ gain.T).float()
    assert torch.allclose(sde.denoised(x, t, law.score(x, t)).flatten(1), expected, rtol=2e-3, atol=1e-4)


# --- The samplers ---------------------------------------------------------------------------------------------


@every_equation
@pytest.mark.parametrize("name", ["heun", "predictor-corrector", "euler-maruyama", "rk45"])
def test_every_sampler_reaches_a_gaussian_whose_score_is_known(sde, name):
    law, rng = Gaussian(sde), seeded()
    x = sde.prior_sampling((4000, 2, 1, 1), rng)
    if name == "rk45":
        *_, (t, x) = samplers.rk45(sde, law.score, x)
    else:
        *_, (t, x) = SAMPLERS[name](sde, law.score, x, 80 if name == "heun" else 250, rng)
    points = x.flatten(1).double()
    assert t == 0
    # The prior forgets the data's mean, of which VE keeps all and divides it by sigma_max.
    assert torch.allclose(points.mean(0), law.mean, atol=0.04)
    assert torch.allclose(torch.cov(points.T), law.covariance, atol=0.02)


@every_equation
@pytest.mark.parametrize("name", list(SAMPLERS))
@pytest.mark.parametrize("evaluations", [4, 7, 50])
def test_samplers_take_the_evaluations_that_they_say(sde, name, evaluations):
    law, calls = Gaussian(sde), []

    def counted(x: Tensor, t: Tensor) -> Tensor:
        calls.append(1)
        return law.score(x, t)

    steps = list(SAMPLERS[name](sde, counted, sde.prior_sampling((2, 2, 1, 1), seeded()), evaluations, seeded()))
    assert evaluations - 1 <= len(calls) <= evaluations
    times = [t for t, _ in steps]
    assert times == sorted(times, reverse=True) and times[-1] == 0


def scheduler_of(sde: VE, n: int):
    from diffusers import ScoreSdeVeScheduler

    made = ScoreSdeVeScheduler(sigma_min=sde.sigma_min, sigma_max=sde.sigma_max, num_train_timesteps=n)
    made.set_timesteps(n)
    made.set_sigmas(n)
    return made


def test_predictor_equals_the_schedulers():
    sde, n = VE(20.0), 50
    theirs = scheduler_of(sde, n)
    # Their table of noise levels is rounded to single precision, of which differences of squares make 3e-6.
    ends = math.log(sde.sigma_min), math.log(sde.sigma_max)
    exact = torch.exp(torch.linspace(*ends, n, dtype=torch.float64))
    assert torch.allclose(exact.float(), theirs.discrete_sigmas, rtol=1e-6)
    theirs.discrete_sigmas = exact
    for i, time in enumerate(theirs.timesteps[:-1]):
        x, score = torch.randn(2, 3, 3, 8, 8, generator=seeded(i), dtype=torch.float64)
        index = int(time * (n - 1))  # theirs: truncated
        t, s = (torch.full((3,), k / (n - 1), dtype=torch.float64) for k in (index, index - 1))
        ours = samplers.reverse_diffusion(sde, score, x, t, s, seeded(7))
        said = theirs.step_pred(score, time, x, generator=seeded(7)).prev_sample
        assert float((ours - said).abs().max() / said.abs().max()) < 1e-6


def test_corrector_equals_the_schedulers():
    sde = VE(20.0)
    theirs = scheduler_of(sde, 50)
    for seed in range(5):
        x, score = torch.randn(2, 3, 3, 8, 8, generator=seeded(seed))
        ours = samplers.langevin(score, x, torch.ones(3), theirs.config.snr, seeded(7))
        said = theirs.step_correct(score, x, generator=seeded(7)).prev_sample
        assert float((ours - said).abs().max() / said.abs().max()) < 1e-6
    assert theirs.config.snr == pytest.approx(0.15), "the paper's 0.16 is not diffusers' default"


def test_the_whole_chain_equals_the_pipelines():
    """Corrector before predictor, the last step's mean: diffusers' pipeline draws what our sampler draws."""
    reference = registry.reference("score_sde")
    torch.manual_seed(0)
    made = reference.Model(configure(reference.Config, DataInfo("x", 3, 8, 8), block_channels=8)).eval()
    made.sigma_max.fill_(5.0)
    for parameter in made.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    pipeline, n = made.pipeline(), 12
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(2, num_inference_steps=n, generator=seeded(3), output_type="np").images
    rng = seeded(3)
    start = made.sde.prior_sampling((2, 3, 8, 8), rng)
    snr = pipeline.scheduler.config.snr
    with torch.inference_mode():
        *_, (_, x) = samplers.predictor_corrector(made.sde, made.score, start, 2 * n, rng, snr=snr)
    ours = x.clamp(0, 1).permute(0, 2, 3, 1).numpy()
    assert abs(ours - theirs).max() < 1e-4
    assert theirs.std() > 0.05


def test_the_corrector_keeps_its_noise_level():
    """Langevin dynamics leaves the distribution whose score it follows as it was, up to its step's size."""
    rng = seeded()
    x = torch.randn(20_000, 2, 1, 1, generator=rng)
    for _ in range(50):
        x = samplers.langevin(-x, x, torch.ones(len(x)), 0.05, rng)
    assert float(x.std()) == pytest.approx(1, abs=0.03)


# --- The likelihood -------------------------------------------------------------------------------------------


@every_equation
def test_the_odes_likelihood_equals_the_closed_form(sde):
    law = Gaussian(sde)
    law.mean = torch.zeros(2, dtype=torch.float64)  # which the prior forgets
    x = law.at(sde.t_min).sample((6,)).view(6, 2, 1, 1)
    divergence = samplers.exact_divergence(linear_score(law))
    *_, (t, log_p) = samplers.log_likelihood(sde, law.score, divergence, x, 1e-7)
    assert t == 1
    expected = law.at(sde.t_min).log_prob(x.flatten(1))
    assert torch.allclose(log_p, expected, rtol=1e-3, atol=1e-3)


def linear_score(law: Gaussian) -> Score:
    """The same score, through which a gradient can be taken."""

    def score(x: Tensor, t: Tensor) -> Tensor:
        at = law.at(float(t[0]))
        return ((at.mean - x.flatten(1)) @ at.precision_matrix).view_as(x)

    return score


def test_hutchinsons_estimate_is_exact_on_average():
    made, t = plane(), torch.full((3,), 0.5)
    x = torch.randn(3, 2, 1, 1, generator=seeded())
    exact = samplers.exact_divergence(made.score)(x, t)
    many = x.repeat(4000, 1, 1, 1)
    with torch.inference_mode():  # as the views call it
        estimates = samplers.hutchinson(made.score, many, seeded())(many, t.repeat(4000)).view(4000, 3)
    error = estimates.std(0) / math.sqrt(4000)
    assert bool((error > 0).all())
    assert bool(((estimates.mean(0) - exact).abs() < 5 * error).all())


def test_exact_divergence_equals_the_jacobians_trace():
    made, t = plane(), torch.full((1,), 0.5)
    x = torch.randn(1, 2, 1, 1, generator=seeded())
    jacobian = torch.autograd.functional.jacobian(lambda x: made.score(x, t).flatten(), x).view(2, 2)
    assert float(samplers.exact_divergence(made.score)(x, t)) == pytest.approx(float(jacobian.trace()), rel=1e-4)


@pytest.mark.parametrize("kind", ["ve", "vp", "sub-vp"])
def test_bits_per_dim_of_a_gaussian_model(kind):
    """A net that adds nothing is the model of N(0, SIGMA_DATA^2), whose bits are known."""
    made = silent(kind)
    x = (torch.rand(5, 1, 8, 8, generator=seeded()) * 255).round() / 255
    *_, (_, bits) = made.bits_per_dim(x, rng=seeded(1), tolerance=1e-5)
    values = 2 * ((255 * x).round() + torch.rand(x.shape, generator=seeded(1))) / 256 - 1
    spread = math.sqrt(SIGMA_DATA**2 + float(made.sde.std(torch.tensor(made.sde.t_min))) ** 2)
    log_p = torch.distributions.Normal(0.0, spread).log_prob(values) + math.log(2 / 256)  # of a grey value
    assert torch.allclose(bits, -log_p.mean(dim=(1, 2, 3)).double() / math.log(2), rtol=5e-3)


def silent(kind: str) -> ScoreModel:
    torch.manual_seed(0)
    made = ScoreModel(configure(Config, DataInfo("x", 1, 8, 8), sde=kind, maps=16)).eval()
    assert float(made.net.end.weight.detach().abs().sum()) == 0
    made.net.end.bias.data.zero_()
    made.sigma_max.fill_(50.0)
    return made


# --- The model ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ve", "vp", "sub-vp"])
def test_a_net_that_adds_nothing_is_the_score_of_a_gaussian(kind):
    made = silent(kind)
    t = torch.tensor([0.05, 0.3, 0.6, 1.0])
    scale, std = made.sde.scale(t), made.sde.std(t)
    x = torch.randn(4, 1, 8, 8, generator=seeded()) * over(std, torch.zeros(4, 1, 1, 1))
    expected = -x / over(scale.square() * SIGMA_DATA**2 + std.square(), x)
    assert torch.allclose(made.score(x, t), expected, rtol=1e-4)


@pytest.mark.parametrize("kind", ["ve", "vp", "sub-vp"])
def test_the_objective_is_equation_7(kind):
    made, x, u, z = model(sde=kind, classes=0), torch.rand(8, 1, 8, 8), torch.rand(8), torch.randn(8, 1, 8, 8)
    t = drawn_times(made.sde, u, FOCUS["pictures"])
    mean, std = made.sde.marginal(2 * x - 1, t)
    std = over(std, x)
    # The score of p(x(t) | x(0)) is -z / std; lambda is said in `forward`.
    lam = std.square() * (1 + (over(made.sde.sigma(t), x) / SIGMA_DATA) ** 2)
    expected = (lam * (made.score(mean + std * z, t) + z / std).square()).mean()
    loss, terms = made(x, None, u, z)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    assert terms == {}


def test_the_objective_sends_a_gradient_to_every_weight():
    for made, x in ((model(3), torch.rand(6, 3, 8, 8)), (plane(), torch.rand(6, 2))):
        loss, terms = made(x, torch.arange(6) % 2, torch.rand(6), torch.randn(6, *made.noise_shape))
        loss.backward()
        assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in made.parameters())
        assert float(loss.detach()) == pytest.approx(float(terms["loss"] + terms["classifier loss"]), rel=1e-5)


@every_equation
def test_training_times_fill_the_equations_range(sde):
    t = drawn_times(sde, (torch.arange(10_000) + 0.5) / 10_000, -1.0)
    assert float(t.min()) >= sde.t_min and float(t.max()) <= 1
    assert bool((t.diff() >= 0).all())
    logs = sde.sigma(t).log()
    assert float(logs.median()) == pytest.approx(-1.0, abs=0.1)
    assert float(logs.min()) < math.log(0.02)


@pytest.mark.parametrize("made", [model(seed=1).double(), plane(seed=1).double()], ids=["pictures", "points"])
def test_the_classifiers_gradient_equals_finite_differences(made):
    t, y = torch.tensor([0.3, 0.7]).double(), torch.tensor([1, 0])
    x = torch.randn(2, *made.noise_shape, generator=seeded()).double()
    slope = torch.randn(x.shape, generator=seeded(1)).double()

    def log_p(x: Tensor) -> Tensor:
        u, sigma = made.scaled(x, t)
        return made.classifier(u, sigma.log()).log_softmax(1).gather(1, y[:, None])[:, 0]

    with torch.inference_mode():
        ours = (made.class_gradient(x, t, y) * slope).flatten(1).sum(1)
    h = 1e-5
    theirs = (log_p(x + h * slope) - log_p(x - h * slope)) / (2 * h)
    assert torch.allclose(ours, theirs, rtol=1e-5)
    assert float(theirs.detach().abs().min()) > 1e-4


def test_guidance_adds_the_classifiers_gradient():
    made, y, t = model(), torch.tensor([0, 2]), torch.full((2,), 0.4)
    x = torch.randn(2, 1, 8, 8, generator=seeded())
    with torch.inference_mode():
        plain, gradient = made.score(x, t), made.class_gradient(x, t, y)
        assert torch.allclose(made.guided(y, 2.5)(x, t), plain + 2.5 * gradient, rtol=1e-5)
        assert torch.equal(made.guided(None)(x, t), plain)
        assert torch.equal(made.guided(y, 0.0)(x, t), plain)


def test_a_guided_gaussian_goes_to_its_class():
    """Data N(0, 1) in two classes by the sign of x: the classifier is known, and guided samples have the sign."""
    sde, rng = VE(20.0), seeded()

    def score(x: Tensor, t: Tensor) -> Tensor:
        variance = over(1 + sde.std(t).square(), x)
        # p_t(positive | x) is a normal distribution function of x.
        sharp = over(1 / (sde.std(t) * (1 + sde.std(t).square()).sqrt()), x)
        normal = torch.distributions.Normal(0.0, 1.0)
        log_cdf = torch.special.log_ndtr(x * sharp)
        return -x / variance + sharp * (normal.log_prob(x * sharp) - log_cdf).exp()

    *_, (_, x) = samplers.heun(sde, score, sde.prior_sampling((4000, 1, 1, 1), rng), 80, rng)
    assert float((x > 0).float().mean()) > 0.99
    assert float(x.mean()) == pytest.approx(math.sqrt(2 / math.pi), abs=0.04)


@pytest.mark.parametrize("kind", ["ve", "vp", "sub-vp"])
def test_what_is_known_stays_and_the_rest_is_drawn(kind):
    made, x = model(3, sde=kind), torch.rand(2, 3, 8, 8, generator=seeded())
    made.mean.copy_(torch.randn(made.mean.shape, generator=seeded(9)) / 3)
    kept = torch.rand(8, 8, generator=seeded(1)) > 0.5
    with torch.inference_mode():
        steps = list(made.complete(x, kept, rng=seeded(2), evaluations=20))
        other = list(made.complete(x, kept, rng=seeded(3), evaluations=20))
    drawn = steps[-1][1]
    assert torch.allclose(made.outwards(drawn)[..., kept], x[..., kept], atol=1e-5)
    assert not torch.allclose(drawn[..., ~kept], other[-1][1][..., ~kept], atol=0.1)
    t, halfway = steps[len(steps) // 2]
    mean, std = made.sde.marginal(made.inwards(x), torch.full((2,), t))
    assert float(((halfway - mean)[..., kept]).std()) == pytest.approx(float(std[0]), rel=0.2)


def test_colouring_keeps_the_grey():
    made, x = model(3), torch.rand(2, 3, 8, 8, generator=seeded())
    made.mean.copy_(torch.randn(made.mean.shape, generator=seeded(9)) / 3)
    turn = views.grey_and_colour()
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-6)
    kept = torch.tensor([True, False, False])[:, None, None]
    with torch.inference_mode():
        *_, (_, drawn) = made.complete(x, kept, rng=seeded(2), evaluations=20, turn=turn)
    assert torch.allclose((drawn + made.mean).mean(1), (2 * x - 1).mean(1), atol=1e-5)
    assert float((drawn - drawn.mean(1, keepdim=True)).abs().mean()) > 0.05


# --- The rest -------------------------------------------------------------------------------------------------


def test_training_begins_with_the_datas_mean_and_largest_distance():
    data = small.few("digits", 200)
    x = 2 * data.train.batch(torch.arange(200))[0] - 1
    trained, loop = small.course(small.job("score_sde", "digits", steps=2), data)
    next(loop)
    assert float(trained.sigma_max) == pytest.approx(float(torch.cdist(x.flatten(1), x.flatten(1)).max()), rel=1e-4)
    assert torch.allclose(trained.mean, x.mean(0), atol=1e-6)
    assert torch.allclose(trained.inwards((x + 1) / 2).mean(0), torch.zeros_like(trained.mean), atol=1e-5)
    assert torch.allclose(trained.outwards(trained.inwards((x + 1) / 2)), (x + 1) / 2, atol=1e-6)
    chosen, loop = small.course(small.job("score_sde", "digits", steps=2, recipe={"sigma_max": 3.0}), data)
    next(loop)
    assert chosen.sde.sigma_max == 3
    points, loop = small.course(small.job("score_sde", "moons", steps=2), small.few("moons", 200))
    next(loop)
    assert not bool(points.mean.any()), "points are drawn where they are"


def test_settings_that_cannot_be_used_say_so():
    with pytest.raises(BadSetting, match="maps = 20"):
        Config(maps=20)
    with pytest.raises(BadSetting, match="30×28"):
        Config(height=30)
    with pytest.raises(BadSetting, match=r"sigma_max = 0\.005"):
        Recipe(sigma_max=0.005)


def test_a_drawing_is_learnt_by_a_copy():
    made = plane()
    before = {k: v.clone() for k, v in made.state_dict().items()}
    points = views.heart()
    with torch.inference_mode():
        learner = views.Learner(made, points, 300, seeded())
        far = [distance(learner.model, points)]
        learner.learn(300)
        far.append(distance(learner.model, points))
    assert far[1] < 0.3 * far[0]
    assert small.same(before, made.state_dict())


def distance(made: ScoreModel, points: Tensor) -> float:
    """How far from the drawing a sample is, on average."""
    x = made.sample(300, rng=seeded(1)).flatten(1)
    return float(torch.cdist(x, points).amin(1).mean())


def test_the_reference_pads_and_cuts():
    reference = registry.reference("score_sde")
    made = reference.Model(configure(reference.Config, DataInfo("x", 1, 28, 28), block_channels=8))
    x = torch.rand(2, 1, 28, 28)
    padded = made.inwards(x)
    assert padded.shape == (2, 3, 32, 32)
    assert float(padded[:, :, :2].sum() + padded[..., -2:].sum()) == 0
    assert torch.allclose(made.outwards(padded), x)
    with pytest.raises(BadSetting, match="points"):
        reference.Config(channels=2, height=1, width=1)


def test_the_references_net_is_already_divided_by_sigma():
    """A `UNet2DModel` with Fourier features gives the score: halving sigma doubles what an unchanged body gives."""
    reference = registry.reference("score_sde")
    made = reference.Model(configure(reference.Config, DataInfo("x", 3, 8, 8), block_channels=8)).eval()
    made.net.conv_out.weight.data.zero_()
    made.net.conv_out.bias.data.fill_(1.0)
    t = torch.tensor([0.3, 0.6])
    score = made.score(torch.randn(2, 3, 8, 8), t)
    assert torch.allclose(score, over(1 / made.sde.std(t), score).expand_as(score), rtol=1e-5)


def test_a_diffusers_without_the_pipeline_is_told(monkeypatch):
    path = registry.reference("score_sde").__file__
    monkeypatch.setitem(sys.modules, "diffusers", ModuleType("diffusers"))
    source = compile(Path(path).read_text("utf-8"), path, "exec")
    with pytest.raises(Told, match="no longer has ScoreSdeVePipeline"):
        exec(source, {"__name__": "without"})
