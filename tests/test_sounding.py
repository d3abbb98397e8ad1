"""Mels and WORLD parameters made audible: by Griffin-Lim, by WORLD, by whichever family has a vocoder."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import small
import soundfile
import torch

from playground import checkpoint, comparing, registry, sounding, writing
from playground.__main__ import main
from playground.batches import Batch
from playground.contract import Audio, BadSetting, Mel, Sheet, Told, World
from playground.signal import world
from playground.signal.mel import DIGITS, log_mel
from playground.ui import generating, showing

pytest_plugins = ["toys"]

T = torch.arange(16_000) / 16_000
VOWEL = sum(0.2 / k * torch.sin(2 * math.pi * 140 * k * T) for k in range(1, 9))


@pytest.fixture(scope="module")
def voices(hum: Path) -> Iterator[Path]:
    """Checkpoints of the family that hums and of the one that whistles mels."""
    for name in ("hum", "whistle"):
        place = hum / "checkpoints" / name / "ours" / "hums"
        checkpoint.save(place, small.model(registry.family(name), "hums"))
    yield hum / "checkpoints"
    shutil.rmtree(hum / "checkpoints")
    sounding._model.cache_clear()


def test_griffin_lim_and_world_are_always_there():
    (first, *_) = sounding.vocoders()
    assert first.key == sounding.GRIFFIN_LIM and first.title["ko"] != first.title["en"]
    mel = Mel(log_mel(VOWEL), 16_000, {"en": "A vowel", "ko": "모음"})
    made = sounding.sound(mel)
    assert made.title == {"en": "A vowel, Griffin-Lim (no model)", "ko": "모음, Griffin-Lim (모델 없음)"}
    assert abs(len(made.samples) - 16_000) <= 512 and made.samples.abs().max() <= 1
    again = log_mel(made.samples)
    n = min(len(again), len(mel.values))
    assert (again[4 : n - 4] - mel.values[4 : n - 4]).abs().mean() < 0.25, "its mel is the one it was made of"
    spoken = sounding.sound(world.analyse(VOWEL, 16_000).world())
    assert abs(len(spoken.samples) - 16_000) < 200
    assert spoken.samples[4000:12_000].std() == pytest.approx(float(VOWEL[4000:12_000].std()), rel=0.4)
    assert sounding.sound(Mel(log_mel(VOWEL[::2], DIGITS), 8000)).rate == 8000


def test_what_cannot_be_sounded_is_told():
    with pytest.raises(Told, match="77 mel bands at 16,000 Hz"):
        sounding.sound(Mel(torch.zeros(20, 77), 16_000))
    with pytest.raises(BadSetting, match="vocoder = 'nobody': there are griffin_lim"):
        sounding.vocoder("nobody")
    with pytest.raises(Told, match="finite"):
        sounding.sound(Mel(torch.full((20, 80), math.nan), 16_000))
    assert len(sounding.sound(Mel(torch.zeros(1, 80), 16_000)).samples) <= 1024, "one frame is enough"


def test_a_family_that_has_vocode_is_offered(voices):
    assert ("whistle", "ours") in registry.vocoders() and ("hum", "ours") not in registry.vocoders()
    assert ("hum", "reference") not in registry.vocoders()
    found = {v.key: v for v in sounding.vocoders()}
    whistle = found["whistle/ours/hums"]
    assert (whistle.title["ko"], whistle.rate) == ("휘파람", 16_000)
    mel = Mel(torch.zeros(20, 80), 16_000)
    made = sounding.sound(mel, whistle.key)
    model = registry.family("whistle").Model(registry.family("whistle").Config())
    assert torch.allclose(made.samples, model.vocode(mel.values)) and made.title["en"] == "Whistle"
    other = sounding.sound(Mel(torch.zeros(20, 64), 8000), whistle.key)
    assert "Griffin-Lim" in other.title["en"], "a vocoder of another rate gives way"


def test_a_family_says_which_of_its_checkpoints_can(voices, monkeypatch):
    model = registry.family("whistle").Model
    monkeypatch.setattr(model, "vocodes", staticmethod(lambda config: config.loudness > 0.9), raising=False)
    assert not [v.key for v in sounding.vocoders() if v.key.startswith("whistle/")]


def test_what_grows_is_heard_without_being_made_again():
    whole = log_mel(VOWEL)
    sounder = sounding.Sounder()
    before = torch.zeros(0)
    for n in (3, 20, 23, 40, len(whole)):
        (heard,) = sounder.of([Mel(whole[:n], 16_000)], whole=False)
        if n == 3:
            assert heard is None, "too little to begin with"
            continue
        kept = len(before) - 256
        assert torch.equal(heard.samples[:kept], before[:kept]) if kept > 0 else True
        assert len(heard.samples) >= len(before)
        before = heard.samples
    jumps = before.diff().abs()
    assert jumps.max() < 3 * VOWEL.diff().abs().max(), "no click where the parts meet"
    (final,) = sounder.of([Mel(whole, 16_000)], whole=True)
    assert torch.equal(final.samples, sounding.sound(Mel(whole, 16_000)).samples)
    assert sounder.of([Sheet(torch.zeros(1, 1, 2, 2)), Audio(VOWEL, 16_000)], whole=False)[0] is None


def test_parts_are_blended():
    before, part = torch.ones(100), torch.full((80,), 3.0)
    joined = sounding.crossfaded(before, part, start=60, over=20)
    assert len(joined) == 140
    assert torch.equal(joined[:80], torch.ones(80)) and torch.equal(joined[100:], torch.full((40,), 3.0))
    assert (joined[80:100].diff() > 0).all()
    assert sounding.crossfaded(torch.zeros(0), part, 0, 20) is part
    assert torch.equal(sounding.crossfaded(before, part[:30], 60, 20), before), "nothing new"


def test_equal_loudness_makes_none_louder_than_it_is():
    loud, quiet = Audio(VOWEL, 16_000), Audio(0.1 * VOWEL, 16_000)
    silent = Audio(torch.zeros(1000), 16_000)
    gains = sounding.loudness([loud, quiet, None, silent])
    assert gains[1] == 1.0 and gains[0] == pytest.approx(0.1, rel=0.01)
    assert gains[2:] == [1.0, 1.0] and sounding.loudness([]) == []
    assert sounding.loudness([Audio(torch.full((100,), math.nan), 16_000)]) == [1.0]


# --- Where it is used -----------------------------------------------------------------------------------------


def test_files_of_a_mel_are_its_picture_and_its_sound(tmp_path):
    outputs = [Mel(log_mel(VOWEL), 16_000), Audio(VOWEL, 16_000)]
    with writing.opened(tmp_path, "said", None, {"family": "x"}) as writer:
        writer.add(Batch(1, outputs, None, {"seed": 3}, whole=True), 1)
    assert [p.name for p in writer.written] == ["said.png", "said.wav", "said-2.wav"]
    with soundfile.SoundFile(tmp_path / "said.wav") as file:
        assert '"seed": 3' in file.comment and file.samplerate == 16_000
        assert abs(file.frames - 16_000) <= 512
    with writing.opened(tmp_path / "only", "said", "wav", {}) as writer:
        writer.add(Batch(1, outputs, None, {}, whole=True), 1)
    assert [p.suffix for p in writer.written] == [".wav", ".wav"]


def test_the_command_line_sounds_mels(voices, tmp_path, capsys):
    place = ["--checkpoint", str(voices / "hum" / "ours" / "hums"), "--out", str(tmp_path / "out")]
    assert main(["generate", "hum", *place, "--text", "la di", "--frames", "64", "--vocoder", "whistle/ours/hums"]) == 0
    written = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [p.name for p in written] == ["hum.wav", "hum-2.png", "hum-2.wav"]
    with soundfile.SoundFile(tmp_path / "out" / "hum-2.wav") as file:
        assert '"vocoder": "whistle/ours/hums"' in file.comment
    assert main(["generate", "hum", *place, "--vocoder", "nobody"]) == 2
    assert "vocoder" in capsys.readouterr().err


def test_the_page_plays_what_is_drawn(voices):
    raw = {"text": "la di do", "frames": 64}
    *_, drawn = generating.draw("hum", {"checkpoint": "shipped:hums", "view": "hum", "controls": raw}, None)
    assert drawn.count("<audio") == 2 and "Sounded by: Griffin-Lim" in drawn
    assert drawn.count("data-gain") == 2 and "data-growing" not in drawn and "data-drawing" in drawn
    asked = {"checkpoint": "shipped:hums", "view": "hum", "controls": raw, "vocoder": "whistle/ours/hums"}
    *_, whistled = generating.draw("hum", asked, None)
    assert "Sounded by: Whistle" in whistled and "--vocoder whistle/ours/hums" in whistled
    assert "&quot;vocoder&quot;: &quot;whistle/ours/hums&quot;" in whistled


def test_partial_sound_is_sent_as_it_grows(voices, monkeypatch):
    monkeypatch.setattr(generating, "PARTIAL_SECONDS", 0.0)
    asked = {"checkpoint": "shipped:hums", "view": "hum", "controls": {"text": "la di do", "frames": 32, "rest": 0.01}}
    parts = list(generating.draw("hum", asked, None))
    assert len(parts) > 2
    marks = {part.split('data-drawing="')[1].split('"')[0] for part in parts}
    assert len(marks) == 1
    assert ["data-growing" in part for part in parts] == [True] * (len(parts) - 1) + [False]


def test_outputs_of_the_other_families_are_untouched():
    drawn = showing.outputs_html([Sheet(torch.zeros(1, 1, 4, 4))], "en", {"family": "x", "seed": 1}, None)
    assert "<audio" not in drawn and "<img" in drawn
    spectra = World(torch.full((60,), 120.0), torch.ones(60, 513), torch.full((60, 513), 0.5), 16_000)
    drawn = showing.outputs_html([spectra], "ko", {}, None)
    assert drawn.count("<audio") == 1 and "소리로 바꾼 방법: WORLD" in drawn
    assert comparing.samples([spectra, spectra]) == 2
