"""What stands between the page and the world: headers, foreign origins, and how much one visitor may ask for."""

from __future__ import annotations

import asyncio
import gzip
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from playground import checkpoint as checkpoints
from playground import registry
from playground.ui.parts import assets, head
from playground.ui.words import sentence

# The page needs its inline scripts and, for Gradio's templates, eval; it never needs another host.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    )
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"microphone=(self), camera=(), display-capture=(), geolocation=(), midi=(), usb=()"),
)
PREVIEWS, PAGE = "/preview/", "/page/"
PREVIEW_KINDS = {".png": "image/png", ".wav": "audio/wav"}
SHARED = ("/", "/config")
"""The page and its description: alike for all who ask at one address, and tens of milliseconds of work each time."""
ADDRESS_HEADERS = (b"host", b"x-forwarded-host", b"x-forwarded-proto", b"x-gradio-server")
"""What the links in the page are made from."""
ADDRESSES = 16
"""Addresses whose page is kept."""

Headers = tuple[tuple[bytes, bytes], ...]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Guard:
    """ASGI middleware: adds the headers, turns foreign origins away, and serves the page and its own files.

    The page is made once for each address, so that a class may open it at once. Its files are the scripts and the
    style, put into the head of the page, and the shipped previews, asked for by the name of a family. No path of this
    machine is ever taken from a request.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]):
        self.app = app
        self._pages: OrderedDict[tuple[str, ...], _Page] = OrderedDict()
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"]
        if scope["method"] not in ("GET", "HEAD") and not same_origin(headers):
            await _answer(send, 403, "text/plain", b"requests from other sites are refused")
        elif path.startswith(PREVIEWS):
            await _preview(path.removeprefix(PREVIEWS), send)
        elif path.startswith(PAGE) and path.removeprefix(PAGE) in assets():
            kind, content = assets()[path.removeprefix(PAGE)]
            await _answer(send, 200, kind, content, ((b"cache-control", b"max-age=31536000, immutable"),))
        elif scope["method"] == "GET" and is_shared(path, scope["query_string"]):
            await self._share(scope, receive, send, headers)
        else:
            await self.app(scope, receive, _Dressed(send, path == "/"))

    async def _share(self, scope: Scope, receive: Receive, send: Send, headers: dict[bytes, str]) -> None:
        """Answer with the page that is kept for this address, made now where there is none."""
        address = (headers.get(name, "") for name in ADDRESS_HEADERS)
        key = (scope["path"], scope.get("root_path", ""), scope.get("scheme", ""), *address)
        async with self._making:
            page = self._pages.get(key) or await self._make(scope, receive)
            if page.status == 200:
                self._pages[key] = page
                self._pages.move_to_end(key)
                while len(self._pages) > ADDRESSES * len(SHARED):
                    self._pages.popitem(last=False)
        await page.send(send, packed="gzip" in headers.get(b"accept-encoding", ""))

    async def _make(self, scope: Scope, receive: Receive) -> _Page:
        start: dict[str, Any] = {}
        body = bytearray()

        async def keep(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await self.app(scope, receive, _Dressed(keep, scope["path"] == "/"))
        kept = tuple((n, v) for n, v in start["headers"] if n.lower() != b"content-length")
        return _Page(start["status"], kept, bytes(body), gzip.compress(body, 6))


@dataclass(frozen=True)
class _Page:
    """A whole response, as it is and compressed."""

    status: int
    headers: Headers
    plain: bytes
    gzipped: bytes

    async def send(self, send: Send, packed: bool) -> None:
        body = self.gzipped if packed else self.plain
        headers = [*self.headers, (b"content-length", str(len(body)).encode()), (b"vary", b"Accept-Encoding")]
        headers += [(b"content-encoding", b"gzip")] if packed else []
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Dressed:
    """Sends a response with the headers, and a page with the head that `parts.head` describes."""

    def __init__(self, send: Send, page: bool):
        self.send, self.page = send, page
        self.start: dict[str, Any] = {}
        self.body = b""

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.start = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            self.page = self.page and any(
                name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in message["headers"]
            )
            if not self.page:
                await self.send(self.start)
        elif self.page and message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish()
        else:
            await self.send(message)

    async def _finish(self) -> None:
        body = self.body.replace(b"<script", head() + b"<script", 1)
        kept = [(n, v) for n, v in self.start["headers"] if n.lower() != b"content-length"]
        kept.append((b"content-length", str(len(body)).encode()))
        await self.send({**self.start, "headers": kept})
        await self.send({"type": "http.response.body", "body": body})


def is_shared(path: str, query: bytes) -> bool:
    """Whether a request is for the page, or its description, as everybody gets it."""
    return b"deep_link" not in query if path == "/" else path in SHARED and not query


def same_origin(headers: dict[bytes, str]) -> bool:
    """Whether a request comes from this site's own page, or from a program, which sends no origin."""
    origin = headers.get(b"origin")
    if origin is None:
        return True
    hosts = {headers.get(b"host"), headers.get(b"x-forwarded-host")}
    return urlsplit(origin).netloc in hosts


async def _preview(name: str, send: Send) -> None:
    family, dot, suffix = name.rpartition(".")
    found = preview_of(family, dot + suffix) if dot + suffix in PREVIEW_KINDS else None
    if found is None:
        await _answer(send, 404, "text/plain", b"no such preview")
    else:
        kind = PREVIEW_KINDS[dot + suffix]
        await _answer(send, 200, kind, found.read_bytes(), ((b"cache-control", b"max-age=600"),))


async def _answer(send: Send, status: int, kind: str, body: bytes, more: Headers = ()) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *more, *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def preview_of(family: str, suffix: str = ".png") -> Path | None:
    """The picture, or the recording, that the family's shipped checkpoint made of seed 0."""
    if family not in registry.families():
        return None
    found = checkpoints.shipped(family)
    made = found[0] / f"preview{suffix}" if found else None
    return made if made is not None and made.is_file() else None


class Budget:
    """At most `burst` requests of a visitor at once, refilled at `per_second`."""

    def __init__(self, burst: float, per_second: float, visitors: int = 2000):
        self.burst, self.per_second, self.visitors = burst, per_second, visitors
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, visitor: str) -> bool:
        """Whether one more request is granted now."""
        now = time.monotonic()
        with self._lock:
            left, since = self._left.pop(visitor, (self.burst, now))
            left = min(self.burst, left + (now - since) * self.per_second)
            granted = left >= 1
            self._left[visitor] = (left - granted, now)
            while len(self._left) > self.visitors:
                self._left.popitem(last=False)
        return granted

    def demand(self, request: gr.Request | None) -> None:
        """Raise `Told` where the visitor has asked for too much."""
        if not self.take(visitor_of(request)):
            raise sentence("too fast")


def visitor_of(request: gr.Request | None) -> str:
    """A browser session; programs without one share the name of their address."""
    if request is None:
        return ""
    host = getattr(getattr(request, "client", None), "host", "")
    return f"{host}/{getattr(request, 'session_hash', None) or ''}"


draws = Budget(burst=60, per_second=4)
trainings = Budget(burst=12, per_second=0.2)
uploads = Budget(burst=6, per_second=0.02)
