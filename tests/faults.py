"""Trainings in processes that die at a chosen moment, without a word: SIGKILL from inside or outside."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
import time
from pathlib import Path
from typing import Any

from trainers.plans import Job

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["trainers.driver", "playground.drawing"])


def killed(job: Job, folder: Path, at_step: int, autosave: float = 10.0) -> None:
    """Train until that step is reported, then SIGKILL."""
    _finished(_context.Process(target=_die_at_step, args=(job, folder, at_step, autosave)), -signal.SIGKILL)


def killed_in_save(job: Job, folder: Path, step: int, moment: str) -> None:
    """Train with a save after each step, and die at a moment of the save after that step (see `MOMENTS`)."""
    _finished(_context.Process(target=_die_in_save, args=(job, folder, step, moment)), -signal.SIGKILL)


def killed_at_random(job: Job, folder: Path, rng: random.Random, autosave: float) -> None:
    """SIGKILL from outside within a second of the first saves, at any moment: or the run may just finish."""
    child = _context.Process(target=_train, args=(job, folder, autosave))
    child.start()
    deadline = time.monotonic() + 120
    known = set(folder.glob("save-*"))
    while child.is_alive() and set(folder.glob("save-*")) <= known and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(rng.random())
    child.kill()
    child.join()


def trained_with_little_room(job: Job, folder: Path, limit: int, after_step: int) -> list[dict[str, Any]]:
    """The events of a training whose files may hold no more than `limit` bytes from that step on."""
    here, there = _context.Pipe(duplex=False)
    child = _context.Process(target=_run_out_of_room, args=(job, folder, limit, after_step, there))
    child.start()
    there.close()
    events = here.recv()
    child.join()
    return events


def _finished(child: Any, code: int) -> None:
    child.start()
    child.join(120)
    assert child.exitcode == code, child.exitcode


def _found() -> None:
    """Families of the PYTHONPATH: the fork server began before the tests put theirs there."""
    import importlib
    import sys

    from playground import registry

    for folder in reversed(os.environ.get("PYTHONPATH", "").split(os.pathsep)):
        if folder and folder not in sys.path:
            sys.path.insert(0, folder)
    for name in ("playground.families.speech", "playground.references", "trainers"):
        package = importlib.import_module(name)
        extra = [str(Path(folder) / name.replace(".", "/")) for folder in sys.path]
        package.__path__.extend(p for p in extra if Path(p).is_dir() and p not in package.__path__)
    registry._scan.cache_clear()


def _train(job: Job, folder: Path, autosave: float) -> None:
    _found()
    from trainers.driver import drive

    for _ in drive(job, folder, autosave=autosave):
        pass


def _die_at_step(job: Job, folder: Path, at_step: int, autosave: float) -> None:
    _found()
    from trainers.driver import drive

    for event in drive(job, folder, autosave=autosave, report_every=0):
        if event["type"] == "progress" and event["step"] == at_step:
            os.kill(os.getpid(), signal.SIGKILL)


MOMENTS = ("draft begun", "tensors written", "listed", "renamed", "old ones removed")


def _die_in_save(job: Job, folder: Path, step: int, moment: str) -> None:
    _found()
    from playground import checkpoint
    from trainers import driver, saving

    def die(*arguments: Any, **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def after(function: Any) -> Any:
        def both(*arguments: Any, **options: Any) -> None:
            function(*arguments, **options)
            die()

        return both

    for event in driver.drive(job, folder, autosave=0, report_every=0):
        if event["type"] == "progress" and event["step"] == step:
            saving._write_tensors = {"draft begun": die, "tensors written": after(saving._write_tensors)}.get(
                moment, saving._write_tensors
            )
            if moment == "listed":
                checkpoint.list_files = after(checkpoint.list_files)
            if moment == "renamed":
                checkpoint.replace_folder = after(checkpoint.replace_folder)
            if moment == "old ones removed":
                saving.shutil.rmtree = die


def _run_out_of_room(job: Job, folder: Path, limit: int, after_step: int, pipe: Any) -> None:
    _found()
    from playground.worker import failure
    from trainers.driver import drive

    events = []
    try:
        for event in drive(job, folder, autosave=0, report_every=0):
            events.append(event)
            if event["type"] == "progress" and event["step"] == after_step:
                hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    except OSError as error:
        events.append(failure(error))
    pipe.send(events)
