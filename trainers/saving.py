"""What a run leaves on the disk: whole saves to resume from, snapshots to look back at, and checkpoints."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from playground import checkpoint as checkpoints
from playground import registry
from playground.contract import Audio, DataInfo, Field, Mel, Sheet, Told, World
from trainers.plans import Job, Plan, describe, total_steps
from trainers.run import Run, get_random_state

SAVES_KEPT = 2


ADVICE = {
    "en": "Lower the learning rate, or use fp32 instead of bf16; the last save before it is kept and can be resumed.",
    "ko": "학습률을 낮추거나 bf16 대신 fp32를 쓰세요. 그 전의 마지막 저장은 남아 있어 거기서 이어 갈 수 있습니다.",
}


class TrainingFailed(Told, RuntimeError):
    """The training cannot go on; the message gives the step, the values and advice."""


def _flatten(tree: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """`tree` with each tensor replaced by a reference, the tensors collected in `tensors`."""
    if isinstance(tree, Tensor):
        tensors[path] = tree.detach().to("cpu", copy=True).contiguous()
        return {"tensor": path}
    if isinstance(tree, Mapping):
        return {"map": [[key, _flatten(value, f"{path}/{key}", tensors)] for key, value in tree.items()]}
    if isinstance(tree, (list, tuple)):
        return {"list": [_flatten(value, f"{path}/{i}", tensors) for i, value in enumerate(tree)]}
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return {"value": tree}
    raise TypeError(f"{path}: cannot save a {type(tree).__name__}; keep objects whose state holds plain values")


def _unflatten(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if "tensor" in tree:
        return tensors[tree["tensor"]]
    if "map" in tree:
        return {key: _unflatten(value, tensors) for key, value in tree["map"]}
    if "list" in tree:
        return [_unflatten(value, tensors) for value in tree["list"]]
    return tree["value"]


def saves(folder: Path) -> list[Path]:
    """The complete saves of a run, newest first."""
    found = [p for p in Path(folder).glob("save-*") if p.is_dir() and p.name[5:].isdecimal()]
    return sorted(found, key=lambda p: int(p.name[5:]), reverse=True)


def _discard(save: Path) -> None:
    """Remove a save as a whole: killed half way, it must not look like one that has lost files."""
    gone = save.with_name(f".{save.name}.old-{os.getpid()}")
    save.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


class Course:
    """A training under way: the model, its run and its clock, with what it takes to save and restore them."""

    def __init__(self, plan: Plan, folder: Path, run: Run, model: nn.Module):
        self.plan, self.folder, self.run, self.model = plan, Path(folder), run, model
        self.seconds = 0.0
        self.saved_at = time.monotonic()
        self.saved_step = -1

    @property
    def step(self) -> int:
        return sum(self.run.done.values())

    @property
    def total(self) -> int:
        return total_steps(self.plan.recipe)

    def save(self) -> str:
        """Write save-STEP as a whole and drop the oldest; returns its name. A state that is not finite raises."""
        name = f"save-{self.step}"
        self.saved_at = time.monotonic()
        if self.run.rank or self.saved_step == self.step:
            return name
        for key, tensor in self.model.state_dict().items():
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                raise TrainingFailed(
                    f"{key} is no longer finite after step {self.step}. {ADVICE['en']}",
                    f"{self.step}스텝 뒤 {key} 값이 유한하지 않습니다. {ADVICE['ko']}",
                )
        draft = self.folder / f".draft-{os.getpid()}"
        draft.mkdir(parents=True, exist_ok=True)
        try:
            self._write(draft)
            checkpoints.replace_folder(draft, self.folder / name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        checkpoints.sync(self.folder)
        self.saved_step = self.step
        for old in saves(self.folder)[SAVES_KEPT:]:
            _discard(old)
        return name

    def _write(self, draft: Path) -> None:
        state = {
            "kept": {name: thing.state_dict() for name, thing in self.run.kept.items()},
            "random": get_random_state(),
            "phase": self.run.current[0],
            "done": self.run.done,
            "examples": self.run.examples,
            "seconds": self.seconds,
        }
        tensors: dict[str, Tensor] = {}
        tree = _flatten(state, "state", tensors)
        _write_tensors(_copies(self.model), draft / "model.safetensors")
        _write_tensors(tensors, draft / "state.safetensors")
        (draft / "state.json").write_text(json.dumps(tree), encoding="utf-8")
        (draft / "run.json").write_text(json.dumps(describe(self.plan), indent=1), encoding="utf-8")
        checkpoints.list_files(draft)
        checkpoints.sync(draft)

    def restore(self, save: Path) -> None:
        """Take up the state of a verified save folder. Raises `Damaged` where it is of another model."""
        self.model.load_state_dict(checkpoints.read_state(save / "model.safetensors", self.model.state_dict()))
        tree = json.loads((save / "state.json").read_text(encoding="utf-8"))
        state = _unflatten(tree, checkpoints.load_file(save / "state.safetensors"))
        self.run.done = state["done"]
        self.run.examples = state["examples"]
        self.seconds = state["seconds"]
        self.saved_step = self.step
        self.run.current = (state["phase"], state["done"].get(state["phase"], 0))
        self.run.resume(state["phase"], state["random"], state["kept"])

    def snapshot(self) -> None:
        """Keep the weights, in half the bytes, at a few points of the run, for the views that look back."""
        folder = self.folder / "snapshots"
        folder.mkdir(exist_ok=True)
        state = _copies(self.model)
        half = {k: v.to(torch.bfloat16) if v.is_floating_point() else v for k, v in state.items()}
        draft = folder / f".draft-{os.getpid()}"
        _write_tensors(half, draft)
        draft.replace(folder / f"snapshot-{self.step:07d}.safetensors")


def _copies(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model in memory of its own: safetensors refuses tensors that share theirs (tied weights)."""
    return {k: v.detach().to("cpu", copy=True).contiguous() for k, v in model.state_dict().items()}


def _write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Raises OSError where the disk is full, as other writes do."""
    try:
        save_file(tensors, path)
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        number = int(code[1]) if code else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


def hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} CPU threads ({platform.machine()})"


def run_checkpoint(folder: Path) -> checkpoints.Checkpoint:
    """The newest sound save of a run as a checkpoint, without its data set. Raises `Damaged`."""
    found = saves(folder)
    if not found:
        raise checkpoints.Damaged(f"{Path(folder).name}: holds no save yet")
    for save in found:
        try:
            return _checkpoint_of(save)
        except checkpoints.Damaged:
            if save == found[-1]:
                raise
    raise AssertionError("unreachable: the loop returns or raises")


def _checkpoint_of(save: Path) -> checkpoints.Checkpoint:
    checkpoints.verify_files(save)
    described = json.loads((save / "run.json").read_text(encoding="utf-8"))
    job = Job(**described["job"])
    family = registry.family(job.family)
    module = registry.reference(job.family) if job.reference else None
    config = checkpoints.read_fields(
        module.Config if module else family.Config, described["config"], "run.json: config"
    )
    info = checkpoints.read_fields(DataInfo, described["data"], "run.json: data")
    model = module.Model(config) if module else family.Model(config)
    model.load_state_dict(checkpoints.read_state(save / "model.safetensors", model.state_dict()))
    state = json.loads((save / "state.json").read_text(encoding="utf-8"))
    state = _unflatten(state, checkpoints.load_file(save / "state.safetensors"))
    about = checkpoints.About(
        dataset=job.dataset,
        preset=job.preset,
        seed=job.seed,
        steps=sum(state["done"].values()),
        seconds=state["seconds"],
        examples=state["examples"],
        hardware=hardware(),
        recipe=described["recipe"],
    )
    made = checkpoints.Checkpoint(job.family, model.eval(), config, info, about)
    made.side = "reference" if job.reference else "ours"
    made.folder = save
    return made


def export(folder: Path, out: Path) -> Path:
    """Write what a run has learnt so far as a checkpoint folder, with a preview drawn from seed 0."""
    made = run_checkpoint(folder)
    preview = first_picture(made)
    if made.side == "reference":
        return checkpoints.save_reference(out, made, preview)
    states = {
        int(p.stem.partition("-")[2]): checkpoints.load_file(p)
        for p in sorted((Path(folder) / "snapshots").glob("snapshot-*.safetensors"))
    }
    return checkpoints.save(out, made, states, preview)


def first_picture(made: checkpoints.Checkpoint) -> dict[str, bytes]:
    """The first sheet, field or sound that the generating view makes, by file name; empty where it makes none.

    A sound is a recording and its picture; a mel is sounded by no model.
    """
    from playground import drawing, sounding, staging

    for output in staging.draw(staging.view(made), made.model, made.config, staging.scene(made), {}):
        if isinstance(output, Sheet):
            return {"preview.png": drawing.sheet_png(output)}
        if isinstance(output, Audio | Mel | World):
            heard = drawing.wav_bytes(sounding.plainly(output))
            return {"preview.wav": heard, "preview.png": drawing.sound_png(output)}
        if isinstance(output, Field):
            return {"preview.svg": drawing.field_svg(output.at(-1)).encode()}
    return {}
