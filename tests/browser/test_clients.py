"""Many visitors at once, as programs: they open the page, draw, watch a run, and make small requests."""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import time
from typing import Any

import httpx
import psutil
import pytest
from looking import contention

from playground import checkpoint, registry

READY = [name for name in registry.families() if checkpoint.shipped(name)]
MEMORY = 400_000_000
"""Bytes that the app may grow by while it serves a class, most of them checkpoints kept for the next visitor."""


class Client:
    """One visitor: a session of its own, and what it waited for."""

    def __init__(self, address: str):
        self.http = httpx.AsyncClient(base_url=address, timeout=300)
        self.session = secrets.token_hex(6)
        self.small: list[float] = []
        self.drawn = 0
        self.feeds: list[dict[str, Any]] = []

    async def open(self) -> None:
        page = await self.http.get("/")
        assert page.status_code == 200
        config = (await self.http.get("/config")).json()
        self.at = {d["api_name"]: d["id"] for d in config["dependencies"] if d["api_name"]}

    async def call(self, name: str, data: list[Any], event: Any = None) -> list[dict[str, Any]]:
        """Queue an event and return the messages of its stream."""
        body = {"data": data, "fn_index": self.at[name], "session_hash": self.session, "event_data": event}
        joined = await self.http.post("/gradio_api/queue/join", json=body)
        assert joined.status_code == 200, joined.text
        event_id, messages = joined.json()["event_id"], []
        async with self.http.stream("GET", f"/gradio_api/queue/data?session_hash={self.session}") as stream:
            async for line in stream.aiter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message.get("event_id") in (event_id, None):
                    messages.append(message)
                if message["msg"] == "process_completed" and message["event_id"] == event_id:
                    break
        return messages

    async def draw(self, name: str, seed: int) -> None:
        token = f"shipped:{checkpoint.shipped(name)[0].name}"
        view = registry.family(name).views[0]
        value = {"checkpoint": token, "view": view.key, "controls": {"n": 16, "seed": seed}}
        messages = await self.call(f"draw_{name}", [value])
        assert messages[-1]["success"], messages[-1]
        assert "data:image/png" in json.dumps(messages)
        self.drawn += 1

    async def watch(self, name: str, run: str) -> None:
        messages = await self.call(f"watch_{name}", [], {"run": run, "after": 0})
        assert messages[-1]["success"], messages[-1]
        self.feeds = messages

    async def look_around(self, times: int) -> None:
        """Small interactions: a request that asks the server's Python and returns at once."""
        event = {"tab": "about"}
        for _ in range(times):
            began = time.perf_counter()
            answer = await self.http.post(
                "/gradio_api/run/predict",
                json={"data": [], "fn_index": self.at["open_tab"], "session_hash": self.session, "event_data": event},
            )
            self.small.append(time.perf_counter() - began)
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.3)


async def start_run(address: str) -> str:
    client = Client(address)
    await client.open()
    settings = {"preset": "fast", "dataset": "hums", "minutes": 0, "seed": 0, "recipe": {"pause": 0.15, "steps": 25}}
    body = {"data": [settings, {}], "fn_index": client.at["train_hum"], "session_hash": client.session}
    answer = await client.http.post("/gradio_api/run/predict", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"][0]["props"]["begun"]["run"]


async def lesson(address: str, visitors: int, rounds: int) -> list[Client]:
    """A class: everybody opens the page, draws, looks around and watches one run."""
    run = await start_run(address)
    clients = [Client(address) for _ in range(visitors)]

    async def visit(place: int, client: Client) -> None:
        await client.open()

        async def draws() -> None:
            for i in range(rounds):
                await client.draw(READY[(place + i) % len(READY)], seed=100 * place + i)

        await asyncio.gather(client.watch("hum", run), client.look_around(4 * rounds))
        await draws()

    await asyncio.gather(*(visit(i, client) for i, client in enumerate(clients)))
    for client in clients:
        await client.http.aclose()
    return clients


@pytest.mark.parametrize(
    ("visitors", "rounds"), [(5, 2), pytest.param(30, 3, marks=pytest.mark.soak)], ids=["five", "thirty"]
)
def test_a_class_at_once(app: str, process: psutil.Process, visitors: int, rounds: int) -> None:
    asyncio.run(lesson(app, 2, 1))  # what the first visitors warm up is no growth
    before, busy = process.memory_info().rss, contention()
    clients = asyncio.run(lesson(app, visitors, rounds))
    busy = max(busy, contention())
    assert all(client.drawn == rounds for client in clients)
    assert all(client.feeds for client in clients)
    waits = sorted(wait for client in clients for wait in client.small)
    p95 = statistics.quantiles(waits, n=20)[-1]
    assert p95 < (1.0 if busy < 1.3 else 1.5 * busy), f"p95 {p95:.2f} s over {len(waits)} requests"
    time.sleep(2)
    grown = process.memory_info().rss - before
    assert grown < MEMORY, f"grown by {grown / 1e6:.0f} MB"
