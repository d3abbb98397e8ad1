"""The app in a process of its own, and a headless Chromium that looks at it as a person does."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import small
import toys
from looking import PATIENCE, ROOT, Timed, Visitor
from playwright.sync_api import Browser, sync_playwright

from playground import checkpoint, registry

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a microphone that beeps
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def within() -> Callable[[float, str], Timed]:
    return Timed


@pytest.fixture(scope="session")
def app(serving: tuple[str, psutil.Process]) -> str:
    """The address of the app."""
    return serving[0]


@pytest.fixture(scope="session")
def process(serving: tuple[str, psutil.Process]) -> psutil.Process:
    return serving[1]


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, psutil.Process]]:
    """The app, with the tests' own families beside the house's; one of them has checkpoints, grey and in colour."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    runs = tmp_path_factory.mktemp("runs")
    package = Path(shutil.copytree(ROOT / "tests" / "plugin", tmp_path_factory.mktemp("plugin") / "package"))
    with toys.installed(package):
        for folder, name in (("blots", "blots"), ("colour", "shapes")):
            made = small.trained(registry.family("sketch"), name)
            checkpoint.save(package / "checkpoints" / "sketch" / "ours" / folder, made)
        for name in ("hum", "whistle"):
            shipped, family = package / "checkpoints" / name, registry.family(name)
            checkpoint.save(shipped / "ours" / "hums", small.model(family, "hums"))
        checkpoint.save_reference(
            package / "checkpoints" / "hum" / "reference" / "hums", small.reference(registry.family("hum"), "hums")
        )
    path = os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")])
    log = (runs / "app.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "PLAYGROUND_RUNS": str(runs), "PYTHONPATH": path},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(address, timeout=10).close()
            break
        except OSError:
            assert process.poll() is None, (runs / "app.log").read_text()
            assert time.monotonic() < deadline, "the app did not answer"
            time.sleep(0.1)
    yield address, psutil.Process(process.pid)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=15)
    for left in alive:
        left.kill()
    log.close()
    said = (runs / "app.log").read_text()
    assert "Traceback" not in said, said


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    own = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=own, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, app: str) -> Iterator[Callable[..., Visitor]]:
    """Opens visitors; at the end none may have met an error or asked another host for anything."""
    visitors: list[Visitor] = []

    def opened(
        locale: str = "en-US", size: tuple[int, int] = (1366, 768), dark: bool = False, microphone: bool = False
    ) -> Visitor:
        context = chromium.new_context(
            locale=locale,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
            has_touch=size[0] < 600,
            permissions=["clipboard-read", "clipboard-write", *["microphone"] * microphone],
        )
        context.set_default_timeout(PATIENCE * 1000)
        visitors.append(Visitor(context, app))
        return visitors[-1]

    yield opened
    for visitor in visitors:
        visitor.context.close()
    assert [v.errors for v in visitors if v.errors] == []
    assert [v.foreign for v in visitors if v.foreign] == []
