"""Ten digits in one's own voice are enough: to be spoken by an HMM, and to lend a GMM's words that voice."""

from __future__ import annotations

import io

import pytest
import soundfile
import torch

from playground import data
from playground.checkpoint import Checkpoint
from playground.data import SpeechData
from playground.families.speech.gmm.takes import analysed
from playground.signal.difference import of_features
from playground.signal.world import Features
from trainers.driver import drive
from trainers.plans import job_from_preset
from trainers.saving import run_checkpoint

VOICE = "ann"
"""Whose digits stand for one's own."""


def espeak() -> SpeechData:
    loaded = data.load("espeak_digits")
    assert isinstance(loaded, SpeechData)
    return loaded


def take(part, digit: int, speaker: int) -> torch.Tensor:
    """The first recording of a digit by a speaker."""
    here = (part.labels == digit) & (part.speakers == speaker)
    return part.audio(int(torch.nonzero(here)[0]))


@pytest.fixture(scope="module")
def said() -> list[Features]:
    """Ten digits by the voice, analysed."""
    digits = espeak()
    mine = digits.info.speakers.index(VOICE)
    return [analysed(take(digits.train, digit, mine), 8000) for digit in range(10)]


@pytest.fixture
def token(tmp_path, monkeypatch) -> str:
    """The upload that holds them."""
    monkeypatch.setenv("PLAYGROUND_RUNS", str(tmp_path / "runs"))
    digits, files = espeak(), {}
    mine = digits.info.speakers.index(VOICE)
    for digit in range(10):
        file = io.BytesIO()
        soundfile.write(file, take(digits.train, digit, mine).numpy(), 8000, format="WAV")
        files[f"{digit}_me_{100 + digit}.wav"] = file.getvalue()
    return data.upload_recordings(files, more_of="")


def trained(family: str, dataset: str, folder, **changes) -> Checkpoint:
    *_, last = drive(job_from_preset(family, "fast", dataset=dataset, **changes), folder)
    assert last["type"] == "finished"
    return run_checkpoint(folder)


def test_an_hmm_says_each_digit_as_it_was_said(tmp_path, token, said):
    model = trained("hmm", f"own:{token}:8000", tmp_path / "run").model
    rng = torch.Generator().manual_seed(0)
    for digit in range(10):
        made = model.speak(model.word(digit, 0), rng=rng, lively=0.0).features
        distances = [of_features(made, own).distortion for own in said]
        assert min(range(10), key=distances.__getitem__) == digit


def test_a_gmm_lends_others_that_voice(tmp_path, token, said):
    small = {"recipe": {"takes": 2, "iterations": 4}, "config": {"components": 4, "pair_components": 8}}
    made = trained("gmm", f"espeak_digits+own:{token}:8000", tmp_path / "run", **small)
    digits, me = espeak(), made.info.speakers.index("me")
    other = next(name for name in digits.info.speakers if name != VOICE)
    gains = []
    for digit in range(10):
        source = analysed(take(digits.test, digit, digits.info.speakers.index(other)), 8000)
        converted = made.model.convert(source, me, made.info.speakers.index(other), share=0.0)
        gains.append(of_features(source, said[digit]).distortion - of_features(converted, said[digit]).distortion)
    assert sum(gains) / len(gains) > 1.0, "dB"
