"""A store with its index and engine, filled with events of small, much repeated values."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ainsights.server.embedded import EmbeddedEngine, selection
from ainsights.server.index import Index, IndexOptions, shards
from ainsights.server.store.sqlite import SQLiteStore
from support.polling import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ainsights.server.store import Store

MODELS = ["gpt-4o", "gpt-4o-mini", "o3", "Gpt-4o"]
USERS = ["Ann", "Bob", "a b", 'quo"te', "ünï"]
TAGS = ["red", "blue", "a,b"]
TOOLS = ["search", "send", "weather"]
META_KEYS = ["team", "score", "a key", "release"]
META_VALUES = ["1", "2.5", "-3", "1e2", "x", "red", "1_000", " 7", "inf", "nan", "a b"]
WORDS = ["red", "Refund", "café", "CAFE", "日本", "本", "x1", "14-1", "don't", "ไทย"]
LATENCIES = [0.0, 250.0, 500.0, 1000.0, 1000.5, 4000.0]
COUNTS = [0, 1, 7, 100, 1000]
COSTS = [0.0, 0.25, 0.5, 2.0]
START = 1_750_000_000


class Body(NamedTuple):
    """What is put into a store."""

    event_id: str
    received_at: float
    body: bytes


class Served(NamedTuple):
    """A store, its index, and the engine over both."""

    store: SQLiteStore
    index: Index
    engine: EmbeddedEngine


def body(event_id: str, received_at: float = START, **changes: Any) -> Body:
    """Return an event with these keys."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Fine."}}
    insight = {
        "response": {"model": "gpt-4o", "choices": [choice]},
        "messages": [{"role": "user", "content": "How are you?"}],
        "template": None,
        "inputs": {},
        "args": {},
        "user_id": None,
        "meta": {},
    }
    return Body(event_id, received_at, json.dumps(insight | changes).encode())


def random_bodies(count: int, seed: int) -> list[Body]:
    """Return events of random small values, with much of it missing."""
    source = random.Random(seed)
    return [_random_body(source, number) for number in range(count)]


def _random_body(source: random.Random, number: int) -> Body:
    def maybe(values: Sequence[Any]) -> Any:
        return source.choice(values) if source.random() < 0.7 else None

    calls = [
        {"id": "1", "function": {"name": name, "arguments": "{}"}}
        for name in source.sample(TOOLS, source.randint(0, 2))
    ]
    message = {
        "role": "assistant",
        "content": " ".join(source.choices(WORDS, k=source.randint(0, 3))),
        "tool_calls": calls,
    }
    choice = {"index": 0, "finish_reason": maybe(["stop", "length"]), "message": message}
    usage = {
        "prompt_tokens": maybe(COUNTS),
        "completion_tokens": maybe(COUNTS),
        "prompt_tokens_details": {"cached_tokens": maybe(COUNTS)},
        "completion_tokens_details": {"reasoning_tokens": maybe(COUNTS)},
        "cost": maybe(COSTS),
    }
    meta = {
        "ainsights.status": maybe(["ok", "error", "closed_early"]),
        "ainsights.error_type": maybe(["Timeout", "RateLimit"]),
        "ainsights.latency_ms": maybe(LATENCIES),
        "ainsights.ttft_ms": maybe(LATENCIES),
        "ainsights.stream": maybe([True, False]),
        "ainsights.base_url": maybe(["https://api.openai.com/v1", "http://localhost:8000"]),
        "tags": source.sample(TAGS, source.randint(0, 2)),
        "session_id": maybe(["s1", "s2", "s3"]),
    }
    meta |= {key: maybe(META_VALUES) for key in META_KEYS}
    changes = {
        "response": {"model": maybe(MODELS), "choices": [choice], "usage": usage},
        "messages": " ".join(source.choices(WORDS, k=source.randint(1, 4))),
        "template": maybe(["Hi {name}", "Bye {name}"]),
        "inputs": dict.fromkeys(source.sample(["name", "city"], source.randint(0, 2)), "x"),
        "user_id": maybe(USERS),
        "meta": {key: value for key, value in meta.items() if value is not None},
    }
    return body(f"event-{number}", START + source.choice([0, 1, 60, 3600, 7200, 86_400, 9 * 86_400, number]), **changes)


def put(store: Store, bodies: Sequence[Body]) -> None:
    """Store the events, in order."""

    async def put_all() -> None:
        await asyncio.gather(*(store.put(*each) for each in bodies))

    asyncio.run(put_all())


@contextmanager
def small_shards() -> Iterator[None]:
    """Let 32 events fill a shard, so that few events do what a million does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_BITS", 5)
        patch.setattr(selection, "BATCH", 5)
        yield


@contextmanager
def serving(directory: Path, bodies: Sequence[Body] = (), options: IndexOptions | None = None) -> Iterator[Served]:
    """Yield store, index and engine in ``directory``, with all ``bodies`` indexed."""
    with SQLiteStore(directory / "insights.db") as store:
        put(store, bodies)
        with Index(store, directory / "insights.index", options) as index:
            assert index.wait(PATIENCE)
            yield Served(store, index, EmbeddedEngine(index, store))
