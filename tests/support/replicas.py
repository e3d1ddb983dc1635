"""Replicas of the endpoint over one store, and clients that write to any of them until each event is acknowledged."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import deque
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from ainsights._model import new_event_id
from ainsights.server.clickhouse import migrations
from support.clickhouse import KEY, address
from support.endpoints import free_port
from support.serving import KEY as API_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IN_FLIGHT = 8
"""Requests of one client at the same time."""

SECONDS = 20.0
"""How long a client waits for an answer."""


class Replica:
    """One process of the endpoint, always at the same port."""

    def __init__(self, directory: Path, store: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._directory = directory
        self._store = store
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it, and wait until it serves."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "ainsights", "serve", "--port", str(self.port), "--store", self._store]
        environment = os.environ | {"AINSIGHTS_SERVER_KEY": API_KEY, "AINSIGHTS_AUDIT_KEY": KEY.hex()}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment, cwd=self._directory
        )

    def wait(self) -> None:
        """Wait until it serves."""
        assert self.process
        assert self.process.stdout
        assert any("Ctrl-C" in line for line in self.process.stdout)

    def end(self, number: int = signal.SIGKILL) -> None:
        """End the process by a signal; twice is harmless."""
        if self.process:
            self.process.send_signal(number)
            self.process.wait()
            assert self.process.stdout
            self.process.stdout.close()
        self.process = None

    def get(self, path: str, **params: str) -> Any:
        """Return what a route answers."""
        request = urllib.request.Request(
            f"{self.url}{path}?{urlencode(params)}", headers={"Authorization": f"Bearer {API_KEY}"}
        )
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.loads(answer.read())

    def status_of(self, method: str, path: str) -> tuple[int, bool]:
        """Return the status of an answer that is not 200, and whether it names a time to try again."""
        body = body_of(new_event_id(0.0)) if method == "PUT" else None
        headers = {"Authorization": f"Bearer {API_KEY}"}
        try:
            urllib.request.urlopen(
                urllib.request.Request(self.url + path, body, headers, method=method), timeout=SECONDS
            )
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers["Retry-After"] is not None
        raise AssertionError

    def count(self) -> int:
        """Return how many events a query finds."""
        rows = self.get("/query", show="events")["rows"]
        return int(rows[0][0])


@contextmanager
def replicas(directory: Path, store: str, count: int) -> Iterator[list[Replica]]:
    """Migrate, and run so many replicas for the length of the block."""
    migrations.migrate(address(store))
    with ExitStack() as stack:
        running = [Replica(directory, store) for _ in range(count)]
        for replica in running:
            replica.begin()
            stack.callback(replica.end)
        for replica in running:
            replica.wait()
        yield running


class Writers:
    """Clients that send each event to one of the replicas, and again elsewhere until it is acknowledged.

    Attributes:
        ids: of all events.
        sent: ids that a request began for.
        acknowledged: ids that were answered 200.
        retries: answers other than 200, and connections that failed.
    """

    def __init__(self, urls: list[str], count: int, duplicates: float = 0.05, clients: int = 32) -> None:
        source = random.Random(1)
        ids = [new_event_id(1_750_000_000 + number / 100) for number in range(count)]
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.retries = 0
        self._urls = urls
        self._clients = clients
        self.ids = ids
        again = source.sample(ids, int(count * duplicates))
        self._waiting = deque([*ids, *again])
        source.shuffle(self._waiting)

    def run(self) -> None:
        """Write until all is acknowledged."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        count = self._clients * min(IN_FLIGHT, max(1, len(self._waiting) // self._clients // 4))
        await asyncio.gather(*(self._work(number) for number in range(count)))

    async def _work(self, number: int) -> None:
        client = _Client(self._urls, number)
        while self._waiting:
            event_id = self._waiting.popleft()
            body = body_of(event_id)
            self.sent.add(event_id)
            while not await client.put(body):
                self.retries += 1
                await asyncio.sleep(0.1)
            self.acknowledged.add(event_id)
        client.close()


class _Client:
    """One connection to one of the replicas; to the next one after it failed."""

    def __init__(self, urls: list[str], number: int) -> None:
        self._urls = urls
        self._number = number
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def put(self, body: bytes) -> bool:
        """Send one insight; return whether it was acknowledged."""
        try:
            if self._streams is None:
                parts = urlsplit(self._urls[self._number % len(self._urls)])
                self._streams = await asyncio.open_connection(parts.hostname, parts.port)
            return await asyncio.wait_for(put(*self._streams, body), SECONDS) == 200
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError):
            self.close()
            self._number += 1
            return False

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None


def body_of(event_id: str) -> bytes:
    """Return the body of an event; the same whenever it is sent."""
    number = int(event_id[:8], 16) % 10_000
    insight = {
        "response": {
            "model": f"model-{number % 7}",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": f"answer to {event_id}"}}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        },
        "messages": [{"role": "user", "content": f"question {event_id}"}],
        "user_id": f"user-{number % 50}",
        "meta": {"ainsights.event_id": event_id, "ainsights.status": "ok", "ainsights.latency_ms": 12.5},
    }
    return json.dumps(insight).encode()


async def put(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    """Send one insight; return the status of the answer."""
    writer.write(
        b"PUT /insight HTTP/1.1\r\nHost: replica\r\nAuthorization: Bearer %b\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (API_KEY.encode(), len(body), body)
    )
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])
