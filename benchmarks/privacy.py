"""What privacy costs in the background: each rule per KiB of event, and all rules of the settings per event.

Times of one event from insight to body, less those of encoding alone; as a ratio to parsing the JSON of the same event,
in the same run and taking turns with it. "prose" has a secret of each kind in 4 KiB, "code" is a file of this project,
"tools" is a conversation of many small calls, "image" has a photo in base64.

    python benchmarks/privacy.py [rounds]
"""

from __future__ import annotations

import base64
import random
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from ainsights._config import load
from ainsights._model import Insight
from ainsights._privacy.policy import PrivacyPolicy
from ainsights._validation import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_ENOUGH = 0.02
"""Seconds that one measurement takes at the least."""

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-4o-mini",
    "choices": [
        {"index": 0, "finish_reason": "stop", "logprobs": None, "message": {"role": "assistant", "content": "Done."}}
    ],
    "usage": {"prompt_tokens": 160, "completion_tokens": 100, "total_tokens": 260},
}
PROSE = "It was the best of times, it was the worst of times, on page 12 of the book; see chapter 3: 'Hope'. "
SECRETS = "ann@example.com, +49 151 2345678, 4111 1111 1111 1111, sk-proj-0123456789abcdefghij, 10.20.30.40. "
SMALL = PROSE * 12
CALL = {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"name": "Ann", "page": 3}'}}
STEP = [
    {"role": "user", "content": "Look it up, please."},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": '{"found": true, "where": "page 3"}'},
]
PHOTO = "data:image/jpeg;base64," + base64.b64encode(random.Random(1).randbytes(300_000)).decode()


def event(messages: Any) -> Insight:
    return Insight(response=COMPLETION, messages=messages, args={"model": "gpt-4o-mini", "temperature": 0.7})


EVENTS = {
    "small": event([{"role": "user", "content": SMALL}]),
    "prose": event([{"role": "user", "content": (PROSE * 40 + SECRETS) * 8}]),
    "code": event([{"role": "user", "content": Path(__file__).read_text()}]),
    "tools": event(STEP * 60),
    "image": event([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PHOTO}}]}]),
}
RULES: dict[str, dict[str, Any]] = {
    "default": {},
    **{name: {"redact": name} for name in BUILT_IN},
    "all five": {"redact": BUILT_IN},
    "before_send": {"before_send": lambda insight: insight},
    "metadata": {"content": "metadata"},
}


def seconds(step: Callable[[], object]) -> float:
    times, spent = 1, 0.0
    while spent < LONG_ENOUGH:
        began = time.perf_counter()
        for _ in range(times):
            step()
        spent = time.perf_counter() - began
        times *= 2
    return spent / (times / 2)


def compare(insight: Insight, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round: of encoding, of parsing, and of each rule set beyond encoding."""
    body = insight.encode()
    steps: dict[str, Callable[[], object]] = {"encode": insight.encode, "parse": lambda: from_json(body)}
    for name, settings in RULES.items():
        rules = PrivacyPolicy(load({}, api_key="a key of thirty characters".replace(" ", "-"), **settings))
        steps[name] = lambda rules=rules: rules(insight, None)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(seconds(step))
    return times


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    for kind, insight in EVENTS.items():
        times = compare(insight, rounds)
        kibibytes = len(insight.encode()) / 1024
        middle = {name: statistics.median(figures) for name, figures in times.items()}
        parse = middle["parse"]
        print(
            f"{kind}: {kibibytes:.1f} KiB, parsed in {parse * 1e6:.1f} us, encoded in {middle['encode'] * 1e6:.1f} us"
        )
        for name in RULES:
            more = middle[name] - middle["encode"]
            spread = [figure - middle["encode"] for figure in times[name]]
            print(
                f"  {name:<12}{more * 1e6:>10.1f} us{more / kibibytes * 1e6:>9.2f} us/KiB{more / parse:>8.1f} x parsing"
                f"  ({min(spread) / parse:.1f}–{max(spread) / parse:.1f})"
            )


if __name__ == "__main__":
    main()
