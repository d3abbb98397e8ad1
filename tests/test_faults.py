"""Faults: processes killed while they train and while they save, full disks, damaged checkpoints.

`make test` runs short campaigns; `make soak` (the tests marked soak) the long ones.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import struct
from pathlib import Path

import pytest
import torch
from faults import MOMENTS, killed_at_random, killed_in_save, trained_with_little_room
from safetensors.torch import load_file, save_file
from toys import curve, hum_job, newest, run, same_state

from playground import checkpoint
from playground.checkpoint import Damaged
from trainers.saving import export, run_checkpoint, saves

pytest_plugins = ["toys"]
pytestmark = pytest.mark.usefixtures("hum")


# --- Killed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.soak)])
def test_a_run_killed_at_random_moments_ends_as_if_nothing_had_happened(tmp_path, kills):
    job = hum_job(recipe={"steps": 60 * kills, "pause": 0.005})
    rng, reached = random.Random(kills), 0
    for _ in range(kills):
        killed_at_random(job, tmp_path / "run", rng, autosave=0.05)
        for save in saves(tmp_path / "run"):
            checkpoint.verify_files(save)
        step = int(newest(tmp_path / "run").name[5:])
        assert step >= reached, "what was saved stays saved"
        reached = step
    assert run(job, tmp_path / "run")[0]["step"] == reached
    run(hum_job(recipe={"steps": 60 * kills}), tmp_path / "whole")
    assert same_weights(tmp_path / "run", tmp_path / "whole")
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.startswith((".draft", ".save"))]


def same_weights(a: Path, b: Path) -> bool:
    return (newest(a) / "model.safetensors").read_bytes() == (newest(b) / "model.safetensors").read_bytes()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_while_it_saves_keeps_a_whole_save(tmp_path, moment):
    killed_in_save(hum_job(), tmp_path / "run", step=8, moment=moment)
    kept = {"renamed": 8, "old ones removed": 8}.get(moment, 7)
    assert int(newest(tmp_path / "run").name[5:]) == kept
    again = run(hum_job(), tmp_path / "run")
    whole = curve(run(hum_job(), tmp_path / "whole"))
    assert curve(again) == whole[kept:]
    assert same_state(tmp_path / "run", tmp_path / "whole")
    assert len(saves(tmp_path / "run")) == 2


# --- A full disk ----------------------------------------------------------------------------------------------


def test_a_disk_without_room_is_told_and_the_last_save_is_kept(tmp_path):
    """The system refuses files over 20 kB after step 7: as on a full disk, writing fails half way."""
    events = trained_with_little_room(hum_job(), tmp_path, limit=20_000, after_step=7)
    warnings = [e for e in events if e["type"] == "warning"]
    assert warnings and "Could not save at step 7" in warnings[0]["message"]["en"]
    assert "저장하지 못했습니다" in warnings[0]["message"]["ko"]
    assert events[-1]["type"] == "failed", "the end of a run that cannot be saved is no success"
    assert max(e["step"] for e in events if e["type"] == "progress") == 25, "training itself went on"
    assert newest(tmp_path).name == "save-6"
    assert not list(tmp_path.glob(".draft*")), "half a save takes no room"
    assert run(hum_job(), tmp_path)[0]["step"] == 6


def test_a_disk_that_is_really_full(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if os.system(f"mount -t tmpfs -o size=200k tmpfs {small} 2>/dev/null"):
        pytest.skip("mounting a small file system needs root")
    try:
        filler = small / "filler"
        job = hum_job(config={"width": 4, "sounds": 2})
        events = []
        for event in trained_until_full(job, small / "run", filler):
            events.append(event)
        assert events[-1] == "No space left on device"
        assert run_checkpoint(small / "run").about.steps >= 0
        filler.unlink()
        assert run(job, small / "run")[-1]["type"] == "finished"
    finally:
        os.system(f"umount {small}")


def trained_until_full(job, folder, filler):
    from trainers.driver import drive

    try:
        for event in drive(job, folder, report_every=0):
            yield event
            if event["type"] == "progress" and event["step"] == 5:
                with filler.open("wb") as file:
                    try:
                        while True:
                            file.write(bytes(4096))
                            file.flush()
                    except OSError:
                        continue
    except OSError as error:
        yield error.strerror


# --- Damaged saves --------------------------------------------------------------------------------------------


def flip(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["model.safetensors", "state.safetensors", "state.json", "run.json", "files.json"])
def test_a_damaged_save_is_passed_over_for_the_one_before(tmp_path, name):
    first = run(hum_job(), tmp_path, stop_after=10, autosave=0)
    assert first[-1]["step"] == 10
    path = tmp_path / "save-10" / name
    path.write_bytes(path.read_bytes()[:-40])
    assert run_checkpoint(tmp_path).about.steps == 9
    again = run(hum_job(), tmp_path)
    assert again[0]["step"] == 9 and again[-1]["type"] == "finished"


def test_a_run_with_no_sound_save_says_so(tmp_path):
    run(hum_job(), tmp_path)
    for save in saves(tmp_path):
        flip(save / "model.safetensors", random.Random(0))
    with pytest.raises(Damaged, match=r"model.safetensors: its SHA-256"):
        run(hum_job(), tmp_path)
    with pytest.raises(Damaged, match=r"model.safetensors"):
        run_checkpoint(tmp_path)


# --- Damaged and hostile checkpoints --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(hum, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    run(hum_job(), folder / "run")
    return export(folder / "run", folder / "made")


def damage(folder: Path, other: Path, rng: random.Random) -> None:
    """What a disk, a transfer or a careless hand does: files.json no longer fits."""
    path = rng.choice([p for p in folder.iterdir() if p.is_file()])
    kind = rng.choice(["flip", "cut", "swap", "remove", "add", "grow"])
    if kind == "flip" and path.name != "files.json":
        flip(path, rng)
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])
    elif kind == "swap":
        shutil.copy(other / "model.safetensors", folder / "model.safetensors")
    elif kind == "remove":
        path.unlink()
    elif kind == "add":
        (folder / "more.bin").write_bytes(rng.randbytes(10))
    else:
        path.write_bytes(path.read_bytes() + b"{")


class Trap:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def forge(folder: Path, rng: random.Random, trap: Path) -> None:
    """What an attacker does: contents that are wrong under checksums that are right."""
    weights, config = folder / "model.safetensors", folder / "config.json"
    described, state = json.loads(config.read_text()), load_file(weights)
    name = rng.choice(list(state))
    kind = rng.choice(
        [
            "nan",
            "shape",
            "dtype",
            "rename",
            "lost",
            "extra",
            "header",
            "offsets",
            "pickle",
            "field",
            "value",
            "huge",
            "family",
            "format",
            "info",
            "type",
            "json",
            "facts",
            "snapshot-name",
        ]
    )
    if kind in ("nan", "shape", "dtype", "rename", "lost", "extra"):
        change_tensor(state, name, kind, rng)
        save_file(state, weights)
    elif kind == "header":
        weights.write_bytes(struct.pack("<Q", rng.choice([2**63, 10**9, 7])) + weights.read_bytes()[8:])
    elif kind == "offsets":
        weights.write_bytes(weights.read_bytes().replace(b'"data_offsets":[0', b'"data_offsets":[9', 1))
    elif kind == "pickle":
        weights.write_bytes(pickle.dumps(Trap(trap)))
    elif kind == "json":
        config.write_text(rng.choice(["", "[]", "null", "[" * 100_000, '{"format": 1}', "\xff"]), encoding="latin-1")
    elif kind == "snapshot-name":
        (folder / "..evil").write_bytes(b"")
    else:
        change_description(described, kind, rng)
        config.write_text(json.dumps(described))
    checkpoint.list_files(folder)


def change_tensor(state: dict[str, torch.Tensor], name: str, kind: str, rng: random.Random) -> None:
    if kind == "nan":
        state[name].view(-1)[rng.randrange(state[name].numel())] = float("nan")
    elif kind == "shape":
        state[name] = torch.zeros(*state[name].shape, 2)
    elif kind == "dtype":
        state[name] = state[name].to(rng.choice([torch.float64, torch.int8, torch.bfloat16]))
    elif kind == "extra":
        state["more"] = torch.zeros(1)
    else:
        tensor = state.pop(name)
        if kind == "rename":
            state[name + "x"] = tensor


def change_description(described: dict, kind: str, rng: random.Random) -> None:
    part = described[rng.choice(["config", "data", "about"])]
    field = rng.choice(list(part))
    if kind == "field":
        part.pop(field) if rng.random() < 0.5 else part.update(more=1)
    elif kind == "value":
        described["config"]["width"] = rng.choice([-1, 0, 8, 10**9, 1.5, "8", None, True, [], {}])
    elif kind == "huge":
        described["config"].update(width=256, sounds=32)
    elif kind == "family":
        described["family"] = rng.choice(["nope", "", None, 3, [], "../hum", "os.system"])
    elif kind == "format":
        described["format"] = rng.choice([0, 2, "1", None])
    elif kind == "info":
        described["data"]["sample_rate"] = rng.choice([-1, 8000, "16000", 10**12])
    elif kind == "type":
        part[field] = {"a": {"b": object.__name__}} if not isinstance(part[field], dict) else 3
    else:
        described["data"]["class_names"] = ["la"] * rng.choice([0, 1, 100])


@pytest.mark.parametrize("folders", [50, pytest.param(1000, marks=pytest.mark.soak)])
def test_damaged_and_forged_checkpoints_are_refused_with_a_message(sound, tmp_path, folders, monkeypatch):
    monkeypatch.setattr(checkpoint, "sync", lambda path: None)  # a forger does not wait for the disk
    other = tmp_path / "other"
    shutil.copytree(sound, other)
    state = load_file(other / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in state.items()}, other / "model.safetensors")
    for seed in range(folders):
        rng, folder = random.Random(seed), tmp_path / "made"
        shutil.copytree(sound, folder)
        if seed % 2:
            damage(folder, other, rng)
        else:
            forge(folder, rng, tmp_path / "trap")
        if differs(sound, folder):
            with pytest.raises(Damaged) as refused:
                checkpoint.load(folder)
            assert any(p.name in str(refused.value) for p in (*sound.iterdir(), *folder.iterdir())), refused.value
        shutil.rmtree(folder)
    assert not (tmp_path / "trap").exists(), "nothing was unpickled"
    assert checkpoint.load(sound).about.steps == 25


def differs(a: Path, b: Path) -> bool:
    """Whether the folders hold different bytes in any file that is read (a blank after files.json changes nothing)."""
    names = {p.name for p in a.iterdir()} | {p.name for p in b.iterdir()}
    return any(
        not ((a / n).is_file() and (b / n).is_file()) or (a / n).read_bytes() != (b / n).read_bytes() for n in names
    )


@pytest.mark.parametrize("name", ["../outside.safetensors", "/etc/passwd", "a/../../b", "model.safetensors\n", ""])
def test_a_listing_that_reaches_outside_is_refused(sound, tmp_path, name):
    folder = Path(shutil.copytree(sound, tmp_path / "made"))
    listing = json.loads((folder / "files.json").read_text())
    listing[name] = {"bytes": 0, "sha256": ""}
    (folder / "files.json").write_text(json.dumps(listing))
    with pytest.raises(Damaged, match=r"files\.json"):
        checkpoint.load(folder)


def test_a_link_out_of_the_folder_is_refused(sound, tmp_path):
    folder = Path(shutil.copytree(sound, tmp_path / "made"))
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(sound / "model.safetensors")
    with pytest.raises(Damaged, match=r"model.safetensors"):
        checkpoint.load(folder)
