"""How the browser tests look at the page: visitors, runs as the page shows them, and the clock."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Locator, Page

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "artefacts"
PATIENCE = 180.0
"""Seconds after which something counts as not coming at all."""


def contention() -> float:
    """How much longer than its own work a busy loop takes now: 1 on a machine that is free.

    The acceptance list's seconds are those of such a machine; the tests multiply them by this.
    """
    wall, own = time.perf_counter(), time.process_time()
    while time.process_time() - own < 0.15:
        sum(range(2000))
    return max(1.0, (time.perf_counter() - wall) / (time.process_time() - own))


class Timed:
    """`with within(1.0, "a tab opens"):` fails where it takes longer, as this machine stands."""

    def __init__(self, seconds: float, what: str):
        self.seconds, self.what = seconds, what

    def __enter__(self) -> Timed:
        self.before = contention()
        self.began = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self.took = time.perf_counter() - self.began
        if kind is None:
            busy = max(self.before, contention())
            allowed = self.seconds * (1.0 if busy < 1.3 else 1.5 * busy)  # a browser is three busy processes
            assert self.took <= allowed, f"{self.what}: {self.took:.2f} s, allowed {allowed:.2f} s"


class Visitor:
    """A browser context with one page: what it logs, and what it asks other hosts for."""

    def __init__(self, context: BrowserContext, app: str):
        self.context, self.app = context, app
        self.page: Page = context.new_page()
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda r: self.foreign.append(r.url) if self._is_foreign(r.url) else None)

    def _is_foreign(self, url: str) -> bool:
        return not url.startswith((self.app, "data:", "blob:", "about:"))

    def open(self, query: str = "", wait: str = "#tabs button[role=tab]") -> Page:
        self.page.goto(f"{self.app}/{query}")
        self.page.wait_for_selector(wait)
        return self.page

    def shot(self, name: str, whole: bool = False) -> None:
        ARTEFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=whole)

    def monitor(self, name: str) -> Monitor:
        return Monitor(self.page, self.page.locator(f"#monitor-{name}" if name != "race" else "#race"))


class Monitor:
    """A run as the page shows it."""

    def __init__(self, page: Page, root: Locator):
        self.page, self.root = page, root

    def press(self, action: str) -> None:
        self.root.locator(f"[data-action={action}]").click()

    def state(self) -> str:
        return self.root.locator("[data-state]").first.get_attribute("data-state") or ""

    def steps(self, curve: int = 0) -> list[int]:
        """The steps on the curve; none of its lines may go back."""
        canvas = self.root.locator("canvas").nth(curve)
        assert canvas.get_attribute("data-folds") in ("0", None)
        return json.loads(canvas.get_attribute("data-steps") or "[]")

    def wait_state(self, *states: str, seconds: float = PATIENCE) -> str:
        wait(lambda: self.state() in states, f"state {states}, not {self.state()}", seconds)
        return self.state()


def wait(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.03)
