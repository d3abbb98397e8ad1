"""Files over HTTP: resumed where they broke off, checked against the publisher's sum, in place only when whole."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

CHUNK = 1 << 20  # bytes
PAUSE_S = 0.5
"""Before a broken download goes on."""


class Failed(RuntimeError):
    """No source gave the file; the message says what each of them answered."""


@dataclass(frozen=True)
class Remote:
    """A file that a publisher offers.

    urls: the same file at several places, tried in turn. checksum: "md5:...", "sha256:..." or "sha512:...", in
    hexadecimal, or "" where the publisher gives none. size: in bytes, to weigh the progress of several files.
    """

    name: str
    urls: tuple[str, ...]
    checksum: str
    size: int


def fetch(remote: Remote, folder: Path, progress: Callable[[int], None] = lambda done: None) -> Path:
    """The path of `remote` in `folder`, downloaded if it is not there. `progress` is told the bytes done so far.

    What has arrived stays in NAME.part when the connection or the process breaks off, and the next call goes on from
    there. Only one process at a time may fetch a file. Raises `Failed`.
    """
    import httpx

    target, part = folder / remote.name, folder / f"{remote.name}.part"
    folder.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return target
    answers = []
    sources = list(remote.urls)
    while sources:
        url = sources.pop(0)
        resumed = part.exists()
        try:
            _download(url, part, progress)
        except (httpx.HTTPError, OSError) as error:
            answers.append(f"{url}: {error or type(error).__name__}")
            continue
        if not remote.checksum or digest(part, remote.checksum) == remote.checksum:
            part.replace(target)
            return target
        part.unlink()
        answers.append(f"{url}: what arrived is not the file that its publisher describes (wrong checksum)")
        if resumed:  # the fault may lie in what was there before
            sources.insert(0, url)
    raise Failed("; ".join(answers))


def _download(url: str, part: Path, progress: Callable[[int], None]) -> None:
    """Bring `part` to its whole length, going on after each break for as long as that gains anything."""
    import httpx

    timeout = httpx.Timeout(30, connect=5)
    with httpx.Client(follow_redirects=True, timeout=timeout) as client:
        furthest = part.stat().st_size if part.exists() else 0
        while True:
            try:
                return _stream(client, url, part, progress)
            except httpx.TransportError:
                arrived = part.stat().st_size if part.exists() else 0
                if arrived <= furthest:
                    raise
                furthest = arrived
                time.sleep(PAUSE_S)


def _stream(client: httpx.Client, url: str, part: Path, progress: Callable[[int], None]) -> None:
    """Append the rest of `url` to `part`, or begin again where the server does not send parts."""
    done = part.stat().st_size if part.exists() else 0
    # Identity: a server may otherwise pack the stream again, and positions in it would mean nothing.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416:  # nothing lies beyond: the part is whole, or the checksum will refuse it
            return
        response.raise_for_status()
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {done}-")
        done = done if goes_on else 0
        with part.open("ab" if goes_on else "wb") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
                done += len(chunk)
                progress(done)


def digest(path: Path, like: str) -> str:
    """The checksum of a file, by the algorithm and in the form of `like` ("md5:...")."""
    algorithm = like.partition(":")[0]
    total = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            total.update(chunk)
    return f"{algorithm}:{total.hexdigest()}"


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write `path` through: it is there, synced, only once the block has ended well."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
