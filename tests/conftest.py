"""What every test may rely on: one thread, runs in a temporary folder, the data mirror where there is one."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: equal seeds give equal results at equal thread counts

import pytest
import torch

from playground.data.sets import SETS


@pytest.fixture(scope="session", autouse=True)
def _runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test writes into the cache of the person who runs it."""
    os.environ.setdefault("PLAYGROUND_RUNS", str(tmp_path_factory.mktemp("runs")))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """A test that draws without a generator of its own draws the same each time, whichever tests ran before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def mirror() -> None:
    """For tests on real data: they are skipped where PLAYGROUND_DATA names no folder with MNIST."""
    if not os.environ.get("PLAYGROUND_DATA") or SETS["mnist"].present() is None:
        pytest.skip("needs real data: let PLAYGROUND_DATA name a folder with MNIST/raw (see README.md)")
