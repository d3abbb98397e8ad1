"""The chores around every training loop: seed, device, Accelerate, time limit, saves, resume, events.

A recipe's `train(model, data, recipe, run)` is a generator of `Progress`; its loop stays visible in its own file.
`drive` advances it one report at a time, saves, answers Stop and Step, and turns reports into small events (plain
dictionaries) for whoever watches: the command line, the interface's jobs, the tests and the benchmarks.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from filelock import FileLock, Timeout
from torch import nn

from playground import checkpoint as checkpoints
from playground.contract import BadSetting, Data, Examples, Family, Progress, Scene, Snapshot, View
from trainers.plans import Job, Plan, phase_fields, plan
from trainers.run import Run, get_random_state, set_random_state
from trainers.saving import ADVICE, Course, TrainingFailed, saves

HOLD_SECONDS = 60.0
"""A run that is held between steps saves and leaves its worker after this long."""
CALIBRATION_SECONDS = 1.5
PREVIEW_SHARE = 10.0
"""A preview that took a second to draw is followed by at least this many seconds of training."""
LOCK_SECONDS = 10.0
"""How long to wait for another process to leave the folder of a run."""


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
    with _alone_in(folder), _without_denormals():
        yield from _drive(job, folder, control or Control(), autosave, previews, report_every, data)


@contextmanager
def _without_denormals() -> Iterator[None]:
    """Numbers too small for ordinary floats become zero. Squares of the smallest gradients are such, and processors are
    slow with them."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


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
    # A recipe without batches (a closed form, EM) has none to divide: each process computes it as one would.
    run = kind(job.seed, getattr(recipe, "batch_size", 0), getattr(recipe, "precision", "fp32"))
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
    counts = {name: getattr(planned.recipe, name) for name in phases}
    seconds = sum(counts[name] * trial.pace(phase) for name, phase in phases.items())
    scale = planned.job.minutes * 60 / seconds if seconds else 1.0
    scaled = {name: max(1, round(count * scale)) if count else 0 for name, count in counts.items()}
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
