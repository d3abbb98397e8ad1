"""MelGAN: the published layout, the losses against their formulas, mels that keep time with samples, the reference beside it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import small
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from playground import comparing, registry, staging
from playground.checkpoint import About, Checkpoint
from playground.contract import Audio, BadSetting, DataInfo, Told, configure
from playground.families.speech.melgan import OFFICIAL, Config, MelGAN
from playground.families.speech.melgan.convert import official
from playground.families.speech.melgan.losses import (
    MELS,
    QUIETEST,
    discriminator_hinge,
    distance,
    feature_matching,
    generator_hinge,
    magnitudes,
    mel_distance,
    spectral_distance,
)
from playground.families.speech.melgan.nets import Critics, Generator
from playground.families.speech.melgan.views import levels
from playground.signal.mel import DIGITS, SPEECH, log_mel
from trainers.melgan import SILENCE, Heard, Recipe, train
from trainers.run import Run

TINY = {"channels": 4, "blocks": 1, "critic_channels": 4, "critic_limit": 16}
CPU = torch.device("cpu")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(rate: int = 8_000, seed: int = 0, **settings: Any) -> MelGAN:
    torch.manual_seed(seed)
    return MelGAN(configure(Config, DataInfo("x", sample_rate=rate), **{**TINY, **settings})).eval()


def shaken(made: nn.Module, by: float = 0.3) -> nn.Module:
    """The same with other weights: every part matters."""
    torch.manual_seed(1)
    for parameter in made.parameters():
        parameter.data += by * parameter.data.abs().mean() * torch.randn_like(parameter)
    return made


# --- The published layout -------------------------------------------------------------------------------------


class OldBlock(nn.Module):
    """A residual block under the published names, with torch's former weight norm."""

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        old = nn.utils.weight_norm
        self.block = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.ReflectionPad1d(dilation),
            old(nn.Conv1d(channels, channels, kernel_size=3, dilation=dilation)),
            nn.LeakyReLU(0.2),
            old(nn.Conv1d(channels, channels, kernel_size=1)),
        )
        self.shortcut = old(nn.Conv1d(channels, channels, kernel_size=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.block(x)


def published(ngf: int, blocks: int) -> nn.Sequential:
    """The published generator for 80 mels, layer by layer: its state has weight_g and weight_v under "1.", "3.", ..."""
    old = nn.utils.weight_norm
    layers: list[nn.Module] = [nn.ReflectionPad1d(3), old(nn.Conv1d(80, 16 * ngf, 7))]
    width = 16 * ngf
    for r in (8, 8, 2, 2):
        up = nn.ConvTranspose1d(width, width // 2, 2 * r, stride=r, padding=r // 2 + r % 2, output_padding=r % 2)
        layers += [nn.LeakyReLU(0.2), old(up)]
        layers += [OldBlock(width // 2, 3**j) for j in range(blocks)]
        width //= 2
    layers += [nn.LeakyReLU(0.2), nn.ReflectionPad1d(3), old(nn.Conv1d(ngf, 1, 7)), nn.Tanh()]
    return nn.Sequential(*layers)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@torch.no_grad()
def test_published_weights_load_and_sound_the_same():
    torch.manual_seed(0)
    theirs = shaken(published(4, 2))
    state = {f"model.{name}": tensor for name, tensor in theirs.state_dict().items()}
    assert "model.1.weight_g" in state and "model.4.block.2.weight_v" in state
    mine = official(state, Config(channels=4, blocks=2))
    mel = torch.randn(2, 12, 80, generator=seeded())
    expected = theirs(mel.transpose(1, 2))[:, 0]
    assert float(expected.std()) > 1e-3
    assert torch.allclose(mine(mel), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    with pytest.raises(RuntimeError):
        official({name: t for name, t in state.items() if "shortcut" not in name}, Config(channels=4, blocks=2))


def test_the_published_size():
    with torch.device("meta"):
        assert sum(p.numel() for p in Generator(Config(**OFFICIAL)).parameters()) == 4_266_050
        critics = Critics(Config(critic_channels=16, critic_limit=1024))
    assert sum(p.numel() for p in critics.parameters()) == pytest.approx(16_924_323, rel=1e-3)


# --- Nets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("front", [DIGITS, SPEECH])
@torch.no_grad()
def test_a_frame_becomes_hop_samples(front):
    made = model(front.rate)
    x = 0.3 * torch.randn(front.hop * 9, generator=seeded())
    mel = log_mel(x, front)  # ten frames
    assert made.generator(mel[None]).shape == (1, 10 * front.hop)
    sound = made.vocode(mel, seeded())
    assert sound.shape == (10 * front.hop,) and sound.abs().max() <= 1
    assert torch.equal(sound, made.vocode(mel, seeded(5)))
    assert made.vocode(mel[:1], seeded()).shape == (front.hop,), "one frame is enough"


@torch.no_grad()
def test_weights_are_direction_times_length():
    layer = model().generator.model[1]
    g, v = layer.parametrizations.weight.original0, layer.parametrizations.weight.original1
    assert torch.allclose(layer.weight, g * v / v.flatten(1).norm(dim=1)[:, None, None], rtol=1e-5)


@pytest.mark.parametrize("blocks", [1, 3])
def test_how_far_a_frame_is_heard(blocks):
    """The blocks of a stage reach 1, 3, 9, ... steps of it to either side."""
    made = model(8_000, blocks=blocks)
    mel = torch.randn(1, 40, DIGITS.mels, generator=seeded(), requires_grad=True)
    made.generator(mel)[0, 20 * DIGITS.hop].backward()
    frames = torch.nonzero(mel.grad[0].abs().sum(1))[:, 0]
    reach, scale = 3.0, 1.0  # the last layer, the stages from the last to the first, the first layer, in samples
    for factor in reversed(made.config.factors):
        reach += scale * sum(3**j for j in range(blocks))
        scale *= factor
        reach += scale / 2 + scale / 2
    reach = reach / DIGITS.hop + 3
    assert reach - 2 <= frames[-1] - 20 <= reach + 1 and reach - 2 <= 20 - frames[0] <= reach + 1


@torch.no_grad()
def test_discriminators_hear_the_same_shape_at_half_the_rate():
    made = model(scales=3)
    x = torch.randn(2, 4096, generator=seeded())
    heard = made.critics(x)
    assert [maps[0].shape[2] for maps in heard] == [4096, 2048, 1024]
    assert [maps[-1].shape for maps in heard] == [(2, 1, 16), (2, 1, 8), (2, 1, 4)]
    half = F.avg_pool1d(x[:, None], 4, 2, 1, count_include_pad=False)
    second = made.critics.scales[1](half)
    assert all(torch.allclose(a, b, rtol=1e-5, atol=1e-7) for a, b in zip(second, heard[1], strict=True))
    assert [len(s) for s in made.scores(x[0])] == [16, 8, 4]


# --- Losses ---------------------------------------------------------------------------------------------------


def maps(seed: int) -> list[list[Tensor]]:
    rng = seeded(seed)
    shapes = [[(2, 3, 8), (2, 5, 4), (2, 1, 4)], [(2, 3, 4), (2, 5, 2), (2, 1, 2)]]
    return [[torch.randn(*shape, generator=rng) for shape in scale] for scale in shapes]


def test_hinge_and_feature_matching_are_the_papers():
    real, fake = maps(0), maps(1)
    hinge = sum(
        float((1 - r[-1]).clamp(min=0).mean() + (1 + f[-1]).clamp(min=0).mean())
        for r, f in zip(real, fake, strict=True)
    )
    assert float(discriminator_hinge(real, fake)) == pytest.approx(hinge, rel=1e-5)
    assert float(generator_hinge(fake)) == pytest.approx(-sum(float(f[-1].mean()) for f in fake), rel=1e-5)
    matched = 0.0
    for r, f in zip(real, fake, strict=True):
        for a, b in list(zip(r, f, strict=True))[:-1]:
            matched += float((a - b).abs().sum()) / a.numel()
    assert float(feature_matching(real, fake)) == pytest.approx(matched, rel=1e-5)
    sure = [[torch.full((1, 1, 3), 4.0)]], [[torch.full((1, 1, 3), -4.0)]]
    assert float(discriminator_hinge(*sure)) == 0, "beyond the margin nothing counts"


def test_spectra_are_compared_by_convergence_and_log_magnitude():
    x, y = (torch.randn(3, 4096, generator=seeded(seed)) for seed in (0, 1))
    assert float(spectral_distance(x, x, DIGITS)) == 0
    expected = 0.0
    for n in (1024, 512, 256, 128):
        a, b = (
            torch.stft(s, n, n // 4, window=torch.hann_window(n), return_complex=True)
            .abs()
            .square()
            .add(QUIETEST**2)
            .sqrt()
            for s in (x, y)
        )
        each = [float((b[i] - a[i]).norm() / b[i].norm()) for i in range(3)]
        expected += sum(each) / 3 + float((a.log() - b.log()).abs().mean())
    assert float(spectral_distance(x, y, DIGITS)) == pytest.approx(expected / 4, rel=1e-5)
    assert float(spectral_distance(2 * x, x, DIGITS)) == pytest.approx(1 + math.log(2), rel=1e-3), "twice as loud"
    assert float(mel_distance(2 * x, x, DIGITS)) == pytest.approx(math.log(2), rel=1e-3)
    both = spectral_distance(x, y, DIGITS) + MELS * mel_distance(x, y, DIGITS)
    assert float(distance(x, y, DIGITS)) == pytest.approx(float(both), rel=1e-5)


def test_silence_has_a_slope():
    """Else a generator that begins silent stays so."""
    quiet = torch.full((1, 2048), 1e-9).requires_grad_()
    assert float(magnitudes(quiet.detach(), 512).min()) == pytest.approx(QUIETEST)
    spectral_distance(1e-4 * torch.randn(1, 2048, generator=seeded()) + quiet, torch.randn(1, 2048), DIGITS).backward()
    assert bool(quiet.grad.isfinite().all()) and float(quiet.grad.abs().max()) > 0


# --- Training -------------------------------------------------------------------------------------------------


def test_pieces_keep_time_with_their_mels():
    data = small.few("espeak_digits", 6)
    heard = Heard(data.train, DIGITS, 20, CPU)
    frames = [max(20, len(data.train.x[i]) // DIGITS.hop + SILENCE) for i in range(6)]
    assert len(heard) == sum(n - 20 + 1 for n in frames)
    first = sum(n - 20 + 1 for n in frames[:2])  # the third recording's first piece
    mel, x = heard.batch(torch.tensor([first + 3, 0]))
    assert mel.shape == (2, 20, DIGITS.mels) and x.shape == (2, 20 * DIGITS.hop)
    own = data.train.audio(2)
    assert torch.equal(x[0], own[3 * DIGITS.hop : 23 * DIGITS.hop])
    whole = log_mel(F.pad(own, (0, SILENCE * DIGITS.hop)), DIGITS)
    assert torch.allclose(mel[0], whole[3:23].clamp_min(-5), atol=2e-3)
    last, end = heard.batch(torch.tensor([len(heard) - 1]))
    assert not end[0, -(SILENCE - 1) * DIGITS.hop :].any(), "a recording ends in silence"
    assert float(last[0, -1].max()) < -4


def test_warm_up_moves_the_generator_alone_and_the_game_both():
    data = small.few("espeak_digits", 16)
    torch.manual_seed(0)
    made = MelGAN(configure(Config, data.info, **TINY))
    loop = train(made, data, Recipe(warm_up=30, steps=2, batch_size=4, frames=32, generator_rate=2e-3), Run(0, 4))
    states, reports = [], []
    for progress in loop:
        reports.append(progress)
        states.append({k: v.clone() for k, v in made.state_dict().items()})
    moved = lambda a, b: {k.partition(".")[0] for k in a if not torch.equal(a[k], b[k])}
    assert moved(states[0], states[29]) == {"generator"}
    assert moved(states[29], states[30]) == {"critics"} and moved(states[30], states[31]) == {"generator"}
    assert [(p.phase, p.whole) for p in reports[29:32]] == [
        ("warm-up", True), ("discriminator", False), ("generator", True),
    ]  # fmt: skip
    falls = [p.values["spectral distance"] for p in reports[:30]]
    assert sum(falls[-5:]) < 0.9 * sum(falls[:5])


def test_the_average_is_what_speaks():
    data = small.few("espeak_digits", 16)
    torch.manual_seed(0)
    made = MelGAN(configure(Config, data.info, **TINY))
    run = Run(0, 4)
    for _ in train(made, data, Recipe(warm_up=3, steps=3, batch_size=4, frames=16, average=0.0), run):
        pass
    pairs = zip(made.generator.parameters(), run.kept["fast"].parameters(), strict=True)
    assert all(torch.equal(slow, fast) for slow, fast in pairs), "no average asked for"


def test_a_rate_without_mels_is_refused():
    with pytest.raises(BadSetting, match="22,050"):
        Config(sample_rate=22_050)


# --- Views ----------------------------------------------------------------------------------------------------


def shown(made: Checkpoint, key: str, **raw: Any) -> list[Any]:
    return staging.draw(staging.view(made, key), made.model, made.config, staging.scene(made, []), raw)


@pytest.fixture(scope="module")
def digits() -> Checkpoint:
    return small.model(registry.family("melgan"), "espeak_digits", **TINY)


def test_a_copy_is_as_long_as_what_it_copies(digits):
    copy, original = shown(digits, "generate", seed=3)
    assert len(copy.samples) == len(original.samples) and copy.rate == original.rate == 8_000
    assert torch.equal(copy.samples, digits.model.vocode(log_mel(original.samples, DIGITS))[: len(original.samples)])
    assert original.title["en"] == "The recording"


def test_one_s_own_recording_is_copied_at_the_models_rate(digits):
    take = Audio(0.3 * torch.sin(torch.arange(16_000) / 10), 16_000)
    copy, original = shown(digits, "generate", take=take)
    assert abs(len(copy.samples) - 8_000) <= 1 and original.rate == 8_000
    assert original.title["en"] == "Your recording"


def test_without_its_recordings_a_synthetic_voice_is_heard():
    made = small.model(registry.family("melgan"), "espeak_digits", **TINY)
    made.about = About(dataset="nowhere")
    copy, original = shown(made, "generate", seed=1)
    assert "espeak-ng" in original.title["en"] and len(copy.samples) > 8_000
    assert float(original.samples.abs().max()) > 0.1


def test_the_mel_that_was_copied_is_handed_on_to_other_vocoders(digits):
    original, copy, plain, mel, table = shown(digits, "vocoders", seed=2)
    assert torch.equal(mel.values, log_mel(original.samples, DIGITS)) and mel.rate == 8_000
    errors = [error for _, error in table.rows]
    assert errors[0] == 0 and errors[2] < errors[1], "an untrained net copies worse than Griffin-Lim"
    assert len(copy.samples) == len(plain.samples) == len(original.samples)


def test_scores_are_those_of_the_discriminators(digits):
    *curves, table = shown(digits, "scores", seed=0)
    _, original = shown(digits, "generate", seed=0)
    assert len(curves) == 3
    for curve, scores in zip(curves, digits.model.scores(original.samples), strict=True):
        assert torch.allclose(torch.tensor(curve.series["D(x)"][1]), scores, atol=1e-6)
    assert [row[0] for row in table.rows] == ["D(x)", "D(G(s))", "D(Griffin-Lim)"]


def test_a_difference_is_of_levels_in_decibels():
    x = torch.sin(torch.arange(8_000) / 5)
    assert float((levels(2 * x, 8_000) - levels(x, 8_000)).max()) == pytest.approx(20 * math.log10(2), abs=1e-3)


# --- The reference --------------------------------------------------------------------------------------------


@torch.no_grad()
def test_the_reference_vocodes_as_the_library_does():
    from playground.references import melgan as reference

    torch.manual_seed(0)
    info = DataInfo("x", sample_rate=16_000)
    made = reference.Model(configure(reference.Config, info, width=32, critic_limit=16)).eval()
    mel = log_mel(0.1 * torch.randn(4096, generator=seeded()), SPEECH)
    padded = torch.cat([mel[:1].expand(4, -1), mel, mel[-1:].expand(4, -1)]).clamp_min(-5)
    expected = made.generator(padded)[4 * 256 : -4 * 256]
    assert torch.allclose(made.vocode(mel), expected, rtol=1e-4, atol=1e-6)
    assert made.vocode(mel).shape == (len(mel) * 256,)
    assert ("melgan", "reference") in registry.vocoders() and ("melgan", "ours") in registry.vocoders()


def test_both_sides_are_of_one_size():
    from playground.references import melgan as reference

    with torch.device("meta"):
        mine, theirs = Generator(Config()), reference.Model(reference.Config()).generator
    sizes = [sum(p.numel() for p in net.parameters()) for net in (mine, theirs)]
    assert 0.94 < sizes[0] / sizes[1] < 1.06


@torch.no_grad()
def test_the_reference_is_told_as_much_of_the_mean_as_ours():
    from playground.references import melgan as reference

    net = reference.Model(reference.Config(sample_rate=8_000, width=32, critic_limit=16)).generator
    mel = torch.randn(1, 8, DIGITS.mels, generator=seeded())
    net.config.normalize_before = False
    plain = net(mel)
    net.config.normalize_before = True
    assert torch.allclose(net(mel - 2.5), plain, rtol=1e-4, atol=1e-6)


def test_without_a_network_the_hubs_model_is_said_to_be_missing(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Told, match=r"microsoft/speecht5_hifigan is not on this machine"):
        comparing.hub_side(registry.family("melgan"), {})


def test_the_hubs_vocoder_copies_a_synthetic_voice(monkeypatch):
    from transformers import SpeechT5HifiGan

    from playground.references import melgan as reference

    net = SpeechT5HifiGan(reference.Config(width=32).library()).eval()
    monkeypatch.setattr(reference.SpeechT5HifiGan, "from_pretrained", lambda *a, **k: net)
    copy, original = comparing.hub_side(registry.family("melgan"), {"seed": 1})
    assert copy.rate == 16_000 and len(copy.samples) == len(original.samples) > 16_000
    assert "microsoft/speecht5_hifigan" in copy.title["en"] and "espeak-ng" in original.title["en"]
