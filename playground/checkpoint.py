"""A checkpoint is a folder: safetensors, config.json, a model card and checksums. Nothing is ever unpickled.

    model.safetensors         the weights (and, for the classical models, the fitted parameters)
    snapshot-STEP.safetensors earlier states of the same run, where the family has a view for them
    config.json               family, Config, DataInfo and how it was trained
    README.md                 the model card
    preview.png, .wav or .svg what the model makes from seed 0
    files.json                size and SHA-256 of every other file, verified before anything is read

A reference's folder holds the files of its library's own `save_pretrained`; what we know of it stands in
`playground.json`, so that the library's `config.json` stays its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelHubMixin, snapshot_download
from safetensors.torch import load_file, save_file
from torch import nn

from playground import registry
from playground.contract import BadSetting, DataInfo, Family, Snapshot, check_settings

FORMAT = 1
MAX_FILE = 1_000_000_000
"""Bytes: a larger file in a checkpoint is refused unread. (Those that are shipped stay under 10 MB: a test says so.)"""
MAX_TEXT = 10_000_000
MAX_FILES = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
REFERENCE_FILES = {".safetensors", ".json", ".md", ".png", ".wav", ".txt"}
"""What a library's own format may consist of here: no code, nothing that is unpickled."""
BUILDING = threading.RLock()
"""Held by whoever builds a model. While transformers and diffusers load one they change `torch.nn` for all threads (first
weights are left out, parameters go to the meta device, ties are undone): what another thread builds then is broken."""
_DTYPES = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}


class Damaged(ValueError):
    """A checkpoint that cannot be trusted or used; the message names the file and, where there is one, the field."""


@dataclass(frozen=True)
class About:
    """How a checkpoint came to be: what its model card says."""

    dataset: str = ""
    preset: str = ""
    seed: int = 0
    steps: int = 0
    seconds: float = 0.0
    examples: int = 0
    """Training examples seen, counting repeats."""
    hardware: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    """Measured on held-out data, by name; filled in by the benchmarks."""
    notes: str = ""


class Checkpoint(ModelHubMixin):
    """A model with what is known of it. `Checkpoint.from_pretrained("user/name")` and `.push_to_hub("user/name")`
    are huggingface_hub's own."""

    def __init__(self, family: str, model: nn.Module, config: Any, info: DataInfo, about: About | None = None):
        self.family = family
        self.model = model
        self.config = config
        self.info = info
        self.about = about or About()
        self.folder: Path | None = None
        self.side = "ours"

    def snapshots(self) -> list[Snapshot]:
        """The earlier states of the run that lie beside the weights, oldest first."""
        return list(_snapshots(self)) if self.folder else []

    def _save_pretrained(self, save_directory: Path) -> None:
        _write(Path(save_directory), self, {}, {})

    @classmethod
    def _from_pretrained(cls, *, model_id: str, revision: str | None = None, **options: Any) -> Checkpoint:
        if Path(model_id).is_dir():
            return load(Path(model_id))
        passed = {k: options[k] for k in ("cache_dir", "force_download", "local_files_only", "token") if k in options}
        return load(Path(snapshot_download(model_id, revision=revision, **passed)), strict_listing=False)


def shipped(name: str, side: str = "ours") -> list[Path]:
    """Folders of the checkpoints that come with a family, the default first; empty where there are none."""
    place = registry.root(name) / "checkpoints" / name / side
    return sorted((p for p in place.glob("*") if (p / "files.json").is_file()), key=_default_first)


def _default_first(folder: Path) -> tuple[bool, str]:
    return folder.name not in ("mnist", "shapes", "digits", "sentences"), folder.name


# --- Writing --------------------------------------------------------------------------------------------------


def save(
    folder: Path,
    checkpoint: Checkpoint,
    snapshots: Mapping[int, Mapping[str, torch.Tensor]] | None = None,
    preview: Mapping[str, bytes] | None = None,
) -> Path:
    """Write the checkpoint to `folder` as a whole: a reader sees the old folder or the new one, never a part.

    snapshots: step -> state of the model then. preview: file name -> bytes of what the model makes from seed 0.
    """
    folder = Path(folder)
    draft = folder.with_name(f".{folder.name}.draft-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        _write(draft, checkpoint, snapshots or {}, preview or {})
        replace_folder(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def save_reference(folder: Path, checkpoint: Checkpoint, preview: Mapping[str, bytes] | None = None) -> Path:
    """The same for a family's counterpart, in its library's own format."""
    folder = Path(folder)
    draft = folder.with_name(f".{folder.name}.draft-{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        registry.reference(checkpoint.family).save(checkpoint.model, draft)
        (draft / "playground.json").write_text(_described(checkpoint), encoding="utf-8")
        (draft / "README.md").write_text(model_card(checkpoint, "reference"), encoding="utf-8")
        for name, data in (preview or {}).items():
            (draft / name).write_bytes(data)
        list_files(draft)
        replace_folder(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _write(
    folder: Path,
    checkpoint: Checkpoint,
    snapshots: Mapping[int, Mapping[str, torch.Tensor]],
    preview: Mapping[str, bytes],
) -> None:
    save_file(_contiguous(checkpoint.model.state_dict()), folder / "model.safetensors")
    for step, state in snapshots.items():
        save_file(_contiguous(state), folder / f"snapshot-{step:07d}.safetensors")
    (folder / "config.json").write_text(_described(checkpoint), encoding="utf-8")
    (folder / "README.md").write_text(model_card(checkpoint, "ours"), encoding="utf-8")
    for name, data in preview.items():
        (folder / name).write_bytes(data)
    list_files(folder)


def _contiguous(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}


def _described(checkpoint: Checkpoint) -> str:
    described = {
        "format": FORMAT,
        "family": checkpoint.family,
        "config": asdict(checkpoint.config),
        "data": asdict(checkpoint.info),
        "about": asdict(checkpoint.about),
    }
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def list_files(folder: Path) -> None:
    """Write files.json: the size and SHA-256 of every other file in the folder, and sync them to the disk."""
    listing = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "files.json"):
        listing[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": _digest(path)}
        sync(path)
    (folder / "files.json").write_text(json.dumps(listing, indent=1) + "\n", encoding="utf-8")
    sync(folder / "files.json")


def sync(path: Path) -> None:
    """Force a file (or, where the system has it, a folder) to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # some file systems cannot sync a folder; the files in it have been synced one by one
        if not path.is_dir():
            raise
    finally:
        os.close(handle)


def replace_folder(draft: Path, folder: Path) -> None:
    """Put the finished `draft` in the place of `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    try:
        draft.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_card(checkpoint: Checkpoint, side: str) -> str:
    """The README.md of a checkpoint, with the front matter that the hub reads."""
    family, about, info = registry.family(checkpoint.family), checkpoint.about, checkpoint.info
    who = (
        family.title["en"] if side == "ours" else f"{family.reference.title['en']} (reference for {family.title['en']})"
    )
    recipe = "\n".join(f"| {name} | {value} |" for name, value in {**asdict(checkpoint.config), **about.recipe}.items())
    figures = "\n".join(f"| {name} | {value:.4g} |" for name, value in about.figures.items())
    return f"""---
license: apache-2.0
library_name: {"generative-playground" if side == "ours" else family.reference.library}
tags: [{family.name}, {family.kind}, generative-playground]
---
# {who}, trained on {info.name}

{family.idea["en"]}

Paper: {family.paper}

**Data.** {info.name}: {info.size:,} training examples. {info.credit}

**Training.** Preset `{about.preset or "custom"}`, {about.steps:,} {family.unit["en"]}, {
        about.examples:,} examples seen,
{about.seconds / 60:.1f} minutes on {about.hardware or "unknown hardware"}, seed {about.seed}.

| setting | value |
|---|---|
{recipe}
{
        f'''
**Figures**, on held-out data:

| figure | value |
|---|---|
{figures}
'''
        if figures
        else ""
    }{
        f'''
{about.notes}
'''
        if about.notes
        else ""
    }
**Licence.** Weights: Apache-2.0. The training data has its own licence, named above.
"""


# --- Reading --------------------------------------------------------------------------------------------------


def load(folder: Path, strict_listing: bool = True) -> Checkpoint:
    """The checkpoint in `folder`, verified: checksums, sizes, dtypes, shapes, fields and finite values.

    strict_listing: refuse files that files.json does not name (the hub adds some of its own).
    Raises `Damaged`, naming the file and the field.
    """
    folder = Path(folder)
    listing = verify_files(folder, strict_listing)
    own = "playground.json" not in listing
    described = _read_json(folder / ("config.json" if own else "playground.json"))
    family, info, about = _read_description(described, "config.json" if own else "playground.json")
    where = "config.json: config" if own else "playground.json: config"
    with BUILDING:
        if not own:
            config = read_fields(registry.reference(family.name).Config, described["config"], where)
            checkpoint = Checkpoint(family.name, _load_reference(family, config, folder, listing), config, info, about)
            checkpoint.side = "reference"
        else:
            config = read_fields(family.Config, described["config"], where)
            _check_facts(config, info)
            model = _load_model(family, config, folder / "model.safetensors")
            checkpoint = Checkpoint(family.name, model, config, info, about)
    checkpoint.model.eval()
    checkpoint.folder = folder
    return checkpoint


def pipeline_of_hub(kind: Any, repo: str) -> Any:
    """diffusers' pipeline of that class, downloaded if need be; nobody waits for the network to build a model.

    Raises OSError where it cannot be had.
    """
    folder = kind.download(repo, use_safetensors=True)
    with BUILDING:
        return kind.from_pretrained(folder, use_safetensors=True)


def verify_files(folder: Path, strict_listing: bool = True) -> dict[str, Any]:
    """Check every file against files.json and return that listing. Raises `Damaged`."""
    listing = _read_json(folder / "files.json")
    if not isinstance(listing, dict) or not 0 < len(listing) <= MAX_FILES:
        raise Damaged(f"files.json: expected a list of 1 to {MAX_FILES} files")
    for name, entry in listing.items():
        if not _NAME.fullmatch(name):
            raise Damaged(f"files.json: {name!r} is not a file name that a checkpoint may hold")
        if not isinstance(entry, dict) or set(entry) != {"bytes", "sha256"}:
            raise Damaged(f"files.json: {name}: expected its bytes and sha256")
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise Damaged(f"{name}: missing, though files.json lists it")
        size = path.stat().st_size
        if size != entry["bytes"] or size > MAX_FILE:
            raise Damaged(f"{name}: has {size:,} bytes, not the {entry['bytes']!r} that files.json says")
        if _digest(path) != entry["sha256"]:
            raise Damaged(f"{name}: its SHA-256 is not the one in files.json; the file was changed or damaged")
    if strict_listing:
        present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() or p.is_symlink()}
        extra = sorted(present - set(listing) - {"files.json"})
        if extra:
            raise Damaged(f"{extra[0]}: not listed in files.json")
    return listing


def _read_json(path: Path) -> Any:
    if not path.is_file() or path.is_symlink():
        raise Damaged(f"{path.name}: missing; a checkpoint folder holds it")
    if path.stat().st_size > MAX_TEXT:
        raise Damaged(f"{path.name}: larger than {MAX_TEXT:,} bytes")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise Damaged(f"{path.name}: not valid JSON ({error})") from None


def _read_description(described: Any, where: str) -> tuple[Family, DataInfo, About]:
    wanted = {"format", "family", "config", "data", "about"}
    if not isinstance(described, dict) or set(described) != wanted:
        raise Damaged(f"{where}: expected exactly the fields {', '.join(sorted(wanted))}")
    if described["format"] != FORMAT:
        raise Damaged(f"{where}: format is {described['format']!r}; this version reads {FORMAT}")
    name = described["family"]
    if not isinstance(name, str) or name not in registry.families():
        raise Damaged(f"{where}: family: {name!r} is not registered here")
    info = read_fields(DataInfo, described["data"], f"{where}: data")
    about = read_fields(About, described["about"], f"{where}: about")
    return registry.family(name), info, about


def read_fields(kind: Any, values: Any, where: str) -> Any:
    """A dataclass of `kind` from JSON: every field there, none unknown, each of the right type. Raises `Damaged`."""
    names = {f.name for f in fields(kind)}
    if not isinstance(values, dict) or set(values) != names:
        odd = sorted(names ^ set(values)) if isinstance(values, dict) else ["the whole"]
        raise Damaged(f"{where}: {odd[0]}: missing or unknown")
    tidy = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    plain: Any = kind() if kind is not DataInfo else DataInfo(name="")
    for name, value in tidy.items():
        wanted = type(getattr(plain, name))
        if wanted is float and type(value) is int:
            value = tidy[name] = float(value)
        if type(value) is not wanted:
            raise Damaged(f"{where}: {name}: expected {wanted.__name__}, found {type(value).__name__}")
        if wanted is tuple and not all(type(v) is str for v in value):
            raise Damaged(f"{where}: {name}: expected a list of strings")
    try:
        return check_settings(kind(**tidy)) if kind not in (DataInfo, About) else kind(**tidy)
    except BadSetting as error:
        raise Damaged(f"{where}: {error}") from None


def _check_facts(config: Any, info: DataInfo) -> None:
    for f in fields(config):
        if f.metadata.get("fact") and getattr(config, f.name) != getattr(info, f.name):
            raise Damaged(
                f"config.json: config: {f.name}: is {getattr(config, f.name)}, but its data set has {getattr(info, f.name)}"
            )


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: name -> dtype, shape, offsets. Raises `Damaged`."""
    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise Damaged(f"{path.name}: too short to be a safetensors file")
        length = struct.unpack("<Q", prefix)[0]
        if length > min(MAX_TEXT, path.stat().st_size - 8):
            raise Damaged(f"{path.name}: its header claims {length:,} bytes")
        try:
            header = json.loads(file.read(length))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            raise Damaged(f"{path.name}: its header is not valid JSON") from None
    if not isinstance(header, dict):
        raise Damaged(f"{path.name}: its header is not a table of tensors")
    header.pop("__metadata__", None)
    return header


def read_state(path: Path, like: Mapping[str, torch.Tensor], cast: bool = False) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, which must have the names, shapes, dtypes of `like` and finite values.

    cast: allow another floating dtype and convert it. Raises `Damaged`.
    """
    header = read_header(path)
    odd = sorted(set(header) ^ set(like))
    if odd:
        raise Damaged(
            f"{path.name}: {odd[0]}: {'unknown to' if odd[0] in header else 'missing for'} this configuration"
        )
    for name, tensor in like.items():
        entry = header[name]
        if not isinstance(entry, dict) or entry.get("dtype") not in _DTYPES:
            raise Damaged(f"{path.name}: {name}: unreadable dtype")
        if entry.get("shape") != list(tensor.shape):
            raise Damaged(f"{path.name}: {name}: shape {entry.get('shape')}, expected {list(tensor.shape)}")
    try:
        state = load_file(path)
    except Exception as error:  # safetensors raises its own and, on odd offsets, several builtin exceptions
        raise Damaged(f"{path.name}: {error}") from None
    for name, tensor in like.items():
        if cast and state[name].is_floating_point() and tensor.is_floating_point():
            state[name] = state[name].to(tensor.dtype)
        if state[name].dtype != tensor.dtype:
            raise Damaged(f"{path.name}: {name}: dtype {state[name].dtype}, expected {tensor.dtype}")
        if state[name].is_floating_point() and not bool(torch.isfinite(state[name]).all()):
            raise Damaged(f"{path.name}: {name}: holds values that are not finite")
    return state


def _load_model(family: Family, config: Any, path: Path) -> nn.Module:
    with torch.device("meta"):  # the shapes, without the memory a hostile configuration could ask for
        expected = family.Model(config).state_dict()
    if not path.is_file():
        raise Damaged(f"{path.name}: missing; a checkpoint folder holds it")
    state = read_state(path, expected)
    model = family.Model(config)
    model.load_state_dict(state)
    return model


def _load_reference(family: Family, config: Any, folder: Path, listing: Mapping[str, Any]) -> nn.Module:
    """The counterpart, loaded by its library from weights that its configuration has a place for."""
    module = registry.reference(family.name)
    odd = [name for name in listing if Path(name).suffix not in REFERENCE_FILES]
    if odd:
        raise Damaged(f"{odd[0]}: a reference's folder holds {', '.join(sorted(REFERENCE_FILES))} files only")
    weights = [name for name in listing if name.endswith(".safetensors")]
    found = Counter(shape for name in weights for shape in _shapes(folder / name))
    with torch.device("meta"):
        expected = module.Model(config)
    state = {n: part for n, part in expected.state_dict().items() if n not in getattr(module, "IN_CONFIG", ())}
    every = Counter(tuple(tensor.shape) for tensor in state.values())
    parts = [*expected.named_parameters(), *((n, b) for n, b in expected.named_buffers() if n in state)]
    once = Counter(tuple(tensor.shape) for _, tensor in parts)  # libraries save tied weights once
    where = weights[0] if weights else "files.json"
    if odd_shapes := (found - every) or (once - found):
        shape = list(next(iter(odd_shapes)))
        raise Damaged(f"{where}: a tensor of shape {shape} is unknown to this configuration, or missing for it")
    try:
        model: nn.Module = module.load(folder, config)
    except Exception as error:  # each library has its own for files that do not fit
        raise Damaged(f"{where}: {family.reference.cls} cannot load it: {error}") from None
    for name, tensor in model.state_dict().items():
        if tensor.is_meta:  # a library may only warn of what it did not find
            raise Damaged(f"{where}: {name}: missing for this configuration")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise Damaged(f"{where}: {name}: holds values that are not finite")
    return model


def _shapes(path: Path) -> Iterator[tuple[int, ...]]:
    """The shapes of the tensors in a safetensors file. Raises `Damaged`."""
    for name, entry in read_header(path).items():
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if not isinstance(shape, list) or not all(type(side) is int for side in shape):
            raise Damaged(f"{path.name}: {name}: unreadable shape")
        yield tuple(shape)


def _snapshots(checkpoint: Checkpoint) -> Iterator[Snapshot]:
    assert checkpoint.folder is not None
    family = registry.family(checkpoint.family)

    yield from read_snapshots(checkpoint.folder, lambda: family.Model(checkpoint.config))


def read_snapshots(folder: Path, build: Callable[[], nn.Module]) -> Iterator[Snapshot]:
    """The snapshots in a folder, oldest first; each fills a model made by `build` when it is looked at."""

    def loaded(path: Path) -> nn.Module:
        with BUILDING:
            model = build()
        model.load_state_dict(read_state(path, model.state_dict(), cast=True))
        return model.eval()

    for path in sorted(folder.glob("snapshot-*.safetensors")):
        yield Snapshot(int(path.stem.partition("-")[2]), partial(loaded, path))
