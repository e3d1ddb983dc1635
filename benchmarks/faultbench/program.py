"""The user's program: calls to openai in memory, each under a name of its own, and a report of how they went.

Prints one line of JSON when its calls are made, and one when it has flushed; what follows is its end. Before the first
it prints nothing, but, with ``--report``, the number of each call as it is made.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import sys
import time
from typing import Any

import openai

LEGACY = int(openai.__version__.partition(".")[0]) < 3  # noqa: PLR2004  the version that changed it
http = importlib.import_module("httpx" if LEGACY else "httpx2")
PEAK = resource.RUSAGE_SELF


def main() -> None:
    args = arguments()
    if not args.bare:
        import ainsights  # noqa: PLC0415  a bare program has nothing of ours

        ainsights.instrument()
    client = openai.OpenAI(api_key="sk", http_client=http.Client(transport=http.MockTransport(answer(args.size))))
    before = resource.getrusage(PEAK).ru_maxrss
    took: list[float] = []
    for number in range(args.calls):
        began = time.perf_counter()
        messages: list[Any] = [{"role": "user", "content": "x" * args.size}]
        client.chat.completions.create(model="m", messages=messages, user=f"{args.name}-{number}")
        took.append(time.perf_counter() - began)
        if args.report:
            emit({"made": number + 1, "at": time.time()})
        time.sleep(args.pause)
    emit({"made": args.calls, "first": took[0], "slowest": max(took[1:]), "at": time.time()})
    if args.bare:
        return
    cpu = time.process_time()
    began = time.perf_counter()
    done = ainsights.flush(args.flush) if args.flush else None
    stats = ainsights.stats()
    emit(
        {
            "flushed": done,
            "seconds": time.perf_counter() - began,
            "cpu": time.process_time() - cpu,
            "delivered": stats.delivered,
            "dropped": dict(stats.dropped),
            "spooled": stats.spooled,
            "state": stats.state,
            "growth": resource.getrusage(PEAK).ru_maxrss - before,
            "at": time.time(),
        }
    )


def answer(size: int) -> Any:
    message = {"role": "assistant", "content": "y" * size}
    choices = [{"index": 0, "finish_reason": "stop", "message": message}]
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    content = json.dumps(body).encode()
    return lambda _request: http.Response(200, content=content, headers={"content-type": "application/json"})


def emit(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", default="p")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--size", type=int, default=100)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--flush", type=float, default=0.0)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--bare", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
