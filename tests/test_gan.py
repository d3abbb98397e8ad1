"""The GAN's losses and penalties by hand, its spectral norm against torch, its players one by one."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from playground.augmentation import augment
from playground.contract import BadSetting, DataInfo, configure
from playground.families.image import gan
from playground.families.image.gan import GAN, Config, Rules, SpectralNorm


def model(side: int = 8, channels: int = 1, classes: int = 3, seed: int = 0, **settings: object) -> GAN:
    torch.manual_seed(seed)
    info = DataInfo("x", channels, side, side, tuple(map(str, range(classes))))
    made = GAN(configure(Config, info, **{"latents": 4, "maps": 8, "critic_maps": 16, **settings}))
    for parameter in (*made.generator.parameters(), *made.discriminator.parameters()):
        parameter.data += 0.2 * torch.randn_like(parameter)
    return made


class Linear(nn.Module):
    """psi(x) = w . x: its slope is w wherever one looks."""

    def __init__(self, w: Tensor):
        super().__init__()
        self.w = nn.Parameter(w)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x.flatten(1) @ self.w


class Quadratic(nn.Module):
    """psi(x) = |x|^2 / 2: its slope is x itself."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x.flatten(1).square().sum(1) / 2


def pictures(n: int, channels: int = 1, side: int = 8, seed: int = 1) -> Tensor:
    return 2 * torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed)) - 1


Y = torch.zeros(6, dtype=torch.int64)

# --- Spectral norm --------------------------------------------------------------------------------------------


LAYERS = [nn.Linear(7, 5), nn.Conv2d(3, 8, 4), nn.Embedding(6, 9)]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_spectral_norm_equals_torch(layer):
    """torch turns u before v, the paper's algorithm 1 v before u: the same power iteration, half a step apart."""
    u, v = torch.randn(layer.weight.shape[0]), torch.randn(layer.weight[0].numel())
    weight = torch.randn(layer.weight.shape) + 3 * torch.outer(u, v).view_as(layer.weight) / v.norm()
    layer.weight.data = weight.clone()  # its first singular value stands out, so that both soon have found it
    theirs = parametrizations.spectral_norm(layer, n_power_iterations=1)
    torchs = layer.parametrizations.weight[0]
    ours = SpectralNorm(weight)
    ours.u.copy_(F.normalize(weight.flatten(1) @ torchs._v, dim=0))
    for _ in range(100):
        ours_now, theirs_now = ours(weight), theirs.weight
        assert torch.allclose(ours.v, torchs._v, rtol=1e-3, atol=1e-6)
    assert torch.allclose(ours_now, theirs_now, rtol=1e-5)
    ours.eval()
    theirs.eval()
    before = ours.u.clone()
    assert torch.allclose(ours(weight), theirs.weight, rtol=1e-5)
    assert torch.equal(ours.u, before), "an estimate is not moved by looking at it"


def test_spectral_norm_of_a_known_matrix():
    rng = torch.Generator().manual_seed(0)
    u, _ = torch.linalg.qr(torch.randn(12, 6, generator=rng))
    v, _ = torch.linalg.qr(torch.randn(20, 6, generator=rng))
    singular = torch.tensor([3.0, 1.5, 1.0, 0.5, 0.2, 0.1])
    weight = (u * singular) @ v.T
    norm = SpectralNorm(weight, iterations=30)
    assert torch.allclose(torch.linalg.svdvals(norm(weight))[:6], singular / 3, rtol=1e-4)
    assert torch.allclose(norm(10 * weight), weight / 3, rtol=1e-4), "a scale drops out"


def test_the_gradient_of_spectral_norm_is_torchs():
    weight = torch.randn(5, 7)
    layer = nn.Linear(7, 5, bias=False)
    layer.weight.data = weight.clone()
    layer = parametrizations.spectral_norm(layer, n_power_iterations=200)
    ours = SpectralNorm(weight, iterations=200)
    mine = weight.clone().requires_grad_()
    slopes = torch.randn(5, 7)
    (ours(mine) * slopes).sum().backward()
    (layer.weight * slopes).sum().backward()
    assert torch.allclose(mine.grad, layer.parametrizations.weight.original.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("classes", [0, 3])
def test_the_whole_discriminator_is_under_it_or_not(classes):
    bound, free = model(classes=classes), model(classes=classes, spectral_norm=False)
    layers = [m for m in bound.discriminator.modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.Embedding))]
    assert len(layers) == 5 + (classes > 0)
    assert all(parametrize.is_parametrized(layer, "weight") for layer in layers)
    assert not any(parametrize.is_parametrized(m) for m in free.discriminator.modules())
    x, y = pictures(6), Y
    for _ in range(50):
        bound.discriminator(x, y)
    for layer in layers:
        assert float(torch.linalg.svdvals(layer.weight.detach().flatten(1))[0]) == pytest.approx(1, abs=0.03)


# --- Losses and penalties -------------------------------------------------------------------------------------


def test_losses_by_hand():
    real, fake = torch.tensor([2.0, -0.5]), torch.tensor([-3.0, 0.25])

    def log_sigmoid(s: float) -> float:
        return -math.log(1 + math.exp(-s))

    d, g = gan.non_saturating(real, fake)
    assert float(d) == pytest.approx(
        -(log_sigmoid(2) + log_sigmoid(-0.5)) / 2 - (log_sigmoid(3) + log_sigmoid(-0.25)) / 2
    )
    assert float(g) == pytest.approx(-(log_sigmoid(-3) + log_sigmoid(0.25)) / 2)
    d, g = gan.hinge(real, fake)
    assert float(d) == pytest.approx((0 + 1.5) / 2 + (0 + 1.25) / 2)
    assert float(g) == pytest.approx((3 - 0.25) / 2)
    d, g = gan.wasserstein(real, fake)
    assert float(d) == pytest.approx(-1.375 - 0.75)
    assert float(g) == pytest.approx(1.375)
    assert set(gan.LOSSES.values()) == {gan.non_saturating, gan.hinge, gan.wasserstein}


@pytest.mark.parametrize("name", list(gan.LOSSES))
def test_each_player_wants_the_opposite_of_fakes(name):
    real, fake = torch.zeros(4), torch.zeros(4, requires_grad=True)
    d, g = gan.LOSSES[name](real, fake)
    (of_d,) = torch.autograd.grad(d, fake)
    (of_g,) = torch.autograd.grad(g, fake)
    assert bool((of_d > 0).all())
    assert bool((of_g < 0).all())


def test_r1_and_gradient_penalty_of_a_linear_discriminator():
    w = torch.randn(64)
    made = Linear(w)
    real, fake, mix = pictures(6), pictures(6, seed=2), torch.rand(6)
    norm = float(w.norm())
    assert gan.r1_penalty(made, real, Y).item() == pytest.approx(norm**2 / 2, rel=1e-5)
    assert gan.gradient_penalty(made, real, fake, Y, mix).item() == pytest.approx((norm - 1) ** 2, rel=1e-5)
    gan.r1_penalty(made, real, Y).backward()
    assert torch.allclose(made.w.grad, w, rtol=1e-4)
    made.w.grad = None
    gan.gradient_penalty(made, real, fake, Y, mix).backward()
    assert torch.allclose(made.w.grad, 2 * (norm - 1) * w / norm, rtol=1e-4)


def test_penalties_look_where_they_should():
    """With the slope x itself, R1 is |x|^2 / 2 at real pictures; the other penalty sees the mixture."""
    real, fake, mix = pictures(6), pictures(6, seed=2), torch.rand(6)
    r1 = gan.r1_penalty(Quadratic(), real, Y).item()
    assert r1 == pytest.approx(float(real.flatten(1).square().sum(1).mean() / 2), rel=1e-5)
    between = mix[:, None] * real.flatten(1) + (1 - mix[:, None]) * fake.flatten(1)
    expected = float((between.norm(dim=1) - 1).square().mean())
    assert gan.gradient_penalty(Quadratic(), real, fake, Y, mix).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", list(gan.LOSSES))
def test_the_discriminators_turn_is_the_loss_plus_the_weighted_penalties(loss):
    made = model(spectral_norm=False)
    real, fake, y, u = pictures(6), pictures(6, seed=2), torch.arange(6) % 3, torch.rand(6, 9)
    turn, _ = made.turns(Rules(loss, r1=0.5, penalty=3.0))
    total, scores = turn(real, fake, y, u)
    d = made.discriminator
    plain, _ = gan.LOSSES[loss](d(real, y), d(fake, y))
    r1, slope = gan.r1_penalty(d, real, y), gan.gradient_penalty(d, real, fake, y, u[:, 8])
    assert total.item() == pytest.approx((plain + 0.5 * r1 + 3 * slope).item(), rel=1e-4)
    assert scores["D(real)"].item() == pytest.approx(d(real, y).mean().item(), rel=1e-4)
    assert scores["D(fake)"].item() == pytest.approx(d(fake, y).mean().item(), rel=1e-4)
    assert min(r1.item(), slope.item()) > 1e-3


def test_the_generators_turn_moves_the_generator_alone():
    made = model()
    _, turn = made.turns(Rules("hinge"))
    z, y = torch.randn(6, 4), torch.arange(6) % 3
    assert {id(p) for p in turn.parameters()} == {id(p) for p in made.generator.parameters()}
    loss, fake = turn(z, y, torch.rand(6, 4))
    made.discriminator.eval()
    assert not fake.requires_grad
    assert loss.item() == pytest.approx(-made.discriminator(fake, y).mean().item(), rel=0.05)
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in made.generator.parameters())
    # A bias before a normalisation by the batch's own mean has no effect: every other weight has.
    silent = {"start.bias", "up1.bias", "up2.bias"}
    moved = {n for n, p in made.generator.named_parameters() if float(p.grad.abs().max()) > 1e-7}
    assert moved >= {n for n, _ in made.generator.named_parameters()} - silent


# --- DiffAugment ----------------------------------------------------------------------------------------------


def test_augmentation_shifts_and_cuts_as_its_numbers_say():
    x = pictures(3, channels=2, side=16)
    far = torch.tensor([[0.5, 0.5, 0.0, 0.0]]).expand(3, 4)  # no shift; the corner cut out: 4 x 4 of its half side
    out = augment(x, far)
    assert torch.equal(out[:, :, 4:], x[:, :, 4:])
    assert bool((out[:, :, :4, :4] == 0).all())
    down = augment(x, torch.tensor([[0.99, 0.5, 0.99, 0.99]]).expand(3, 4))
    assert torch.equal(down[:, :, 2:11], x[:, :, :9]), "an eighth of 16 down"
    assert bool((down[:, :, :2] == -1).all()), "black comes in"
    right = augment(x, torch.tensor([[0.5, 0.99, 0.99, 0.99]]).expand(3, 4))
    assert torch.equal(right[..., 2:11], x[..., :9])
    assert bool((right[..., :2] == -1).all())
    up = augment(x, torch.tensor([[0.0, 0.5, 0.0, 0.99]]).expand(3, 4))
    assert torch.equal(up[:, :, 4:14, :8], x[:, :, 6:16, :8])


def test_augmentation_treats_each_picture_by_its_own_numbers():
    x, u = pictures(5, side=12), torch.rand(5, 4)
    together = augment(x, u)
    for i in range(5):
        assert torch.equal(together[i : i + 1], augment(x[i : i + 1], u[i : i + 1]))


def test_augmentation_lets_the_gradient_through_what_it_shows():
    x = pictures(4, side=12).requires_grad_()
    u = torch.rand(4, 4, generator=torch.Generator().manual_seed(3))
    out = augment(x, u)
    assert out.shape == x.shape
    out.sum().backward()
    assert set(x.grad.unique().tolist()) == {0.0, 1.0}
    visible = ((out != 0) & (out != -1)).sum()
    assert float(x.grad.sum()) == float(visible)


# --- The players ----------------------------------------------------------------------------------------------


def test_the_class_enters_the_score_by_projection():
    """Miyato and Koyama, eq. 3: the score's dependence on the class is <embed(y), h>, linear in the features."""
    made = model(spectral_norm=False)
    d, x = made.discriminator, pictures(6)
    h: list[Tensor] = []
    d.psi.register_forward_hook(lambda layer, inputs, output: h.append(inputs[0]))
    zero, one = d(x, Y), d(x, Y + 1)
    expected = h[0] @ (d.embed.weight[1] - d.embed.weight[0])
    assert torch.allclose(one - zero, expected, rtol=1e-3, atol=1e-5)
    assert torch.allclose(zero, (d.psi(h[0]).squeeze(1) + h[0] @ d.embed.weight[0]), rtol=1e-4)


def test_without_classes_the_players_ignore_them():
    made = model(conditional=False).eval()
    x, z = pictures(6), torch.randn(6, 4)
    assert made.discriminator.embed is None
    assert torch.equal(made.scores(x, Y + 1), made.scores(x))
    assert torch.equal(made.decode(z, Y + 2), made.decode(z))


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_class_scales_and_shifts_the_generators_features(norm):
    layer = gan.ConditionalNorm(16, 3, norm).eval()
    nn.init.normal_(layer.scale.weight)
    nn.init.normal_(layer.shift.weight)
    h, y = torch.randn(4, 16, 5, 5), torch.tensor([0, 1, 2, 1])
    plain = layer.norm(h)
    for i in range(4):
        expected = layer.scale.weight[y[i], :, None, None] * plain[i] + layer.shift.weight[y[i], :, None, None]
        assert torch.allclose(layer(h, y)[i], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (28, 1), (32, 3)])
def test_shapes_and_ranges(side, channels):
    made = model(side, channels).eval()
    x = made.sample(5, rng=torch.Generator().manual_seed(0))
    assert x.shape == (5, channels, side, side)
    assert x.min() >= 0
    assert x.max() <= 1
    assert made.scores(x).shape == (5,)


def test_points_are_drawn_in_their_own_units():
    made = model(side=1, channels=2, classes=2).eval()
    made.average.net[-2].bias.data.fill_(7.0)
    x = made.sample(50, rng=torch.Generator().manual_seed(0))
    assert x.shape == (50, 2, 1, 1)
    assert float(x.mean()) > 3, "neither squashed nor clipped"
    assert made.scores(x).shape == (50,)
    assert made.config.labels == 0


def test_odd_sizes_are_refused_by_name():
    with pytest.raises(BadSetting, match="4 divides, not 28×30"):
        Config(width=30)


def test_the_average_follows_the_generator_and_its_statistics():
    made = model()
    for _ in range(3):
        made.generator(torch.randn(8, 4), torch.zeros(8, dtype=torch.int64))  # statistics of the batches move
    fast = {k: v.clone() for k, v in made.generator.state_dict().items()}
    slow = {k: v.clone() for k, v in made.average.state_dict().items()}
    made.follow(0.9)
    for key, now in made.average.state_dict().items():
        if now.is_floating_point():
            assert torch.allclose(now, 0.9 * slow[key] + 0.1 * fast[key], rtol=1e-4, atol=1e-6), key
        else:
            assert torch.equal(now, fast[key]), key
    assert not torch.equal(slow["norm1.norm.running_var"], fast["norm1.norm.running_var"])
    assert not any(p.requires_grad for p in made.average.parameters())
    made.follow(0.0)
    assert all(torch.equal(v, fast[k]) for k, v in made.average.state_dict().items())


def test_the_average_draws_unless_asked_otherwise():
    made = model().eval()
    z = torch.randn(5, 4)
    assert torch.equal(made.decode(z), (made.average(z, made.classes(None, 5)) + 1) / 2)
    assert torch.equal(made.decode(z, average=False), (made.generator(z, made.classes(None, 5)) + 1) / 2)
    assert not torch.allclose(made.decode(z), made.decode(z, average=False))


def test_slerp_stays_on_the_sphere_and_meets_its_ends():
    a, b = torch.randn(1, 64), torch.randn(1, 64)
    a, b = 8 * a / a.norm(), 8 * b / b.norm()
    t = torch.linspace(0, 1, 9)[:, None]
    path = gan.slerp(a, b, t)
    assert torch.allclose(path[:1], a, rtol=1e-4, atol=1e-4)
    assert torch.allclose(path[-1:], b, rtol=1e-4, atol=1e-4)
    assert torch.allclose(path.norm(dim=1), torch.full((9,), 8.0), rtol=1e-4)
    steps = (path[1:] - path[:-1]).norm(dim=1)
    assert torch.allclose(steps, steps[0].expand(8), rtol=1e-3)
    assert torch.allclose(gan.slerp(a, a, t), a.expand(9, -1), rtol=1e-3)
