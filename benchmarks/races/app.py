"""The interface in a browser, as a visitor meets it: start-up, the page's weight, each tab's first picture or sound.

There is no peer to race: the figures are seconds and kilobytes, each the median of its rounds, with the spread. Every
round starts the app anew and opens it in a fresh headless Chromium at 1366x768.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from benchmarks.speed import Row
from playground import checkpoint, registry

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0
"""Seconds after which the app, or an element of the page, counts as not coming."""

ASKED = {"app start-up": 8.0, "page usable": 4.0}
"""Seconds, from the acceptance list."""
FIRST, SOON = "click to first output", 2.0
"""Of every tab that has a shipped checkpoint, in seconds. The first of them also waits for the libraries that draw."""
SHOWN = "img, svg, audio"
"""What counts as an output, among a view's."""


def race(rounds: int) -> Iterator[Row]:
    measured: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for key, figure in one_visit().items():
            measured.setdefault(key, []).append(figure)
    for (name, unit), figures in measured.items():
        middle = statistics.median(figures)
        limit = SOON if name.startswith(FIRST) else ASKED.get(name)
        target, met = ("", None) if limit is None else (f"<= {limit:g}", middle <= limit)
        yield Row("app", name, unit, middle, lowest=min(figures), highest=max(figures), target=target, met=met)


def one_visit() -> dict[tuple[str, str], float]:
    """The figures of one start of the app and one visit, by (name, unit)."""
    figures: dict[tuple[str, str], float] = {}
    began = time.perf_counter()
    with app() as address:
        figures["app start-up", "s"] = time.perf_counter() - began
        with sync_playwright() as playwright:
            own = shutil.which("chromium") or shutil.which("chromium-browser")
            # A container's root has no sandbox to give.
            arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=own, args=arguments)
            page = browser.new_page(viewport={"width": 1366, "height": 768}, locale="en-US")
            figures |= visit(page, address)
            browser.close()
    return figures


def visit(page: Page, address: str) -> dict[tuple[str, str], float]:
    figures: dict[tuple[str, str], float] = {}
    transferred: list[float] = []
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.loadingFinished", lambda event: transferred.append(event["encodedDataLength"]))
    ready = [name for name in registry.families() if checkpoint.shipped(name)]
    page.set_default_timeout(PATIENCE * 1000)
    began = time.perf_counter()
    _open(page, address, ready[0] if ready else next(iter(registry.families())))
    figures["page usable", "s"] = time.perf_counter() - began
    page.wait_for_load_state("networkidle")
    figures["page weight, first visit", "kB"] = sum(transferred) / 1000
    figures["requests, first visit", ""] = float(len(transferred))
    for name in ready:
        _open(page, address, name)
        page.wait_for_load_state("networkidle")
        figures[f"{FIRST}: {name}", "s"] = seconds_to_first(page, name)
    return figures


def _open(page: Page, address: str, name: str) -> None:
    page.goto(f"{address}/?tab={name}")
    page.locator(f"#makes-{name} button.primary").wait_for(state="visible")


def seconds_to_first(page: Page, name: str) -> float:
    """From the click to the first picture or recording. A mark on what stands there tells the new from the old."""
    stage = f"#made-{name}"
    page.evaluate(
        "([stage, shown]) => document.querySelectorAll(`${stage} :is(${shown})`).forEach(e => e.dataset.old = 1)",
        [stage, SHOWN],
    )
    began = time.perf_counter()
    page.locator(f"#makes-{name} button.primary").click()
    page.locator(f"{stage} .outputs :is({SHOWN}):not([data-old])").first.wait_for(state="visible")
    return time.perf_counter() - began


@contextmanager
def app() -> Iterator[str]:
    """The app in a process of its own, yielding its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as runs:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, "PLAYGROUND_RUNS": runs},
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for(address, process)
            yield address
        finally:
            _end(process)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the app ended with {process.returncode} before it answered")
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"the app did not answer within {PATIENCE:.0f} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the app and the workers that it started."""
    if process.poll() is not None:
        return
    started = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()  # it saves what trains, and ends its workers
    _, alive = psutil.wait_procs(started, timeout=20)
    for one in alive:
        one.kill()
    process.wait()
