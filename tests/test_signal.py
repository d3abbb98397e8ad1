"""The signal room against trusted implementations, closed forms and the ear's stand-ins."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from playground.signal import checks, dtw, edges, griffin_lim, mel, mlpg, mulaw, world
from playground.signal.mel import DIGITS, SPEECH, Front, log_mel


def vowel(
    rate: int, seconds: float = 0.8, f0: float = 120.0, formants: tuple[float, ...] = (700, 1200, 2500)
) -> Tensor:
    """A sung "a": pulses that glide by a third, through three resonances. Peaks at 0.5."""
    from scipy.signal import lfilter

    t = np.arange(int(rate * seconds)) / rate
    phase = np.cumsum(f0 * (1 + 0.25 * t / seconds) / rate)
    x = np.diff(np.floor(phase), prepend=0.0) + 1e-3 * np.random.RandomState(0).randn(len(t))
    for centre in formants:
        radius = math.exp(-math.pi * 90 / rate)
        x = lfilter([1], [1, -2 * radius * math.cos(2 * math.pi * centre / rate), radius**2], x)
    return torch.from_numpy(0.5 * x / np.abs(x).max()).float()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- The mel front end ----------------------------------------------------------------------------------------


def of_librosa(x: Tensor, front: Front) -> Tensor:
    import librosa

    magnitudes = librosa.feature.melspectrogram(
        y=x.numpy(), sr=front.rate, n_fft=front.n_fft, hop_length=front.hop, fmin=front.low, fmax=front.high,
        n_mels=front.mels, power=1.0, htk=False, norm="slaney", pad_mode="reflect",
    )  # fmt: skip
    return torch.from_numpy(np.log10(np.maximum(mel.FLOOR, magnitudes)).T)


@pytest.mark.parametrize("front", [SPEECH, DIGITS], ids=["speech", "digits"])
@pytest.mark.parametrize("sound", [vowel, lambda rate: noise(rate)], ids=["vowel", "noise"])
def test_mels_are_librosas(front, sound):
    x = sound(front.rate)
    # torchaudio makes its filters in single precision: the narrower those of 8 kHz, the more of it shows.
    assert torch.allclose(
        log_mel(x.double(), front), of_librosa(x.double(), front), rtol=0, atol=1e-5 if front is SPEECH else 2e-5
    )
    assert torch.allclose(log_mel(x, front), of_librosa(x.double(), front).float(), rtol=0, atol=5e-4)


def test_mels_are_those_that_speecht5_is_trained_on():
    from transformers import SpeechT5FeatureExtractor

    extractor = SpeechT5FeatureExtractor()
    for x in (vowel(16_000), noise(16_000)):
        expected = extractor(audio_target=x.double().numpy(), sampling_rate=16_000)["input_values"][0]
        assert torch.allclose(log_mel(x.double()), torch.from_numpy(expected).double(), rtol=0, atol=1e-5)


def test_mels_are_torchaudios_filters_on_magnitudes():
    from torchaudio.functional import melscale_fbanks

    x = noise(3, 9000).double()
    bank = melscale_fbanks(513, 80.0, 7600.0, 80, 16_000, norm="slaney", mel_scale="slaney").double()
    spectrum = torch.stft(x, 1024, 256, window=torch.hann_window(1024).double(), return_complex=True).abs()
    expected = (spectrum.transpose(1, 2) @ bank).clamp_min(1e-10).log10()
    assert torch.allclose(log_mel(x), expected, rtol=0, atol=1e-5)
    assert torch.equal(mel.filters(SPEECH), bank.float())


@pytest.mark.parametrize("front", [SPEECH, DIGITS], ids=["speech", "digits"])
def test_every_mel_filter_hears_something_and_every_frame_is_counted(front):
    assert (mel.filters(front).sum(0) > 0).all()
    for samples in (front.least, 4 * front.hop - 1 + front.n_fft, front.rate):
        assert log_mel(noise(2, samples), front).shape == (2, front.frames(samples), front.mels)


def test_silence_is_the_floor_and_loudness_a_shift():
    assert torch.equal(log_mel(torch.zeros(2000)), torch.full((8, 80), -10.0))
    x = noise(4000)
    assert torch.allclose(log_mel(0.1 * x), log_mel(x) - 1, atol=1e-4)


def test_mels_can_be_trained_through_even_after_a_first_use_in_inference_mode():
    front = dataclasses.replace(DIGITS, mels=40)  # one whose filters nothing has made yet
    with torch.inference_mode():
        log_mel(noise(1000), front)
    x = noise(1000).double().requires_grad_()
    weights = noise(8, 40).double()
    objective = lambda x: (log_mel(x, front) * weights).sum()
    (gradient,) = torch.autograd.grad(objective(x), x)
    step = 1e-6 * torch.randn(1000, dtype=torch.float64)
    measured = objective(x.detach() + step) - objective(x.detach() - step)
    assert float(measured) == pytest.approx(float(2 * gradient @ step), rel=1e-4)
    (through_silence,) = torch.autograd.grad(log_mel(y := torch.zeros(1000, requires_grad=True), front).sum(), y)
    assert torch.equal(through_silence, torch.zeros(1000))


# --- Mu-law ---------------------------------------------------------------------------------------------------


def test_mu_law_is_torchaudios_and_the_papers_formula():
    import torchaudio.functional as AF

    x = torch.linspace(-1, 1, 2001).view(3, 667)
    symbols = mulaw.encode(x)
    assert symbols.dtype == torch.int64 and int(symbols.min()) == 0 and int(symbols.max()) == 255
    assert torch.equal(symbols, AF.mu_law_encoding(x, 256))
    assert torch.equal(mulaw.decode(symbols), AF.mu_law_decoding(symbols, 256))
    formula = x.sign() * (255 * x.abs()).log1p() / math.log(256)  # van den Oord (2016), section 2.2
    assert torch.equal(symbols, ((formula + 1) / 2 * 255 + 0.5).long())


def test_every_mu_law_symbol_survives_and_what_is_too_loud_is_clipped():
    every = torch.arange(256)
    assert torch.equal(mulaw.encode(mulaw.decode(every)), every)
    assert mulaw.encode(torch.tensor([0.0, 7.0, -7.0])).tolist() == [mulaw.SILENCE, 255, 0]
    x = torch.linspace(-1, 1, 4001)
    error = (mulaw.decode(mulaw.encode(x)) - x).abs()
    # A step's width is the slope of the inverse, (ln 256) (1 + 255 |x|) / 255, times 2 / 255.
    assert (error <= 1.05 * math.log(256) * (1 + 255 * x.abs()) / 255**2).all()


# --- Griffin-Lim ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("front", [SPEECH, DIGITS], ids=["speech", "digits"])
def test_griffin_lim_sounds_like_the_mels_it_was_given(front):
    x = vowel(front.rate)
    wanted = log_mel(x, front)
    y = griffin_lim.griffin_lim(wanted, front)
    assert y.shape == ((len(wanted) - 1) * front.hop,) and y.dtype == torch.float32
    error = lambda y: float((log_mel(y, front) - wanted).clamp(-1, 1)[2:-2].square().mean().sqrt())
    assert error(y) < 0.12
    assert error(y) < error(griffin_lim.griffin_lim(wanted, front, iterations=1))
    assert torch.equal(y, griffin_lim.griffin_lim(wanted, front))


def test_magnitudes_are_not_negative_and_explain_the_mels():
    wanted = log_mel(vowel(16_000))
    magnitudes = griffin_lim.magnitudes_of(wanted, SPEECH)
    assert magnitudes.shape == (len(wanted), 513) and (magnitudes >= 0).all()
    # Relative to the loudest of each frame: the error of the fit.
    found = magnitudes @ mel.filters(SPEECH)
    assert ((found - 10**wanted).abs().amax(1) / (10**wanted).amax(1)).mean() < 0.05


def test_mels_that_no_sound_has_still_give_one():
    loud = torch.full((20, 80), 30.0)
    assert torch.isfinite(griffin_lim.griffin_lim(loud)).all()
    assert griffin_lim.griffin_lim(torch.full((20, 80), -10.0)).abs().max() < 1e-6


# --- WORLD ----------------------------------------------------------------------------------------------------


def warped(omega: Tensor, alpha: float) -> Tensor:
    """The phase of the all-pass (z^-1 - alpha) / (1 - alpha z^-1), by complex arithmetic."""
    z = torch.polar(torch.ones_like(omega), -omega)
    return -((z - alpha) / (1 - alpha * z)).angle()


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_mel_cepstra_are_a_cosine_series_over_warped_frequency(rate):
    cepstra = torch.randn(5, 25, dtype=torch.float64) / (1 + torch.arange(25))
    omega = torch.linspace(0, torch.pi, world.FFT_SIZE[rate] // 2 + 1, dtype=torch.float64)[:-1]
    log_h = cepstra @ torch.cos(torch.arange(25)[:, None] * warped(omega, world.ALPHA[rate]))
    envelope = world.envelope_of(cepstra, rate)
    assert torch.allclose(envelope[:, :-1].log() / 2, log_h, atol=1e-9)
    assert torch.allclose(world.cepstra_of(envelope, rate), cepstra, atol=1e-9)


def test_mel_cepstra_are_the_cosine_integrals_of_the_warped_log_envelope():
    """Independent of the all-pass recursion: c_m = 2/pi integral of log|H| cos(m w~) dw~, half of that for m = 0."""
    omega = torch.linspace(0, torch.pi, 513, dtype=torch.float64)
    log_h = 1.5 * torch.cos(omega) - 0.8 * torch.cos(3 * omega) + 0.3 * torch.cos(11 * omega) - 2
    grid = torch.linspace(0, torch.pi, 40_001, dtype=torch.float64)
    at = -warped(grid, -0.42)  # the inverse of a warping is that of the opposite sign
    values = 1.5 * torch.cos(at) - 0.8 * torch.cos(3 * at) + 0.3 * torch.cos(11 * at) - 2
    expected = torch.stack([torch.trapezoid(values * torch.cos(m * grid), grid) for m in range(25)]) * 2 / torch.pi
    expected[0] /= 2
    found = world.cepstra_of((2 * log_h).exp()[None], 16_000)[0]
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 16_000])
def test_a_vowel_survives_analysis_and_synthesis(rate):
    x = vowel(rate)
    features = world.analyse(x, rate)
    assert features.matrix().shape == (161, 25 + 2 + world.bands(rate))
    f0 = features.f0[20:-20]
    true = 120 * (1 + 0.25 * torch.arange(161) / 160)[20:-20]
    assert (f0 > 0).float().mean() > 0.95
    assert ((f0 / true)[f0 > 0].log2().abs() * 1200).median() < 20  # cents
    y = world.synthesise(features.world())
    assert len(y) == pytest.approx(len(x), abs=rate * world.FRAME_MS / 1000 + 1)
    again = world.analyse(y[: len(x)], rate)
    distortion = 10 * math.sqrt(2) / math.log(10) * (again.cepstra - features.cepstra)[20:-20, 1:].norm(dim=1).mean()
    assert distortion < 1.5  # dB
    assert torch.equal(y, world.synthesise(features.world()))


def test_features_and_their_matrix_are_the_same():
    for rate in (8_000, 16_000):
        features = world.analyse(vowel(rate, 0.3), rate, order=12)
        again = world.Features.of(features.matrix(), rate)
        assert again.cepstra.shape == (61, 13)
        for name in ("cepstra", "log_f0", "voicing", "aperiodicity"):
            assert torch.equal(getattr(again, name), getattr(features, name))


def test_log_f0_runs_through_what_is_unvoiced():
    f0 = np.array([0, 0, 100, 0, 0, 0, 200, 0], dtype=float)
    expected = np.log([100, 100, 100, 100 * 2**0.25, 100 * 2**0.5, 100 * 2**0.75, 200, 200])
    assert np.allclose(world.continuous(f0, default=155), expected)
    assert np.allclose(world.continuous(np.zeros(4), default=155), math.log(155))


@pytest.mark.parametrize("rate", [8_000, 16_000])
@pytest.mark.parametrize("sound", [torch.zeros, lambda n: noise(n)], ids=["silence", "noise"])
def test_a_recording_without_a_voiced_frame_has_features_and_sounds(rate, sound):
    features = world.analyse(sound(rate // 4), rate)
    if not features.voicing.any():
        assert torch.allclose(features.log_f0, torch.tensor(math.log(math.sqrt(60 * 400))))
    assert torch.isfinite(features.matrix()).all()
    assert features.cepstra[:, 0].min() >= math.log(world.FLOOR) / 2 - 1e-3
    quiet = dataclasses.replace(features, voicing=torch.zeros(len(features))).world()
    assert torch.equal(quiet.aperiodicity, torch.ones_like(quiet.aperiodicity))
    assert torch.isfinite(world.synthesise(quiet)).all()


def test_voiced_frames_at_8_khz_get_the_slope():
    spoken = world.Features(
        torch.zeros(3, 25), torch.full((3,), 5.0), torch.tensor([1.0, 0.0, 1.0]), torch.zeros(3, 0), 8000
    )
    aperiodicity = 20 * spoken.world().aperiodicity.log10()
    assert torch.allclose(aperiodicity[0], torch.linspace(-60, 0, 257), atol=1e-4)
    assert torch.equal(aperiodicity[1], torch.zeros(257))
    assert torch.allclose(spoken.world().f0, torch.tensor([math.exp(5), 0, math.exp(5)]))


def test_wild_parameters_are_tamed_and_impossible_ones_refused():
    spoken = world.analyse(vowel(8000, 0.3), 8000).world()
    wild = dataclasses.replace(spoken, f0=spoken.f0 + 1e7, aperiodicity=spoken.aperiodicity - 5)
    assert torch.isfinite(world.synthesise(wild)).all()
    with pytest.raises(checks.BadSound, match="differ in length"):
        world.synthesise(dataclasses.replace(spoken, f0=spoken.f0[:-1]))
    with pytest.raises(checks.BadSound, match="finite"):
        world.synthesise(dataclasses.replace(spoken, f0=spoken.f0 * float("nan")))


# --- Trajectories ---------------------------------------------------------------------------------------------


def dense_mlpg(mean: Tensor, variance: Tensor) -> Tensor:
    """Tokuda (2000), eq. 9, as it stands, one dimension at a time."""
    frames, dims = mean.shape[0], mean.shape[1] // 3
    w = torch.zeros(frames, 3, frames, dtype=torch.float64)
    for t in range(frames):
        for k, window in enumerate(mlpg.WINDOWS):
            for a in (-1, 0, 1):
                w[t, k, min(max(t + a, 0), frames - 1)] += window[a + 1]
    w = w.view(3 * frames, frames)
    columns = []
    for d in range(dims):
        p = 1 / variance.view(frames, 3, dims)[:, :, d].reshape(-1)
        mu = mean.view(frames, 3, dims)[:, :, d].reshape(-1)
        columns.append(torch.linalg.solve(w.T @ (p[:, None] * w), w.T @ (p * mu)))
    return torch.stack(columns, 1)


@pytest.mark.parametrize("frames", [1, 2, 3, 40])
def test_the_banded_solution_is_the_dense_one(frames):
    mean = torch.randn(frames, 12, dtype=torch.float64)
    variance = torch.rand(frames, 12, dtype=torch.float64) + 0.05
    assert torch.allclose(mlpg.mlpg(mean, variance), dense_mlpg(mean, variance), rtol=1e-9, atol=1e-9)
    shared = mlpg.mlpg(mean, variance[0])
    assert torch.allclose(shared, dense_mlpg(mean, variance[:1].expand(frames, 12)), rtol=1e-9, atol=1e-9)


def test_a_trajectory_is_found_again_from_its_own_dynamics():
    x = torch.randn(30, 4, dtype=torch.float64)
    assert torch.allclose(mlpg.mlpg(mlpg.with_deltas(x), torch.rand(30, 12) + 0.1), x, atol=1e-9)


def test_deltas_of_a_line_and_of_a_parabola():
    t = torch.arange(6.0)[:, None]
    line, parabola = mlpg.with_deltas(2 * t), mlpg.with_deltas(t**2)
    assert torch.equal(line[1:-1], torch.tensor([[2.0 * i, 2, 0] for i in range(1, 5)]))
    assert torch.equal(parabola[1:-1], torch.tensor([[1.0 * i * i, 2 * i, 2] for i in range(1, 5)]))


def test_steps_become_slopes_where_the_deltas_ask_for_it():
    mean = torch.zeros(40, 3)
    mean[20:, 0] = 1.0
    smooth = mlpg.mlpg(mean, torch.tensor([1.0, 0.01, 0.01]))[:, 0]
    assert smooth.diff().max() < 0.2 < mean[:, 0].diff().max()
    assert (smooth.diff() > -1e-6).all()


def test_variance_is_given_back():
    x = torch.randn(50, 3) * torch.tensor([1.0, 0.1, 0.0]) + 4
    wanted = torch.tensor([4.0, 0.5, 1.0])
    full, half = mlpg.with_variance(x, wanted), mlpg.with_variance(x, wanted, share=0.5)
    assert torch.allclose(full.var(0, correction=0)[:2], wanted[:2], rtol=1e-4)
    assert torch.equal(full[:, 2], x[:, 2]), "what does not move stays"
    assert torch.allclose(full.mean(0), x.mean(0), atol=1e-4)
    assert torch.allclose(half, (x + full) / 2, atol=1e-5)


def test_trajectories_refuse_what_is_not_a_gaussian():
    for mean, variance in (
        (torch.zeros(4, 4), torch.ones(4, 4)),
        (torch.zeros(4, 3), torch.ones(5, 3)),
        (torch.zeros(4, 3), torch.zeros(4, 3)),
        (torch.zeros(4, 3), torch.full((4, 3), float("nan"))),
        (torch.full((4, 3), float("inf")), torch.ones(4, 3)),
    ):
        with pytest.raises(checks.BadSound):
            mlpg.mlpg(mean, variance)


# --- Time warping ---------------------------------------------------------------------------------------------


def test_a_stretched_take_is_followed():
    a = torch.cumsum(torch.randn(30, 5), 0)
    b = a.repeat_interleave(2, dim=0)
    i, j = dtw.align(a, b)
    assert torch.equal(i, torch.arange(60) // 2) and torch.equal(j, torch.arange(60))


def test_the_path_is_the_cheapest_of_all():
    a, b = torch.randn(5, 2), torch.randn(6, 2)
    cost = torch.cdist(a.double(), b.double())

    def cheapest(i: int, j: int) -> float:
        if i < 0 or j < 0:
            return math.inf
        before = 0.0 if i == j == 0 else min(cheapest(i - 1, j), cheapest(i, j - 1), cheapest(i - 1, j - 1))
        return before + float(cost[i, j])

    i, j = dtw.align(a, b)
    assert float(cost[i, j].sum()) == pytest.approx(cheapest(4, 5))
    assert {(int(p), int(q)) for p, q in zip(i.diff(), j.diff(), strict=True)} <= {(0, 1), (1, 0), (1, 1)}


# --- Edges ----------------------------------------------------------------------------------------------------


def test_silence_around_a_recording_is_cut():
    x = vowel(8000, 0.4)
    padded = torch.cat([1e-4 * noise(4000), x, 1e-4 * noise(3000)])
    begin, end = edges.sounding(padded, 8000)
    assert begin == pytest.approx(4000, abs=280) and end == pytest.approx(4000 + len(x), abs=280)
    assert len(edges.trim(padded, 8000)) == end - begin + 2 * 160
    hush = mulaw.decode(torch.randint(127, 129, (1000,)))  # what an idle WaveNet says
    for silence in (torch.zeros(1000), 1e-5 * noise(1000), hush):
        with pytest.raises(checks.BadSound, match="silent"):
            edges.trim(silence, 8000)


def test_levels_are_equal_and_do_not_clip():
    x = vowel(16_000)
    for gain in (1e-2, 1.0):
        out = edges.level(torch.cat([torch.zeros(8000), gain * x]), 16_000)[8000:]
        assert 20 * float(out.square().mean().sqrt().log10()) == pytest.approx(-23, abs=0.3)
    click = torch.zeros(8000)
    click[4000] = 0.5
    assert edges.level(click, 8000).abs().max() == pytest.approx(edges.PEAK)
    assert torch.equal(edges.level(torch.zeros(100), 8000), torch.zeros(100))


def test_resampling_keeps_what_fits_and_removes_what_does_not():
    t = torch.arange(16_000) / 16_000
    low, high = torch.sin(2 * torch.pi * 1000 * t), torch.sin(2 * torch.pi * 6000 * t)
    assert len(edges.resample(low, 16_000, 8000)) == 8000
    assert torch.allclose(edges.resample(low, 16_000, 8000)[500:-500], low[::2][500:-500], atol=1e-3)
    assert edges.resample(high, 16_000, 8000)[500:-500].abs().max() < 3e-3
    assert torch.equal(edges.resample(low, 8000, 8000), low)


def test_joins_do_not_click():
    parts = [vowel(8000, 0.1) + 0.3, noise(700), torch.ones(1), torch.zeros(0)]
    joined = edges.join(parts, 8000, gap_ms=10)
    assert len(joined) == sum(map(len, parts)) + 3 * 80
    assert joined[800:880].abs().max() == 0
    assert max(abs(float(joined[0])), abs(float(joined[799])), abs(float(joined[880]))) < 0.01
    assert torch.equal(joined[60:740], parts[0][60:740]), "the middle is as it was"
    assert edges.join([], 8000).shape == (0,)


# --- What cannot be used --------------------------------------------------------------------------------------

UNUSABLE = {
    "empty": (torch.zeros(0), "too short"),
    "ten samples": (torch.zeros(10), "too short"),
    "not a number": (torch.full((9000,), float("nan")), "finite"),
    "stereo": (torch.zeros(2, 9000), "one row"),
    "integers": (torch.zeros(9000, dtype=torch.int16), "one row"),
}


@pytest.mark.parametrize(("samples", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_analysed_is_refused_in_both_languages(samples, reason):
    with pytest.raises(checks.BadSound, match=reason) as caught:
        world.analyse(samples, 16_000)
    assert caught.value.text["ko"] != caught.value.text["en"]


def test_other_refusals():
    with pytest.raises(checks.BadSound, match="8000 or 16000"):
        world.analyse(noise(44_100), 44_100)
    for front in (SPEECH, DIGITS):
        with pytest.raises(checks.BadSound, match="too short"):
            log_mel(torch.zeros(front.least - 1), front)
    for mels in (torch.zeros(10, 64), torch.zeros(3, 80), torch.zeros(10, 80, 1), torch.full((10, 80), float("nan"))):
        with pytest.raises(checks.BadSound):
            griffin_lim.griffin_lim(mels)
    for other in (torch.zeros(4, 3), torch.zeros(0, 2), torch.full((4, 2), float("inf"))):
        with pytest.raises(checks.BadSound):
            dtw.align(torch.zeros(4, 2), other)
    with pytest.raises(checks.BadSound, match="too short"):
        edges.trim(torch.zeros(0), 8000)
