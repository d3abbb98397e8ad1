"""Checkpoint folders: what is written comes back, as a whole or not at all; what is wrong is named; the hub's mixin."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import small
import torch
from huggingface_hub import hub_mixin
from safetensors.torch import load_file, save_file

from playground import checkpoint, registry
from playground.checkpoint import Checkpoint, Damaged, load, save

FAMILY = registry.family("vae")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """These tests say nothing of power cuts."""
    monkeypatch.setattr(checkpoint, "sync", lambda path: None)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, Path]:
    """Sound folders of both sides, one with two snapshots."""
    folder = tmp_path_factory.mktemp("sound")
    made = small.model(FAMILY, "digits")
    states = {step: made.model.state_dict() for step in (10, 200)}
    return {
        "ours": save(folder / "ours", made, states),
        "reference": checkpoint.save_reference(folder / "reference", small.reference(FAMILY, "digits")),
    }


@pytest.fixture
def folder(sound, tmp_path) -> Path:
    """A copy of our side to damage."""
    return Path(shutil.copytree(sound["ours"], tmp_path / "made"))


@pytest.fixture
def reference(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound["reference"], tmp_path / "made"))


def described(folder: Path, change: Callable[[dict[str, Any]], Any], name: str = "config.json") -> None:
    """Change the description and make the checksums fit."""
    values = json.loads((folder / name).read_text("utf-8"))
    change(values)
    (folder / name).write_text(json.dumps(values), "utf-8")
    checkpoint.list_files(folder)


def weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any], name: str = "model.safetensors") -> None:
    state = load_file(folder / name)
    change(state)
    save_file(state, folder / name)
    checkpoint.list_files(folder)


# --- Round trip -----------------------------------------------------------------------------------------------


def test_everything_comes_back(tmp_path):
    made = small.model(FAMILY, "digits", seed=5)
    back = load(save(tmp_path / "a" / "b", made))
    assert small.same(back.model.state_dict(), made.model.state_dict())
    assert (back.family, back.side) == ("vae", "ours")
    assert (back.config, back.info, back.about) == (made.config, made.info, made.about)
    assert not back.model.training
    assert back.folder == tmp_path / "a" / "b"
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["b"], "no draft is left"


def test_weights_are_copied_not_shared(tmp_path):
    made = small.model(FAMILY, "digits")
    view = made.model.encoder.dense.weight
    made.model.encoder.dense.weight = torch.nn.Parameter(view.data.t().contiguous().t())  # not contiguous
    assert small.same(load(save(tmp_path / "made", made)).model.state_dict(), made.model.state_dict())


def test_snapshots_are_found_in_order(sound):
    found = load(sound["ours"]).snapshots()
    assert [snapshot.step for snapshot in found] == [10, 200]
    model = found[0].load()
    assert not model.training
    assert small.same(model.state_dict(), load(sound["ours"]).model.state_dict())


def test_halved_snapshots_are_widened(tmp_path):
    made = small.model(FAMILY, "digits")
    halves = {k: v.bfloat16() for k, v in made.model.state_dict().items()}
    (snapshot,) = load(save(tmp_path / "made", made, {3: halves})).snapshots()
    for name, tensor in snapshot.load().state_dict().items():
        assert torch.equal(tensor, halves[name].float())


def test_the_card_says_what_it_is_made_of(sound):
    card = (sound["ours"] / "README.md").read_text("utf-8")
    front, _, rest = card.removeprefix("---\n").partition("\n---\n")
    assert "license: apache-2.0" in front
    for words in (
        "# VAE, trained on digits",
        FAMILY.paper,
        "1,438 training examples",
        "| latents | 8 |",
        "| loss | 1.5",
    ):
        assert words in rest
    about = (sound["reference"] / "README.md").read_text("utf-8")
    assert "library_name: diffusers" in about
    assert "reference for VAE" in about


# --- Whole or not at all --------------------------------------------------------------------------------------


def test_a_failed_save_leaves_the_old_folder_and_no_draft(folder, monkeypatch):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    for broken in ("save_file", "list_files", "model_card"):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoint, broken, full)
            with pytest.raises(OSError, match="No space"):
                save(folder, small.model(FAMILY, "digits", seed=9))
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
        assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_a_folder_that_cannot_be_put_in_place_gives_the_old_one_back(folder):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(OSError, match="no-draft"):
        checkpoint.replace_folder(folder.parent / "no-draft", folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_readers_see_one_whole_checkpoint_or_another(tmp_path):
    """While one thread replaces the folder again and again, whoever reads it never mixes two."""
    place, a, b = tmp_path / "made", small.model(FAMILY, "digits", 1), small.model(FAMILY, "digits", 2)
    save(place, a)
    done = threading.Event()

    def write() -> None:
        for i in range(12):
            save(place, (a, b)[i % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    read = refused = 0
    while not done.is_set() or not read:
        try:
            state = load(place).model.state_dict()
        except (Damaged, OSError):  # caught between two: said so, never half of each
            refused += 1
            continue
        read += 1
        assert small.same(state, a.model.state_dict()) or small.same(state, b.model.state_dict())
    writer.join()
    assert small.same(load(place).model.state_dict(), b.model.state_dict())


def test_a_class_may_load_everything_at_once():
    """Libraries change torch.nn while they load: each model must still be whole, whichever are loaded beside it."""
    names = [*registry.families()]
    folders = [f for name in names for side in ("ours", "reference") for f in checkpoint.shipped(name, side)[:1]]
    assert len(folders) > len(names)
    for name in names:  # imports take turns by themselves
        registry.reference(name)
    with ThreadPoolExecutor(8) as visitors:
        for made in visitors.map(load, folders * 2):
            assert [n for n, tensor in made.model.state_dict().items() if tensor.is_meta] == []


def test_replacing_leaves_nothing_of_the_old_folder(folder):
    (folder / "left.safetensors").write_bytes(b"x")
    save(folder, small.model(FAMILY, "digits"))
    assert load(folder)
    assert not (folder / "left.safetensors").exists()


# --- What is wrong is named: file, and field ------------------------------------------------------------------

DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "flipped bit": (lambda f: flip(f / "model.safetensors"), r"model\.safetensors: its SHA-256"),
    "truncated": (lambda f: cut(f / "config.json"), r"config\.json: has [\d,]+ bytes, not the \d+"),
    "lost weights": (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors: missing"),
    "lost list": (lambda f: (f / "files.json").unlink(), r"files\.json: missing"),
    "list of nothing": (lambda f: (f / "files.json").write_text("{}"), r"files\.json: expected a list"),
    "list is text": (lambda f: (f / "files.json").write_text("x"), r"files\.json: not valid JSON"),
    "one file more": (lambda f: (f / "code.py").write_text("1"), r"code\.py: not listed"),
    "folder is a file": (lambda f: (shutil.rmtree(f), f.write_text("x")), r"files\.json: missing"),
}
FORGERIES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no weights": (lambda f: ((f / "model.safetensors").unlink(), relist(f)), r"model\.safetensors: missing"),
    "other format": (lambda f: described(f, lambda d: d.update(format=2)), r"config\.json: format is 2"),
    "other family": (lambda f: described(f, lambda d: d.update(family="x")), r"config\.json: family: 'x'"),
    "family is a list": (lambda f: described(f, lambda d: d.update(family=["vae"])), r"config\.json: family"),
    "field lost": (lambda f: described(f, lambda d: d["config"].pop("latents")), r"config\.json: config: latents"),
    "field more": (lambda f: described(f, lambda d: d["config"].update(x=1)), r"config\.json: config: x"),
    "field as text": (
        lambda f: described(f, lambda d: d["config"].update(latents="8")),
        r"config\.json: config: latents: expected int, found str",
    ),
    "field too large": (
        lambda f: described(f, lambda d: d["config"].update(latents=10**9)),
        r"config\.json: config: latents = 1000000000: must lie between 1 and 256",
    ),
    "no such choice": (
        lambda f: described(f, lambda d: d["config"].update(likelihood="cauchy")),
        r"config\.json: config: likelihood = 'cauchy'",
    ),
    "sizes that do not fit": (
        lambda f: described(f, lambda d: d["data"].update(height=12)),
        r"config\.json: config: height: is 8, but its data set has 12",
    ),
    "odd size": (
        lambda f: described(f, lambda d: (d["config"].update(height=30), d["data"].update(height=30))),
        r"config\.json: config: the VAE needs a height and width that 4 divides",
    ),
    "class names": (
        lambda f: described(f, lambda d: d["data"].update(class_names=[1, 2])),
        r"config\.json: data: class_names: expected a list of strings",
    ),
    "about": (lambda f: described(f, lambda d: d["about"].update(steps=1.5)), r"config\.json: about: steps"),
    "other architecture": (
        lambda f: described(f, lambda d: d["config"].update(latents=9)),
        r"model\.safetensors: [\w.]+: shape \[[\d, ]+\], expected",
    ),
    "tensor lost": (
        lambda f: weights(f, lambda s: s.pop("decoder.up2.bias")),
        r"model\.safetensors: decoder\.up2\.bias: missing",
    ),
    "tensor more": (
        lambda f: weights(f, lambda s: s.update(more=torch.ones(1))),
        r"model\.safetensors: more: unknown",
    ),
    "other dtype": (
        lambda f: weights(f, lambda s: s.update({"decoder.up2.bias": s["decoder.up2.bias"].double()})),
        r"model\.safetensors: decoder\.up2\.bias: dtype torch\.float64, expected torch\.float32",
    ),
    "not a number": (
        lambda f: weights(f, lambda s: s["encoder.out.bias"].fill_(float("nan"))),
        r"model\.safetensors: encoder\.out\.bias: holds values that are not finite",
    ),
    "pickle": (
        lambda f: ((f / "model.safetensors").write_bytes(pickle.dumps({"a": 1})), relist(f)),
        r"model\.safetensors: its header claims",
    ),
    "nearly empty": (
        lambda f: ((f / "model.safetensors").write_bytes(b"1234"), relist(f)),
        r"model\.safetensors: too short",
    ),
    "header is a list": (
        lambda f: ((f / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"[]"), relist(f)),
        r"model\.safetensors: its header is not a table",
    ),
    "deep JSON": (
        lambda f: ((f / "config.json").write_text("[" * 100_000), relist(f)),
        r"config\.json: not valid JSON",
    ),
}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def relist(folder: Path) -> None:
    checkpoint.list_files(folder)


@pytest.mark.parametrize("kind", [*DAMAGES, *FORGERIES])
def test_every_kind_of_damage_is_named(folder, kind):
    change, message = {**DAMAGES, **FORGERIES}[kind]
    change(folder)
    with pytest.raises(Damaged, match=f"^{message}"):
        load(folder)


def test_a_damaged_snapshot_is_named_when_it_is_wanted(folder):
    weights(folder, lambda s: s.pop("decoder.up2.bias"), "snapshot-0000200.safetensors")
    first, second = load(folder).snapshots()
    first.load()
    with pytest.raises(Damaged, match=r"snapshot-0000200\.safetensors: decoder\.up2\.bias: missing"):
        second.load()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: described(f, lambda d: d["config"].update(latent_channels=0), "playground.json"), r"playground\.js"),
        (
            lambda f: described(f, lambda d: d["config"].update(latent_channels=5), "playground.json"),
            r"diffusion_pytorch_model\.safetensors: a tensor of shape \[.*\] is unknown",
        ),
        (lambda f: weights(f, lambda s: s.pop("decoder.conv_in.weight"), AUTOENCODER), r"diffusion_py.*missing for it"),
        (
            lambda f: weights(f, lambda s: s["decoder.conv_in.bias"].fill_(float("inf")), AUTOENCODER),
            r"diffusion_pytorch_model\.safetensors: net\.decoder\.conv_in\.bias: holds values that are not finite",
        ),
        (
            lambda f: weights(f, lambda s: s.update(x=s.pop("decoder.conv_in.bias")), AUTOENCODER),
            r"diffusion_pytorch_model\.safetensors: net\.decoder\.conv_in\.bias: missing",
        ),
        (
            lambda f: described(f, lambda d: d.update(block_out_channels=[8, 8])),
            r"diffusion_pytorch_model\.safetensors: diffusers\.AutoencoderKL cannot load it",
        ),
        (lambda f: ((f / "config.json").write_text("{"), relist(f)), r"diffusers\.AutoencoderKL cannot load it"),
        (lambda f: ((f / AUTOENCODER).unlink(), relist(f)), r"files\.json: a tensor of shape .* missing for it"),
        (lambda f: ((f / "model.py").write_text("1"), relist(f)), r"model\.py: a reference's folder holds"),
        (lambda f: ((f / "model.bin").write_bytes(pickle.dumps(1)), relist(f)), r"model\.bin: a reference's folder"),
        (
            lambda f: ((f / AUTOENCODER).write_bytes(struct.pack("<Q", 17) + b'{"a":{"shape":1}}'), relist(f)),
            r"diffusion_pytorch_model\.safetensors: a: unreadable shape",
        ),
    ],
)
def test_damage_of_a_reference_is_named(reference, change, message):
    change(reference)
    with pytest.raises(Damaged, match=message):
        load(reference)


AUTOENCODER = "diffusion_pytorch_model.safetensors"


def test_a_huge_configuration_is_refused_before_memory_is_asked_for(folder):
    """The largest VAE that the bounds allow takes gigabytes; its shapes are compared on the meta device."""

    def grow(values: dict[str, Any]) -> None:
        values["config"].update(height=256, width=256, maps=256, hidden=2048, latents=256)
        values["data"].update(height=256, width=256)

    described(folder, grow)
    built: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Linear, "reset_parameters", lambda self: built.append(self.weight.device.type))
        with pytest.raises(Damaged, match=r"model\.safetensors: .*shape"):
            load(folder)
    assert set(built) <= {"meta"}


# --- The hub --------------------------------------------------------------------------------------------------


def test_save_and_load_by_the_hubs_own_verbs(sound, tmp_path):
    made = load(sound["ours"])
    made.save_pretrained(tmp_path / "out")
    back = Checkpoint.from_pretrained(str(tmp_path / "out"))
    assert isinstance(back, Checkpoint)
    assert (back.config, back.info, back.about) == (made.config, made.info, made.about)
    assert small.same(back.model.state_dict(), made.model.state_dict())
    assert load(tmp_path / "out"), "the checksums fit what the mixin left"


def test_push_sends_a_folder_that_loads(sound, tmp_path, monkeypatch):
    class Api:
        """The network's edge: what would be uploaded is kept."""

        def __init__(self, **options: object):
            pass

        def create_repo(self, repo_id: str, **options: object) -> Any:
            return type("Url", (), {"repo_id": repo_id})

        def upload_folder(self, folder_path: str, **options: object) -> str:
            shutil.copytree(folder_path, tmp_path / "hub")
            return f"{options['repo_id']}"

    monkeypatch.setattr(hub_mixin, "HfApi", Api)
    made = load(sound["ours"])
    assert made.push_to_hub("someone/vae") == "someone/vae"
    back = load(tmp_path / "hub")
    assert small.same(back.model.state_dict(), made.model.state_dict())
    assert (tmp_path / "hub" / "README.md").read_text("utf-8").startswith("---\nlicense: apache-2.0")


def test_a_model_of_the_hub_may_hold_files_of_the_hub(folder, monkeypatch):
    """The hub adds .gitattributes, which files.json does not list; here alone that is allowed."""
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs")
    with pytest.raises(Damaged, match="not listed"):
        load(folder)
    asked: list[str] = []
    monkeypatch.setattr(checkpoint, "snapshot_download", lambda name, **options: asked.append(name) or str(folder))
    monkeypatch.setattr(hub_mixin, "hf_hub_download", lambda **options: str(folder / "config.json"))
    back = Checkpoint.from_pretrained("someone/vae")
    assert asked == ["someone/vae"]
    assert back.family == "vae"
    flip(folder / "model.safetensors")
    with pytest.raises(Damaged, match=r"model\.safetensors: its SHA-256"):
        Checkpoint.from_pretrained("someone/vae")


# --- Shipped --------------------------------------------------------------------------------------------------


def test_the_default_comes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "root", lambda name: tmp_path)
    for name in ("faces", "mnist", "a", "unfinished"):
        folder = tmp_path / "checkpoints" / "vae" / "ours" / name
        folder.mkdir(parents=True)
        if name != "unfinished":
            (folder / "files.json").write_text("{}")
    assert [p.name for p in checkpoint.shipped("vae")] == ["mnist", "a", "faces"]
    assert checkpoint.shipped("vae", "reference") == []
