"""ViT-GAN: its parts against the library's, against closed forms and by hand; each switch does what it says."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import small
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from playground import controls, registry, staging
from playground.augmentation import augment
from playground.checkpoint import Checkpoint
from playground.contract import BadSetting, DataInfo, configure
from playground.families.image.vit_gan import Config, Rules, ViTGAN, model, nets, views
from playground.families.image.vit_gan.nets import Attention, Block, SelfModulatedNorm, SpectralNorm

SMALL = {"latents": 4, "features": 16, "critic_features": 16, "blocks": 2, "critic_blocks": 2, "heads": 2}


def made(side: int = 8, channels: int = 1, classes: int = 3, seed: int = 0, **settings: object) -> ViTGAN:
    """A small model whose weights are all off their first values."""
    torch.manual_seed(seed)
    info = DataInfo("x", channels, side, side, tuple(map(str, range(classes))))
    game = ViTGAN(configure(Config, info, **{**SMALL, **settings}))
    for parameter in (*game.generator.parameters(), *game.critics.parameters()):
        parameter.data += 0.2 * torch.randn_like(parameter)
    return game


def shaken(module: nn.Module, seed: int = 0) -> nn.Module:
    rng = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=rng)
    return module


def pictures(n: int, channels: int = 1, side: int = 8, seed: int = 1) -> Tensor:
    return 2 * torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed)) - 1


# --- Improved spectral norm -----------------------------------------------------------------------------------


def with_singular_values(values: list[float], rows: int = 12, columns: int = 20, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    u, _ = torch.linalg.qr(torch.randn(rows, len(values), generator=rng))
    v, _ = torch.linalg.qr(torch.randn(columns, len(values), generator=rng))
    return (u * torch.tensor(values)) @ v.T


def test_improved_spectral_norm_keeps_the_first_norm_of_known_matrices():
    """sigma(W_init) W / sigma(W)."""
    first, later = with_singular_values([3.0, 1.5, 0.5]), with_singular_values([8.0, 2.0, 1.0, 0.1], seed=1)
    norm = SpectralNorm(first, improved=True)
    assert float(norm.kept) == pytest.approx(3.0, rel=1e-5)
    assert torch.allclose(norm(first), first, rtol=1e-4, atol=1e-6), "nothing changes before the weight does"
    for _ in range(30):
        norm(later)
    assert torch.allclose(torch.linalg.svdvals(norm(later))[:4], 3 / 8 * torch.tensor([8.0, 2.0, 1.0, 0.1]), rtol=1e-4)
    assert torch.allclose(norm(-7 * later), 3 / 8 * -later, rtol=1e-4, atol=1e-6), "a scale drops out, a sign does not"


def test_plain_spectral_norm_holds_it_at_one():
    weight = with_singular_values([3.0, 1.5, 0.5])
    assert torch.allclose(SpectralNorm(weight, improved=False)(weight), weight / 3, rtol=1e-4, atol=1e-6)


def test_the_estimate_follows_in_training_and_stands_still_outside():
    norm = SpectralNorm(with_singular_values([3.0, 1.0]), improved=True)
    other = with_singular_values([5.0, 4.0], seed=2)
    before = norm.u.clone()
    norm.eval()(other)
    assert torch.equal(norm.u, before)
    norm.train()(other)
    assert not torch.equal(norm.u, before)


def test_the_gradient_of_spectral_norm_is_that_of_the_formula():
    first, slopes = torch.randn(5, 7), torch.randn(5, 7)
    norm = SpectralNorm(first, improved=True, iterations=300).eval()
    ours, exact = first.clone().requires_grad_(), first.clone().requires_grad_()
    (norm(ours) * slopes).sum().backward()
    kept = torch.linalg.matrix_norm(first, 2)
    (exact * kept / torch.linalg.matrix_norm(exact, 2) * slopes).sum().backward()
    assert torch.allclose(ours.grad, exact.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["vit", "convolutional"])
@pytest.mark.parametrize("norm", ["improved", "plain", "none"])
def test_every_weight_of_a_discriminator_is_under_it_or_none(kind, norm):
    torch.manual_seed(0)
    critic = nets.CRITICS[kind](replace(Config(**SMALL), height=8, width=8, classes=3, spectral_norm=norm))
    layers = {n: m for n, m in critic.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.Embedding))}
    assert len(layers) == (1 + 2 * 5 + 2 if kind == "vit" else 4 + 2)
    assert all(parametrize.is_parametrized(layer, "weight") == (norm != "none") for layer in layers.values())
    if norm == "none":
        return
    largest = lambda layer: float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2))
    first = {name: largest(layer) for name, layer in layers.items()}
    shaken(critic)
    for _ in range(60):
        critic(pictures(2), torch.tensor([0, 1]))
    for name, layer in layers.items():
        wanted = first[name] if norm == "improved" else 1.0
        assert largest(layer) == pytest.approx(wanted, rel=0.03), name


# --- Attention ------------------------------------------------------------------------------------------------


def test_l2_attention_is_a_softmax_of_distances():
    """By torch.cdist, with query and key the same map."""
    attention = shaken(Attention(24, 3, "l2"))
    assert attention.key is None
    x = torch.randn(5, 7, 24)
    q, v = (layer(x).view(5, 7, 3, 8).transpose(1, 2) for layer in (attention.query, attention.value))
    weights = (-torch.cdist(q, q).square() / math.sqrt(8)).softmax(-1)
    assert torch.allclose(attention.weights(x), weights, rtol=1e-4, atol=1e-6)
    expected = attention.out((weights @ v).transpose(1, 2).reshape(5, 7, 24))
    assert torch.allclose(attention(x), expected, rtol=1e-4, atol=1e-5)


def steepest(kind: str, far: float) -> float:
    """The largest slope of one-headed attention at three tokens at 0, far and -far (Kim et al., section 3.1)."""
    attention = Attention(2, 1, kind)
    for layer in attention.children():
        nn.init.eye_(layer.weight)
    x = torch.tensor([[0.0, 0.0], [far, 0.0], [-far, 0.0]])
    jacobian = torch.autograd.functional.jacobian(lambda x: attention(x[None])[0], x)
    return float(torch.linalg.matrix_norm(jacobian.view(6, 6), 2))


def test_the_slope_of_l2_attention_is_bounded_and_that_of_the_dot_product_is_not():
    assert steepest("dot", 30) > 50 * steepest("dot", 3) > 50
    assert steepest("l2", 30) < 3
    assert steepest("l2", 3) < 3


# --- The transformer, against the library's -------------------------------------------------------------------

IN_LIBRARY = {
    "norm1": "layernorm_before",
    "attention.query": "attention.q_proj",
    "attention.key": "attention.k_proj",
    "attention.value": "attention.v_proj",
    "attention.out": "attention.o_proj",
    "norm2": "layernorm_after",
    "into": "mlp.fc1",
    "out": "mlp.fc2",
}
"""A part of our block and its name in `ViTLayer`."""


def block_in_library(state: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}{IN_LIBRARY[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": v for name, v in state.items()}


def library(config: Config):
    reference = registry.reference("vit_gan")
    names = ("channels", "height", "width", "classes", "conditional", "latents", "grid", "features", "blocks", "heads")
    return reference, reference.Config(**{name: getattr(config, name) for name in names}).library()


def test_a_block_equals_vit_layer():
    reference, settings = library(Config(features=24, heads=3))
    ours, theirs = shaken(Block(24, 3)), reference.ViTLayer(settings)
    theirs.load_state_dict(block_in_library(ours.state_dict()))
    x = torch.randn(4, 9, 24)
    assert torch.allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_without_the_papers_parts_the_discriminator_is_vit_for_image_classification():
    config = Config(features=24, heads=3, blocks=2, critic_features=24, critic_blocks=2)
    config = replace(config, attention="dot", spectral_norm="none", overlap=False)
    reference, settings = library(config)
    ours, theirs = shaken(nets.ViT(config)), reference.ViTForImageClassification(settings)
    state = {
        "vit.embeddings.cls_token": ours.first,
        "vit.embeddings.position_embeddings": ours.positions,
        "vit.embeddings.patch_embeddings.projection.weight": ours.patches.weight,
        "vit.embeddings.patch_embeddings.projection.bias": ours.patches.bias,
        "vit.layernorm.weight": ours.norm.weight,
        "vit.layernorm.bias": ours.norm.bias,
        "classifier.weight": ours.head.psi.weight,
        "classifier.bias": ours.head.psi.bias,
    }
    for i, block in enumerate(ours.blocks):
        state |= block_in_library(block.state_dict(), f"vit.layers.{i}.")
    theirs.load_state_dict(state)
    x = pictures(5, side=28)
    logits, score = theirs(x).logits[:, 0], ours(x, torch.zeros(5, dtype=torch.int64))
    assert float(score.detach().std()) > 0.01
    assert torch.allclose(score, logits, rtol=1e-4, atol=1e-5)
    attentions = theirs(x, output_attentions=True).attentions
    for found, expected in zip(ours.attentions(x), attentions, strict=True):
        assert torch.allclose(found, expected.mean(1), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("overlap", [False, True])
def test_patches_reach_half_their_size_beyond_their_edges_or_end_there(overlap):
    critic = nets.ViT(Config(grid=2, critic_grid=2, overlap=overlap, height=8, width=12, spectral_norm="none"))
    x = torch.zeros(1, 1, 8, 12, requires_grad=True)
    tokens = critic.embedded(x)
    assert tokens.shape[1] == 1 + 4, "as many tokens either way"
    tokens[0, 1].sum().backward()  # the first patch: 4 rows and 6 columns
    rows, columns = (x.grad[0, 0] != 0).any(1).sum(), (x.grad[0, 0] != 0).any(0).sum()
    assert (int(rows), int(columns)) == ((6, 9) if overlap else (4, 6))


# --- The generator --------------------------------------------------------------------------------------------


def test_self_modulation_by_hand():
    norm = shaken(SelfModulatedNorm(16))
    h, w = torch.randn(3, 5, 16), torch.randn(3, 16)
    mu, sigma = h.mean(-1, keepdim=True), h.std(-1, keepdim=True, unbiased=False)
    expected = norm.gamma(w)[:, None] * (h - mu) / sigma + norm.beta(w)[:, None]
    assert torch.allclose(norm(h, w), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(norm(h, w + 1), expected, atol=0.1)


@pytest.mark.parametrize("modulation", [True, False])
@pytest.mark.parametrize("seeded", [True, False])
def test_where_the_noise_enters(modulation, seeded):
    game = made(modulation=modulation, seeded=seeded)
    z, y = torch.randn(3, 4), torch.tensor([1, 1, 0])
    z[2] = z[1]  # other noise, then another class
    told = game.generator.told(z, y)
    h, w = game.generator.entering(told)
    places = game.generator.positions.expand_as(h)
    shares = (told @ game.generator.shares.weight.T).view_as(h) if seeded else torch.zeros_like(h)
    added = torch.zeros_like(h) if modulation else w[:, None]
    assert torch.allclose(h, places + shares + added, rtol=1e-4, atol=1e-5)
    tokens = game.generator.tokens(told)
    assert float((tokens[0] - tokens[1]).abs().mean()) > 1e-2
    assert float((tokens[1] - tokens[2]).abs().mean()) > 1e-2


def test_patches_are_laid_side_by_side_row_by_row():
    patches = torch.arange(4).view(1, 4, 1, 1, 1).expand(1, 4, 2, 3, 5)
    picture = nets.assembled(patches, 2)
    assert picture.shape == (1, 2, 6, 10)
    assert picture[0, 1, ::3, ::5].tolist() == [[0, 1], [2, 3]]
    mine = torch.randn(2, 9, 3, 4, 4)
    back = F.unfold(nets.assembled(mine, 3), 4, stride=4).mT.view(2, 9, 3, 4, 4)
    assert torch.equal(back, mine)


def test_an_implicit_patch_is_a_function_of_the_place():
    decoder = shaken(made(side=12).generator.decoder)
    y = torch.randn(2, 16, 16)
    coarse, fine = decoder.patches(y), decoder.patches(y, zoom=3)
    assert fine.shape == (2, 16, 1, 9, 9)
    assert torch.allclose(fine[..., 1::3, 1::3], coarse, rtol=1e-4, atol=1e-5), "the middle of nine points is the pixel"
    far = decoder.patches(y, zoom=3, reach=3.0)  # three patches wide, in as many points as the pixels of three patches
    assert torch.allclose(far[..., 3:6, 3:6], coarse, rtol=1e-4, atol=1e-5), "the patch lies in the middle of it"
    # f by its definition, one layer on E_fou(u) and y together: the pixel at the top left of the token 5.
    angle = 2 * math.pi * torch.tensor([-2 / 3, -2 / 3]) @ decoder.frequencies
    weight = torch.cat([decoder.from_place.weight, decoder.from_token.weight], dim=1)
    inside = weight @ torch.cat([angle.sin(), angle.cos(), y[1, 5]]) + decoder.from_place.bias + decoder.from_token.bias
    strength = decoder.strength.weight @ y[1, 5] + decoder.strength.bias
    assert torch.allclose(coarse[1, 5, :, 0, 0], decoder.out(strength * inside.sin()), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", list(nets.DECODERS))
def test_only_convolutions_see_across_the_borders_of_patches(kind):
    game = made(decoder=kind)
    y = torch.randn(1, 16, 16, requires_grad=True)
    drawn = game.generator.decoder(y)
    assert drawn.shape == (1, 1, 8, 8)
    drawn[0, 0, 3, 3].backward()  # the lower right pixel of the token 5
    heard = {i for i in range(16) if bool((y.grad[0, i] != 0).any())}
    around = {0, 1, 2, 4, 5, 6, 8, 9, 10}  # two pixels away, by two convolutions of three
    assert heard == (around if kind == "convolutional" else {5})


@pytest.mark.parametrize("kind", ["plain", "convolutional"])
def test_what_a_token_draws_alone(kind):
    decoder = made(decoder=kind).generator.decoder
    y = torch.randn(2, 16, 16)
    alone = decoder.alone(y)
    if kind == "plain":
        assert torch.equal(nets.assembled(alone, 4), decoder(y))
    else:
        only = torch.zeros_like(y)
        only[:, 6] = y[:, 6]
        assert torch.allclose(alone[:, 6], decoder(only), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (28, 1), (32, 3)])
@pytest.mark.parametrize("kind", ["vit", "convolutional"])
def test_shapes_and_ranges(side, channels, kind):
    game = made(side, channels, discriminator=kind).eval()
    x = game.sample(5, rng=torch.Generator().manual_seed(0))
    assert x.shape == (5, channels, side, side)
    assert 0 <= float(x.min()) <= float(x.max()) <= 1
    assert {k: tuple(s.shape) for k, s in game.scores(x).items()} == {kind: (5,)}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"grid": 5}, "28×28 pictures|28×28 cannot be cut into 5×5"),
        ({"critic_grid": 3}, "critic_grid = 3"),
        ({"features": 30}, "features = 30: must be a multiple of the 4 heads"),
        ({"critic_features": 30}, "critic_features = 30"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(settings, words):
    with pytest.raises(BadSetting, match=words):
        Config(**settings)


# --- The game -------------------------------------------------------------------------------------------------


def test_losses_by_hand():
    real, fake = torch.tensor([2.0, -0.5]), torch.tensor([-3.0, 0.25])
    d, g = model.non_saturating(real, fake)
    log_sigmoid = lambda s: -math.log(1 + math.exp(-s))
    assert float(d) == pytest.approx(
        -(log_sigmoid(2) + log_sigmoid(-0.5)) / 2 - (log_sigmoid(3) + log_sigmoid(-0.25)) / 2
    )
    assert float(g) == pytest.approx(-(log_sigmoid(-3) + log_sigmoid(0.25)) / 2)
    d, g = model.hinge(real, fake)
    assert float(d) == pytest.approx((0 + 1.5) / 2 + (0 + 1.25) / 2)
    assert float(g) == pytest.approx((3 - 0.25) / 2)
    d, g = model.relativistic(real, fake)
    assert float(d) == pytest.approx(-(log_sigmoid(5) + log_sigmoid(-0.75)) / 2)
    assert float(g) == pytest.approx(-(log_sigmoid(-5) + log_sigmoid(0.75)) / 2)
    assert set(model.LOSSES.values()) == {model.non_saturating, model.hinge, model.relativistic}


def steepness(critic: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    return model.steepness(critic(x, y), x)


def test_steepness_of_a_linear_discriminator():
    w = nn.Parameter(torch.randn(64))
    found = steepness(lambda x, y: x.flatten(1) @ w, pictures(6), torch.zeros(6, dtype=torch.int64))
    assert torch.allclose(found, w.detach().square().sum().expand(6) / 2, rtol=1e-5)
    found.mean().backward()
    assert torch.allclose(w.grad, w.detach(), rtol=1e-4)


@pytest.mark.parametrize("attention", ["l2", "dot"])
def test_steepness_goes_back_twice_through_the_transformer(attention):
    """Its gradient equals what a small step in some direction of all weights changes."""
    critic = made(attention=attention, spectral_norm="none").critics["vit"].double()
    x, y = pictures(3).double(), torch.tensor([0, 1, 2])
    steepness(critic, x, y).mean().backward()
    step = [1e-5 * torch.randn_like(p) for p in critic.parameters()]
    told = sum(float((p.grad * s).sum()) for p, s in zip(critic.parameters(), step, strict=True) if p.grad is not None)
    values = []
    for sign in (1, -2):
        for p, s in zip(critic.parameters(), step, strict=True):
            p.data += sign * s
        values.append(float(steepness(critic, x, y).mean()))
    assert told == pytest.approx((values[0] - values[1]) / 2, rel=1e-5)
    assert abs(told) > 1e-9


def test_the_discriminators_turn_is_the_loss_plus_what_the_rules_add():
    game = made(spectral_norm="none")
    real, fake, y, u = pictures(6), pictures(6, seed=2), torch.arange(6) % 3, torch.rand(6, 16)
    critic = game.critics["vit"]
    rules = Rules("hinge", r1=0.5, r2=0.25, consistency=3.0, augment=True)
    total, scores = game.turns(rules)[0](real, fake, y, u)
    seen = {"real": augment(real, u[:, :4]), "fake": augment(fake, u[:, 4:8])}
    again = {"real": augment(seen["real"], u[:, 8:12]), "fake": augment(seen["fake"], u[:, 12:])}
    d_real, d_fake = critic(seen["real"], y), critic(seen["fake"], y)
    bcr = sum((critic(again[k], y) - critic(seen[k], y)).square().mean() for k in seen)
    r1, r2 = (steepness(critic, seen[k], y).mean() for k in ("real", "fake"))
    expected = model.hinge(d_real, d_fake)[0] + 3 * bcr + 0.5 * r1 + 0.25 * r2
    assert total.item() == pytest.approx(expected.item(), rel=1e-4)
    assert min(bcr.item(), r1.item(), r2.item()) > 1e-4
    assert scores["D(real)"].item() == pytest.approx(d_real.mean().item(), rel=1e-3)
    assert scores["D(fake)"].item() == pytest.approx(d_fake.mean().item(), rel=1e-3)


def test_without_further_rules_it_is_the_loss_alone():
    game = made(spectral_norm="none")
    real, fake, y = pictures(6), pictures(6, seed=2), torch.arange(6) % 3
    total, _ = game.turns(Rules("non-saturating"))[0](real, fake, y, torch.rand(6, 16))
    critic = game.critics["vit"]
    assert total.item() == pytest.approx(model.non_saturating(critic(real, y), critic(fake, y))[0].item(), rel=1e-4)


@pytest.mark.parametrize("augmented", [False, True])
@pytest.mark.parametrize("loss", model.LOSSES)
def test_the_generators_turn_moves_the_generator_alone(augmented, loss):
    game = made(beside=True)
    _, turn = game.turns(Rules(loss, augment=augmented))
    z, y, u, real = torch.randn(6, 4), torch.arange(6) % 3, torch.rand(6, 8), pictures(6)
    assert {id(p) for p in turn.parameters()} == {id(p) for p in game.generator.parameters()}
    game.critics.eval()
    value = turn(z, y, u, real)
    fake = game.generator(z, y).detach()
    seen = (augment(real, u[:, :4]), augment(fake, u[:, 4:])) if augmented else (real, fake)
    of_real, of_fake = (torch.stack(list(game.scores(x / 2 + 0.5, y).values())) for x in seen)
    assert value.item() == pytest.approx(model.LOSSES[loss](of_real, of_fake)[1].item(), rel=1e-3)
    value.backward()
    assert all(p.grad is not None and float(p.grad.abs().max()) > 0 for p in game.generator.parameters())


def test_two_discriminators_are_both_to_be_convinced():
    game = made(beside=True, discriminator="convolutional", spectral_norm="none")
    assert list(game.critics) == ["convolutional", "vit"]
    real, fake, y = pictures(6), pictures(6, seed=2), torch.arange(6) % 3
    total, _ = game.turns(Rules())[0](real, fake, y, torch.rand(6, 16))
    each = [model.relativistic(critic(real, y), critic(fake, y))[0].item() for critic in game.critics.values()]
    assert total.item() == pytest.approx(sum(each) / 2, rel=1e-4)


def test_the_class_enters_the_score_by_projection():
    game = made(spectral_norm="none")
    critic, x, zero = game.critics["vit"], pictures(6), torch.zeros(6, dtype=torch.int64)
    h: list[Tensor] = []
    critic.head.psi.register_forward_hook(lambda layer, inputs, output: h.append(inputs[0]))
    difference = critic(x, zero + 1) - critic(x, zero)
    embed = critic.head.embed.weight
    assert torch.allclose(difference, h[0] @ (embed[1] - embed[0]), rtol=1e-3, atol=1e-5)


def test_without_classes_the_players_ignore_them():
    game = made(conditional=False).eval()
    x, z, y = pictures(6), torch.randn(6, 4), torch.ones(6, dtype=torch.int64)
    assert torch.equal(game.scores(x, y)["vit"], game.scores(x)["vit"])
    assert torch.equal(game.decode(z, y), game.decode(z))


def test_the_average_follows_the_generator_and_draws():
    game = made().eval()
    fast, slow = (dict(net.named_parameters()) for net in (game.generator, game.average))
    before = {name: p.detach().clone() for name, p in slow.items()}
    game.follow(0.9)
    for name, now in slow.items():
        assert torch.allclose(now, 0.9 * before[name] + 0.1 * fast[name], rtol=1e-4, atol=1e-6), name
        assert not now.requires_grad
    z = torch.randn(5, 4)
    assert torch.equal(game.decode(z), (game.average(z, game.classes(None, 5)) + 1) / 2)
    assert not torch.allclose(game.decode(z), game.decode(z, average=False), atol=1e-3)
    game.follow(0.0)
    assert torch.allclose(game.decode(z), game.decode(z, average=False), atol=1e-5)


# --- What is shown --------------------------------------------------------------------------------------------


def test_rollout_by_hand():
    first = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.5, 0.5]]])
    second = torch.tensor([[[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    one, two = views.rollouts([first, second])
    assert one.tolist() == [[0, 0]], "the class token has looked at itself alone"
    # Half of what the second patch has become: 3/4 itself, 1/4 the first patch.
    assert two.tolist() == [[0.125, 0.375]]


def test_a_row_of_a_rollout_loses_nothing():
    critic = made().critics["vit"]
    attentions = critic.attentions(pictures(4))
    class_alone = torch.stack([a[:, 0, 0] for a in attentions[:1]])[0]
    assert torch.allclose(views.rollouts(attentions)[0].sum(1), (1 - class_alone) / 2, rtol=1e-4)
    assert bool((views.rollouts(attentions)[-1].sum(1) <= 1).all())


def test_the_slope_is_that_of_the_score_also_where_gradients_are_off():
    critic = made(spectral_norm="none").critics["vit"].double()
    x, y = pictures(2).double(), torch.tensor([0, 1])
    with torch.inference_mode():
        found = views.slope(critic, x, y)
    for row, column in ((0, 0), (3, 5), (7, 7)):
        up, down = x.clone(), x.clone()
        up[:, 0, row, column] += 1e-5
        down[:, 0, row, column] -= 1e-5
        expected = (critic(up, y) - critic(down, y)).abs() / 2e-5
        assert torch.allclose(found[:, 0, row, column], expected.detach(), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("modulation", [True, False])
def test_after_the_last_block_the_picture_is_done(modulation):
    game = made(modulation=modulation).eval()
    z, y = torch.randn(3, 4), torch.tensor([0, 1, 2])
    growing = views.after_each_block(game.average, game.average.told(z, y))
    assert growing.shape == (3, 1 + 2, 1, 8, 8)
    assert torch.allclose(growing[:, -1], game.decode(z, y), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(growing[:, 0], growing[:, -1], atol=1e-2)


def shown(game: ViTGAN, key: str, **raw: object) -> list:
    digits = small.load("digits")
    checkpoint = Checkpoint("vit_gan", game.eval(), game.config, digits.info)
    checkpoint.about = replace(checkpoint.about, dataset="digits")
    return staging.draw(staging.view(checkpoint, key), game, game.config, staging.scene(checkpoint), raw)


def test_an_interpolation_goes_from_class_to_class():
    game = made(classes=10)
    (sheet,) = shown(game, "interpolate", rows=2, seed=3)
    z = game.noise(2, torch.Generator().manual_seed(3))
    starts = game.decode(z, torch.tensor([0, 1]))
    assert torch.allclose(sheet.pictures[:: views.BETWEEN], starts, rtol=1e-4, atol=1e-5)
    (seven,) = shown(game, "interpolate", rows=1, label=7, seed=3)
    ends = game.decode(game.noise(2, torch.Generator().manual_seed(3)), torch.tensor([7, 7]))
    assert torch.allclose(seven.pictures[[0, -1]], ends, rtol=1e-4, atol=1e-5)


def test_two_discriminators_are_shown_side_by_side():
    game = made(classes=10, beside=True)
    curves = [o for o in shown(game, "histogram") if hasattr(o, "series")]
    assert [c.title for c in curves[:2]] == [views.KINDS["vit"], views.KINDS["convolutional"]]
    assert curves[2].style == "points"
    (sheet,) = shown(game, "looks", rows=3)
    assert sheet.columns == 1 + (1 + 2) + 1, "picture; slope and two rollouts; slope"
    assert len(sheet.pictures) == 3 * sheet.columns
    only = made(classes=10, discriminator="convolutional")
    assert shown(only, "looks", rows=3)[0].columns == 2
    assert len(shown(only, "histogram")) == 2


def test_held_out_pictures_looked_at_are_of_the_class_that_is_chosen():
    (sheet,) = shown(made(classes=10), "looks", rows=4, label=3)
    assert [caption for caption in sheet.captions if caption] == ["3"] * 4


@pytest.mark.parametrize("label", [2, controls.EACH_IN_TURN])
def test_ones_own_picture_is_looked_at_as_the_class_that_is_chosen(label):
    game = made(classes=10)
    picture = torch.rand(1, 8, 8)
    (sheet,) = shown(game, "looks", picture=picture, label=label)
    judged = torch.arange(10) if label == controls.EACH_IN_TURN else torch.tensor([label])
    assert [caption for caption in sheet.captions if caption] == [str(int(c)) for c in judged]
    rows = sheet.pictures.unflatten(0, (len(judged), -1))
    assert torch.equal(rows[:, 0], picture.expand(len(judged), -1, -1, -1))
    steep = views.slope(game.critics["vit"], 2 * rows[:, 0] - 1, judged)
    assert torch.allclose(rows[:, 1], steep / steep.amax((1, 2, 3), keepdim=True), rtol=1e-3)


# --- The counterpart ------------------------------------------------------------------------------------------


def counterpart():
    torch.manual_seed(0)
    reference = registry.reference("vit_gan")
    return reference, reference.Model(reference.Config(height=8, width=8, classes=3, features=16, blocks=2, heads=2))


def test_the_library_itself_loads_the_counterparts_discriminator(tmp_path):
    from transformers import ViTForImageClassification

    reference, game = counterpart()
    reference.save(game.eval(), tmp_path)
    net = ViTForImageClassification.from_pretrained(tmp_path / "discriminator", local_files_only=True)
    x, y = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    scores = net(pixel_values=2 * x - 1).logits.gather(1, y[:, None])[:, 0]
    assert torch.allclose(game.scores(x, y)["vit"], scores, rtol=1e-4, atol=1e-6)


def test_r1_goes_back_twice_through_the_counterpart():
    _, game = counterpart()
    turn, _ = game.turns(Rules(r1=1.0))
    real, fake, y = pictures(6), pictures(6, seed=2), torch.arange(6) % 3
    loss, _ = turn(real, fake, y, torch.rand(6, 16))
    critic = game.critics["vit"]
    plain = model.relativistic(critic(real, y), critic(fake, y))[0]
    assert loss.item() == pytest.approx((plain + steepness(critic, real, y).mean()).item(), rel=1e-4)
    loss.backward()
    silent = {n for n, p in critic.named_parameters() if p.grad is None}
    assert not silent
