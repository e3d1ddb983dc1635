"""What an event costs in the background: decoding, encoding, queueing, sending, reading the answer.

CPU of all threads but the main one, for an exchange as capture notes it, until its answer is read; as a ratio to one
plain ``httpx.Client.put`` of the same body, in the same run and taking turns with it. Events per second likewise.

    python benchmarks/background.py [rounds]
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import time

import httpx
from senders import HEADERS, endpoint

from ainsights._config import load
from ainsights._delivery.counters import Counters
from ainsights._delivery.http_sender import senders
from ainsights._delivery.pipeline import Pipeline
from ainsights._instrumentation.exchange import Exchange
from ainsights._instrumentation.open_streams import OpenStreams
from ainsights._model import new_event_id
from ainsights._processing.attributes import Defaults, sdk
from ainsights._processing.decoder import decode
from ainsights._processing.pending import PendingResponses
from ainsights._processing.processor import Processor

EVENTS = 300
TEXT = "The quick brown fox jumps over the lazy dog. "
REQUEST = json.dumps(
    {"model": "gpt-4o-mini", "temperature": 0.7, "messages": [{"role": "user", "content": TEXT * 16}]}
).encode()
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4o-mini",
    "choices": [
        {"index": 0, "finish_reason": "stop", "logprobs": None, "message": {"role": "assistant", "content": TEXT * 10}}
    ],
    "usage": {"prompt_tokens": 160, "completion_tokens": 100, "total_tokens": 260},
}
CHUNKS = [
    b"data: "
    + json.dumps(
        COMPLETION
        | {
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"content": word + " "}, "finish_reason": None}],
        }
    ).encode()
    + b"\n\n"
    for word in (TEXT * 10).split()
]


def exchange(*, stream: bool) -> Exchange:
    made = Exchange(lambda _: None, None, OpenStreams(2**26))
    made.on_request(httpx.Request("POST", "https://api.openai.com/v1/chat/completions", content=REQUEST))
    made.on_response(httpx.Response(200, headers={"x-request-id": "req_1"}))
    if stream:
        made.chunks = [*CHUNKS, b"data: [DONE]\n\n"]
    else:
        made.body = json.dumps(COMPLETION).encode()
    made.finished, made.ending = made.started + 1, "complete"
    return made


class Ours:
    """A pipeline as the runtime wires it."""

    def __init__(self, url: str, *, stream: bool) -> None:
        self.items = [exchange(stream=stream) for _ in range(EVENTS)]
        self.pipeline = Pipeline(Counters())
        pending = PendingResponses(lambda _: None, OpenStreams(2**26), 2**24)
        processor = Processor(load({}), sdk(), pending)
        self.pipeline.configure(processor.process, senders(url, "key", 10), load({}, base_url=url))

    def __call__(self) -> None:
        self.pipeline.start()
        for item in self.items:
            self.pipeline.put(item, item.size)
        if not self.pipeline.flush(60):
            raise SystemExit("not all events were delivered")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    ours_end, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=endpoint, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours_end.recv()}"
    body = decode(exchange(stream=False), Defaults(sdk()), new_event_id(0)).encode()
    client = httpx.Client(headers=HEADERS)

    def plain() -> None:
        for _ in range(EVENTS):
            client.put(f"{url}/insight", content=body)

    runs = {
        "httpx.Client.put": plain,
        "completion": Ours(url, stream=False),
        f"stream of {len(CHUNKS)} chunks": Ours(url, stream=True),
    }
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    wall: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            began, everyone, main_thread = time.perf_counter(), time.process_time(), time.thread_time()
            run()
            own = time.thread_time() - main_thread
            spent = time.process_time() - everyone - (own if run is not plain else 0.0)
            if turn:  # the first turn warms up
                cpu[name].append(spent / EVENTS * 1e6)
                wall[name].append(EVENTS / (time.perf_counter() - began))
    print(f"body of {len(body)} bytes{'':<14}{'CPU us':>8}{'spread':>16}{'ratio':>8}{'events/s':>10}")
    base = statistics.median(cpu["httpx.Client.put"])
    for name, figures in cpu.items():
        middle = statistics.median(figures)
        spread = f"{min(figures):.0f}–{max(figures):.0f}"
        print(f"{name:<32}{middle:>8.0f}{spread:>16}{middle / base:>8.2f}{statistics.median(wall[name]):>10.0f}")
    server.terminate()
    server.join()


if __name__ == "__main__":
    main()
