"""Figures of speech in closed form, and the judges of spoken digits."""

from __future__ import annotations

import dataclasses
import math
import shutil
import sys
from pathlib import Path

import pytest
import small
import torch
from test_signal import noise, vowel
from torch import Tensor

from playground import checkpoint
from playground.data.folders import root
from playground.metrics import speech, train_spoken_judge
from playground.metrics import spoken_digit_judge as judges
from playground.signal import checks, difference, edges, world
from playground.signal.griffin_lim import griffin_lim
from playground.signal.mel import DIGITS, log_mel


def features(cepstra: Tensor, f0: Tensor) -> world.Features:
    hertz = torch.where(f0 > 0, f0, torch.full_like(f0, 100.0))
    return world.Features(cepstra, hertz.log(), (f0 > 0).float(), torch.zeros(len(f0), 0), 8000)


# --- Distances ------------------------------------------------------------------------------------------------


def test_distortion_is_the_formula_and_leaves_out_the_energy():
    a, b = torch.zeros(3, 25), torch.zeros(3, 25)
    a[:, 0], b[1, 7], b[2, 3:5] = 9.0, 1.0, 1.0
    expected = 10 / math.log(10) * torch.tensor([0, 2**0.5, 2**0.5 * 2**0.5], dtype=torch.float64)
    assert torch.allclose(difference.distortion(a, b), expected)


def test_a_step_in_one_log_spectrum_is_its_height_in_decibels():
    """By Parseval: over all cepstra the distortion is the rms difference of the log spectra, on the warped axis."""
    c = torch.zeros(1, 25)
    c[0, 1:] = 0.02 * torch.randn(24)
    warped = (torch.arange(4000) + 0.5) * torch.pi / 4000
    level = 20 / math.log(10) * c[0] @ torch.cos(torch.arange(25)[:, None] * warped)  # dB of |H|
    assert float(difference.distortion(c, torch.zeros(1, 25))) == pytest.approx(
        float(level.square().mean().sqrt()), rel=1e-4
    )


def test_figures_along_the_alignment_in_closed_form():
    cepstra = torch.cumsum(torch.randn(40, 25), 0)
    f0 = torch.full((40,), 100.0)
    f0[30:] = 0
    slow = features(cepstra.repeat_interleave(2, 0), f0.repeat_interleave(2))
    same = difference.of_features(features(cepstra, f0), slow)
    assert same == difference.Difference(0.0, 0.0, 0.0, 0.0)
    higher = dataclasses.replace(slow, log_f0=slow.log_f0 + math.log(2) / 12)
    found = difference.of_features(features(cepstra, f0), higher)
    assert found.f0_cents == pytest.approx(100, rel=1e-4)
    assert found.f0_hertz == pytest.approx(100 * (2 ** (1 / 12) - 1), rel=1e-4)
    f0[25:] = 0
    found = difference.of_features(features(cepstra, f0), slow)
    assert found.voicing == pytest.approx(10 / 80) and found.f0_cents == 0
    mute = difference.of_features(features(cepstra, torch.zeros(40)), slow)
    assert math.isnan(mute.f0_hertz) and math.isnan(mute.f0_cents) and mute.voicing == pytest.approx(60 / 80)


def test_takes_are_compared_whatever_silence_surrounds_them_and_other_vowels_are_further():
    a = vowel(8000)
    padded = torch.cat([torch.zeros(3000), a, torch.zeros(2000)])
    same = speech.compare(padded, a, 8000)
    assert same.distortion < 1 and same.f0_cents < 40 and same.voicing < 0.1
    fifth = speech.compare(vowel(8000, f0=180.0), a, 8000)
    assert fifth.f0_cents == pytest.approx(1200 * math.log2(1.5), abs=40)
    other = vowel(8000, formants=(300, 2200, 2900))
    assert speech.mel_cepstral_distortion(other, a, 8000) > 3 * fifth.distortion > 3 * same.distortion
    with pytest.raises(checks.BadSound, match="silent"):
        speech.compare(torch.zeros(8000), a, 8000)


def test_higher_rates_are_compared_at_16_khz():
    a, b = vowel(16_000), vowel(16_000, formants=(300, 2200, 2900))
    up = [edges.resample(x, 16_000, 32_000) for x in (a, b)]
    assert speech.mel_cepstral_distortion(*up, 32_000) == pytest.approx(
        speech.mel_cepstral_distortion(a, b, 16_000), rel=0.1
    )


def test_log_spectral_distance_of_a_gain_is_the_gain():
    x = noise(8000)
    assert speech.log_spectral_distance(0.5 * x, x, 8000) == pytest.approx(20 * math.log10(2), rel=1e-3)
    assert speech.log_spectral_distance(x, x[:-300], 8000) == 0
    assert speech.log_spectral_distance(torch.zeros(8000), x, 8000) == pytest.approx(
        float((speech._levels(x, 8000) - speech._levels(x, 8000).max() + 60).square().mean(0).sqrt().mean()), rel=1e-3
    )
    with pytest.raises(checks.BadSound):
        speech.log_spectral_distance(torch.zeros(10), x, 8000)


def test_intelligibility_falls_with_noise():
    # A voice that comes and goes four times a second: STOI looks at envelopes.
    t = torch.arange(32_000) / 16_000
    x = vowel(16_000, 2.0) * (1 + torch.sin(2 * torch.pi * 4 * t)) / 2
    scores = [speech.intelligibility(x + g * noise(32_000, seed=1), x, 16_000) for g in (0.0, 0.3, 3.0)]
    assert scores[0] == pytest.approx(1, abs=1e-4) and scores[0] > scores[1] > scores[2]
    for short in (x[:3000], torch.zeros(32_000)):
        with pytest.raises(checks.BadSound):
            speech.intelligibility(short, short, 16_000)


# --- Words ----------------------------------------------------------------------------------------------------


def test_sentences_are_spelled_as_the_recogniser_writes():
    assert speech.spelled("“Don’t — stop, Mr. O'Neil!” he said") == "don't stop mr o'neil he said"
    assert speech.spelled("...") == ""


def test_word_errors_are_counted_over_all_sentences(monkeypatch):
    answers = iter(["the cat sat", "", "dogs bark a lot"])
    monkeypatch.setattr(speech, "_recogniser", lambda: None)
    monkeypatch.setattr(speech, "_heard", lambda recogniser, samples: next(answers))
    found = speech.word_errors([noise(100)] * 3, ["The cat sat.", "A bird", "Dogs bark!"], 16_000)
    assert found.rate == pytest.approx((0 + 2 + 2) / 7)
    assert found.heard == ("the cat sat", "", "dogs bark a lot")
    with pytest.raises(ValueError, match="0 recordings"):
        speech.word_errors([], [], 16_000)


def test_a_recogniser_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(RuntimeError, match=r"requirements-test\.txt"):
        speech.word_errors([noise(100)], ["a"], 16_000)


def test_a_real_sentence_is_mostly_understood():
    folder = root() / "kathleen"
    if not (folder / "metadata.csv").is_file():
        pytest.skip("needs real data: let PLAYGROUND_DATA name a folder with kathleen/ (see README.md)")
    import soundfile

    lines = (folder / "metadata.csv").read_text("utf-8").splitlines()
    chosen = [line.split("|") for line in lines if "b049" in line][:2]
    texts, takes = [line[-1] for line in chosen], []
    for line in chosen:
        samples, rate = soundfile.read(folder / "wavs" / f"{line[0]}.flac", dtype="float32")
        takes.append(torch.from_numpy(samples))
    assert speech.word_errors(takes, texts, rate).rate < 0.5
    assert speech.word_errors([noise(rate)], texts[:1], rate).rate > 0.8


# --- The judges' hearing --------------------------------------------------------------------------------------


def test_what_a_judge_hears_does_not_depend_on_gain_silence_or_rate():
    x = vowel(8000, 0.5)
    heard = lambda take, rate=8000: judges.pictured(judges.listened([take], rate)[0])
    plain = heard(x)
    assert plain.shape == (1, 1, DIGITS.mels, judges.FRAMES) and float(plain.min()) == 0 and float(plain.max()) == 1
    assert torch.allclose(heard(0.01 * x), plain, atol=1e-3)
    padded = torch.cat([torch.zeros(2000), x, torch.zeros(900)])
    assert (heard(padded) - plain).abs().mean() < 0.05
    assert (heard(edges.resample(x, 8000, 16_000), 16_000) - plain).abs().mean() < 0.05


def test_the_loudest_second_is_heard():
    x = torch.cat([0.1 * vowel(8000, 1.0), vowel(8000, 1.0), 0.1 * vowel(8000, 1.0)])
    seconds, sounds = judges.listened([x, torch.zeros(50), 1e-9 * torch.ones(5)], 8000)
    assert sounds.tolist() == [True, False, False]
    assert torch.allclose(seconds[0].square().mean(), vowel(8000, 1.0).square().mean(), rtol=0.02)


def test_an_untrained_judge_gives_shares_and_silence_none():
    judge = judges.Judge().eval()
    shares = judges.probabilities_of([vowel(8000, 0.3), torch.zeros(4000), noise(20_000)], 8000, judge)
    assert shares.shape == (3, 11)
    assert torch.allclose(shares.sum(1), torch.tensor([1.0, 0.0, 1.0]))
    assert judges.probabilities_of([], 8000, judge).shape == (0, 11)
    with pytest.raises(checks.BadSound):
        judges.probabilities_of([torch.full((800,), float("nan"))], 8000, judge)


def test_what_is_no_digit_is_loud_enough_to_be_heard_and_shuffling_keeps_the_sound():
    seconds = torch.stack([judges.centred(vowel(8000, 0.6, f0)) for f0 in (90.0, 130.0, 170.0)])
    for made in (train_spoken_judge.no_digits(seconds, 9), train_spoken_judge.disturbed(seconds)):
        assert made.shape[1] == judges.SAMPLES and torch.isfinite(made).all()
        assert (made.square().mean(1) > 1e-6).all()
    glide = torch.sin(2 * torch.pi * torch.cumsum(torch.linspace(200, 3000, 4800), 0) / 8000)
    (mixed,) = train_spoken_judge.shuffled(judges.centred(glide)[None], 1)
    energy = lambda x: log_mel(x, DIGITS).exp().sum(0)
    assert torch.nn.functional.cosine_similarity(energy(mixed), energy(judges.centred(glide)), dim=0) > 0.97
    assert not torch.allclose(mixed, judges.centred(glide), atol=0.1)


def test_judges_train_and_are_measured(tmp_path, monkeypatch):
    """The whole of train_spoken_judge, small: it tells two vowels apart, and its folder loads again."""
    monkeypatch.setattr(train_spoken_judge, "BATCH", 16)
    recordings = [vowel(8000, 0.3, 90 + i, ((700, 1200, 2500), (300, 2200, 2900))[i % 2]) for i in range(48)]
    labels = torch.arange(48) % 2
    for config in (judges.Config(8, 32), judges.Config(8, 32, ("ann", "bob"))):
        model = train_spoken_judge.train(recordings, labels, config, epochs=40)
        figures = train_spoken_judge.measure(model, recordings[:6], labels[:6], others=8)
        assert figures["accuracy"] == 1
        folder = tmp_path / str(len(config.answers))
        train_spoken_judge.write(folder, model, figures, epochs=40, minutes=0.1)
        again = judges.load(folder)
        assert again.config == config
        assert torch.equal(
            judges.probabilities_of(recordings[:3], 8000, again), judges.probabilities_of(recordings[:3], 8000, model)
        )
        assert judges.figures(folder) == pytest.approx(figures)


# --- The shipped judges ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spoken() -> tuple[list[Tensor], Tensor, list[str]]:
    """Two takes of every digit by every speaker of the test split: recordings, digits, speakers."""
    import soundfile

    folder = root() / "free-spoken-digit-dataset" / "recordings"
    paths = sorted(p for p in folder.glob("*.wav") if p.stem.endswith(("_0", "_3")) and p.stem.count("_") == 2)
    if not paths:
        pytest.skip(
            "needs real data: let PLAYGROUND_DATA name a folder with free-spoken-digit-dataset/ (see README.md)"
        )
    takes = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in paths]
    return takes, torch.tensor([int(p.stem[0]) for p in paths]), [p.stem.split("_")[1] for p in paths]


def test_the_shipped_judges_are_small_and_keep_their_promise():
    for folder in (judges.FOLDER, judges.SPEAKERS_FOLDER):
        assert (folder / "model.safetensors").stat().st_size < 1_000_000
    digits, speakers = judges.figures(), judges.figures(judges.SPEAKERS_FOLDER)
    assert digits["accuracy"] >= 0.97 and digits["share_as_asked"] >= 0.95
    assert min(v for k, v in digits.items() if k.startswith("accuracy_")) >= 0.93
    assert max(v for k, v in digits.items() if k.startswith("confident_")) <= 0.05
    assert speakers["accuracy"] >= 0.97
    assert set(judges.speaker_judge().config.answers) == {"george", "jackson", "lucas", "nicolas", "theo", "yweweler"}


def test_the_shipped_judge_reads_real_digits(spoken):
    takes, digits, _ = spoken
    labels, confidence = judges.read(takes)
    assert (labels == digits).double().mean() >= 0.96 and confidence.mean() > 0.9
    silence = torch.zeros(2000)
    altered = [0.1 * torch.cat([silence, edges.resample(x, 8000, 16_000), silence]) for x in takes]
    assert (judges.read(altered, 16_000)[0] == digits).double().mean() >= 0.95
    asked = judges.recognisable(takes, digits)
    assert asked.share == pytest.approx(asked.real_share, abs=0.06) and asked.judge_accuracy >= 0.97
    assert judges.recognisable(takes, (digits + 1) % 10).share < 0.02


def test_digits_are_still_read_after_the_signal_room(spoken):
    takes, digits, _ = spoken
    chosen = range(0, len(takes), 4)
    by_world = [world.synthesise(world.analyse(takes[i], 8000).world()) for i in chosen]
    by_phase = [griffin_lim(log_mel(takes[i], DIGITS), DIGITS) for i in chosen]
    for made in (by_world, by_phase):
        assert (judges.read(made)[0] == digits[list(chosen)]).double().mean() >= 0.9


def test_the_shipped_judge_knows_who_speaks(spoken):
    takes, _, speakers = spoken
    for name in set(speakers):
        own = [take for take, speaker in zip(takes, speakers, strict=True) if speaker == name]
        assert judges.heard_as(own, [name] * len(own)) >= 0.9
    assert judges.heard_as([torch.zeros(8000)], ["theo"]) == 0
    with pytest.raises(ValueError, match="george"):
        judges.heard_as(takes[:1], ["nobody"])


def test_what_is_no_digit_is_not_read():
    generator = torch.Generator().manual_seed(1)
    white = [0.1 * torch.randn(n, generator=generator) for n in (2000, 4000, 8000, 16_000) for _ in range(10)]
    hum = [0.3 * torch.sin(2 * torch.pi * f * torch.arange(6000) / 8000) for f in (50, 120, 440, 1000)]
    assert judges.recognisable(white).share == 0
    assert judges.recognisable(hum).share == 0
    assert judges.read([torch.zeros(4000), 1e-5 * torch.ones(10)])[1].tolist() == [0, 0]
    with pytest.raises(ValueError, match="0 recordings"):
        judges.recognisable([])


@pytest.mark.parametrize("damage", ["flip", "remove", "unlisted"])
def test_a_damaged_judge_is_refused_by_name(tmp_path, damage):
    folder = Path(shutil.copytree(judges.FOLDER, tmp_path / "judge"))
    small.damage(folder, damage)
    with pytest.raises(checkpoint.Damaged, match=r"model\.safetensors"):
        judges.load(folder)
