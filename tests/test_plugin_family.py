"""A sixteenth family: three files in a temporary package, and not one edited."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from toys import ROOT, curve, hum_job, run, same_state

from playground import checkpoint, drawing, registry, staging
from playground.contract import Audio, BadSetting, Mel
from trainers.saving import export

pytest_plugins = ["toys"]
pytestmark = pytest.mark.usefixtures("hum")


def shell(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=cwd or ROOT, timeout=300)


@pytest.fixture(scope="module")
def trained(hum, tmp_path_factory):
    """The checkpoint of a short run."""
    folder = tmp_path_factory.mktemp("trained")
    run(hum_job(), folder / "run")
    return checkpoint.load(export(folder / "run", folder / "made"))


def test_the_house_names_no_family_of_the_package():
    for path in (p for part in ("playground", "trainers") for p in (ROOT / part).rglob("*.py")):
        words = {node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)}
        assert not words & {"hum", "whistle"}, path


def test_it_is_found_after_the_families_of_the_house():
    names = list(registry.families())
    assert names[-2:] == ["hum", "whistle"]
    assert registry.family("hum").kind == "speech"
    assert "hum" not in registry.failures()


def test_another_process_finds_it_on_its_pythonpath(tmp_path):
    code = "from playground import registry; print(registry.root('hum'), *registry.families())"
    done = shell("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == os.environ["PYTHONPATH"].split(os.pathsep)[0]


def test_its_strings_are_korean_too():
    for name in ("hum", "whistle"):
        family = registry.family(name)
        texts = [family.title, family.idea, *(text for v in family.views for text in (v.name, v.about))]
        texts += [control.label for view in family.views for control in view.controls]
        assert all(any("가" <= c <= "힣" for c in text["ko"]) for text in texts)


def test_it_speaks_bit_by_bit_in_korean_and_with_a_recording(trained):
    view = staging.view(trained)
    take = Audio(0.5 * torch.ones(800), 16_000)
    raw = {"text": "la 허 do", "frames": "8", "take": take, "seed": "3"}
    parts = list(staging.render(view, trained.model, trained.config, staging.scene(trained), raw))
    assert [len(outputs[0].samples) for outputs in parts] == [512, 1024, 1536, 1536]
    again = staging.draw(view, trained.model, trained.config, staging.scene(trained), raw)
    assert torch.equal(again[0].samples, parts[-1][0].samples)
    assert drawing.wav_bytes(parts[0][0])[:4] == b"RIFF"
    with pytest.raises(BadSetting, match="frames"):
        staging.resolve(view, trained.config, trained.info, {"frames": "1000"})


def test_another_familys_vocoder_sounds_its_mel(trained):
    outputs = staging.draw(staging.view(trained), trained.model, trained.config, staging.scene(trained), {})
    mel = next(output for output in outputs if isinstance(output, Mel))
    whistle = registry.family("whistle")
    voice = whistle.Model(whistle.Config()).vocode(mel.values)
    assert voice.shape == (256 * len(mel.values),) and voice.abs().max() <= 1


def test_killed_in_its_second_phase_it_resumes_with_an_identical_curve(tmp_path):
    from faults import killed

    whole = curve(run(hum_job(), tmp_path / "whole"))
    killed(hum_job(), tmp_path / "run", at_step=12, autosave=0)
    again = run(hum_job(), tmp_path / "run")
    assert 5 < again[0]["step"] <= 12, "in the second phase"
    assert curve(again) == whole[again[0]["step"] :]
    assert same_state(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("reference", [False, True])
def test_the_command_line_trains_and_resumes_it(tmp_path, reference):
    side = ["--reference"] if reference else []
    done = shell(
        "-m", "trainers", "hum", *side, "--steps", "12", "--learning-rate", "0.02", "--out", str(tmp_path / "r")
    )
    assert done.returncode == 0, done.stderr
    assert "17/17" in done.stderr and "loss" in done.stderr, "a progress bar with the loss"
    made = checkpoint.load(tmp_path / "r" / "checkpoint")
    assert made.about.recipe["learning_rate"] == 0.02 and made.about.steps == 17
    assert made.side == ("reference" if reference else "ours")
    once_more = shell("-m", "trainers", "hum", *side, "--out", str(tmp_path / "r"))
    assert once_more.returncode == 2 and "--resume" in once_more.stderr


def test_the_command_line_explains_every_setting():
    done = shell("-m", "trainers", "hum", "--help")
    for words in ("--iterations", "EM iterations", "--sounds", "Sounds in the mixture", "--precision {fp32,bf16}"):
        assert words in done.stdout
    assert "--class-names" not in done.stdout, "what the data set decides is no setting"
