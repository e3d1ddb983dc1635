"""What capture costs the caller: a call and a chunk or event of a stream, instrumented over bare, sync and async.

The model API is an in-memory transport, so that nothing but the client's own work is in the denominator: the worst
case for the ratio; where it is paced, it waits as a model would, if much less. The bare client is a subclass that has
openai's own functions where ours stand in its base, and single calls (or streams of 200 chunks) alternate between the
two clients, so that whatever the machine does hits both alike. For each group of pairs the medians are compared; shown
is the median over the groups and their quartiles: of the calling thread's own CPU, and of wall time, where the
background's share of the interpreter lock shows as well. Events go to a real endpoint in another process.

    python benchmarks/overhead.py [groups]
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx2
import openai
from senders import endpoint

import ainsights
from ainsights._instrumentation import patch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

MESSAGES: list[Any] = [{"role": "user", "content": "Say hello."}]
CHUNKS = 200
CALL_PACE, CHUNK_PACE = 0.005, 0.0005
"""Seconds that a model API takes for an answer, and for a chunk, where it is paced: much less than a real one does."""
CALLS_IN_GROUP = 100
STREAMS_IN_GROUP = 10
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello!"}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}
CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1700000000,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "delta": {"content": " hello"}, "finish_reason": None}],
}
EVENTS = [f"data: {json.dumps(CHUNK)}\n\n".encode()] * CHUNKS + [b"data: [DONE]\n\n"]
PART = {"type": "output_text", "text": "Hello!", "annotations": []}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [PART]}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1700000000,
    "model": "gpt-5-mini",
    "status": "completed",
    "output": [MESSAGE],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 11,
    },
}
PLACE = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
DELTA = {"type": "response.output_text.delta", **PLACE, "delta": " hello", "logprobs": []}


def named(event: dict[str, Any], number: int) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event | {'sequence_number': number})}\n\n".encode()


NAMED_EVENTS = [
    named({"type": "response.created", "response": RESPONSE | {"output": [], "status": "in_progress"}}, 0),
    *(named(DELTA, number) for number in range(1, CHUNKS + 1)),
    named({"type": "response.completed", "response": RESPONSE}, CHUNKS + 1),
]


class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A stream's bytes, an event a piece."""

    def __init__(self, events: list[bytes], pace: float) -> None:
        self.events = events
        self.pace = pace

    def __iter__(self) -> Iterator[bytes]:
        for event in self.events:
            if self.pace:
                time.sleep(self.pace)
            yield event

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self.events:
            if self.pace:
                await asyncio.sleep(self.pace)
            yield event


def paced_answer(request: httpx2.Request) -> httpx2.Response:
    time.sleep(CALL_PACE)
    return answer(request, CHUNK_PACE)


async def paced_async_answer(request: httpx2.Request) -> httpx2.Response:
    await asyncio.sleep(CALL_PACE)
    return answer(request, CHUNK_PACE)


def answer(request: httpx2.Request, pace: float = 0.0) -> httpx2.Response:
    is_chat = request.url.path.endswith("/chat/completions")
    if b'"stream":true' in request.content:
        body = Body(EVENTS if is_chat else NAMED_EVENTS, pace)
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=body)
    return httpx2.Response(200, json=COMPLETION if is_chat else RESPONSE)


def bare(client: type[Any]) -> type[Any]:
    """Return a subclass of ``client`` that calls openai's own functions, past our wrappers."""
    hooks = [hook for hook in patch.HOOKS if hasattr(client, hook.name) and issubclass(client, _owner(hook))]
    return type(client.__name__, (client,), {hook.name: hook.original for hook in hooks})


def _owner(hook: patch.Hook) -> type[Any]:
    return getattr(sys.modules[patch.MODULE], hook.owner)


def sync_units(client_class: type[Any]) -> dict[str, Callable[[], None]]:
    client, paced = (
        client_class(api_key="k", http_client=httpx2.Client(transport=httpx2.MockTransport(handler)))
        for handler in (answer, paced_answer)
    )
    create, respond = client.chat.completions.create, client.responses.create

    def read(stream: Any) -> None:
        for _event in stream:
            pass

    return {
        "sync call": lambda: create(model="m", messages=MESSAGES),
        "sync chunk": lambda: read(create(model="m", messages=MESSAGES, stream=True)),
        "sync response": lambda: respond(model="m", input="Say hello."),
        "sync response event": lambda: read(respond(model="m", input="Say hello.", stream=True)),
        "sync paced call": lambda: paced.chat.completions.create(model="m", messages=MESSAGES),
        "sync paced response": lambda: paced.responses.create(model="m", input="Say hello."),
        "sync paced event": lambda: read(paced.responses.create(model="m", input="Say hello.", stream=True)),
    }


def async_units(client_class: type[Any], loop: asyncio.AbstractEventLoop) -> dict[str, Callable[[], None]]:
    client, paced = (
        client_class(api_key="k", http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(handler)))
        for handler in (answer, paced_async_answer)
    )
    create, respond = client.chat.completions.create, client.responses.create

    async def read(stream: Any) -> None:
        async for _event in await stream:
            pass

    def run(call: Any) -> None:
        loop.run_until_complete(call)

    return {
        "async call": lambda: run(create(model="m", messages=MESSAGES)),
        "async chunk": lambda: run(read(create(model="m", messages=MESSAGES, stream=True))),
        "async response": lambda: run(respond(model="m", input="Say hello.")),
        "async response event": lambda: run(read(respond(model="m", input="Say hello.", stream=True))),
        "async paced call": lambda: run(paced.chat.completions.create(model="m", messages=MESSAGES)),
        "async paced response": lambda: run(paced.responses.create(model="m", input="Say hello.")),
        "async paced event": lambda: run(read(paced.responses.create(model="m", input="Say hello.", stream=True))),
    }


def timed(unit: Callable[[], None]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.thread_time()
    unit()
    return time.thread_time() - cpu, time.perf_counter() - wall


def measure(bare: Callable[[], None], ours: Callable[[], None], pairs: int) -> list[list[float]]:
    """Return the medians of one group: bare and instrumented, of own CPU and of wall time."""
    times: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    for pair in range(pairs):
        for which in (0, 1) if pair % 2 else (1, 0):
            times[which].append(timed((bare, ours)[which]))
    ainsights.flush(10)
    return [[statistics.median(each[kind] for each in side) for side in times] for kind in (0, 1)]


def report(name: str, count: int, groups: list[list[list[float]]]) -> None:
    for which, kind in ((0, "own CPU"), (1, "wall")):
        low, middle, high = statistics.quantiles(
            [ours / bare for bare, ours in (group[which] for group in groups)], n=4
        )
        bare = statistics.median(group[which][0] for group in groups) / count * 1e6
        added = statistics.median(group[which][1] - group[which][0] for group in groups) / count * 1e6
        print(f"{name:<21}{kind:<9}{bare:>10.2f}{added:>+10.2f}{middle:>9.3f}{low:>9.3f}–{high:.3f}")


def main() -> None:
    groups = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    ours_end, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=endpoint, args=(theirs,), daemon=True)
    server.start()
    ainsights.instrument(base_url=f"http://127.0.0.1:{ours_end.recv()}", api_key="k")
    loop = asyncio.new_event_loop()
    bare_units = sync_units(bare(openai.OpenAI)) | async_units(bare(openai.AsyncOpenAI), loop)
    ours_units = sync_units(openai.OpenAI) | async_units(openai.AsyncOpenAI, loop)
    print(f"{'':<21}{'':<9}{'bare us':>10}{'added us':>10}{'ratio':>9}{'quartiles':>14}")
    for name, unit in bare_units.items():
        in_chunks = name.endswith(("chunk", "event"))
        pairs = STREAMS_IN_GROUP if in_chunks else CALLS_IN_GROUP
        results = [measure(unit, ours_units[name], pairs) for _ in range(groups + 1)][1:]  # the first one warms up
        report(name, CHUNKS if in_chunks else 1, results)
    print(ainsights.stats())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    server.terminate()
    server.join()


if __name__ == "__main__":
    main()
