"""Many mixed calls in one process: does memory stay flat, is anything left over, does each call arrive once?

Plain, streamed, tool, raw, retried and refused calls, sync and async, the async ones side by side; a tenth of the
streams is abandoned. The model API and the Insights endpoint are real servers on loopback, in a process of their own;
the endpoint keeps of each event nothing but its id and status. Every few hundred calls the clients are closed and new
ones made, as openai itself keeps the connection of a stream that nobody finished. Linux only (/proc).

    python benchmarks/soak.py [--calls 200000] [--every 10000] [--bare]

Exit status 1 if an event is missing, came twice or has the wrong status, or a thread or a file is left over.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import multiprocessing
import re
import resource
import socketserver
import statistics
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import openai

import ainsights

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

BATCH = 500
"""Calls of one pair of clients, and until delivery is waited for, so that the bound of the queue is not the subject."""
PATIENCE = 60.0
"""Seconds for a batch to be delivered."""
ABANDONED = 10
"""Each so many-th stream is abandoned."""
WARM = 0.2
"""The share of the calls that come before memory is looked at."""

LOCKS_UP = int(openai.__version__.partition(".")[0]) < 3  # noqa: PLR2004
"""Before httpx2, httpx waits for itself if a stream is collected while it takes a connection, with us or without."""

MESSAGES: list[Any] = [{"role": "user", "content": "The quick brown fox jumps over the lazy dog. " * 4}]
TOOLS: list[Any] = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "the fox"}'}}
HEAD = {"id": "chatcmpl-1", "created": 1700000000, "model": "m"}


def completion(**message: Any) -> bytes:
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": {"role": "assistant", **message}}
    return json.dumps(HEAD | {"object": "chat.completion", "choices": [choice]}).encode()


def chunk(**delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return b"data: %s\n\n" % json.dumps(HEAD | {"object": "chat.completion.chunk", "choices": [choice]}).encode()


def answer(status: bytes, body: bytes, more: bytes = b"Content-Type: application/json\r\n") -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, more, len(body), body)


CHUNKS = [chunk(role="assistant", content=""), *(chunk(content=f"word {n} ") for n in range(10)), b"data: [DONE]\n\n"]
PLAIN = answer(b"200 OK", completion(content="It jumps. " * 10))
TOOL = answer(b"200 OK", completion(content=None, tool_calls=[CALL]))
REFUSED = answer(b"400 Bad Request", b'{"error": {"message": "no", "type": "invalid_request_error", "code": "c"}}')
BUSY = answer(b"503 Busy", b"{}", b"retry-after-ms: 1\r\n")
STORED = answer(b"200 OK", b'{"success": true}')
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM += b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in (*CHUNKS, b""))


class Handler(socketserver.StreamRequestHandler):
    """The model API to POST, the Insights endpoint to PUT."""

    stored: ClassVar[list[tuple[str, str]]] = []
    """Id and status of each event that came, over all connections."""

    def handle(self) -> None:
        with suppress(OSError):
            while head := self._head():
                length = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
                body = self.rfile.read(int(length[1]) if length else 0)
                self.request.sendall(self.store(body) if head.startswith(b"PUT") else self.model(head, body))

    def _head(self) -> bytes:
        lines = iter(self.rfile.readline, b"\r\n")
        return b"".join(itertools.takewhile(bool, lines))

    def store(self, body: bytes) -> bytes:
        meta = json.loads(body)["meta"]
        self.stored.append((meta["ainsights.event_id"], meta["ainsights.status"]))
        return STORED

    def model(self, head: bytes, body: bytes) -> bytes:
        request = json.loads(body)
        if request["model"] == "refused":
            return REFUSED
        if request["model"] == "busy" and b"x-stainless-retry-count: 0" in head.lower():
            return BUSY
        if request.get("stream"):
            return STREAM
        return TOOL if "tools" in request else PLAIN


class Server(socketserver.ThreadingTCPServer):
    """Takes as many connections at once as there are callers and workers."""

    daemon_threads = True
    request_queue_size = 128


class Stored(NamedTuple):
    """What the endpoint got."""

    events: int
    distinct: int
    statuses: Counter[str]


def serve(channel: Connection) -> None:
    """Serve on loopback: print the port, and at the end what was stored."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    channel.send(server.server_address[1])
    channel.recv()
    ids, statuses = [event_id for event_id, _ in Handler.stored], Counter(status for _, status in Handler.stored)
    channel.send(Stored(len(ids), len(set(ids)), statuses))


class Caller:
    """Makes calls of each kind in turn, and knows how each should end."""

    CALLS = 10
    """So many make one round."""

    def __init__(self, url: str) -> None:
        self.options: dict[str, Any] = {"base_url": url, "api_key": "sk", "max_retries": 2}
        self.ways = itertools.cycle([*[None] * (ABANDONED - 1), "break", *[None] * (ABANDONED - 1), "with"])
        self.expected: Counter[str] = Counter()

    async def batch(self, calls: int) -> None:
        with openai.OpenAI(**self.options) as client:
            async with openai.AsyncOpenAI(**self.options) as async_client:
                for _ in range(calls // self.CALLS):
                    self.one_by_one(client.chat.completions)
                    await self.side_by_side(async_client.chat.completions)

    def one_by_one(self, chat: Any) -> None:
        chat.create(model="m", messages=MESSAGES)
        chat.create(model="m", messages=MESSAGES, tools=TOOLS)
        chat.create(model="busy", messages=MESSAGES)
        with suppress(openai.BadRequestError):
            chat.create(model="refused", messages=MESSAGES)
        self.expected.update(ok=3, error=1)
        self.stream(chat)

    def stream(self, chat: Any) -> None:
        left = self._leave()
        stream = chat.create(model="m", messages=MESSAGES, stream=True)
        if left != "break":
            with stream:
                _ = [next(stream) for _ in range(len(CHUNKS) // 2)] if left else list(stream)
            return
        for number, _ in enumerate(stream):
            if number == len(CHUNKS) // 2:
                break
        if LOCKS_UP:
            del stream
            gc.collect()

    async def side_by_side(self, chat: Any) -> None:
        raw = chat.with_raw_response.create(model="m", messages=MESSAGES)
        refused = chat.create(model="refused", messages=MESSAGES)
        calls = (chat.create(model="m", messages=MESSAGES), raw, self.async_stream(chat), self.async_stream(chat))
        *_, error = await asyncio.gather(*calls, refused, return_exceptions=True)
        if not isinstance(error, openai.BadRequestError):
            raise TypeError(error)
        self.expected.update(ok=2, error=1)

    async def async_stream(self, chat: Any) -> None:
        left = self._leave()
        stream = await chat.create(model="m", messages=MESSAGES, stream=True)
        if left != "break":
            async with stream:
                _ = [await anext(stream) for _ in range(len(CHUNKS) // 2)] if left else [_ async for _ in stream]
            return
        async for _ in stream:
            break

    def _leave(self) -> str | None:
        way = next(self.ways)
        self.expected["abandoned" if way else "ok"] += 1
        return way


def left_over() -> tuple[int, list[str]]:
    """Return how many threads there are, and which files are open."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of this listing
            found.append(re.sub(r"\d+", "", str(fd.readlink())))
    return threading.active_count(), sorted(found)


def resident() -> float:
    """Return the memory of this process in KB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024


async def soak(caller: Caller, calls: int, every: int) -> list[tuple[int, float]]:
    """Make the calls; return after how many of them memory was how many KB."""
    samples, began = [], time.monotonic()
    print(f"{'calls':>9}{'seconds':>9}{'RSS MB':>9}{'threads':>9}{'sockets':>9}{'files':>7}")
    for made in range(BATCH, calls + 1, BATCH):
        await caller.batch(BATCH)
        ainsights.flush(PATIENCE)
        if made % every == 0 or made == calls:
            threads, files = left_over()
            samples.append((made, resident()))
            sockets = sum(name.startswith("socket") for name in files)
            figures = f"{time.monotonic() - began:>9.0f}{samples[-1][1] / 1024:>9.1f}{threads:>9}{sockets:>9}"
            print(f"{made:>9}{figures}{len(files):>7}", flush=True)
    return samples


def slope(samples: list[tuple[int, float]]) -> str:
    """Say how memory grows with the calls, by linear regression."""
    warm = [(made, kb) for made, kb in samples if made >= samples[-1][0] * WARM]
    if len(warm) < 3:  # noqa: PLR2004  any two points lie on a line
        return "slope of memory: too few samples"
    grows = statistics.linear_regression(*zip(*warm, strict=True)).slope
    return f"slope of memory after the first {WARM:.0%} of the calls: {grows * 10_000:+.1f} KB per 10,000 calls"


def run(caller: Caller, calls: int, every: int, insights: str | None) -> tuple[ainsights.Stats, list[str]]:
    """Soak; return the statistics of ainsights at the end, and what is left over."""
    before = left_over()
    if insights:
        ainsights.instrument(base_url=insights, api_key="key")
    samples = asyncio.run(soak(caller, calls, every))
    gc.collect()
    ainsights.flush(PATIENCE)
    stats = ainsights.stats()
    ainsights.shutdown()
    gc.collect()
    after = left_over()
    print(slope(samples))
    print(f"threads {before[0]} -> {after[0]}, files {len(before[1])} -> {len(after[1])}")
    return stats, [] if after == before else [f"left over: {before} -> {after}"]


def inexact(expected: Counter[str], stats: ainsights.Stats, stored: Stored) -> list[str]:
    """Print the counts, and return what is wrong with them."""
    got = stored.statuses.copy()
    got["abandoned"] += got.pop("closed_early", 0)  # it depends on openai whether a stream left early gets closed
    print(stats)
    print(f"expected: {expected.total()}, {dict(expected)}")
    print(f"arrived: {stored.events}, {stored.distinct} distinct, {dict(stored.statuses)}")
    exact = expected.total() == stats.captured == stats.delivered == stored.events == stored.distinct
    return [] if exact and got == expected and not stats.dropped and not stats.failures else ["the count is not exact"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200_000, help=f"a multiple of {BATCH}")
    parser.add_argument("--every", type=int, default=10_000, help="calls between two lines")
    parser.add_argument("--bare", action="store_true", help="without ainsights: what openai itself does to memory")
    args = parser.parse_args()
    if args.calls <= 0 or args.calls % BATCH:
        parser.error(f"--calls is a multiple of {BATCH}")
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    print(f"openai {openai.__version__}, python {sys.version.partition(' ')[0]}, {args.calls} calls")
    caller = Caller(url)
    stats, wrong = run(caller, args.calls, args.every, None if args.bare else url)
    ours.send("end")
    stored = ours.recv()
    server.join()
    if not args.bare:
        wrong += inexact(caller.expected, stats, stored)
    print(*wrong or ["exact, and nothing left over"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
