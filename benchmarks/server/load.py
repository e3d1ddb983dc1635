"""A load generator for ``PUT /insight``: one request at a time on each connection, in a process of its own.

It speaks just enough HTTP to keep out of the way of what it measures: requests are made before the clock starts.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from typing import NamedTuple
from urllib.parse import urlsplit

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]

WORDS = [
    "the",
    "model",
    "answers",
    "in",
    "short",
    "sentences",
    "about",
    "orders",
    "refunds",
    "delivery",
    "weather",
    "and",
    "what",
    "else",
    "users",
    "ask",
]


class Load(NamedTuple):
    """What was measured."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int


class _Connection(asyncio.Protocol):
    def __init__(
        self, requests: list[bytes], count: int, latencies: list[float], failures: list[bytes], done: asyncio.Event
    ) -> None:
        self._requests = requests
        self._count = count
        self._done = done
        self._latencies = latencies
        self._failures = failures
        self._answer = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._answer.endswith(b"}"):
            return
        self._latencies.append(time.perf_counter() - self._sent)
        if not self._answer.startswith(b"HTTP/1.1 200"):
            self._failures.append(self._answer)
        self._answer = b""
        self._send()
        if len(self._latencies) == self._count:
            self._done.set()

    def _send(self) -> None:
        if self._requests:
            self._sent = time.perf_counter()
            self.transport.write(self._requests.pop())


def body(number: int, size: int, chance: random.Random) -> bytes:
    """Return an insight of about ``size`` bytes."""
    text = " ".join(chance.choices(WORDS, k=size // 9))
    question, answer = text[: len(text) // 3], text[len(text) // 3 :]
    message = {"role": "assistant", "content": answer}
    response = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000 + number,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
    }
    meta = {"ainsights.event_id": f"{chance.getrandbits(128):032x}", "ainsights.status": "ok"}
    return json.dumps({
        "response": response,
        "messages": [{"role": "user", "content": question}],
        "template": None,
        "inputs": {},
        "args": {"model": "gpt-4o-mini"},
        "user_id": f"user-{number % 100}",
        "meta": meta,
    }).encode()  # fmt: skip


def requests(key: str, count: int, size: int) -> list[bytes]:
    """Return whole requests."""
    chance = random.Random()
    head = f"PUT /insight HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    made = (body(number, size, chance) for number in range(count))
    return [f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content for content in made]


async def put_all(url: str, waiting: list[bytes], connections: int) -> Load:
    """Send all requests over ``connections``."""
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    failures: list[bytes] = []
    count = len(waiting)
    done = asyncio.Event()
    began = time.perf_counter()

    def connection() -> _Connection:
        return _Connection(waiting, count, latencies, failures, done)

    opened = [await loop.create_connection(connection, address.hostname, address.port) for _ in range(connections)]
    await done.wait()
    took = time.perf_counter() - began
    for transport, _ in opened:
        transport.close()
    latencies.sort()
    failed = len(failures)
    return Load(count / took, latencies[count // 2] * 1000, latencies[int(count * 0.99)] * 1000, failed)


def main() -> None:
    """Print one JSON line: ``load.py URL KEY COUNT CONNECTIONS SIZE``."""
    url, key, count, connections, size = sys.argv[1:]
    waiting = requests(key, int(count), int(size))
    if uvloop:
        uvloop.install()
    print(json.dumps(asyncio.run(put_all(url, waiting, int(connections)))._asdict()))


if __name__ == "__main__":
    main()
