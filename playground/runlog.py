"""The events of a run, and the state that follows from them.

A run's folder holds `job.json` (what was asked for), `events.jsonl` (one event a line, numbered by "n") and the saves.
The state is never stored by itself: it is what the events say, so it survives a restart of the program.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from pathlib import Path
from typing import Any

from playground.contract import Text

OVER = ("stopped", "finished", "failed", "lost")
"""States in which a run has left its worker."""
NOTED = ("queued", "starting", "stopping", *OVER)
"""Event types that are states at the same time."""


class RunLog:
    """What happened in a run. Events of a race carry "side"; those speak for one side and end nothing."""

    def __init__(self, folder: Path):
        self.path = Path(folder) / "events.jsonl"
        self.events: list[dict[str, Any]] = []
        self.state = "queued"
        self.message: Text | None = None
        self.pace: dict[str, dict[str, float]] = {}
        """The newest step, total, seconds and seconds_left of each side ("" where there are no sides)."""
        self.trouble = ""
        """Why events can no longer be written to the disk, if so."""
        self._numbers: list[int] = []
        self._read()

    @property
    def last(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._numbers[-1] if self._numbers else 0

    @property
    def over(self) -> bool:
        return self.state in OVER

    def after(self, n: int) -> list[dict[str, Any]]:
        return self.events[bisect_right(self._numbers, n) :]

    def add(self, event: dict[str, Any]) -> dict[str, Any]:
        """Number the event, append it to the file and take in what it says."""
        event = {"n": self.last + 1, "time": round(time.time(), 3), **event}
        self._take(event)
        self._append(event)
        if self.over:
            self.compact()
        return event

    def compact(self) -> None:
        """Rewrite the file without the previews that newer ones have replaced."""
        draft = self.path.with_suffix(".draft")
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.writelines(_line(event) for event in self.events)
            draft.replace(self.path)
        except OSError as error:
            self.trouble = str(error)

    def _append(self, event: dict[str, Any]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(event))
            self.trouble = ""
        except OSError as error:  # a full disk must not end a run that still trains: its events stay in memory
            self.trouble = str(error)

    def _read(self) -> None:
        if not self.path.is_file():
            return
        torn = False
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError):  # a line half written when the machine went down
                torn = True
        if torn:
            self.compact()

    def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "preview":
            self._drop_older_previews(event)
        self.events.append(event)
        self._numbers.append(event["n"])
        self._follow(event)

    def _drop_older_previews(self, event: dict[str, Any]) -> None:
        """Only a side's newest preview is ever shown, and previews are all but all of the bytes."""
        kept = [
            e
            for e in self.events
            if e["type"] != "preview" or e.get("side") != event.get("side") or e["step"] == event["step"]
        ]
        if len(kept) < len(self.events):
            self.events = kept
            self._numbers = [e["n"] for e in kept]

    def _follow(self, event: dict[str, Any]) -> None:
        kind, side = event["type"], event.get("side", "")
        if "total" in event:
            known = self.pace.setdefault(side, {"step": 0, "total": 0, "seconds": 0.0, "seconds_left": 0.0})
            known.update({name: event[name] for name in known if name in event})
            if kind in OVER:
                known["seconds_left"] = 0.0
        if kind in NOTED and not side:
            self.state, self.message = kind, event.get("message")
        elif kind in ("started", "progress", "held") and self.state != "stopping":
            self.state = "held" if kind == "held" else "running"


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"
