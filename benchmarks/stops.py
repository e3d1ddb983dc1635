"""How long the processing of a large event stops the other threads of its process.

A thread that wakes every half millisecond notes what another one has worked until it had its turn, while that one makes
an event of several megabytes fit to be sent, with all built-in patterns; the texts make patterns, parsers and encoders
slow. The other one's CPU time counts, because the machine has other things to do. In milliseconds, and as a ratio to
the interpreter's switch interval, which a thread waits for at the least while another one runs Python: "Python alone"
is a loop in Python, the least that a program can have. Of several rounds the best.

    python benchmarks/stops.py [megabytes [rounds]]
"""

from __future__ import annotations

import base64
import json
import random
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from ainsights._config import load
from ainsights._json import parse_json
from ainsights._model import Insight
from ainsights._privacy.policy import PrivacyPolicy
from ainsights._processing.accumulator import accumulate
from ainsights._validation import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE = 0.0005
PROSE = "It was the best of times, it was the worst of times, on page 12 of the book; see chapter 3: 'Hope'. "
COMPLETION = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}


def longest_stop(work: Callable[[], object]) -> float:
    """Return the longest CPU time of ``work`` on another thread for which this one waited for its turn, in seconds."""
    done, seen = threading.Event(), threading.Event()
    worker = threading.Thread(target=lambda: (work(), done.set(), seen.wait()))  # its clock ends with it
    worker.start()
    clock = time.pthread_getcpuclockid(worker.ident or 0)
    longest, before = 0.0, time.clock_gettime(clock)
    while not done.is_set():
        time.sleep(PAUSE)
        now = time.clock_gettime(clock)
        longest, before = max(longest, now - before), now
    seen.set()
    worker.join()
    return longest


def filled(unit: str, size: int) -> str:
    return unit * (size // len(unit.encode()))


def texts(size: int) -> dict[str, str]:
    photo = base64.b64encode(random.Random(1).randbytes(size * 3 // 4)).decode()
    units = {
        "prose": PROSE,
        "prose, escaped": PROSE.replace(" ", "\n"),
        "no ASCII": "Übergrößenträger – ",
        **{repr(unit): unit for unit in ("sk-", "sk-a", "+1", "1.", "0 1", "(12)", "4111 ", ":", ":a", "a@", "@a.")},
        **{
            repr(unit): unit
            for unit in ("eyJ", "eyJabcdefgh.", "key=", "api_key = ab", "Bearer a", "a", "-", "\n", " ")
        },
        "PEM without end": "-----BEGIN PRIVATE KEY-----",
        "data URLs": "data:a/b;c=d;base64,",
    }
    made = {name: filled(unit, size) for name, unit in units.items()}
    return made | {
        "one key": "sk-proj-" + "a1" * (size // 2),
        "photo": "data:image/png;base64," + photo,
        "JSON of messages": json.dumps([{"role": "user", "content": PROSE}] * (size // 130)) + "\\",
        "JSON of lists": "[" + filled("[],", size) + r'"\u0041"]',
    }


def redacting(text: str) -> Callable[[], object]:
    policy = PrivacyPolicy(load({}, redact=BUILT_IN, max_event_bytes=1 << 30))
    insight = Insight(response=COMPLETION, messages=text)
    return lambda: policy(insight, None)


def other_work(size: int) -> dict[str, Callable[[], Any]]:
    """Return what else a large event goes through: parsing, joining chunks, encoding, cutting."""
    many = [{"role": "user", "content": PROSE}] * (size // 130)
    body = json.dumps({"messages": many}).encode()
    lists = b"[" + b"[]," * (size // 3) + b"1]"
    chunk = COMPLETION | {"choices": [{"index": 0, "delta": {"content": PROSE}}]}
    stream = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    full, low = load({}, max_event_bytes=1 << 30), load({}, max_event_bytes=1 << 20)
    long, messages = (
        Insight(response=COMPLETION, messages=PROSE * (size // 100)),
        Insight(response=COMPLETION, messages=many),
    )
    return {
        "parse messages": lambda: parse_json(body),
        "parse lists": lambda: parse_json(lists),
        "join chunks": lambda: accumulate(stream * (size // len(stream))),
        "encode a text": lambda: PrivacyPolicy(full)(long, None),
        "encode messages": lambda: PrivacyPolicy(full)(messages, None),
        "cut a text to 1 MiB": lambda: PrivacyPolicy(low)(long, None),
        "cut messages to 1 MiB": lambda: PrivacyPolicy(low)(messages, None),
    }


def python_alone() -> None:
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        pass


def main() -> None:
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 8
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3  # noqa: PLR2004  the second argument
    size, interval = int(megabytes * 1e6), sys.getswitchinterval()
    works = {"Python alone": python_alone}
    works |= {f"redact {name}": redacting(text) for name, text in texts(size).items()}
    works |= other_work(size)
    for name, work in works.items():
        began = time.perf_counter()
        stops = [longest_stop(work) for _ in range(rounds)]
        took = (time.perf_counter() - began) / rounds
        print(f"{name:<28}{min(stops) * 1e3:>8.1f} ms{min(stops) / interval:>7.1f} x{took:>9.2f} s in all", flush=True)


if __name__ == "__main__":
    main()
