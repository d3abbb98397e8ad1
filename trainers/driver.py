"""The chores around every training loop: seed, device, Accelerate, time limit, saves, resume, events.

A recipe's `train(model, data, recipe, run)` is a generator of `Progress`; its loop stays visible in its own file.
`drive` advances it one report at a time, saves, answers Stop and Step, and turns reports into small events (plain
dictionaries) for whoever watches: the command line, the interface's jobs, the tests and the benchmarks.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import platform
import re
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from playground import checkpoint as checkpoints
from playground import registry
from playground.contract import (
    Audio,
    BadSetting,
    Data,
    DataInfo,
    Examples,
    Family,
    Progress,
    Scene,
    Sheet,
    Snapshot,
    Told,
    View,
    check_settings,
    configure,
)

SAVES_KEPT = 2
HOLD_SECONDS = 60.0
"""A run that is held between steps saves and leaves its worker after this long."""
CALIBRATION_SECONDS = 1.5
PREVIEW_SHARE = 10.0
"""A preview that took a second to draw is followed by at least this many seconds of training."""
LOCK_SECONDS = 10.0
"""How long to wait for another process to leave the folder of a run."""


# --- What to train --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A training, described in plain values: the same description repeats it anywhere."""

    family: str
    dataset: str
    preset: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Recipe fields that differ from their defaults."""
    config: Mapping[str, Any] = field(default_factory=dict)
    minutes: float = 0.0
    """Time budget; it is turned into a number of steps by timing the first ones. 0 keeps the recipe's steps."""
    seed: int = 0
    reference: bool = False
    """Train the family's counterpart instead, with the same recipe and data."""
    start: str = ""
    """Checkpoint folder to begin from (fine-tuning), or empty to begin from scratch."""


@dataclass(frozen=True)
class Plan:
    """A `Job` with everything looked up: who trains, on what, how."""

    job: Job
    family: Family
    data: Data
    config: Any
    recipe: Any
    build: Callable[[Any], nn.Module]
    train: Callable[..., Generator[Progress]]


def job_from_preset(family: str, preset: str, **changes: Any) -> Job:
    """The job that a preset of the family's trainer describes, with `changes` to its fields on top.

    `recipe` and `config` changes are merged into the preset's. Raises `BadSetting` for an unknown preset.
    """
    presets = {p.name: p for p in registry.trainer(family).PRESETS}
    if preset not in presets:
        listed = ", ".join(presets)
        raise BadSetting(f"preset = {preset!r}: {family} has {listed}", f"preset = {preset!r}: 있는 프리셋: {listed}")
    chosen = presets[preset]
    merged = {
        "dataset": chosen.dataset,
        "minutes": chosen.minutes,
        **changes,
        "recipe": {**chosen.recipe, **changes.get("recipe", {})},
        "config": {**chosen.config, **changes.get("config", {})},
    }
    return Job(family=family, preset=preset, **merged)


def plan(job: Job, data: Data | None = None) -> Plan:
    """Look a job up and check its settings. Raises `UnknownFamily`, `BadSetting`, `DataMissing` or `BadData`."""
    from playground.data import load

    family = registry.family(job.family)
    trainer = registry.trainer(job.family)
    chosen: Data = data or load(job.dataset)
    module: Any = registry.reference(job.family) if job.reference else None
    config_type = module.Config if module else family.Config
    own_loop = module is not None and hasattr(module, "train")
    recipe_type = module.Recipe if own_loop else trainer.Recipe
    config = configure(config_type, chosen.info, **_known(config_type, job.config, strict=module is None))
    recipe = _settings(recipe_type, _known(recipe_type, job.recipe, strict=not own_loop))
    return Plan(
        job=job,
        family=family,
        data=chosen,
        config=config,
        recipe=recipe,
        build=module.Model if module else family.Model,
        train=module.train if own_loop else trainer.train,
    )


def _known(kind: type, values: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    """The values that `kind` has fields for; with `strict`, an unknown one raises `BadSetting`."""
    names = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - names)
    if unknown and strict:
        listed = ", ".join(sorted(names))
        raise BadSetting(
            f"{unknown[0]}: no such setting; there are {listed}", f"{unknown[0]}: 없는 설정입니다. 있는 설정: {listed}"
        )
    # Described in JSON, a tuple has become a list.
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in names}


def _settings(kind: type, values: Mapping[str, Any]) -> Any:
    return check_settings(kind(**values))


def phase_fields(recipe: Any) -> dict[str, str]:
    """Recipe field -> phase, for the fields that count steps (see `knob`)."""
    return {f.name: f.metadata["phase"] for f in fields(recipe) if f.metadata.get("phase")}


def total_steps(recipe: Any) -> int:
    """Steps of all phases together; a recipe that counts none (a closed form) has one."""
    return 1 if not phase_fields(recipe) else sum(getattr(recipe, name) for name in phase_fields(recipe))


# --- What a recipe sees ---------------------------------------------------------------------------------------


class InPrecision(nn.Module):
    """Runs a module's forward under autocast to `dtype`."""

    def __init__(self, module: nn.Module, dtype: torch.dtype):
        super().__init__()
        self.module = module
        self.dtype = dtype

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        device = next(self.module.parameters()).device.type
        with torch.autocast(device, dtype=self.dtype):
            return self.module(*args, **kwargs)


class Run:
    """The chores that a training loop calls for by name.

    A batch is a function of (seed, phase, step) alone, and noise is drawn for the joint batch of all processes, of
    which each takes its share: so a resumed run, and a run on several processes, follow the same curve.
    """

    def __init__(self, seed: int = 0, batch_size: int = 64, precision: str = "fp32"):
        self.seed = seed
        self.batch_size = batch_size
        self.precision = precision
        self.accelerator = Accelerator()
        self.device = self.accelerator.device
        self.rank = self.accelerator.process_index
        self.world = self.accelerator.num_processes
        self.kept: dict[str, Any] = {}
        self.done: dict[str, int] = {}
        """Whole steps finished, by phase."""
        self.current: tuple[str, int] = ("", 0)
        self.examples = 0
        self._restored: dict[str, Any] = {}
        self._resumed: tuple[str, dict[str, Tensor]] | None = None
        self._orders: dict[tuple[int, str, int], Tensor] = {}
        if batch_size % self.world:
            raise BadSetting(
                f"batch_size = {batch_size}: must be a multiple of the {self.world} processes",
                f"batch_size = {batch_size}: 프로세스 수 {self.world}의 배수여야 합니다",
            )

    def keep(self, name: str, thing: Any) -> Any:
        """Register anything with a `state_dict` to be saved with the run; after a resume, restore it at once."""
        self.kept[name] = thing
        if name in self._restored:
            thing.load_state_dict(self._restored.pop(name))
        return thing

    def resume(self, phase: str, random: dict[str, Tensor], kept: dict[str, Any]) -> None:
        """Take up the random state of a save made in `phase`, and what was kept, when the loop gets there.

        What a recipe draws on its way there (a second net's initial weights) was drawn before the save was made.
        """
        self._restored, self._resumed = kept, (phase, random)
        self._take_up("")

    def _take_up(self, phase: str) -> None:
        if self._resumed and self._resumed[0] == phase:
            set_random_state(self._resumed[1])
            self._resumed = None

    def distribute(self, module: nn.Module) -> nn.Module:
        """The module as this run's processes and precision compute it; call the result, keep the original."""
        wrapped = InPrecision(module, torch.bfloat16) if self.precision == "bf16" else module
        if any(p.requires_grad for p in module.parameters()):
            return self.accelerator.prepare_model(wrapped)
        return wrapped.to(self.device)

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def steps(self, phase: str, count: int) -> Iterator[int]:
        """The step numbers 1..count of a phase that are still to do: all, some, or none after a resume."""
        for step in range(self.done.get(phase, 0) + 1, count + 1):
            self._take_up(phase)
            self.current = (phase, step)
            yield step
        self._take_up(phase)

    def batches(self, data: Data, phase: str, steps: int) -> Iterator[tuple[int, Any]]:
        """(step, batch) pairs; each epoch goes through the training examples once in an order of its own."""
        for step in self.steps(phase, steps):
            batch = data.train.batch(self._indices(len(data.train), phase, step))
            self.examples += self.batch_size
            yield step, _to(batch, self.device)

    def randn(self, n: int, *shape: int) -> Tensor:
        """This process's share (n, *shape) of Gaussian noise drawn for the joint batch."""
        return self._share(torch.randn(n * self.world, *shape, device=self.device), n)

    def rand(self, n: int, *shape: int) -> Tensor:
        """The same, uniform in [0, 1)."""
        return self._share(torch.rand(n * self.world, *shape, device=self.device), n)

    def randint(self, high: int, n: int) -> Tensor:
        """The same, whole numbers below `high`: (n,) int64."""
        return self._share(torch.randint(high, (n * self.world,), device=self.device), n)

    def _share(self, joint: Tensor, n: int) -> Tensor:
        return joint[self.rank * n : (self.rank + 1) * n]

    def _indices(self, size: int, phase: str, step: int) -> Tensor:
        first = (step - 1) * self.batch_size
        places = torch.arange(first, first + self.batch_size)
        share = places.chunk(self.world)[self.rank]
        orders = [self._order(size, phase, epoch) for epoch in range(int(share[0]) // size, int(share[-1]) // size + 1)]
        return torch.cat(orders)[share - int(share[0]) // size * size]

    def _order(self, size: int, phase: str, epoch: int) -> Tensor:
        key = (size, phase, epoch)
        if key not in self._orders:
            digest = hashlib.blake2b(f"{self.seed}/{phase}/{epoch}".encode(), digest_size=7).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(digest, "big"))
            if len(self._orders) > 8:
                self._orders.clear()
            self._orders[key] = torch.randperm(size, generator=generator)
        return self._orders[key]


def _to(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device)
    if isinstance(batch, (tuple, list)):
        return type(batch)(_to(part, device) for part in batch)
    return batch


# --- Saves ----------------------------------------------------------------------------------------------------


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


def get_random_state() -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


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


def describe(plan: Plan) -> dict[str, Any]:
    """A plan as JSON: enough to rebuild the model and to train on."""
    return {
        "job": asdict(plan.job),
        "config": asdict(plan.config),
        "recipe": asdict(plan.recipe),
        "data": asdict(plan.data.info),
    }


# --- Driving --------------------------------------------------------------------------------------------------

ADVICE = {
    "en": "Lower the learning rate, or use fp32 instead of bf16; the last save before it is kept and can be resumed.",
    "ko": "학습률을 낮추거나 bf16 대신 fp32를 쓰세요. 그 전의 마지막 저장은 남아 있어 거기서 이어 갈 수 있습니다.",
}


class TrainingFailed(Told, RuntimeError):
    """The training cannot go on; the message gives the step, the values and advice."""


class Control:
    """What people ask of a run, from another thread: go on, hold, one step, stop. Stop is final."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._mode = "go"
        self._permits = 0

    def go(self) -> None:
        self._set("go", 0)

    def stop(self) -> None:
        self._set("stop", 0)

    def step(self) -> None:
        """Hold after one more report (in an adversarial recipe, one player's turn)."""
        self._set("hold", self._permits + 1)

    def _set(self, mode: str, permits: int) -> None:
        with self._changed:
            if not self.stopping:
                self._mode, self._permits = mode, permits
            self._changed.notify_all()

    @property
    def stopping(self) -> bool:
        return self._mode == "stop"

    @property
    def holding(self) -> bool:
        return self._mode == "hold" and self._permits == 0

    def take(self) -> None:
        """One report was made: use up one permit."""
        with self._changed:
            self._permits = max(0, self._permits - 1)

    def wait(self, seconds: float) -> bool:
        """Wait while held. False when nothing was asked within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self.holding, seconds)


def drive(
    job: Job,
    folder: Path,
    control: Control | None = None,
    autosave: float = 10.0,
    previews: bool = False,
    report_every: float | None = None,
    data: Data | None = None,
) -> Iterator[dict[str, Any]]:
    """Train (or resume what lies in `folder`), yielding events: progress every `report_every` seconds, by default
    ten times a second at first and rarer later.

    Events carry "type": started, progress, preview, saved, held, finished, stopped, warning; see the fields where each
    is made. Raises `TrainingFailed` when a value is not finite, and whatever planning the job raises. Abandoning the
    generator leaves the last save.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone_in(folder):
        yield from _drive(job, folder, control or Control(), autosave, previews, report_every, data)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder: two processes must not train in one. The system lets go of it when the process is killed."""
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    try:
        # A generator may be advanced by several threads in turn.
        lock = FileLock(folder / ".lock", timeout=LOCK_SECONDS, thread_local=False)
        lock.acquire()
    except Timeout:
        raise TrainingFailed(
            f"{folder.name}: another process is training in this folder",
            f"{folder.name}: 다른 프로세스가 학습 중입니다",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _drive(
    job: Job,
    folder: Path,
    control: Control,
    autosave: float,
    previews: bool,
    report_every: float | None,
    data: Data | None,
) -> Iterator[dict[str, Any]]:
    course = _begin(job, folder, control, data)
    run, recipe = course.run, course.plan.recipe
    yield {
        "type": "started",
        "step": course.step,
        "total": course.total,
        "seconds": course.seconds,
        "parameters": sum(p.numel() for p in course.model.parameters()),
        "recipe": asdict(recipe),
    }
    if course.saved_step < 0:
        yield _saved(course)
    reported = preview_due = -math.inf
    marks = _snapshot_marks(course.plan.family, course.total)
    course.model.train()
    loop = course.plan.train(course.model, course.plan.data, recipe, run)
    outcome = "finished"
    while True:
        began = time.perf_counter()
        progress = next(loop, None)
        course.seconds += time.perf_counter() - began
        if progress is None:
            break
        values = _finite_values(progress, course)
        if progress.whole:
            phase, step = run.current
            run.done[phase] = step
            if course.step in marks and not run.rank:
                yield from _unless_disk_fails(course, course.snapshot)
        control.take()
        now = time.monotonic()
        pause = report_interval(course.seconds) if report_every is None else report_every
        if now - reported >= pause or control.holding or course.step in (1, course.total):
            reported = now
            yield _progress(course, progress, values)
        if previews and now >= preview_due:
            yield from _preview(course)
            spent = time.monotonic() - now
            preview_due = now + spent + max(preview_interval(course.seconds), PREVIEW_SHARE * spent)
        if progress.whole and time.monotonic() - course.saved_at >= autosave:
            yield from _unless_disk_fails(course, lambda: _saved(course))
        if control.holding:
            yield {"type": "held", "step": course.step}
            if previews:
                yield from _preview(course)
            if not control.wait(HOLD_SECONDS):
                control.stop()
        if progress.whole and _agree(control.stopping, run):
            outcome = "stopped"
            break
    loop.close()
    yield _saved(course)
    if previews:
        yield from _preview(course)
    yield {"type": outcome, "step": course.step, "total": course.total, "seconds": course.seconds}


def _begin(job: Job, folder: Path, control: Control, data: Data | None) -> Course:
    """The course of a new run, or of the newest sound save in the folder; newer ones that are damaged are removed."""
    damaged: dict[Path, checkpoints.Damaged] = {}
    course = None
    for save in saves(folder):
        try:
            course = _resume(save, folder, data)
            break
        except checkpoints.Damaged as error:
            damaged[save] = error
    if course is None:
        if damaged:
            raise next(iter(damaged.values()))
        planned = plan(job, data)
        course = _start(calibrate(planned, folder, control) if job.minutes else planned, folder)
        if job.start:
            course.model.load_state_dict(starting_weights(planned).state_dict())
    course.run.accelerator.wait_for_everyone()  # all have looked at the folder before one writes to it
    if not course.run.rank:
        drafts = [p for p in folder.glob(".*") if p.name.startswith((".draft-", ".save-"))]
        for leftover in (*damaged, *drafts):
            shutil.rmtree(leftover, ignore_errors=True)
    return course


def _resume(save: Path, folder: Path, data: Data | None) -> Course:
    checkpoints.verify_files(save)
    described = json.loads((save / "run.json").read_text(encoding="utf-8"))
    planned = plan(Job(**described["job"]), data)
    recipe = checkpoints.read_fields(type(planned.recipe), described["recipe"], "run.json: recipe")
    course = _start(replace(planned, recipe=recipe), folder)
    course.restore(save)
    return course


def _start(planned: Plan, folder: Path, kind: type[Run] = Run) -> Course:
    job, recipe = planned.job, planned.recipe
    torch.manual_seed(job.seed)
    run = kind(job.seed, getattr(recipe, "batch_size", 1), getattr(recipe, "precision", "fp32"))
    return Course(planned, folder, run, planned.build(planned.config).to(run.device))


def starting_weights(planned: Plan) -> nn.Module:
    """The model of the checkpoint that a fine-tuning begins from. Raises `BadSetting` where it does not fit."""
    start = checkpoints.load(Path(planned.job.start))
    if start.family != planned.family.name or start.config != planned.config:
        name = Path(planned.job.start).name
        raise BadSetting(
            f"start: the checkpoint {name} has another family or architecture than this run; "
            "choose the same settings, or start from scratch",
            f"start: 체크포인트 {name}의 모델이나 구조가 이 실행과 다릅니다. 설정을 같게 하거나 처음부터 학습하세요",
        )
    return start.model


class Trial(Run):
    """A throw-away run that gives each phase a short while and notes when its steps ended."""

    seconds_each = CALIBRATION_SECONDS

    def __init__(self, seed: int = 0, batch_size: int = 64, precision: str = "fp32"):
        super().__init__(seed, batch_size, precision)
        self.ends: dict[str, list[float]] = {}

    def steps(self, phase: str, count: int) -> Iterator[int]:
        began = time.perf_counter()
        ends = self.ends[phase] = [began]
        for step in range(1, count + 1):
            self.current = (phase, step)
            yield step
            ends.append(time.perf_counter())
            if step >= 3 and _agree(ends[-1] - began > self.seconds_each, self):
                return

    def pace(self, phase: str) -> float:
        """Seconds a step. The first pays for warming up, so it counts only where there is no other."""
        ends = self.ends.get(phase, [0.0])
        ends = ends[1:] if len(ends) > 2 else ends
        return (ends[-1] - ends[0]) / max(1, len(ends) - 1)


def calibrate(planned: Plan, folder: Path, control: Control | None = None) -> Plan:
    """Turn `minutes` into steps: time a few steps of each phase, then scale every counted phase alike."""
    phases = phase_fields(planned.recipe)
    if not phases:
        return planned
    course = _start(planned, folder, Trial)
    trial = course.run
    assert isinstance(trial, Trial)
    trial.seconds_each = CALIBRATION_SECONDS / len(phases)
    course.model.train()
    loop = planned.train(course.model, planned.data, planned.recipe, trial)
    for _ in loop:
        if trial.world == 1 and control is not None and control.stopping:
            break
    loop.close()
    seconds = sum(getattr(planned.recipe, name) * trial.pace(phase) for name, phase in phases.items())
    scale = planned.job.minutes * 60 / seconds if seconds else 1.0
    scaled = {name: max(1, round(getattr(planned.recipe, name) * scale)) for name in phases}
    if trial.world > 1:  # each process has timed for itself
        scaled = broadcast_object_list([scaled], from_process=0)[0]
    return replace(planned, recipe=replace(planned.recipe, **scaled))


def _finite_values(progress: Progress, course: Course) -> dict[str, float]:
    values = {name: float(value) for name, value in progress.values.items()}
    if not all(math.isfinite(value) for value in values.values()):
        listed = ", ".join(f"{name} = {value:g}" for name, value in values.items())
        raise TrainingFailed(
            f"step {course.step + 1}: {listed} is not finite. {ADVICE['en']}",
            f"{course.step + 1}스텝: {listed} 값이 유한하지 않습니다. {ADVICE['ko']}",
        )
    return values


def _progress(course: Course, progress: Progress, values: dict[str, float]) -> dict[str, Any]:
    left = (course.total - course.step) * course.seconds / course.step if course.step else 0.0
    return {
        "type": "progress",
        "step": course.step + (not progress.whole),
        "total": course.total,
        "phase": progress.phase,
        "values": values,
        "seconds": round(course.seconds, 3),
        "seconds_left": round(left, 1),
        "examples": course.run.examples,
    }


def _saved(course: Course) -> dict[str, Any]:
    return {"type": "saved", "step": course.step, "folder": course.save()}


def _unless_disk_fails(course: Course, write: Callable[[], dict[str, Any] | None]) -> Iterator[dict[str, Any]]:
    """The event that `write` makes, if any; or a warning: training goes on, and the next save may find room."""
    try:
        event = write()
    except OSError as error:
        message = {
            "en": f"Could not save at step {course.step}: {error.strerror or error}. The save before it is kept.",
            "ko": f"{course.step}스텝에서 저장하지 못했습니다: {error.strerror or error}. 그 전의 저장은 남아 있습니다.",
        }
        event = {"type": "warning", "step": course.step, "message": message}
    if event:
        yield event


def _agree(stopping: bool, run: Run) -> bool:
    """Whether all processes stop here: the first one decides, so that none is left waiting for another."""
    if run.world == 1:
        return stopping
    return bool(broadcast_object_list([stopping], from_process=0)[0])


def _snapshot_marks(family: Family, total: int) -> set[int]:
    """Steps at which to keep a snapshot: spread so that the early, fast changes are seen."""
    n = family.snapshots
    return {max(1, round(total * (i / n) ** 2.5)) for i in range(1, n + 1)} if n else set()


def report_interval(seconds: float) -> float:
    """Seconds between progress events, by the seconds trained: a long run's curve needs no more points."""
    return 0.1 if seconds < 60 else 0.5 if seconds < 600 else 2.0


def preview_interval(seconds: float) -> float:
    """Seconds between previews: often at first, at most every 1.5 s, then rarer."""
    return 1.5 if seconds < 60 else 3.0 if seconds < 600 else 10.0


def _preview(course: Course) -> Iterator[dict[str, Any]]:
    """What the model makes now, as the live views draw it; the run's random state is left as it was."""
    from playground import drawing, staging

    if course.run.rank:
        return
    kept = get_random_state()
    course.model.eval()
    try:
        for view in _live_views(course.plan):
            made = staging.draw(view, course.model, course.plan.config, scene(course.plan, course.folder), {})
            for piece in drawing.previews(made):
                yield {"type": "preview", "step": course.step, **piece}
    except Exception as error:  # a picture that cannot be drawn is shown as such; the training itself is sound
        short = f"{type(error).__name__}: {error}"[:300]
        message = {"en": f"No preview: {short}", "ko": f"미리보기를 그리지 못했습니다: {short}"}
        yield {"type": "warning", "step": course.step, "message": message}
    finally:
        course.model.train()
        set_random_state(kept)


def _live_views(planned: Plan) -> list[View]:
    """The generating view, and those that are worth watching while the model trains."""
    from playground import staging

    first = staging.generating_view(planned.family, planned.job.reference)
    if planned.job.reference:
        return [first]
    live = (v for v in planned.family.views[1:] if v.live and v.when(planned.config, planned.data.info))
    return [first, *live]


def scene(planned: Plan, folder: Path, seed: int = 0) -> Scene:
    """The surroundings of a view of a run under way."""

    def examples() -> Examples:
        return planned.data.test

    return Scene(torch.Generator().manual_seed(seed), planned.data.info, examples, run_snapshots(planned, folder))


def run_snapshots(planned: Plan, folder: Path) -> list[Snapshot]:
    return list(checkpoints.read_snapshots(Path(folder) / "snapshots", lambda: planned.build(planned.config)))


# --- What a run leaves ----------------------------------------------------------------------------------------


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
    """The first sheet or recording that the generating view makes, by file name; empty where it makes neither."""
    from playground import drawing, staging

    for output in staging.draw(staging.view(made), made.model, made.config, staging.scene(made), {}):
        if isinstance(output, Sheet):
            return {"preview.png": drawing.sheet_png(output)}
        if isinstance(output, Audio):
            return {"preview.wav": drawing.wav_bytes(output)}
    return {}
