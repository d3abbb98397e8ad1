"""Of the requests for one place of one page only the newest counts: an older one ends when it notices."""

from __future__ import annotations

import threading
from itertools import count

import gradio as gr

_newest: dict[tuple[str, str], int] = {}
_numbers = count(1)
_lock = threading.Lock()


class Turn:
    """A request's turn at `place` ("makes-vae") of its visitor's page; taking it ends the turn of the one before."""

    def __init__(self, request: gr.Request | None, place: str):
        self._key = (getattr(request, "session_hash", None) or "", place)
        self._number = next(_numbers)
        with _lock:
            _newest[self._key] = self._number

    @property
    def newest(self) -> bool:
        return _newest.get(self._key) == self._number

    def end(self) -> None:
        with _lock:
            if self.newest:
                del _newest[self._key]
