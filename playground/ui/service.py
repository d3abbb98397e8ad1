"""The runs of this app: one `Jobs` for all visitors, its cluster brought up in the background."""

from __future__ import annotations

import logging
import os
import threading
from functools import cache

from playground.data import folders
from playground.jobs import Jobs
from playground.ui import shelf

log = logging.getLogger(__name__)


@cache
def jobs() -> Jobs:
    """The runs. Made when first asked for; `start` gives them their workers."""
    made = Jobs(
        folders.runs(),
        scheduler=os.environ.get("PLAYGROUND_SCHEDULER", ""),
        workers=int(os.environ.get("PLAYGROUND_WORKERS", "1")),
    )
    shelf.reach_runs(made.checkpoint)
    return made


def start() -> threading.Thread:
    """Bring the workers up without keeping the page waiting; what is submitted meanwhile stays queued."""

    def up() -> None:
        try:
            jobs().start()
            jobs().sweep()
        except Exception:  # told to visitors by the state of their runs; here for whoever runs the app
            log.exception("the training service could not be started")

    thread = threading.Thread(target=up, name="jobs-start", daemon=True)
    thread.start()
    return thread
