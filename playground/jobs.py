"""Runs and their queue, on Dask: training lives in processes of its own, outside the interface.

By default a `LocalCluster` on this machine; `PLAYGROUND_SCHEDULER=tcp://...` names one that is already there (on
loopback, or tls:// elsewhere), whose workers share the folder of runs and can import this project. Such workers keep
the thread count they were started with: `OMP_NUM_THREADS=8 dask worker ...`.

The queue lives here, with one submitted task a worker: Dask would fail the runs queued on a worker that is killed.
Events come back by the worker's event log; saves never do: the worker writes them to the run's folder.
"""

from __future__ import annotations

import heapq
import json
import logging
import re
import secrets
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from playground.contract import Text, Told
from playground.runlog import OVER, RunLog

if TYPE_CHECKING:
    from trainers.plans import Job

MAX_UNFINISHED = 40
MAX_PER_OWNER = 2
FREE = ("", "")
LOADED = 64
"""Runs that are over are kept in memory up to this many; the others are read again when asked for."""
GUESSED_SECONDS = 120.0
"""What a run without a time budget is taken to need, for the estimate of a wait."""
CLOSE_SECONDS = 10.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{21}")

log = logging.getLogger(__name__)


class UnknownRun(Told, KeyError):
    """No run of that id."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Status:
    """How a run stands."""

    id: str
    state: str
    """queued, starting, running, held, stopping; over: stopped, finished, failed, lost. All that are over but the
    finished can be resumed."""
    step: int
    total: int
    """0 until the run has started."""
    seconds: float
    """Of training so far."""
    seconds_left: float
    place: int
    """In the queue, from 1; 0 where the run is not queued."""
    wait_seconds: float
    """Estimated, until a queued run starts."""
    message: Text | None
    job: Job
    race: bool = False


class _Run:
    """A run in memory: what was asked for, what happened, and where it trains."""

    def __init__(self, folder: Path, job: Job, race: bool, owner: str, lock: threading.RLock):
        self.id, self.folder, self.job, self.race, self.owner = folder.name, folder, job, race, owner
        self.log = RunLog(folder)
        self.changed = threading.Condition(lock)
        self.attempt = ""
        self.step_only = False
        """Hold after the first report."""
        self.worker = ""
        self.future: Any = None

    def tell(self, event: dict[str, Any]) -> None:
        self.log.add(event)
        self.changed.notify_all()

    def saved_step(self) -> int:
        """Step of the newest save, -1 where there is none; of a race, ours."""
        from trainers.saving import saves

        found = saves(self.folder / "ours" if self.race else self.folder)
        return int(found[0].name.partition("-")[2]) if found else -1


class Jobs:
    """The runs of one interface. Every method may be called from any thread."""

    def __init__(self, runs: Path, scheduler: str = "", workers: int = 1, memory_limit: str = "auto"):
        self.runs = Path(runs)
        self.runs.mkdir(parents=True, exist_ok=True)
        self._scheduler, self._n_workers, self._memory_limit = scheduler, workers, memory_limit
        self._lock = threading.RLock()
        self._runs: dict[str, _Run] = {}
        self._queue: list[str] = []
        self._workers: dict[str, tuple[str, str]] = {}
        """Address of each worker -> the id and attempt of the run on it, or FREE."""
        self._topic = f"playground-{secrets.token_hex(8)}"
        self._client: Any = None
        self._cluster: Any = None
        self._trouble: Text | None = None
        self._filling, self._exporting, self._connecting = threading.Lock(), threading.Lock(), threading.Lock()
        self._hands = ThreadPoolExecutor(4, thread_name_prefix="jobs")
        """Calls to Dask wait for its event loop, which calls back here: they never run under the lock."""

    # --- Up and down

    def start(self) -> None:
        """Bring the cluster up, or connect to the scheduler; blocks until a worker can be given work to.

        Raises `Told` where the scheduler cannot be reached; runs submitted meanwhile stay queued.
        """
        with self._connecting:
            if self._connected():
                return
            try:
                self._connect()
            except (OSError, TimeoutError) as error:
                self._trouble = self._unreachable(error)
                raise Told(self._trouble["en"], self._trouble["ko"]) from error
            self._trouble = None
        self._fill()

    def _unreachable(self, error: Exception) -> Text:
        return {
            "en": f"The scheduler ({self._scheduler or 'on this machine'}) cannot be reached: {error}",
            "ko": f"스케줄러({self._scheduler or '이 컴퓨터'})에 연결할 수 없습니다: {error}",
        }

    def _connected(self) -> bool:
        return self._client is not None and self._client.status == "running"

    def _connect(self) -> None:
        from distributed import Client

        from playground.worker import Warm

        check_address(self._scheduler)
        if not self._scheduler and self._cluster is None:
            self._cluster = local_cluster(self._n_workers, self._memory_limit)
        self._client = Client(self._scheduler or self._cluster, timeout="10s", set_as_default=False)
        self._client.register_plugin(Warm())
        self._attend()

    def _attend(self) -> None:
        """Listen to the workers, and see which there are: again before each run, since a scheduler that was started
        anew knows nothing of its clients."""
        self._client.subscribe_topic(self._topic, self._heard)
        self._client.subscribe_topic("all", self._cluster_changed)
        known = set(self._client.scheduler_info(n_workers=-1)["workers"])
        with self._lock:
            gone = set(self._workers) - known
            for address in known:
                self._workers.setdefault(address, FREE)
        for address in gone:
            self._worker_left(address)

    def close(self) -> None:
        """Stop the runs under way, each with a save, and take the cluster down."""
        with self._lock:
            self._queue.clear()
            live = [run for run in self._runs.values() if run.worker]
        for run in live:
            self._command(run, "stop")
        deadline = time.monotonic() + CLOSE_SECONDS
        with self._lock:
            for run in live:
                while not run.log.over and run.changed.wait(max(0.0, deadline - time.monotonic())):
                    pass
        self._hands.shutdown(wait=False, cancel_futures=True)
        if self._connected():
            self._client.unsubscribe_topic("all")
            self._client.unsubscribe_topic(self._topic)
            self._client.scheduler_info()  # waits until the scheduler has read that
        for part in (self._client, self._cluster):
            if part is not None:
                part.close()
        self._client = self._cluster = None

    # --- What people ask

    def submit(self, job: Job, owner: str = "", step: bool = False) -> str:
        """Queue a training and return its id. With `step` it holds after its first report.

        owner: whoever asks (a browser session); raises `Told` when they, or all together, have too many under way.
        """
        return self._admit(job, owner, step, race=False)

    def race(self, job: Job, owner: str = "") -> str:
        """Queue ours and the reference as one run; their courses lie in RUN/ours and RUN/reference."""
        return self._admit(job, owner, step=False, race=True)

    def _admit(self, job: Job, owner: str, step: bool, race: bool) -> str:
        with self._lock:
            self._check_room(owner)
            folder = self.runs / _new_id()
            folder.mkdir()
            described = {"job": asdict(job), "race": race, "owner": owner}
            (folder / "job.json").write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")
            run = self._runs[folder.name] = _Run(folder, job, race, owner, self._lock)
            self._enqueue(run, step)
        return run.id

    def _check_room(self, owner: str) -> None:
        unfinished = [run for run in self._runs.values() if not run.log.over]
        if len(unfinished) >= MAX_UNFINISHED:
            raise Told(
                f"The queue is full ({len(unfinished)} runs). Please try again in a few minutes.",
                f"대기열이 가득 찼습니다(실행 {len(unfinished)}개). 몇 분 뒤에 다시 시도해 주세요.",
            )
        mine = sum(run.owner == owner for run in unfinished) if owner else 0
        if mine >= MAX_PER_OWNER:
            raise Told(
                f"You have {mine} runs that are not finished. Stop one, or wait until one is done.",
                f"끝나지 않은 실행이 {mine}개 있습니다. 하나를 중지하거나 끝날 때까지 기다려 주세요.",
            )

    def _enqueue(self, run: _Run, step: bool) -> None:
        run.attempt, run.step_only, run.worker, run.future = secrets.token_hex(8), step, "", None
        self._queue.append(run.id)
        run.tell({"type": "queued"})
        self._hands.submit(self._fill)

    def stop(self, id: str) -> None:
        """Save and leave the worker within one step; a queued run leaves the queue; one that is over stays so."""
        with self._lock:
            run = self._get(id)
            if run.log.over or run.log.state == "stopping":
                return
            if run.id in self._queue:
                self._queue.remove(run.id)
                run.tell({"type": "stopped"})
                return
            run.tell({"type": "stopping"})
        self._hands.submit(self._command, run, "stop")

    def resume(self, id: str) -> None:
        """Go on with a run that is held, or queue one that is over again; it continues from its newest save."""
        self._go_on(id, "go")

    def step(self, id: str) -> None:
        """Advance by one report and hold there, starting or resuming the run where needed."""
        self._go_on(id, "step")

    def _go_on(self, id: str, action: str) -> None:
        with self._lock:
            run = self._get(id)
            if run.log.state == "finished":
                return
            if run.log.over:
                self._check_room(run.owner)
                self._enqueue(run, step=action == "step")
                return
            if run.id in self._queue:
                run.step_only = action == "step"
                return
        self._hands.submit(self._command, run, action)

    # --- What people see

    def status(self, id: str) -> Status:
        with self._lock:
            return self._status(self._get(id))

    def _status(self, run: _Run) -> Status:
        sides = list(run.log.pace.values())
        first = run.log.pace.get("ours" if run.race else "", {})
        place, wait = self._wait(run)
        return Status(
            id=run.id,
            state=run.log.state,
            step=int(first.get("step", 0)),
            total=int(first.get("total", 0)),
            seconds=sum(side["seconds"] for side in sides),
            seconds_left=sum(side["seconds_left"] for side in sides),
            place=place,
            wait_seconds=wait,
            message=run.log.message or (self._trouble if place else None),
            job=run.job,
            race=run.race,
        )

    def events(self, id: str, after: int = 0) -> list[dict[str, Any]]:
        """Events numbered above `after`; of each side's previews only the newest. After a "started" event the curve
        goes on from its step: what came later than that step had not been saved, and comes again."""
        with self._lock:
            return self._get(id).log.after(after)

    def wait(self, id: str, after: int, timeout: float) -> list[dict[str, Any]]:
        """The same, waiting until there is one; empty after `timeout` seconds."""
        with self._lock:
            run = self._get(id)
            run.changed.wait_for(lambda: run.log.last > after, timeout)
            return run.log.after(after)

    def list(self) -> list[Status]:
        """Every run in the folder, newest first."""
        folders = [path.parent for path in self.runs.glob("*/job.json") if _ID.fullmatch(path.parent.name)]
        folders.sort(key=lambda folder: (folder / "job.json").stat().st_mtime, reverse=True)
        return [self.status(folder.name) for folder in folders]

    def folder(self, id: str, side: str = "ours") -> Path:
        """Where the course of a run (of a race: one side) writes its saves."""
        with self._lock:
            run = self._get(id)
        return run.folder / side if run.race else run.folder

    def checkpoint(self, id: str, side: str = "ours") -> Path:
        """The newest save as a checkpoint folder. Raises `Told` before the first save, `Damaged` if none is sound."""
        from trainers.saving import export, saves

        course = self.folder(id, side)
        found = saves(course)
        if not found:
            raise Told("This run has not saved anything yet.", "이 실행에는 아직 저장된 것이 없습니다.")
        out = course / "checkpoints" / found[0].name
        with self._exporting:
            if not (out / "files.json").is_file():
                older = sorted(out.parent.glob("save-*"), key=lambda p: p.stat().st_mtime)
                for path in older[:-1]:
                    shutil.rmtree(path, ignore_errors=True)
                export(course, out)
        return out

    def sweep(self, max_age_days: float = 30.0, max_bytes: int = 20_000_000_000) -> Sequence[str]:
        """Remove runs that are over and older than that, then the oldest until all fit; returns their ids."""
        ended = sorted((s.id for s in self.list() if s.state in OVER), key=self._ended_at)
        sizes = {id: _size(self.runs / id) for id in ended}
        total, removed = sum(_size(folder) for folder in self.runs.iterdir()), []
        for id in ended:
            if total <= max_bytes and time.time() - self._ended_at(id) <= max_age_days * 86_400:
                break
            with self._lock:
                if not self._get(id).log.over:  # resumed meanwhile
                    continue
                shutil.rmtree(self.runs / id, ignore_errors=True)
                self._runs.pop(id, None)
            total -= sizes[id]
            removed.append(id)
        return removed

    def _ended_at(self, id: str) -> float:
        events = self.runs / id / "events.jsonl"
        return (events if events.is_file() else self.runs / id / "job.json").stat().st_mtime

    # --- The runs in memory

    def _get(self, id: str) -> _Run:
        if id in self._runs:
            return self._runs[id]
        folder = self.runs / id if _ID.fullmatch(id) else None
        if folder is None or not (folder / "job.json").is_file():
            raise UnknownRun(
                "There is no such run; it may have been swept away.", "그런 실행이 없습니다. 정리되었을 수 있습니다."
            )
        run = self._load(folder)
        settled = [other.id for other in self._runs.values() if other.log.over and not other.worker]
        for other in settled[: max(0, len(settled) + 1 - LOADED)]:
            del self._runs[other]
        self._runs[id] = run
        return run

    def _load(self, folder: Path) -> _Run:
        from trainers.plans import Job

        described = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        run = _Run(folder, Job(**described["job"]), described["race"], described["owner"], self._lock)
        if not run.log.over:  # seen from the outside only: whoever really runs it goes on writing the file
            run.log.state, run.log.message = "lost", _interrupted(run.saved_step())
        return run

    def _wait(self, run: _Run) -> tuple[int, float]:
        """(place in the queue from 1, estimated seconds until the run starts); (0, 0) where it is not queued."""
        if run.id not in self._queue:
            return 0, 0.0
        busy = [self._runs[id] for id, _ in self._workers.values() if id in self._runs]
        free_at = [self._needs(other) for other in busy]
        free_at += [0.0] * (max(1, len(self._workers)) - len(free_at))
        heapq.heapify(free_at)
        place = self._queue.index(run.id)
        for id in self._queue[:place]:
            heapq.heappush(free_at, heapq.heappop(free_at) + self._needs(self._runs[id]))
        return place + 1, round(free_at[0], 1)

    def _needs(self, run: _Run) -> float:
        """Seconds of training that a run still needs, as far as can be told."""
        if run.log.pace:
            return sum(side["seconds_left"] for side in run.log.pace.values())
        return (run.job.minutes * 60 or GUESSED_SECONDS) * (2 if run.race else 1)

    # --- Dask

    def _fill(self) -> None:
        """Give every free worker the next queued run."""
        with self._filling:
            if self._client is None or not self._queue:
                return
            try:
                if not self._connected():
                    self._client.close()
                    self._connect()
                self._attend()
            except (OSError, TimeoutError) as error:  # the runs stay queued, and say why
                self._trouble = self._unreachable(error)
                return
            self._trouble = None
            for run, address in self._assign():
                self._send(run, address)

    def _assign(self) -> Sequence[tuple[_Run, str]]:
        with self._lock:
            free = [address for address, taken in self._workers.items() if taken == FREE]
            chosen = [(self._runs[id], address) for id, address in zip(self._queue, free, strict=False)]
            del self._queue[: len(chosen)]
            for run, address in chosen:
                run.worker = address
                self._workers[address] = (run.id, run.attempt)
        return chosen

    def _send(self, run: _Run, address: str) -> None:
        from playground import worker

        future = self._client.submit(
            worker.train,
            run.attempt,
            run.job,
            str(run.folder.absolute()),
            self._topic,
            run.race,
            run.step_only,
            key=f"train-{run.id}-{run.attempt}",
            workers=[address],
            pure=False,
            retries=0,
        )
        run.future = future
        attempt = run.attempt
        future.add_done_callback(lambda future: self._left(run, attempt, address))

    def _command(self, run: _Run, action: str) -> None:
        from playground import worker

        client, address = self._client, run.worker
        if client is None or not address:
            return
        try:
            client.run(worker.command, run.attempt, action, workers=[address])
        except Exception as error:  # the worker has just gone: its removal is told apart, and ends the run
            log.warning("%s: %s did not reach %s: %s", run.id, action, address, error)

    def _heard(self, event: tuple[float, dict[str, Any]]) -> None:
        """An event from a worker. Those of an attempt that was given up are ignored."""
        told = dict(event[1])
        attempt = told.pop("attempt")
        told.pop("worker", None)  # Dask adds the address, which is nobody's business
        with self._lock:
            for id, current in self._workers.values():
                run = self._runs.get(id)
                if run is not None and current == run.attempt == attempt and not run.log.over:
                    if told["type"] == "starting" and run.log.state == "stopping":
                        return
                    run.tell(told)
                    return

    def _left(self, run: _Run, attempt: str, address: str) -> None:
        """A task is done, for whatever reason: a run that has not told its end was lost."""
        with self._lock:
            if self._workers.get(address) == (run.id, attempt):  # the run itself may be queued again by now
                self._workers[address] = FREE
            if run.attempt == attempt:
                run.worker, run.future = "", None
                if not run.log.over:
                    run.tell({"type": "lost", "message": _killed(run.saved_step())})
        self._fill()

    def _cluster_changed(self, event: tuple[float, Any]) -> None:
        """A worker came or went."""
        told = event[1]
        action, address = told.get("action"), told.get("worker")
        if action == "add-worker":
            with self._lock:
                self._workers.setdefault(address, FREE)
            self._hands.submit(self._fill)
        elif action == "remove-worker":
            self._worker_left(address)

    def _worker_left(self, address: str) -> None:
        with self._lock:
            id, attempt = self._workers.pop(address, FREE)
            run = self._runs.get(id)
        if run is not None:
            self._hands.submit(self._bereave, run, attempt, address)

    def _bereave(self, run: _Run, attempt: str, address: str) -> None:
        future = run.future if run.attempt == attempt else None
        self._left(run, attempt, address)
        if future is not None:
            future.cancel(force=True)


def local_cluster(workers: int, memory_limit: str) -> Any:
    """A cluster on this machine: processes, reachable from this machine alone."""
    import dask
    from distributed import LocalCluster

    undone = {
        "distributed.worker.daemon": False,  # a data loader may have processes of its own
        "distributed.scheduler.allowed-failures": 0,  # a run that killed its worker is not tried again on the next
        "distributed.admin.low-level-log-length": 100,  # events the scheduler keeps; it keeps them for good
        # One thread for each process is Dask's choice; equal seeds need the thread count of the command line.
        "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": None,
        "distributed.nanny.pre-spawn-environ.MKL_NUM_THREADS": None,
        "distributed.nanny.pre-spawn-environ.OPENBLAS_NUM_THREADS": None,
    }
    with dask.config.set(undone):
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=memory_limit,
            silence_logs=logging.ERROR,
        )


def check_address(scheduler: str) -> None:
    """Whoever can speak to a scheduler can run code there: plain tcp is for this machine alone."""
    place = urlparse(scheduler)
    if scheduler and place.scheme != "tls" and place.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise Told(
            f"PLAYGROUND_SCHEDULER={scheduler}: use tls:// for another machine; tcp:// is for this one (127.0.0.1)",
            f"PLAYGROUND_SCHEDULER={scheduler}: 다른 컴퓨터에는 tls://를 쓰세요. tcp://는 이 컴퓨터(127.0.0.1)용입니다",
        )


def _new_id() -> str:
    while not _ID.fullmatch(id := secrets.token_urlsafe(16)):  # a leading dash would read as a flag
        pass
    return id


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += 0 if path.is_dir() else path.stat().st_size
        except FileNotFoundError:  # a save that was replaced meanwhile
            continue
    return total


def _killed(step: int) -> Text:
    then = _continues(step)
    return {
        "en": f"The process that trained this run ended unexpectedly (killed, or out of memory). {then['en']}",
        "ko": f"학습하던 프로세스가 예기치 않게 종료되었습니다(강제 종료 또는 메모리 부족). {then['ko']}",
    }


def _interrupted(step: int) -> Text:
    return {
        "en": f"The program ended while this run was under way. {_continues(step)['en']}",
        "ko": f"이 실행이 끝나기 전에 프로그램이 종료되었습니다. {_continues(step)['ko']}",
    }


def _continues(step: int) -> Text:
    if step < 0:
        return {"en": "Resume starts it again.", "ko": "재개하면 처음부터 다시 시작합니다."}
    return {"en": f"Resume continues from step {step}.", "ko": f"재개하면 {step}스텝부터 이어집니다."}
