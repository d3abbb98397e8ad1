"""`python -m playground`: what it writes, that it is exactly what was asked for, and how it says what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import soundfile
import torch
from PIL import Image

from playground import batches, checkpoint, drawing, registry, staging, writing
from playground.__main__ import main
from playground.contract import Audio, BadSetting, Control, Curve, Scene, Sheet, Table, Told, View, Words

ROOT = Path(__file__).parents[1]
FAMILIES = list(registry.families())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> dict[str, dict[str, Path]]:
    """Checkpoint folders of untrained models, by family and side."""
    folder = tmp_path_factory.mktemp("tiny")
    known = {name: (family, small.embedded(family)) for name, family in registry.families().items()}
    return {name: small.save_both(family, sets[0], folder / name) for name, (family, sets) in known.items() if sets}


@pytest.fixture
def call(tiny, tmp_path, capsys):
    """The program with a small checkpoint: (exit status, its folder of files, what it said on either stream)."""

    def run(*words: object, family: str = "vae", side: str = "ours", command: str = "generate"):
        place = ["--checkpoint", tiny[family][side]] if "--checkpoint" not in words else []
        status = main([str(w) for w in (command, family, *place, "--out", tmp_path / "out", *words)])
        said = capsys.readouterr()
        return status, tmp_path / "out", said.out + said.err

    return run


# --- Generate -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("side", ["ours", "reference"])
def test_every_family_draws_a_file_that_says_how(name, side, call, tiny):
    if name not in tiny:
        pytest.skip("its data set is not on this machine")
    words = ["--reference"] if side == "reference" else []
    status, out, said = call("--n", 3, "--seed", 5, *words, family=name, side=side)
    assert status == 0, said
    files = sorted(out.iterdir())
    assert files
    assert all(str(f) in said for f in files)
    told = [settings_in(f) for f in files if f.suffix in (".png", ".wav")]
    assert all(settings["family"] == name for settings in told)
    assert 5 in [settings["seed"] for settings in told], "further batches have seeds of their own"


def settings_in(file):
    """What a picture or a recording says of how it was made."""
    if file.suffix == ".png":
        return drawing.read_metadata(file.read_bytes())
    with soundfile.SoundFile(file) as recording:
        return json.loads(recording.comment)


def test_arrays_are_exactly_as_many_as_asked_for(call):
    status, out, _ = call("--n", 1234, "--format", "npy", "--seed", 3)
    assert status == 0
    x, y = np.load(out / "samples.npy"), np.load(out / "labels.npy")
    assert x.shape == (1234, 8, 8)
    assert x.dtype == np.float32
    assert x.min() >= 0
    assert x.max() <= 1
    assert y.shape == (1234,)
    assert np.array_equal(y, np.arange(1234) % 10)  # each class in turn, across batches too
    flat = x.reshape(len(x), -1)
    assert len(np.unique(flat, axis=0)) == len(flat), "batches repeat each other"
    settings = json.loads((out / "settings.json").read_text("utf-8"))
    assert (settings["seed"], settings["n"]) == (3, 1234)
    assert not list(out.glob(".*"))


def test_colour_keeps_its_channels(tmp_path, tiny):
    made = checkpoint.load(tiny["vae"]["ours"])
    coloured = View("x", {}, {}, (), lambda model, scene: iter([[Sheet(torch.rand(4, 3, 6, 5))]]))
    with writing.opened(tmp_path, "x", "npy", {}) as writer:
        for batch in batches.draw(made, coloured, {}):
            if batch.whole:
                writer.add(batch, 4)
    assert np.load(tmp_path / "samples.npy").shape == (4, 3, 6, 5)


def test_the_seed_decides(call):
    def drawn(seed: int) -> np.ndarray:
        _, out, _ = call("--n", 200, "--format", "npy", "--seed", seed)
        return np.load(out / "samples.npy").reshape(200, -1)

    one, again, other = drawn(1), drawn(1), drawn(2)
    assert np.array_equal(one, again)
    assert len(np.unique(np.concatenate([one, other]), axis=0)) == 400, "neighbouring seeds share samples"


def test_up_to_the_limit_the_samples_are_those_of_the_interface(call, tiny):
    _, out, _ = call("--n", 100, "--format", "npy", "--seed", 7)
    made = checkpoint.load(tiny["vae"]["ours"])
    (sheet,) = staging.draw(staging.view(made), made.model, made.config, staging.scene(made), {"seed": "7", "n": "100"})
    assert np.array_equal(np.load(out / "samples.npy"), sheet.pictures[:, 0].numpy())


def test_the_settings_of_a_later_batch_draw_it_again(call, tiny):
    _, out, _ = call("--n", 130, "--seed", 7)
    _, numbers, _ = call("--n", 130, "--seed", 7, "--format", "npy")
    settings = drawing.read_metadata((out / "generate-2.png").read_bytes())
    made = checkpoint.load(tiny["vae"]["ours"])
    raw = {k: settings[k] for k in ("label", "n", "spread", "seed")}
    (sheet,) = staging.draw(staging.view(made), made.model, made.config, staging.scene(made), raw)
    assert np.array_equal(np.load(numbers / "samples.npy")[100:], sheet.pictures[:, 0].numpy())


def test_a_label_is_what_is_drawn(call):
    status, out, _ = call("--n", 7, "--format", "npy", "--label", 3, "--spread", 0)
    assert status == 0
    assert np.load(out / "labels.npy").tolist() == [3] * 7
    alike = np.load(out / "samples.npy")
    _, out, _ = call("--n", 7, "--format", "npy", "--label", 4, "--spread", 0)
    assert not np.array_equal(np.load(out / "samples.npy")[0], alike[0])


def test_controls_have_flags_and_bounds(call):
    _, out, _ = call("--n", 20, "--format", "npy", "--spread", "0")
    x = np.load(out / "samples.npy")
    assert np.array_equal(x[0], x[10]), "without spread, two pictures of a class are the same"
    assert not np.array_equal(x[0], x[1])
    status, _, said = call("--n", 20, "--spread", "2.5")
    assert status == 2
    assert "spread = '2.5': must lie between 0 and 2" in said


def test_an_array_of_an_earlier_call_does_not_stay_beside_the_new_one(call, tiny):
    call("--n", 7, "--format", "npy")
    status, out, _ = call(
        "--n", 5, "--format", "npy", "--checkpoint", tiny["vae"]["reference"], "--reference"
    )  # takes no class
    assert status == 0
    assert len(np.load(out / "samples.npy")) == 5
    assert not (out / "labels.npy").exists()


def test_a_failure_half_way_leaves_no_array(call, monkeypatch):
    def fail(self, batch, n, add=writing.Arrays.add):
        if self.filled:
            raise OSError(28, "No space left on device")
        add(self, batch, n)

    monkeypatch.setattr(writing.Arrays, "add", fail)
    status, out, said = call("--n", 250, "--format", "npy")
    assert status == 2
    assert "No space left" in said
    assert list(out.iterdir()) == []


# --- Pictures of one's own ------------------------------------------------------------------------------------


def test_a_photo_is_turned_upright_and_fitted(call, tmp_path):
    photo = Image.new("RGB", (300, 200), "black")  # stored on its side: its left edge is up
    photo.paste("white", (0, 0, 150, 200))
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(tmp_path / "photo.jpg", exif=exif)
    status, out, said = call(
        "--view", "reconstruct", "--input", tmp_path / "photo.jpg", "--format", "npy", "--label", 1
    )
    assert status == 0, said
    original = np.load(out / "samples.npy")[0]
    assert original.shape == (8, 8)
    assert original[:3].mean() > 0.95
    assert original[-3:].mean() < 0.05


def test_two_pictures_fill_two_controls(call, tmp_path):
    for name, colour in (("a", 0), ("b", 255)):
        Image.new("L", (8, 8), colour).save(tmp_path / f"{name}.png")
    status, out, said = call(
        "--view", "interpolate", "--input", tmp_path / "a.png", "--other", tmp_path / "b.png", "--format", "npy"
    )
    assert status == 0, said
    x = np.load(out / "samples.npy")
    assert (x[0].mean(), x[-1].mean()) == (0, 1)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [(None, "no such file"), (b"no picture", "not a picture"), (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "picture")],
)
def test_a_picture_that_cannot_be_read_is_named(call, tmp_path, contents, reason):
    file = tmp_path / "mine.png"
    if contents is not None:
        file.write_bytes(contents)
    status, _, said = call("--view", "reconstruct", "--input", file)
    assert status == 2
    assert "mine.png" in said
    assert reason in said


def test_a_truncated_photo_is_named(call, tmp_path):
    Image.effect_noise((400, 400), 90).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:5000])
    status, _, said = call("--view", "reconstruct", "--input", tmp_path / "half.png")
    assert status == 2
    assert "half.png" in said


# --- What is wrong is said in one line ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["generate", "nothing", "--out", "x"], "no family is called 'nothing'; there are"),
        (["generate", "vae", "--out", "x", "--checkpoint", "nowhere"], "nowhere: files.json: missing"),
        (["generate", "vae", "--out", "x", "--checkpoint", "TINY", "--view", "no"], "view = 'no'"),
        (["generate", "vae", "--out", "x", "--checkpoint", "TINY", "--n", "0"], "n = 0: must lie between"),
        (["generate", "vae", "--out", "x", "--checkpoint", "TINY", "--label", "10"], "label = '10'"),
        (["generate", "vae", "--out", "x", "--checkpoint", "TINY", "--seed", "-1"], "seed = '-1'"),
        (["generate", "vae", "--out", "x", "--checkpoint", "TINY", "--input", "x.png"], "takes no picture"),
        (["generate", "vae", "--out", "x", "--checkpoint", "TINY", "--side", "9"], "--side: view generate"),
        (["generate", "vae", "--out", "x", "--checkpoint", "TINY", "--format", "wav"], "draws no wav"),
        (["generate", "vae", "--out", "x", "--checkpoint", "TINY", "--reference"], "not vae (reference)"),
        (["generate", "gan", "--out", "x", "--checkpoint", "TINY"], "holds vae (ours), not gan"),
        (["compare", "vae", "--out", "x", "--checkpoint", "TINY", "--reference-checkpoint", "TINY"], "not vae (ref"),
    ],
)
def test_errors_are_one_line(words, reason, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status = main([str(tiny["vae"]["ours"]) if word == "TINY" else word for word in words])
    said = capsys.readouterr().err
    assert status == 2
    assert said.startswith("error: ")
    assert reason in said
    assert said.count("\n") == 1


def test_a_damaged_checkpoint_is_named_with_its_file(call, tiny, tmp_path):
    folder = small.save_both(registry.family("vae"), "digits", tmp_path / "damaged")["ours"]
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-3] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    status, _, said = call("--checkpoint", folder)
    assert status == 2
    assert str(folder) in said
    assert "model.safetensors: its SHA-256" in said


def test_an_unknown_flag_is_refused(call, capsys):
    with pytest.raises(SystemExit) as caught:
        call("--temperature", "1")
    assert caught.value.code == 2
    assert "--temperature" in capsys.readouterr().err


def test_help_names_every_control(capsys):
    for name, family in registry.families().items():
        with pytest.raises(SystemExit) as caught:
            main(["generate", name, "--help"])
        assert caught.value.code == 0
        said = capsys.readouterr().out
        for control in (c for view in family.views for c in view.controls):
            assert f"--{control.name.replace('_', '-')}" in said


def test_list_names_every_family_and_view(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    for name, family in registry.families().items():
        assert f"{name}  ({family.kind})" in said
        assert ", ".join(view.key for view in family.views) in said


def test_it_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "playground", "list"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in FAMILIES)


# --- Views that make one sample at a time, or grow ------------------------------------------------------------

SEED = Control("seed", "seed", {"en": "Seed", "ko": "시드"}, default=0)


def tone(model: object, scene: Scene, label: int = 0) -> Iterator[list]:
    """A recording that grows, of a class."""
    samples = torch.rand(400, generator=scene.rng)
    for end in (100, 400):
        yield [Audio(samples[:end], 8000), Words({"en": f"class {label}", "ko": f"클래스 {label}"})]


def test_a_view_of_one_recording_is_drawn_n_times(tiny, tmp_path, monkeypatch):
    made = checkpoint.load(tiny["vae"]["ours"])
    label = next(c for c in staging.view(made).controls if c.name == "label")
    view = View("say", {}, {}, (label, SEED), tone)
    monkeypatch.setattr(staging, "view", lambda checkpoint, key="": view)
    drawn = list(batches.draw(made, view, {"seed": 4}, n=3))
    assert [batch.whole for batch in drawn] == [False, False, True] * 3
    assert [int(batch.labels[0]) for batch in drawn if batch.whole] == [0, 1, 2]
    with writing.opened(tmp_path, "say", "wav", {}) as writer:
        for batch in drawn:
            if batch.whole:
                writer.add(batch, 3)
    assert [p.name for p in writer.written] == ["say.wav", "say-2.wav", "say-3.wav"]
    assert len({p.read_bytes() for p in writer.written}) == 3
    with pytest.raises(Told, match="draws no pictures"), writing.opened(tmp_path, "say", "npy", {}) as writer:
        writer.add(drawn[-1], 1)
    silent = replace(view, controls=(label,))
    monkeypatch.setattr(staging, "view", lambda checkpoint, key="": silent)
    with pytest.raises(BadSetting, match="no seed"):
        next(batches.draw(made, silent, {}, n=3))


def test_every_output_has_a_kind_of_file(tmp_path):
    line = Curve({"a": ([0, 1], [0, 1])}, {"en": "x", "ko": "x"}, {"en": "y", "ko": "y"})
    table = Table([{"en": "name", "ko": "이름"}], [["one"]])
    outputs = [Sheet(torch.rand(2, 1, 4, 4)), line, table, Words({"en": "Said.", "ko": "말."})]
    batch = batches.Batch(1, outputs, None, {}, whole=True)
    with writing.opened(tmp_path, "view", None, {"family": "x"}) as writer:
        writer.add(batch, 1)
    assert [p.name for p in writer.written] == ["view.png", "view-2.svg", "view-3.md", "view-4.txt"]
    assert "<svg" in (tmp_path / "view-2.svg").read_text("utf-8")
    assert (tmp_path / "view-4.txt").read_text("utf-8") == "Said.\n"


# --- Compare --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_compare_puts_both_sides_together(name, tiny, tmp_path, capsys):
    if name not in tiny:
        pytest.skip("its data set is not on this machine")
    places = ["--checkpoint", tiny[name]["ours"], "--reference-checkpoint", tiny[name]["reference"]]
    assert main([str(w) for w in ("compare", name, *places, "--out", tmp_path, "--n", 4, "--seed", 2)]) == 0
    said = capsys.readouterr().out
    family = registry.family(name)
    assert family.reference.cls in (tmp_path / "comparison.md").read_text("utf-8")
    assert family.reference.cls in said
    table = json.loads((tmp_path / "comparison.json").read_text("utf-8"))
    assert len(table["columns"]) == 3
    assert all(len(row) == 3 for row in table["rows"])
    if family.kind == "image":
        with Image.open(tmp_path / "ours.png") as ours, Image.open(tmp_path / "comparison.png") as both:
            assert both.width > 1.5 * ours.width
        assert drawing.read_metadata((tmp_path / "comparison.png").read_bytes())["seed"] == "2"
