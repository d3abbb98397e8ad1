"""The VQ-VAE: the same codes in any batch, where gradients go, what the prior's probabilities sum to, and DacModel beside it."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import small
import torch
from torch import Tensor, nn

from playground import comparing, registry, staging
from playground.contract import Audio, BadSetting, DataInfo, Mel, Scene, Told, configure
from playground.families.speech.vq_vae import VQVAE, Config
from playground.families.speech.vq_vae.model import RANGE, up_to
from playground.families.speech.vq_vae.prior import Prior
from playground.quantising import COMMITMENT, Follower
from playground.signal.mel import DIGITS, log_mel
from trainers.run import Run
from trainers.vq_vae import Heard, Recipe, cut, train

INFO = DataInfo("x", class_names=("0", "1", "2"), speakers=("ann", "ben"), sample_rate=8000)
TINY = {"codes": 16, "code_size": 4, "width": 16, "prior_width": 16, "prior_layers": 3, "longest": 24}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(info: DataInfo = INFO, seed: int = 0, **settings: Any) -> VQVAE:
    """A small VQ-VAE with weights large enough that every part matters."""
    torch.manual_seed(seed)
    made = VQVAE(configure(Config, info, **{**TINY, **settings}))
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    level, frames = made.heard(*voices(LENGTHS))
    with torch.no_grad():  # vectors among what the encoder says
        z_e = made.coder.encoder(level, up_to(frames, level.shape[2])).transpose(1, 2).flatten(0, 1)
        made.coder.codebook.data = z_e.mean(0) + z_e.std(0) * torch.randn(len(made.coder.codebook), z_e.shape[1])
    return made.eval()


LENGTHS = [4000, 700, 2500, 129, 1]


def voices(lengths: list[int], seed: int = 1) -> tuple[Tensor, Tensor]:
    """Recordings (B, T) like vowels that glide, zeros after each end."""
    x = torch.zeros(len(lengths), max(lengths))
    for i, n in enumerate(lengths):
        t = torch.arange(n) / 8000
        pitch = 110 * (i + 1) * (1 + t)
        wave = sum(torch.sin(2 * math.pi * k * pitch * t) / k for k in range(1, 8))
        x[i, :n] = 0.1 * wave + 0.01 * torch.randn(n, generator=seeded(seed + i))
    return x, torch.tensor(lengths)


# --- What is heard --------------------------------------------------------------------------------------------


def test_levels_are_those_of_the_front_end_and_keep_no_loudness():
    made, (x, lengths) = model(), voices(LENGTHS)
    level, frames = made.heard(x, lengths)
    assert frames.tolist() == [32, 6, 20, 2, 1]
    assert level.shape == (5, 64, 32)
    assert torch.allclose(level.amax((1, 2)), torch.full((5,), RANGE))
    assert float(level.min()) == 0.0
    assert torch.allclose(level, made.heard(0.05 * x, lengths)[0], atol=1e-3)
    mel = log_mel(x[0], DIGITS)[:20]  # away from the end, where there is silence and not a mirror
    shown = level[0, :, :20].T
    assert float((mel.diff(dim=0) - shown.diff(dim=0))[1:][shown[2:] > 0.5].abs().max()) < 1e-3


def test_a_recording_is_coded_and_decoded_alike_alone_and_in_a_batch():
    made, (x, lengths) = model(halvings=2), voices(LENGTHS)
    codes, counts = made.encode(x, lengths)
    assert counts.tolist() == [8, 2, 5, 1, 1]
    speakers = torch.tensor([0, 1, 0, 1, 0])
    mels = made.decode(codes, counts, speakers)
    for i, n in enumerate(LENGTHS):
        alone, (count,) = made.encode(x[i : i + 1, :n], lengths[i : i + 1])
        assert torch.equal(alone[0, :count], codes[i, :count])
        (mel,) = made.decode(alone, counts[i : i + 1], speakers[i : i + 1])
        assert mel.shape == (4 * count, 64)
        assert torch.allclose(mel, mels[i], atol=1e-5)
    assert len(codes[0].unique()) > 2


def test_codes_are_the_nearest_vectors():
    made, (x, lengths) = model(), voices(LENGTHS)
    level, frames = made.heard(x, lengths)
    z_e = made.coder.encoder(level, up_to(frames, level.shape[2])).transpose(1, 2)  # (B, N, D)
    distance = torch.cdist(z_e.double(), made.coder.codebook.double().expand(5, -1, -1))
    codes, counts = made.encode(x, lengths)
    assert torch.equal(codes, distance.argmin(2))
    assert torch.equal(counts, -(-frames // 2))


def test_the_voice_changes_what_is_said_and_silence_stays_within_bounds():
    made, (x, lengths) = model().requires_grad_(False), voices(LENGTHS)
    codes, counts = made.encode(x, lengths)
    one, other = (made.decode(codes, counts, torch.full((5,), v)) for v in (0, 1))
    assert all(not torch.allclose(a, b, atol=0.01) for a, b in zip(one, other, strict=True))
    assert all(float(mel.min()) >= -RANGE and float(mel.max()) <= 0 for mel in one)
    silent = made.reconstruct(torch.zeros(1, 4000), torch.tensor([4000]), torch.tensor([0]))
    assert bool(silent[0].isfinite().all())


# --- The objective --------------------------------------------------------------------------------------------


class Given(nn.Module):
    """An encoder whose vectors are what is asked about."""

    def __init__(self, z_e: Tensor):
        super().__init__()
        self.z_e = nn.Parameter(z_e)

    def forward(self, level: Tensor, there: Tensor) -> Tensor:
        return 1.0 * self.z_e


@pytest.mark.parametrize("codebook", ["averages", "gradient"])
def test_gradients_pass_the_choice_by_and_the_commitment_pulls(codebook):
    made, (x, lengths) = model(codebook=codebook), voices(LENGTHS)
    coder, speakers = made.coder, torch.tensor([0, 1, 0, 1, 0])
    level, frames = made.heard(x, lengths)
    given = coder.encoder = Given(torch.randn(5, 4, 16, generator=seeded()))
    loss, _, z = coder(level, frames, speakers)
    assert torch.equal(z, given.z_e)
    loss.backward()

    there, coded = up_to(frames, 32), up_to(-(-frames // 2), 16)
    codes = coder.choose(given.z_e)
    e = coder.vectors(codes).detach().requires_grad_()
    rebuilt = coder.decoder(e, coded, speakers)
    error = ((rebuilt - level).square() * there).mean()
    (through,) = torch.autograd.grad(error, e)
    apart = (given.z_e - e).detach() * coded / e.numel()
    assert torch.allclose(given.z_e.grad, through + 2 * COMMITMENT * apart, rtol=1e-4, atol=1e-8)
    square = float((apart * (given.z_e - e)).detach().sum())
    charged = COMMITMENT + (codebook == "gradient")
    assert loss.item() == pytest.approx(error.item() + charged * square, rel=1e-5)
    if codebook == "gradient":  # eq. 3: the vectors go to what chose them, by the second term alone
        pull = torch.zeros_like(coder.codebook).index_add_(0, codes.flatten(), -2 * apart.transpose(1, 2).flatten(0, 1))
        assert torch.allclose(coder.codebook.grad, pull, rtol=1e-4, atol=1e-8)
    else:
        assert not coder.codebook.requires_grad


def test_every_weight_gets_a_gradient():
    made, (x, lengths) = model(codebook="gradient"), voices(LENGTHS)
    speakers, labels = torch.tensor([0, 1, 0, 1, 0]), torch.tensor([0, 1, 2, 0, 1])
    made.coder(*made.heard(x, lengths), speakers)[0].backward()
    codes, counts = made.encode(x, lengths)
    made.prior(codes, counts, labels, speakers, torch.rand(codes.shape), 0.5)[0].backward()
    none = [name for name, p in made.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert not none


def test_a_frame_weighs_the_same_in_any_batch():
    """So two processes, each with half a batch, follow the gradient of the whole."""
    made, (x, lengths) = model(), voices([4000, 700, 2500, 1300])
    level, frames = made.heard(x, lengths)
    speakers = torch.tensor([0, 1, 0, 1])
    whole = made.coder(level, frames, speakers)[0]
    halves = [made.coder(level[i : i + 2], frames[i : i + 2], speakers[i : i + 2])[0] for i in (0, 2)]
    assert whole.item() == pytest.approx(float(sum(halves).detach()) / 2, rel=1e-5)
    labels, codes = torch.tensor([0, 1, 2, 0]), made.encode(x, lengths)
    u = torch.ones(codes[0].shape)
    whole = made.prior(*codes, labels, speakers, u, 0.0)[0]
    halves = [
        made.prior(codes[0][i : i + 2], codes[1][i : i + 2], labels[i : i + 2], speakers[i : i + 2], u[:2], 0.0)[0]
        for i in (0, 2)
    ]
    assert whole.item() == pytest.approx(float(sum(halves).detach()) / 2, rel=1e-5)


# --- The prior ------------------------------------------------------------------------------------------------


def prior(codes: int = 3, longest: int = 4, labels: int = 2) -> Prior:
    torch.manual_seed(0)
    made = Prior(codes, 8, 3, labels, 2, longest)
    for parameter in made.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return made.eval()


def test_the_probabilities_of_all_recordings_sum_to_one():
    made, total, differ = prior(), 0.0, set()
    for n in range(5):  # none at all, up to the longest, which needs no end
        rows = list(itertools.product(range(3), repeat=n))
        codes = torch.tensor(rows, dtype=torch.int64).view(len(rows), n)
        told = torch.ones(len(rows), dtype=torch.int64)
        with torch.no_grad():
            nats, there = made.nats(codes, torch.full((len(rows),), n), told, 0 * told)
        assert torch.equal(there.sum(1), torch.full((len(rows),), min(n + 1, 4)))
        total += float((-nats.double().sum(1)).exp().sum())
        differ |= {round(float(one), 4) for one in nats.sum(1)}
    assert total == pytest.approx(1.0, rel=1e-5)
    assert len(differ) > 100


def test_a_code_is_foreseen_from_those_before_it_alone():
    made, codes = prior(codes=9, longest=12), torch.randint(9, (1, 10), generator=seeded())
    told = torch.tensor([1])
    before = made.logits(codes, told, told)
    for place in range(10):
        other = codes.clone()
        other[0, place] = (other[0, place] + 1) % 9
        changed = (made.logits(other, told, told) - before).abs().amax((0, 1)) > 1e-6
        assert not bool(changed[: place + 1].any())
        assert bool(changed[place + 1])
    for label, speaker in ((0, 1), (1, 0)):
        assert not torch.allclose(made.logits(codes, torch.tensor([label]), torch.tensor([speaker])), before)
    with pytest.raises(ValueError, match="give the label"):
        made.logits(codes, None, told)


def test_padding_and_hidden_codes():
    made = prior(codes=9, longest=6)
    codes, told = torch.randint(9, (2, 5), generator=seeded()), torch.tensor([0, 1])
    alone = made.nats(codes[:1, :3], torch.tensor([3]), told[:1], told[:1])[0]
    nats, _ = made.nats(codes, torch.tensor([3, 5]), told, told)
    assert torch.allclose(nats[0, :4], alone[0])
    assert not bool(nats[0, 4:].any())
    u = torch.rand(2, 5, generator=seeded())
    loss, terms = made(codes, torch.tensor([3, 5]), told, told, u, 0.4)
    hidden = torch.where(u < 0.4, made.hidden, codes)
    expected, there = made.nats(codes, torch.tensor([3, 5]), told, told, hidden)
    assert loss.item() == pytest.approx(expected.sum(1).mean().item(), rel=1e-6)
    assert float(terms["prior (bits a code)"]) == pytest.approx(expected.sum().item() / 10 / math.log(2), rel=1e-5)
    assert int(there.sum()) == 10
    assert not torch.equal(expected, nats)
    longer = torch.randint(9, (1, 11), generator=seeded())
    cut_off, there = made.nats(longer, torch.tensor([11]), told[:1], told[:1])
    assert int(there.sum()) == 6, "no end where the recording goes on"
    assert torch.allclose(cut_off[0, :6], made.nats(longer[:, :6], torch.tensor([6]), told[:1], told[:1])[0][0, :6])


def test_draws_follow_the_probabilities():
    made, n = prior(codes=2, longest=2), 4000
    told = torch.ones(n, dtype=torch.int64)
    *_, last = made.draw(told, told, 1.0, seeded())
    first = made.logits(told.new_zeros(1, 0), told[:1], told[:1])[0, :2, 0].softmax(0)  # not the end at once
    codes = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    after = made.logits(codes[:, :1], told[:4], told[:4])[:, :, 1].softmax(1)  # (4, 3)
    for row, p in zip(codes.tolist(), after, strict=True):
        drawn = (last.codes == torch.tensor(row)).all(1) & (last.counts == 2)
        expected = float(first[row[0]] * p[row[1]])
        assert float(drawn.float().mean()) == pytest.approx(expected, abs=5 * math.sqrt(expected / n))
    for code in (0, 1):
        drawn = (last.codes[:, 0] == code) & (last.counts == 1)
        expected = float(first[code] * after[2 * code, 2])
        assert float(drawn.float().mean()) == pytest.approx(expected, abs=5 * math.sqrt(expected / n))


def test_the_coldest_draw_takes_the_likeliest():
    made, told = prior(codes=9, longest=12), torch.tensor([0, 1])
    *_, last = made.draw(told, told, 0.0, seeded(1))
    *_, again = made.draw(told, told, 0.0, seeded(2))
    assert torch.equal(last.codes, again.codes)
    for i, count in enumerate(last.counts.tolist()):
        likeliest = made.logits(last.codes[i : i + 1, :count], told[i : i + 1], told[i : i + 1])[0].argmax(0)
        assert torch.equal(likeliest[1:count], last.codes[i, 1:count])
        assert count == 12 or int(likeliest[count]) == made.end


# --- Training -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grain", [1, 5])
def test_stretches_are_cut_where_there_is_something(grain):
    run, made = Run(0, 8), SimpleNamespace(grain=grain, config=SimpleNamespace(stride=4))
    x = torch.arange(1, 40 * grain + 1).float().expand(200, 2, -1)
    counts = torch.tensor([40, 30, 12, 3, 1] * 40) * grain
    x = x * (torch.arange(40 * grain) < counts[:, None])[:, None]
    taken, left = cut(x, counts, 15, made, run)
    assert taken.shape == (200, 2, 16 * grain)
    firsts: dict[int, set[int]] = {}
    for whole, one, n in zip(counts.tolist(), taken, left.tolist(), strict=True):
        first = int(one[0, 0]) - 1
        assert first % grain == 0
        assert torch.equal(one[1, :n], torch.arange(first + 1, first + n + 1).float())
        assert not bool(one[:, n:].any())
        assert n == min(whole - first, 16 * grain) > 0
        firsts.setdefault(whole // grain, set()).add(first // grain)
    assert max(firsts[40]) == 24 and len(firsts[40]) > 10
    assert firsts[12] == {0, 1, 2, 3} and firsts[3] == {0, 1, 2} and firsts[1] == {0}


def test_the_codebook_follows_only_what_is_there(monkeypatch):
    data: Any = small.few("espeak_digits", 16)
    seen = []

    def follow(self, codebook, z, order, restart):
        seen.append((z, order))

    monkeypatch.setattr(Follower, "follow", follow)
    torch.manual_seed(0)
    made = VQVAE(configure(Config, data.info, **TINY))
    kept = Heard(data.train, made)
    assert [one.shape[0] for one in kept.kept] == [-(-int(n) // 128) for n in data.train.x.lengths]
    progress = next(train(made, data, Recipe(code_steps=1, steps=1, batch_size=16, frames=17), Run(0, 16)))
    ((z, order),) = seen
    codes = [min(9, -(-one.shape[0] // 2)) for one in kept.kept]
    assert sum(codes) - 16 <= len(z) <= sum(codes)
    assert z.shape[1] == 4
    assert bool((order >= 0).all())
    assert 1 <= progress.values["codebook perplexity"] <= 16


def test_restarts_keep_codes_in_use_and_gradients_alone_let_them_die():
    data: Any = small.few("espeak_digits", 64)
    left = {}
    for name, settings, restart in (("kept", {}, True), ("broken", {"codebook": "gradient", "code_size": 64}, False)):
        torch.manual_seed(0)
        made = VQVAE(configure(Config, data.info, **{**TINY, "codes": 64, **settings}))
        recipe = Recipe(code_steps=60, steps=1, batch_size=16, code_rate=5e-3, restart=restart)
        values = [p.values for p in train(made, data, recipe, Run(0, 16)) if p.phase == "codes"]
        left[name] = values[-1]["codebook perplexity"]
    assert left["kept"] > 12
    assert left["broken"] < 3


# --- Corpora with less ----------------------------------------------------------------------------------------


def test_a_corpus_that_names_nobody_and_nothing():
    data: Any = small.few("espeak_digits", 16)
    bare = DataInfo("bare", sample_rate=8000, credit="none")
    part = replace(data.train, labels=None, speakers=None)
    dull = SimpleNamespace(info=bare, train=part, test=part)
    torch.manual_seed(0)
    made = VQVAE(configure(Config, bare, **TINY))
    assert list(train(made, dull, Recipe(code_steps=2, steps=2, batch_size=8), Run(0, 8)))
    for view in registry.family("vq_vae").views:
        if view.when(made.config, bare):
            outputs = staging.draw(view, made.eval(), made.config, Scene(seeded(), bare, lambda: part), {})
            assert outputs, view.key
            assert view.key not in ("swap", "meanings")


def test_a_persons_recording_gets_the_voice_that_fits_best():
    made, (x, _) = model(), voices([4000])
    scene = Scene(seeded(), INFO, lambda: pytest.fail("no held-out recording is needed"))
    views = {v.key: v for v in registry.family("vq_vae").views}
    quiet = torch.cat([torch.zeros(3000), x[0], torch.zeros(3000)])
    draw = lambda key, **raw: staging.draw(views[key], made, made.config, scene, {"take": Audio(quiet, 8000), **raw})
    mel, heard, words = draw("reconstruct")
    assert len(heard.samples) <= 4000 + 2 * 400
    errors = []
    for voice in (0, 1):
        of_voice, forced, _ = draw("reconstruct", voice=voice)
        level, frames = made.heard(forced.samples[None], torch.tensor([len(forced.samples)]))
        errors.append(float((of_voice.values[: int(frames)] + RANGE - level[0, :, : int(frames)].T).square().mean()))
        assert INFO.speakers[voice] in of_voice.title["en"]
    assert INFO.speakers[errors.index(min(errors))] in mel.title["en"]
    assert "bytes instead of" in words.text["en"]
    swapped = draw("swap")
    assert [type(o) for o in swapped] == [Audio, Mel, Mel]
    with pytest.raises(Told, match="silent"):
        staging.draw(views["swap"], made, made.config, scene, {"take": Audio(torch.zeros(4000), 8000)})


def test_partial_drawings_begin_as_the_last_one_does():
    made = model(longest=48)
    made.prior.out[-1].bias.data[-1] -= 100  # no end: 48 codes
    view, scene = staging.generating_view(registry.family("vq_vae")), Scene(seeded(), INFO, lambda: None)
    parts = list(staging.render(view, made, made.config, scene, {"n": 2, "seed": 1}))
    assert len(parts) > 3
    lengths = [len(part[0].values) for part in parts]
    assert lengths == sorted(lengths) and lengths[-1] == 96
    for part in parts:
        for early, late in zip(part, parts[-1], strict=True):
            assert torch.allclose(early.values, late.values[: len(early.values)], atol=1e-4)


def test_bits_and_rates():
    digits = configure(Config, INFO)
    assert (digits.bits_a_second, digits.compression) == (250.0, 512.0)
    assert configure(Config, INFO, halvings=0, codes=512).compression == pytest.approx(128_000 / 562.5)
    with pytest.raises(BadSetting, match="not 22050"):
        Config(sample_rate=22_050)
    wide = VQVAE(configure(Config, DataInfo("x", sample_rate=16_000), **TINY))
    level, _ = wide.heard(torch.randn(1, 5000), torch.tensor([5000]))
    assert level.shape == (1, 80, 20)


# --- The counterpart ------------------------------------------------------------------------------------------


def counterpart(**settings: Any) -> Any:
    module: Any = registry.reference("vq_vae")
    torch.manual_seed(0)
    few = {"codes": 16, "width": 32, "prior_width": 16, "prior_layers": 2, "longest": 24}
    return module, module.Model(configure(module.Config, INFO, **{**few, **settings})).eval()


@pytest.mark.parametrize("halvings", [0, 1])
def test_dacmodel_codes_at_our_bit_rate_with_its_own_losses(halvings):
    module, made = counterpart(halvings=halvings)
    ours = configure(Config, INFO, halvings=halvings, codes=16)
    assert made.config.bits_a_second == ours.bits_a_second
    net = made.coder.net
    assert (net.config.hop_length, net.config.n_codebooks, net.config.codebook_size) == (ours.hop, 1, 16)
    x, lengths = voices([4000, 700])
    heard, counts = made.heard(x, lengths)
    assert torch.allclose(heard[1, 0, :700].abs().max(), torch.tensor(0.7))
    loss, terms, z = made.coder(heard, counts)
    with torch.no_grad():
        theirs = net(heard)
        there = torch.arange(heard.shape[2]) < lengths[:, None]
        distance = module.spectral_distance(theirs.audio_values * there, heard[:, 0])
    assert loss.item() == pytest.approx(float(theirs.loss.mean() + 15 * distance), rel=1e-5)
    assert float(terms["log-spectral error (dB)"]) == pytest.approx(20 * float(distance), rel=1e-5)
    codes, n = made.encode(x, lengths)
    assert torch.equal(codes, theirs.audio_codes[:, 0])
    assert n.tolist() == [-(-4000 // ours.hop), -(-700 // ours.hop)]
    back = made.decode(codes, n, torch.tensor([0, 1]))
    assert torch.allclose(back[0], theirs.audio_values[0, : len(back[0])], atol=1e-5)
    assert torch.equal(z, theirs.projected_latents)
    assert made.coder(heard, counts, 1.0)[0].item() != pytest.approx(loss.item(), rel=1e-4)
    sounds = torch.arange(codes.shape[1]) < n[:, None]  # silence points nowhere
    directions = module.ByDirection(made.coder.codebook, moves=False)
    chosen = directions.choose(z.transpose(1, 2).flatten(0, 1), made.coder.codebook).view_as(codes)
    assert torch.equal(chosen[sounds], codes[sounds])


def test_spectral_distance_is_of_levels():
    module, _ = counterpart()
    x = voices([4000])[0]
    assert float(module.spectral_distance(x, x)) == 0.0
    noise = torch.randn(1, 8000, generator=seeded())
    assert float(module.spectral_distance(10 * noise, 100 * noise)) == pytest.approx(1.0, abs=0.01)


def test_dacmodels_codebook_is_a_power_of_two():
    module, _ = counterpart()
    with pytest.raises(BadSetting, match="power of two of codes, not 100"):
        module.Config(codes=100)


def test_without_a_network_the_hubs_model_is_said_to_be_missing(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Told, match=r"descript/dac_16khz is not on this machine"):
        comparing.hub_side(registry.family("vq_vae"), {})


def test_the_hubs_codec_gives_back_what_is_asked_for(monkeypatch):
    from transformers import DacConfig, DacModel

    module: Any = registry.reference("vq_vae")
    settings = {"encoder_hidden_size": 4, "decoder_hidden_size": 16, "downsampling_ratios": [2, 4, 5, 8]}
    net = DacModel(DacConfig(**settings, n_codebooks=2, codebook_size=16, sampling_rate=16_000)).eval()
    monkeypatch.setattr(module.DacModel, "from_pretrained", lambda *a, **k: net)
    outputs = comparing.hub_side(registry.family("vq_vae"), {"n": 2, "label": 3, "seed": 1})
    assert [o.rate for o in outputs] == [16_000, 16_000]
    assert all(0 < len(o.samples) < 32_000 and float(o.samples.abs().max()) <= 1 for o in outputs)
    assert "“3”" in outputs[0].title["en"]
