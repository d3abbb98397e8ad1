"""Runs and their queue: the interface's view of trainings in other processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from itertools import pairwise

import pytest
from toys import ROOT, curve, hum_job, run, same_state

from playground import checkpoint, jobs
from playground.contract import Told
from playground.jobs import Jobs, UnknownRun, check_address
from playground.runlog import RunLog

pytest_plugins = ["toys"]

SLOW = {"pause": 0.02, "steps": 2000}
PATIENCE = 90.0
"""Seconds: a machine that builds something else at the same time is slow."""


@pytest.fixture(scope="module")
def runs(hum, tmp_path_factory):
    """One worker, warm."""
    made = Jobs(tmp_path_factory.mktemp("runs"))
    made.start()
    until(made, made.submit(hum_job()), "finished")
    yield made
    made.close()


def until(made: Jobs, id: str, *states: str) -> jobs.Status:
    """Wait for one of the states; a run that ends in another fails the test."""
    n, deadline = 0, time.monotonic() + PATIENCE
    while (status := made.status(id)).state not in states:
        assert status.state not in ("failed", "lost"), made.events(id)[-1]
        assert time.monotonic() < deadline, (status, made.events(id)[-3:])
        seen = made.wait(id, n, timeout=1.0)
        n = seen[-1]["n"] if seen else n
    return status


def until_step(made: Jobs, id: str, step: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while made.status(id).step < step:
        assert time.monotonic() < deadline and made.status(id).state in ("queued", "starting", "running")
        time.sleep(0.01)


def worker_pid(made: Jobs) -> int:
    return next(iter(made._client.run(os.getpid).values()))


def test_the_first_event_comes_within_a_second_and_the_curve_is_the_drivers(runs, tmp_path):
    began = time.monotonic()
    id = runs.submit(hum_job())
    until(runs, id, "starting", "running", "finished")
    assert time.monotonic() - began < 1
    until(runs, id, "finished")
    events = runs.events(id)
    assert [e["n"] for e in events] == sorted({e["n"] for e in events})
    assert [e["type"] for e in events][:4] == ["queued", "starting", "started", "saved"]
    assert events[-1]["type"] == "finished"
    here = {step: values for step, _, values in curve(run(hum_job(), tmp_path))}
    assert all(here[step] == values for step, _, values in curve(events)), "the same threads, seed and numbers"
    assert runs.events(id, after=events[-2]["n"]) == events[-1:]


def test_stop_acts_at_once_and_resume_is_exact(runs, tmp_path):
    job = hum_job(recipe={"pause": 0.02, "steps": 60})
    id = runs.submit(job)
    until_step(runs, id, 10)
    began = time.monotonic()
    runs.stop(id)
    assert until(runs, id, "stopped").step < 60
    assert time.monotonic() - began < 2
    stopped_at = runs.status(id).step
    runs.resume(id)
    assert until(runs, id, "finished").step == 65
    started = [e for e in runs.events(id) if e["type"] == "started"]
    assert [e["step"] for e in started] == [0, stopped_at], "the curve never folds back"
    run(job, tmp_path)
    assert same_state(tmp_path, runs.folder(id))


def test_step_advances_one_report_and_holds(runs):
    id = runs.submit(hum_job(recipe={"steps": 50}), step=True)
    assert until(runs, id, "held").step == 1
    for step in (2, 3):
        runs.step(id)
        until_held_at(runs, id, step)
    runs.resume(id)
    until(runs, id, "finished")
    assert runs.status(id).seconds_left == 0


def until_held_at(made: Jobs, id: str, step: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while (status := made.status(id)).state != "held" or status.step < step:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert status.step == step


def test_a_stopped_run_can_be_stepped(runs):
    id = runs.submit(hum_job(recipe=SLOW))
    until_step(runs, id, 2)
    runs.stop(id)
    step = until(runs, id, "stopped").step
    runs.step(id)
    assert until(runs, id, "held").step == step + 1
    runs.stop(id)
    until(runs, id, "stopped")


def test_runs_queue_with_a_place_and_an_estimate(runs):
    first = runs.submit(hum_job(recipe=SLOW))
    until_step(runs, first, 3)
    second, third = runs.submit(hum_job(minutes=1.0)), runs.submit(hum_job())
    assert [runs.status(id).place for id in (first, second, third)] == [0, 1, 2]
    assert 0 < runs.status(second).wait_seconds < runs.status(third).wait_seconds
    assert runs.status(third).wait_seconds - runs.status(second).wait_seconds == pytest.approx(60, abs=1)
    runs.stop(second)
    assert runs.status(second).state == "stopped"
    assert runs.status(third).place == 1
    runs.stop(first)
    until(runs, third, "finished")


def test_nobody_takes_more_than_their_share(runs, monkeypatch):
    mine = [runs.submit(hum_job(recipe=SLOW), owner="ann") for _ in range(2)]
    with pytest.raises(Told, match="2 runs that are not finished") as refused:
        runs.submit(hum_job(), owner="ann")
    assert "끝나지 않은 실행이 2개" in refused.value.text["ko"]
    other = runs.submit(hum_job(), owner="bob")
    monkeypatch.setattr(jobs, "MAX_UNFINISHED", 3)
    with pytest.raises(Told, match="queue is full"):
        runs.submit(hum_job(), owner="eve")
    for id in (other, *reversed(mine)):
        runs.stop(id)
    until(runs, mine[0], "stopped")


def test_several_people_watch_one_run(runs):
    id = runs.submit(hum_job(recipe={"pause": 0.02, "steps": 30}))
    seen: list[list[dict]] = [[] for _ in range(4)]

    def watch(mine: list[dict]) -> None:
        while not mine or mine[-1]["type"] != "finished":
            mine += runs.wait(id, mine[-1]["n"] if mine else 0, timeout=PATIENCE)

    viewers = [threading.Thread(target=watch, args=(mine,)) for mine in seen]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join(PATIENCE)
    late = curve(runs.events(id))
    assert all(curve(mine) == late for mine in seen)


def test_a_wait_ends_empty_handed_in_time(runs):
    id = runs.submit(hum_job())
    until(runs, id, "finished")
    assert runs.wait(id, runs.events(id)[-1]["n"], timeout=0.05) == []


@pytest.mark.parametrize("id", ["", "..", "../..", "x" * 22, "-" * 22, "a/b", "\0"])
def test_there_is_no_such_run(runs, id):
    with pytest.raises(UnknownRun, match="no such run"):
        runs.status(id)


def test_ids_cannot_be_guessed(runs):
    ids = {jobs._new_id() for _ in range(1000)}
    assert len(ids) == 1000 and all(len(id) == 22 for id in ids)


def test_a_run_that_cannot_go_on_says_why(runs):
    diverging = runs.submit(hum_job(recipe={"learning_rate": 1e30}))
    unset = runs.submit(hum_job(recipe={"nonsense": 1}))
    missing = runs.submit(hum_job(dataset="no such set"))
    deadline = time.monotonic() + PATIENCE
    while not all(runs.status(id).state == "failed" for id in (diverging, unset, missing)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "is not finite" in runs.status(diverging).message["en"]
    assert "유한하지 않습니다" in runs.status(diverging).message["ko"]
    assert "nonsense" in runs.status(unset).message["en"]
    assert "Traceback" in runs.events(missing)[-1]["traceback"]
    assert runs.checkpoint(diverging).is_dir(), "the last good save is there"


def test_the_newest_save_is_a_checkpoint(runs):
    id = runs.submit(hum_job())
    until(runs, id, "finished")
    folder = runs.checkpoint(id)
    assert checkpoint.load(folder).about.steps == 25
    assert runs.checkpoint(id) == folder


def test_a_race_runs_both_sides_by_turns(runs, tmp_path):
    id = runs.race(hum_job(recipe={"pause": 0.02, "steps": 30}))
    until(runs, id, "finished")
    events = runs.events(id)
    for side in ("ours", "reference"):
        assert [e["step"] for e in events if e.get("side") == side][-1] == 35
        assert checkpoint.load(runs.checkpoint(id, side)).side == side
    order = [e["side"] for e in events if e["type"] == "progress"]
    assert sum(a != b for a, b in pairwise(order)) > 6, "neither waits for the other's end"
    run(hum_job(reference=True, recipe={"pause": 0.02, "steps": 30}), tmp_path)
    assert same_state(tmp_path, runs.folder(id, "reference")), "each has its own random course"


def test_workers_may_have_children_and_as_many_threads_as_the_command_line(runs):
    import torch

    assert list(runs._client.run(lambda: multiprocessing.current_process().daemon).values()) == [False]
    code = "import torch; print(torch.get_num_threads())"
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert list(runs._client.run(torch.get_num_threads).values()) == [int(alone.stdout)]


def test_a_killed_worker_loses_its_run_alone_and_the_run_resumes_exactly(runs, tmp_path):
    job = hum_job(recipe={"pause": 0.02, "steps": 100})
    id, waiting = runs.submit(job), runs.submit(hum_job())
    until_step(runs, id, 8)
    os.kill(worker_pid(runs), signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while runs.status(id).state != "lost":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    message = runs.status(id).message
    assert "Resume continues from step 0" in message["en"] and "0스텝부터" in message["ko"]
    until(runs, waiting, "finished")
    runs.resume(id)
    assert until(runs, id, "queued", "starting", "running").message is None
    deadline = time.monotonic() + PATIENCE
    while runs.status(id).state != "finished":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run(job, tmp_path)
    assert same_state(tmp_path, runs.folder(id))


def test_a_run_that_takes_too_much_memory_is_lost_and_the_next_one_trains(hum, tmp_path):
    made = Jobs(tmp_path, memory_limit="2GB")
    made.start()
    try:
        greedy = made.submit(hum_job(recipe={"steps": 2000, "hoard": 200, "pause": 0.05}))
        modest = made.submit(hum_job())
        deadline = time.monotonic() + PATIENCE
        while made.status(greedy).state != "lost":
            assert time.monotonic() < deadline, made.status(greedy)
            time.sleep(0.05)
        assert "out of memory" in made.status(greedy).message["en"]
        until(made, modest, "finished")
    finally:
        made.close()


def test_after_a_restart_runs_are_read_from_their_folder(hum, tmp_path):
    made = Jobs(tmp_path)
    made.start()
    done, stopped, waiting = (made.submit(hum_job(recipe=r)) for r in ({}, SLOW, SLOW))
    until(made, done, "finished")
    until_step(made, stopped, 5)
    made.close()  # a program that ends stops its runs, with a save
    again = Jobs(tmp_path)
    assert {s.id: s.state for s in again.list()} == {done: "finished", stopped: "stopped", waiting: "lost"}
    assert again.status(stopped).step >= 5
    assert "program ended" in again.status(waiting).message["en"]
    assert again.events(done) == made.events(done)
    assert again.status(done).job == made.status(done).job


def test_a_log_survives_a_line_half_written(tmp_path):
    log = RunLog(tmp_path)
    for step in range(1, 4):
        log.add({"type": "progress", "step": step, "total": 9, "seconds": 1.0, "seconds_left": 2.0})
    with log.path.open("a") as file:
        file.write('{"n": 4, "type": "prog')
    again = RunLog(tmp_path)
    again.add({"type": "stopped"})
    assert [e["n"] for e in again.events] == [1, 2, 3, 4]
    assert RunLog(tmp_path).state == "stopped"


def test_a_log_keeps_only_the_newest_preview_of_each_side(tmp_path):
    log = RunLog(tmp_path)
    for step in (1, 2):
        for side in ("ours", "reference"):
            for kind in ("png", "wav"):
                log.add({"type": "preview", "step": step, "kind": kind, "data": "", "side": side})
    assert [(e["step"], e["side"], e["kind"]) for e in log.events] == [
        (2, side, kind) for side in ("ours", "reference") for kind in ("png", "wav")
    ]
    assert [e["n"] for e in log.after(6)] == [7, 8]
    log.add({"type": "finished"})
    assert len(log.path.read_text().splitlines()) == 5


def test_old_runs_are_swept_and_live_ones_stay(tmp_path):
    made = Jobs(tmp_path)
    ids = [made.submit(hum_job_without_family()) for _ in range(4)]
    for age, id in enumerate(ids[:3]):
        made.stop(id)
        (tmp_path / id / "save-1").mkdir()
        (tmp_path / id / "save-1" / "model.safetensors").write_bytes(bytes(1000))
        moment = time.time() - (3 - age) * 86_400
        os.utime(tmp_path / id / "events.jsonl", (moment, moment))
    assert made.sweep(max_age_days=2.5) == ids[:1]
    bytes_now = sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert made.sweep(max_bytes=bytes_now - 1) == ids[1:2]
    assert {s.id for s in made.list()} == set(ids[2:])
    made.close()


def hum_job_without_family():
    from trainers.plans import Job

    return Job("hum", "hums")


@pytest.mark.parametrize("address", ["tcp://192.168.1.5:8786", "tcp://example.org:8786", "nonsense"])
def test_plain_tcp_is_for_this_machine(address):
    with pytest.raises(Told, match="tls"):
        check_address(address)


def test_a_scheduler_that_is_not_there_is_named(tmp_path):
    made = Jobs(tmp_path, scheduler=f"tcp://127.0.0.1:{free_port()}")
    with pytest.raises(Told, match="cannot be reached"):
        made.start()


# --- A cluster started by hand


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


@contextmanager
def cluster_by_hand():
    """`dask scheduler` and `dask worker` on loopback, as a person would start them."""
    address = f"tcp://127.0.0.1:{free_port()}"
    dask = [sys.executable, "-m", "dask"]
    words = ["--host", "127.0.0.1", "--port", address.rpartition(":")[2], "--dashboard-address", "127.0.0.1:0"]
    worker = ["--host", "127.0.0.1", "--nworkers", "1", "--nthreads", "1", "--dashboard-address", "127.0.0.1:0"]
    commands = [[*dask, "scheduler", *words], [*dask, "worker", address, *worker, "--no-dashboard"]]
    started = [
        subprocess.Popen(c, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2")},
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for c in commands
    ]  # fmt: skip
    try:
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
        for process in reversed(started):
            process.wait(30)


def connected(folder, address: str) -> Jobs:
    deadline = time.monotonic() + PATIENCE
    while True:
        made = Jobs(folder, scheduler=address)
        try:
            made.start()
            return made
        except Told:
            assert time.monotonic() < deadline


def test_a_run_trains_stops_and_resumes_on_a_cluster_started_by_hand(hum, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(hum), str(ROOT)]))
    with cluster_by_hand() as address:
        made = connected(tmp_path / "runs", address)
        id = made.submit(hum_job(recipe={"pause": 0.02, "steps": 150}))
        until_step(made, id, 10)
        assert len(curve(made.events(id))) > 1
        made.stop(id)
        step = until(made, id, "stopped").step
        made.resume(id)
        until_step(made, id, step + 5)

        made._client.close()  # the interface dies; the worker notices, saves and leaves
        again = connected(tmp_path / "runs", address)
        assert again.status(id).state == "lost"
        again.resume(id)
        until(again, id, "finished")
        again.close()
        made._client = None
    run(hum_job(recipe={"steps": 150}), tmp_path / "here")
    final = {step: values for step, _, values in curve(again.events(id))}
    assert final[155] == curve(run(hum_job(recipe={"steps": 150}), tmp_path / "there"))[-1][2]
    assert json.loads((again.folder(id) / "job.json").read_text())["job"]["family"] == "hum"
