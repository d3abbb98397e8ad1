"""What the page is told of a run: its state, and what is new on its curve. Watching never touches the run."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from playground.contract import Text
from playground.jobs import Jobs, Status
from playground.runlog import OVER
from playground.ui.forms import PRESET_NAMES
from playground.ui.glossary import named
from playground.ui.words import WORDS

FIRST_POLL, POLL = 0.05, 0.25
"""Seconds between looks at a run, before its first event and after."""
HEARTBEAT = 1.0
HISTORY = 400
"""Points of a curve sent to a page that takes a run up again."""

Event = dict[str, Any]


async def watch(jobs: Jobs, run: str, after: int, language: str) -> AsyncIterator[tuple[dict[str, Any], list[Event]]]:
    """(feed, newest previews) for the page until the run has left its worker. Raises `UnknownRun`.

    A page that is busy may miss a message: each repeats what the one before it brought, and the page knows the
    numbers of the events that it has seen.
    """
    before, cursor, told_at, said = after, after, 0.0, None
    while True:
        events = jobs.events(run, before)
        status = jobs.status(run)
        newest = max((e["n"] for e in events), default=cursor)
        state = (status.state, status.place)
        if newest > cursor or state != said or time.monotonic() - told_at > HEARTBEAT:
            fresh = [e for e in events if e["n"] > cursor]
            yield feed(status, events, max(newest, cursor), language), [e for e in fresh if e["type"] == "preview"]
            before, cursor, told_at, said = cursor, max(newest, cursor), time.monotonic(), state
            if status.state in OVER and not jobs.events(run, cursor):
                return
        await asyncio.sleep(POLL if cursor > 3 else FIRST_POLL)


def feed(status: Status, events: Sequence[Event], last: int, language: str) -> dict[str, Any]:
    """The message that page/monitor.js reads; `last` is the number of the newest event."""
    points = [
        [e["n"], e.get("side", ""), e["step"], {named(name)[language]: _short(v) for name, v in e["values"].items()}]
        for e in events
        if e["type"] == "progress"
    ]
    return {
        "run": status.id,
        "last": last,
        "live": status.state not in OVER,
        "points": _thinned(points),
        "said": said_of(status),
        "status": {
            "state": status.state,
            "step": status.step,
            "total": status.total,
            "seconds": status.seconds,
            "left": status.seconds_left,
            "place": status.place,
            "wait": status.wait_seconds,
            "message": status.message or _warning(events),
        },
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _thinned(points: list[Any]) -> list[Any]:
    if len(points) <= HISTORY:
        return points
    stride = -(-len(points) // HISTORY)
    return [p for i, p in enumerate(points) if i % stride == 0 or i == len(points) - 1]


def _warning(events: Sequence[Event]) -> Text | None:
    found = [e["message"] for e in events if e["type"] == "warning"]
    if not found:
        return None
    return found[-1] if isinstance(found[-1], dict) else {"en": found[-1], "ko": found[-1]}


def said_of(status: Status) -> Text:
    """A short name for a run: its preset, its data and its seed."""
    job = status.job
    preset = PRESET_NAMES.get(job.preset, {"en": job.preset, "ko": job.preset})
    data = job.dataset if "own:" not in job.dataset else None
    own: Text = {"en": "my data", "ko": "내 데이터"}
    return {lang: f"{preset[lang]}, {data or own[lang]}, {job.seed}" for lang in ("en", "ko")}


def preview_html(previews: Sequence[Event], language: str) -> str:
    """The newest preview of a run as the page shows it."""
    step = previews[-1]["step"]
    pieces = "".join(_piece(e) for e in previews if e["step"] == step)
    caption = WORDS["live"][language].format(step=f"{step:,}")
    return f'<div class="outputs live"><figure class="output"><figcaption>{caption}</figcaption>{pieces}</figure></div>'


def _piece(event: Event) -> str:
    if event["kind"] == "svg":  # drawn by playground.drawing, which escapes what it letters
        return base64.b64decode(event["data"]).decode()
    if event["kind"] == "wav":
        return f'<audio controls src="data:audio/wav;base64,{event["data"]}"></audio>'
    return f'<img alt="" src="data:image/png;base64,{event["data"]}">'
