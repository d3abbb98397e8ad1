"""What runs in a worker process: the training of one run at a time, and the ear for what people ask of it."""

from __future__ import annotations

import errno
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin, get_worker
from distributed.worker import thread_state

from playground.contract import Text, Told

if TYPE_CHECKING:
    from trainers.driver import Control
    from trainers.plans import Job

SIDES = ("ours", "reference")

_turn = threading.Lock()
"""One run at a time in a process: torch's random state and thread count belong to the process."""
_importing = threading.Lock()
"""Held while modules are imported: two threads in one circle of imports would each find the other's half done."""
_controls: dict[str, tuple[Control, Control]] = {}
"""By attempt: the control of ours and of the reference (a run that is no race uses the first)."""

Tell = Callable[[dict[str, Any]], None]
Event = dict[str, Any]


class Warm(WorkerPlugin):
    """Imports what training needs as soon as a worker process is up, so that the first run starts at once."""

    name = "playground-warm"

    def setup(self, worker: Any) -> None:
        threading.Thread(target=warm_up, name="warm", daemon=True).start()


def warm_up() -> None:
    """Import all that a training needs; at once where that is done."""
    with _importing:
        _import_all()


@cache
def _import_all() -> None:
    import torch
    from accelerate import Accelerator

    import trainers.driver  # noqa: F401
    from playground import drawing, registry
    from playground.contract import Audio, Sheet

    registry.families()
    Accelerator()
    # Nothing is drawn at random here: a second interface may warm a worker that is training.
    weight = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([weight])  # the first one imports for a second or two
    (weight @ torch.ones(2)).backward()
    optimizer.step()
    drawing.previews([Sheet(torch.zeros(1, 1, 8, 8)), Audio(torch.zeros(160), 16_000)])


def controls(attempt: str) -> tuple[Control, Control]:
    with _importing:
        from trainers.driver import Control

    return _controls.setdefault(attempt, (Control(), Control()))


def command(attempt: str, action: str) -> None:
    """Called by the interface's client: `action` is go, stop or step. It may come before the training begins."""
    for control in controls(attempt):
        {"go": control.go, "stop": control.stop, "step": control.step}[action]()


def train(attempt: str, job: Job, folder: str, topic: str, race: bool, step: bool) -> None:
    """Train, or resume, the run in `folder`, telling its events to `topic`; returns when the run leaves the worker.

    Whatever goes wrong is told as a "failed" event; nothing is raised.
    """
    worker, key = get_worker(), thread_state.key

    def tell(event: Event) -> None:
        worker.log_event(topic, {"attempt": attempt, **event})

    def abandoned() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled"

    with _turn:
        tell({"type": "starting"})
        try:
            warm_up()
            if step:
                command(attempt, "step")
            events = _race(job, Path(folder), attempt, tell) if race else _one(job, Path(folder), attempt)
            for event in events:
                tell(event)
                if abandoned():  # nobody is listening any more: save, and leave
                    command(attempt, "stop")
        except Exception as error:  # the run's end is told to whoever watches it; the worker goes on to the next
            tell(failure(error))
        finally:
            _controls.pop(attempt, None)


def failure(error: Exception) -> Event:
    """A "failed" event: a short message for people, and the traceback."""
    return {
        "type": "failed",
        "message": explain(error),
        "traceback": "".join(traceback.format_exception(error))[-20_000:],
    }


def explain(error: Exception) -> Text:
    if isinstance(error, Told):
        return error.text
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return {
            "en": "The disk is full: the last save is kept. Make room, then resume.",
            "ko": "디스크가 가득 찼습니다. 마지막 저장은 남아 있으니 공간을 확보한 뒤 다시 이어 주세요.",
        }
    short = f"{type(error).__name__}: {error}"[:300]
    return {"en": f"The training failed: {short}", "ko": f"학습 중 오류가 났습니다: {short}"}


def _one(job: Job, folder: Path, attempt: str) -> Iterator[Event]:
    from trainers.driver import drive

    return drive(job, folder, controls(attempt)[0], previews=True)


def _race(job: Job, folder: Path, attempt: str, tell: Tell) -> Iterator[Event]:
    """Ours and the reference by turns: the one that has trained for less time goes next.

    Each side has its own folder and its own course of torch's random state, so either equals a run by itself.
    """
    from trainers.driver import drive

    job = replace(job, start="", reference=False)
    courses = {
        side: _with_own_randomness(
            drive(replace(job, reference=side == "reference"), folder / side, control, previews=True)
        )
        for side, control in zip(SIDES, controls(attempt), strict=True)
    }
    used = dict.fromkeys(SIDES, 0.0)
    outcomes: list[Event] = []
    while courses:
        side = min(courses, key=lambda s: used[s])
        try:
            event = next(courses[side], None)
        except Exception as error:  # one side's failure is told; the other runs on
            event = failure(error)
        if event is None:
            del courses[side]
            continue
        used[side] = event.get("seconds", used[side])
        yield {**event, "side": side}
        if event["type"] in ("failed", "stopped", "finished"):
            outcomes.append(event)
            if event["type"] == "failed":
                del courses[side]
    worst = min(outcomes, key=lambda e: ("failed", "stopped", "finished").index(e["type"]))
    yield {name: worst[name] for name in ("type", "message") if name in worst}


def _with_own_randomness(course: Iterator[Event]) -> Iterator[Event]:
    """The same events, with torch's random state swapped in before each and out after it."""
    from trainers.run import get_random_state, set_random_state

    own = get_random_state()
    while True:
        outside = get_random_state()
        set_random_state(own)
        try:
            event = next(course, None)
        finally:
            own = get_random_state()
            set_random_state(outside)
        if event is None:
            return
        yield event
