"""Many mixed calls in one process: does memory stay flat, is anything left over, does each call arrive once?

Plain, streamed, tool, failing and async calls against a model API in memory, a tenth of the streams abandoned halfway;
the events go to an endpoint in a process of its own, which counts them by their ids. Linux only (/proc).

    python benchmarks/soak.py [--calls 200000] [--every 10000] [--bare]

Exit status 1 if an event is missing or came twice, or a thread or a file is left over.
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
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import openai

import ainsights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from multiprocessing.connection import Connection

FLUSH_EVERY = 500
"""Calls after which the producer waits for delivery, so that the bound of the queue is not the subject."""
PATIENCE = 60.0
ABANDONED = 10
"""Each so many-th stream is dropped halfway."""

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


PLAIN, TOOL = completion(content="It jumps. " * 10), completion(content=None, tool_calls=[CALL])
CHUNKS = [chunk(role="assistant", content=""), *(chunk(content=f"word {n} ") for n in range(10)), b"data: [DONE]\n\n"]
REFUSAL = b'{"error": {"message": "no", "type": "invalid_request_error", "code": "c"}}'


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A stream's bytes."""

    def __iter__(self) -> Iterator[bytes]:
        yield from CHUNKS

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for each in CHUNKS:
            yield each


def answer(request: httpx2.Request) -> httpx2.Response:
    asked = json.loads(request.content)
    if asked["model"] == "refused":
        return httpx2.Response(400, content=REFUSAL, headers={"content-type": "application/json"})
    if asked.get("stream"):
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Body())
    body = TOOL if "tools" in asked else PLAIN
    return httpx2.Response(200, content=body, headers={"content-type": "application/json"})


class Caller:
    """Makes calls of each kind in turn, and counts the streams that it abandons."""

    def __init__(self) -> None:
        transport = httpx2.MockTransport(answer)
        sync, awaited = httpx2.Client(transport=transport), httpx2.AsyncClient(transport=transport)
        self.client = openai.OpenAI(api_key="sk", max_retries=0, http_client=sync)
        self.async_client = openai.AsyncOpenAI(api_key="sk", max_retries=0, http_client=awaited)
        self.kinds = itertools.cycle(
            [self.plain, self.stream, self.tool, self.refused, self.async_plain, self.async_stream]
        )
        self.streams = 0
        self.abandoned = 0

    async def call(self) -> None:
        await next(self.kinds)()

    async def plain(self) -> None:
        self.client.chat.completions.create(model="m", messages=MESSAGES)

    async def tool(self) -> None:
        self.client.chat.completions.create(model="m", messages=MESSAGES, tools=TOOLS)

    async def refused(self) -> None:
        with suppress(openai.BadRequestError):
            self.client.chat.completions.create(model="refused", messages=MESSAGES)

    async def async_plain(self) -> None:
        await self.async_client.chat.completions.create(model="m", messages=MESSAGES)

    async def stream(self) -> None:
        abandon = self._abandon()
        stream = self.client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        for number, _ in enumerate(stream):
            if abandon and number == len(CHUNKS) // 2:
                break

    async def async_stream(self) -> None:
        abandon, number = self._abandon(), 0
        stream = await self.async_client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        async for _ in stream:
            number += 1
            if abandon and number == len(CHUNKS) // 2:
                break

    def _abandon(self) -> bool:
        self.streams += 1
        abandon = self.streams % ABANDONED == 0
        self.abandoned += abandon
        return abandon


class Endpoint(socketserver.StreamRequestHandler):
    """An Insights endpoint that keeps nothing but the ids."""

    stored: list[bytes] = []  # noqa: RUF012  one for all connections

    def handle(self) -> None:
        with suppress(OSError):
            while self._take():
                self.request.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"success": true}')

    def _take(self) -> bool:
        length = 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        found = re.search(rb'"ainsights\.event_id": ?"([^"]+)"', self.rfile.read(length)) if line else None
        if found:
            self.stored.append(found[1])
        return found is not None


class Server(socketserver.ThreadingTCPServer):
    """Takes as many connections at once as there are workers."""

    daemon_threads = True
    request_queue_size = 128


def endpoint(channel: Connection) -> None:
    """Serve on loopback: tell the port, and at the end how many events came and how many were distinct."""
    server = Server(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    channel.send(server.server_address[1])
    channel.recv()
    channel.send((len(Endpoint.stored), len(set(Endpoint.stored))))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def files() -> list[str]:
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of this listing
            found.append(re.sub(r"\d+", "", str(fd.readlink())))
    return sorted(found)


def left_over() -> tuple[int, list[str]]:
    return threading.active_count(), files()


async def soak(calls: int, every: int) -> tuple[Caller, list[tuple[int, int]]]:
    caller, samples = Caller(), []
    began = time.monotonic()
    print(f"{'calls':>9}{'seconds':>9}{'RSS MB':>9}{'threads':>9}{'sockets':>9}{'files':>7}", flush=True)
    for made in range(1, calls + 1):
        await caller.call()
        if made % FLUSH_EVERY == 0:
            ainsights.flush(PATIENCE)
        if made % every == 0 or made == calls:
            seconds, open_files = time.monotonic() - began, files()
            sockets = sum(name.startswith("socket") for name in open_files)
            samples.append((made, resident()))
            figures = f"{seconds:>9.0f}{resident() / 1e6:>9.1f}{threading.active_count():>9}{sockets:>9}"
            print(f"{made:>9}{figures}{len(open_files):>7}", flush=True)
    return caller, samples


def run(calls: int, every: int, url: str | None) -> tuple[ainsights.Stats, list[str]]:
    """Soak; return what ainsights tells at the end, and what is left over."""
    before = left_over()
    if url:
        ainsights.instrument(base_url=url, api_key="key")
    caller, samples = asyncio.run(soak(calls, every))
    print(f"{caller.streams} streams, {caller.abandoned} of them abandoned")
    del caller
    gc.collect()
    ainsights.flush(PATIENCE)
    stats = ainsights.stats()
    ainsights.shutdown()
    gc.collect()
    after = left_over()
    half = samples[len(samples) // 2 :]
    if len(half) > 1:
        slope = statistics.linear_regression([n for n, _ in half], [rss for _, rss in half]).slope
        print(f"slope of memory over the second half: {slope:+.2f} bytes per call")
    print(f"threads {before[0]} -> {after[0]}, files {len(before[1])} -> {len(after[1])}")
    return stats, [] if after == before else [f"left over: {before} -> {after}"]


def inexact(calls: int, stats: ainsights.Stats, stored: tuple[int, int]) -> list[str]:
    """Print the counts, and return what is wrong with them."""
    print(stats)
    print(
        f"{calls} calls: {stats.captured} captured, {stats.delivered} delivered, {stored[0]} arrived, {stored[1]} ids"
    )
    exact = calls == stats.captured == stats.delivered == stored[0] == stored[1]
    return [] if exact and not stats.dropped and not stats.failures else ["the count is not exact"]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--every", type=int, default=10_000, help="calls between two lines")
    parser.add_argument("--bare", action="store_true", help="without ainsights: what openai itself does to memory")
    args = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=endpoint, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    print(f"openai {openai.__version__}, {args.calls} calls")
    stats, wrong = run(args.calls, args.every, None if args.bare else url)
    ours.send("end")
    stored = ours.recv()
    server.join()
    if not args.bare:
        wrong += inexact(args.calls, stats, stored)
    print(*wrong or ["exact, and nothing left over"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
