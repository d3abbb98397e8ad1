"""WaveNet against dilated convolutions of torch, its samplers against each other, and what it is told."""

from __future__ import annotations

import math

import numpy as np
import pytest
import small
import torch
import torch.nn.functional as F
from torch import Tensor

from playground import registry, staging
from playground.contract import BadSetting, DataInfo, Mel, configure
from playground.families.speech.wavenet import Config, WaveNet, alphabet
from playground.families.speech.wavenet.compiled import tanh
from playground.families.speech.wavenet.config import STEP
from playground.families.speech.wavenet.guides import PLACES, SPREAD, Durations, between
from playground.families.speech.wavenet.samplers import PART, SAMPLERS, choose
from playground.families.speech.wavenet.views import influences, quantile
from playground.signal import mulaw
from playground.signal.mel import DIGITS, log_mel
from trainers.run import Run
from trainers.wavenet import Heard, Recipe, prepared, train

TINY = {"stacks": 2, "layers": 3, "channels": 12, "skip": 20, "features": 8}


def model(seed: int = 0, classes: int = 3, speakers: int = 2, **settings: object) -> WaveNet:
    """A small WaveNet with weights large enough that every layer matters."""
    torch.manual_seed(seed)
    info = DataInfo(
        "x",
        class_names=tuple(map(str, range(classes))),
        speakers=tuple("abcdef"[:speakers]),
        sample_rate=8_000,
    )
    made = WaveNet(configure(Config, info, **{**TINY, **settings})).eval()
    for parameter in made.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return made


def symbols(n: int, seed: int = 1) -> Tensor:
    return torch.randint(256, (n,), generator=torch.Generator().manual_seed(seed))


# --- The net --------------------------------------------------------------------------------------------------


def test_the_net_is_a_stack_of_dilated_causal_convolutions():
    """The same weights in torch's conv1d, channels first, padded on the left (figures 3 and 4, eqs. 2 and 3)."""
    made, s = model(), symbols(5 * STEP)
    h = made.told_labels(1, 0, len(s))
    told = made.told(h).repeat_interleave(STEP, 0)  # (T, layers, 2 R)
    width = made.config.channels
    x = made.embed(F.pad(s, (1, 0), value=mulaw.SILENCE)[:-1]).T[None]  # (1, R, T)
    skips = torch.zeros(1, made.config.skip, len(s))
    for i, (layer, d) in enumerate(zip(made.layers, made.config.dilations, strict=True)):
        kernel = torch.stack(layer.conv.weight.split(width, dim=1), dim=2)  # (2 R, R, 2)
        filtered, gate = (F.conv1d(F.pad(x, (d, 0)), kernel, dilation=d) + told[:, i].T).chunk(2, dim=1)
        onward, skip = F.conv1d(filtered.tanh() * gate.sigmoid(), layer.out.weight[:, :, None]).split(
            [width, made.config.skip], dim=1
        )
        x, skips = x + onward, skips + skip
    expected = made.head(skips[0].T)
    assert torch.allclose(made.predict(s, h), expected, rtol=1e-4, atol=1e-4 * float(expected.detach().abs().max()))


def test_the_past_alone_counts_and_exactly_the_receptive_field_of_it():
    made = model()
    field, s = made.config.receptive_field, symbols(6 * STEP)
    assert field == 1 + 2 * (1 + 2 + 4)
    x = made.embed(made.shifted(s, 6)).detach().requires_grad_()  # the input at t is the symbol at t - 1
    *_, skips = made.skips(x, made.told_labels(0, 0, len(s)))
    t = 5 * STEP
    made.head(skips)[t].square().sum().backward()
    felt = x.grad.abs().sum(1) > 0
    assert not felt[t + 1 :].any(), "a sample to come"
    assert not felt[: t + 1 - field].any(), "beyond the receptive field"
    assert felt[t + 1 - field] and felt[t]


def test_no_symbol_knows_itself():
    made, s = model(), symbols(4 * STEP)
    h = made.told_labels(0, 0, len(s))
    other = s.clone()
    other[40] = (s[40] + 99) % 256
    before, after = made.predict(s, h), made.predict(other, h)
    assert torch.equal(before[:41], after[:41])
    assert not torch.allclose(before[41], after[41])


def test_bits_are_those_of_the_softmax():
    made, s = model(), symbols(50)
    h = made.told_labels(2, 1, len(s))
    p = torch.distributions.Categorical(logits=made.predict(s, h))
    assert torch.allclose(made.bits(s, h), -p.log_prob(s) / math.log(2), rtol=1e-5)
    made.logits.weight.data.zero_()
    made.logits.bias.data.zero_()
    assert torch.allclose(made.bits(s, h), torch.full((50,), 8.0)), "256 equal values are eight bits"


def test_the_objective_is_the_mean_over_recordings_and_reaches_every_weight():
    made = model()
    parts = [symbols(70), symbols(33, seed=2)]
    begins, totals = torch.tensor([0, STEP]), torch.tensor([70, 60])
    labels, speakers = torch.tensor([0, 2]), torch.tensor([1, 0])
    loss = made(parts, begins, totals, labels, speakers)
    each = [
        made.bits(s, made.features(len(s), *own)).mean()
        for s, *own in zip(parts, begins, totals, labels, speakers, strict=True)
    ]
    assert loss.item() == pytest.approx((each[0] + each[1]).item() / 2, rel=1e-5)
    loss.backward()
    missing = [n for n, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert not missing


def test_a_later_part_of_a_recording_is_told_what_it_is_told_in_the_whole():
    made, total = model(), torch.tensor(20 * STEP)
    own = (total, torch.tensor(1), torch.tensor(0))
    whole = made.features(20 * STEP, torch.tensor(0), *own)
    assert torch.allclose(made.features(6 * STEP, torch.tensor(9 * STEP), *own), whole[9:15], rtol=1e-5, atol=1e-6)


# --- What it is told ------------------------------------------------------------------------------------------


def test_series_are_read_as_straight_lines():
    points, places = torch.randn(7, 3), torch.tensor([-1.0, 0.0, 0.3, 3.0, 4.75, 6.0, 9.0])
    expected = np.stack([np.interp(places, np.arange(7), points[:, c]) for c in range(3)], axis=1)
    assert torch.allclose(between(points, places), torch.from_numpy(expected).float(), atol=1e-6)
    assert torch.equal(between(points[:1], places), points[:1].expand(7, -1))


def test_a_word_is_told_from_its_first_place_to_its_last():
    made = model()
    made.guide.word.data[1] = torch.arange(float(PLACES))[:, None]
    made.guide.speaker.weight.data.zero_()
    made.guide.mix.weight.data.copy_(torch.eye(8))
    made.guide.mix.bias.data.zero_()
    h = made.told_labels(1, 0, 100 * STEP)[:, 0]
    places = torch.linspace(0.5, 99.5, 100) / 100 * (PLACES - 1)
    assert torch.allclose(h, F.silu(F.silu(places)), rtol=1e-4, atol=1e-4)


def test_durations_are_those_of_the_recordings():
    rng = torch.Generator().manual_seed(0)
    labels, speakers = torch.arange(400) % 2, torch.arange(400) // 2 % 2
    logs = torch.randn(400, generator=rng) * 0.1 + labels - 0.5 * speakers
    durations = Durations(3, 2)
    durations.learn(logs.exp(), labels, speakers)
    for c in (0, 1):
        for s in (0, 1):
            own = logs[(labels == c) & (speakers == s)]
            assert float(durations.log_mean[c, s]) == pytest.approx(float(own.mean()), abs=1e-5)
            assert float(durations.log_deviation[c, s]) == pytest.approx(float(own.std()), abs=1e-5)
    assert torch.allclose(durations.log_mean[2], logs.mean(), atol=1e-5), "never said: as long as all on average"
    drawn = torch.tensor([durations.draw(1, 1, rng) for _ in range(2000)]).log()
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.02)
    assert float((drawn - durations.log_mean[1, 1]).abs().max()) <= SPREAD * float(durations.log_deviation[1, 1]) + 1e-5


def test_a_mel_frame_is_told_where_it_sounds():
    made = model(vocoder=True)
    mel = torch.full((12, DIGITS.mels), -3.0)
    changed = mel.clone()
    changed[6] = 0.0
    moved = (made.told_mel(changed) - made.told_mel(mel)).abs().sum(1) > 1e-6  # by step
    felt = torch.nonzero(moved)[:, 0] * STEP
    # Two convolutions of three frames reach two frames on either side, lines between frames one more.
    assert felt[0] >= 3 * DIGITS.hop - STEP and felt[-1] <= 9 * DIGITS.hop
    assert felt[0] < 4 * DIGITS.hop and felt[-1] > 8 * DIGITS.hop - STEP
    assert bool(moved[6 * DIGITS.hop // STEP])


def test_a_vocoder_needs_a_front_end_of_its_rate():
    assert WaveNet.vocodes(Config(vocoder=True)) and not WaveNet.vocodes(Config())
    with pytest.raises(BadSetting, match="22,050"):
        Config(vocoder=True, sample_rate=22_050)


# --- The alphabet ---------------------------------------------------------------------------------------------


def test_recordings_become_symbols_and_come_back():
    x = small.load("espeak_digits").train.audio(2)[:3_000]
    assert torch.equal(alphabet.encode(x, 0.0), mulaw.encode(x)), "the paper's"
    s = alphabet.encode(x, 0.85)
    (whole,) = alphabet.decode([s], 0.85)
    assert float((whole - x).square().mean() / x.square().mean()) < 0.01
    parts = torch.cat([*alphabet.decode(s.split(700), 0.85)])
    assert torch.allclose(parts, whole, atol=1e-6), "a sound made part by part"
    expected = torch.zeros(len(s))
    for t, y in enumerate(mulaw.decode(s) / 1.85):  # the recursion itself
        expected[t] = y + 0.85 * (expected[t - 1] if t else 0.0)
    assert torch.allclose(whole, expected.clamp(-1, 1), atol=1e-5)


def test_emphasis_makes_the_noise_of_mu_law_quieter_at_high_frequencies():
    x = small.load("espeak_digits").train.audio(2)
    errors = [torch.cat([*alphabet.decode([alphabet.encode(x, a)], a)]) - x for a in (0.0, 0.85)]
    plain, shaped = (torch.fft.rfft(e).abs().square()[-len(x) // 8 :].sum() for e in errors)  # 3 to 4 kHz
    assert shaped < 0.5 * plain


# --- Samplers -------------------------------------------------------------------------------------------------


def steps_of(made: WaveNet, s: Tensor, h: Tensor) -> Tensor:
    """Logits (T, 256) by the cached sampler's step, with the symbols given."""
    memory = [torch.zeros(layer.dilation, made.config.channels) for layer in made.layers]
    told, before = made.told(h), F.pad(s, (1, 0), value=mulaw.SILENCE)
    return torch.stack([made.step(before[t], told[t // STEP], memory, t) for t in range(len(s))])


@torch.inference_mode()
@pytest.mark.parametrize("settings", [{}, {"stacks": 1, "layers": 5}, {"stacks": 3, "layers": 1, "skip": 8}])
def test_cached_logits_equal_those_of_the_whole_net(settings):
    made, s = model(**settings), symbols(200)
    h = made.told_labels(1, 1, len(s))
    expected = made.predict(s, h)
    assert float(expected.std()) > 0.3
    assert torch.allclose(steps_of(made, s, h), expected, rtol=1e-4, atol=1e-4 * float(expected.detach().abs().max()))


@torch.inference_mode()
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_three_samplers_draw_the_same(temperature):
    made = model(channels=16)
    h, u = made.told_labels(0, 1, 400), torch.rand(400, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    drawn = {name: torch.cat([*sampler(made, h, u, temperature)]) for name, sampler in SAMPLERS.items()}
    assert len(drawn["cached"].unique()) > 30
    assert torch.equal(drawn["cached"], drawn["naive"])
    assert torch.equal(drawn["compiled"], drawn["cached"])


@torch.inference_mode()
def test_parts_join_into_what_is_drawn_at_once():
    """Dilations that do not divide a part: memories go on where the part before ended."""
    made, n = model(stacks=1, layers=12, channels=8, skip=8), PART * STEP + 500
    h, u = made.told_labels(0, 0, n), torch.rand(n, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    parts = [*SAMPLERS["compiled"](made, h, u, 1.0)]
    assert [len(part) for part in parts] == [PART * STEP, 500]
    s = torch.cat(parts)
    chosen = [choose(logits, draw, 1.0) for logits, draw in zip(made.predict(s, h), u, strict=True)]
    assert float((torch.stack(chosen) == s).float().mean()) > 0.999


def test_compiled_tanh():
    x = np.concatenate([np.linspace(-12, 12, 20_001), [1e-6, -1e-6, 100, -100]]).astype(np.float32)
    made = np.array([tanh(v) for v in x])
    assert np.abs(made - np.tanh(x.astype(np.float64))).max() < 3e-7


def test_a_draw_chooses_by_the_cumulative_distribution():
    logits = torch.full((256,), -40.0)
    logits[[3, 9]] = torch.tensor([0.0, math.log(3.0)])
    assert [int(choose(logits, torch.tensor(u), 1.0)) for u in (1e-9, 0.2499, 0.2501, 0.9999)] == [3, 3, 9, 9]
    assert int(choose(logits, torch.tensor(0.01), 0.0)) == 9, "cold: the likeliest"


@torch.inference_mode()
def test_words_last_as_long_as_drawn_and_follow_the_seed():
    made = model()
    draw = lambda seed: made.sample([0, 2], [1, 0], rng=torch.Generator().manual_seed(seed))
    one, two, other = draw(5), draw(5), draw(6)
    assert all(map(torch.equal, one, two)) and not torch.equal(one[0][:500], other[0][:500])
    assert all(0.3 < len(x) / 8_000 < 0.5 and x.abs().max() <= 1 for x in one)


# --- Vocoding, training ---------------------------------------------------------------------------------------


@torch.inference_mode()
def test_a_mel_becomes_hop_samples_a_frame():
    made = model(vocoder=True)
    mel = log_mel(torch.rand(2_000) - 0.5, DIGITS)
    first = made.vocode(mel, torch.Generator().manual_seed(1))
    assert first.shape == (len(mel) * DIGITS.hop,) and first.abs().max() <= 1
    assert torch.equal(first, made.vocode(mel, torch.Generator().manual_seed(1)))
    louder = made.vocode(mel + 1, torch.Generator().manual_seed(1))
    assert not torch.equal(first, louder)
    assert Mel(mel, 8_000).rate == made.config.front.rate


@pytest.mark.parametrize("vocoder", [False, True])
def test_what_is_heard_in_training(vocoder):
    data = small.few("espeak_digits", 8)
    heard = Heard(data.train, 8_000, 0.85, DIGITS if vocoder else None)
    recordings, *told = heard.batch(torch.tensor([3, 0, 5]))
    assert len(recordings) == 3
    for i, s in zip((3, 0, 5), recordings, strict=True):
        own = data.train.audio(i)
        expected = own if vocoder else prepared(own, 8_000)
        assert torch.equal(s, alphabet.encode(expected, 0.85))
    if vocoder:
        assert [mel.shape for mel in told[0]] == [(DIGITS.frames(len(s)), DIGITS.mels) for s in recordings]
    else:
        assert torch.equal(told[0], data.train.labels[[3, 0, 5]])
        assert torch.equal(told[1], data.train.speakers[[3, 0, 5]])


@pytest.mark.parametrize("settings", [{"vocoder": True}, {"classes": 0}, {"classes": 0, "speakers": ()}])
def test_a_vocoder_and_a_net_that_is_told_no_class_learn_too(settings):
    data = small.few("espeak_digits", 8)
    torch.manual_seed(0)
    made = WaveNet(configure(Config, data.info, **{**TINY, **settings}))
    losses = [
        p.values["loss"]
        for p in train(made, data, Recipe(steps=24, crop=256, learning_rate=2e-2, precision="fp32"), Run(0, 4))
    ]
    assert sum(losses[-4:]) < sum(losses[:4]) - 0.5
    with torch.inference_mode():
        if not made.config.vocoder:
            h = made.told_labels(0, 0, 300)
            assert len(torch.cat([*made.drawing(h, 300, rng=torch.Generator())])) == 300


def test_long_recordings_are_heard_in_parts_that_begin_on_a_step():
    data = small.few("espeak_digits", 8)
    seen: list[tuple[int, int]] = []

    class Watched(WaveNet):
        def forward(self, parts, begins, totals, *told):  # type: ignore[no-untyped-def,override]
            seen.extend(zip(begins.tolist(), [len(p) for p in parts], strict=True))
            assert all(b + len(p) <= t for b, p, t in zip(begins.tolist(), parts, totals.tolist(), strict=True))
            return super().forward(parts, begins, totals, *told)

    torch.manual_seed(0)
    made = Watched(configure(Config, data.info, **TINY))
    list(train(made, data, Recipe(steps=6, crop=320, precision="fp32"), Run(0, 4)))
    assert len(seen) == 24 and len(set(seen)) > 12
    assert all(begin % STEP == 0 and length == 320 for begin, length in seen)


# --- Views ----------------------------------------------------------------------------------------------------


def test_measured_reach_ends_with_the_receptive_field():
    made = model()
    with torch.inference_mode():  # as a view is drawn
        found = influences(made, symbols(200), made.told_labels(0, 0, 200), torch.Generator().manual_seed(0))
    assert found.shape == (6, made.config.receptive_field)
    fields = 1 + np.cumsum(made.config.dilations)
    for row, field in zip(found, fields, strict=True):
        assert (row[: int(field)] > -4).float().mean() > 0.8
        assert (row[int(field) :] == -4).all()


def test_quantiles_of_a_distribution():
    p = torch.zeros(1, 256)
    p[0, [10, 100, 200]] = torch.tensor([0.04, 0.92, 0.04])
    amplitude = lambda q: float(quantile(p, q))
    assert amplitude(0.05) == float(mulaw.decode(torch.tensor(100)))
    assert amplitude(0.97) == float(mulaw.decode(torch.tensor(200)))


def test_all_classes_are_said_one_after_the_other_as_they_are_made():
    made = small.model(registry.family("wavenet"), "espeak_digits")
    drawn = [*staging.render(staging.view(made), made.model, made.config, staging.scene(made), {"speaker": 0})]
    lengths = [len(outputs[0].samples) for outputs in drawn]
    assert len(drawn) >= 10 and lengths == sorted(lengths)
    before = drawn[3][0].samples
    assert torch.equal(drawn[-1][0].samples[: len(before)], before), "what has sounded stays"


# --- The reference --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpt2():  # type: ignore[no-untyped-def]
    from playground.references import wavenet as reference

    torch.manual_seed(0)
    info = DataInfo("x", class_names=("a", "b"), speakers=("p", "q"), sample_rate=8_000)
    return reference.Model(configure(reference.Config, info, context=32, width=16, layers=1, heads=2)).eval()


def test_windows_reach_through_a_recording_once(gpt2):
    for total in (5, 32, 33, 100, 129):
        windows = [*gpt2.windows(total)]
        covered = [t for begin, new, end in windows for t in range(new, end)]
        assert covered == list(range(total))
        assert all(end - begin <= 32 and begin <= new < end for begin, new, end in windows)
        assert all(new - begin >= 16 for begin, new, _ in windows[1:]), "half a window comes before"


@torch.inference_mode()
def test_bits_of_gpt2_are_its_own_loss(gpt2):
    s = symbols(32)
    words = torch.cat([gpt2.told(0, 32, 32, 1, 0), s])[None]
    labels = words.clone()
    labels[:, :4] = -100
    full = gpt2.net(words).logits[0, 3:-1].log_softmax(1)
    share = full[:, :256].exp().sum(1)  # ours is renewed over the 256 values alone
    expected = -(full.gather(1, s[:, None])[:, 0] - share.log()) / math.log(2)
    assert torch.allclose(gpt2.bits_of(s, 1, 0), expected, rtol=1e-4)
    assert gpt2.net(words, labels=labels).loss.item() == pytest.approx(
        -full.gather(1, s[:, None]).mean().item(), rel=1e-5
    )
    assert gpt2([words[0]]).item() == pytest.approx(expected.mean().item(), rel=1e-5)


@torch.inference_mode()
def test_gpt2_draws_samples_only_and_follows_the_generator(gpt2):
    draw = lambda seed: torch.cat([*gpt2.drawing(1, 1, 60, 90, rng=torch.Generator().manual_seed(seed))])
    one = draw(0)
    assert len(one) == 60 and torch.equal(one, draw(0)) and not torch.equal(one, draw(1))
