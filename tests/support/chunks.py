"""Chunks of a stream as the API sends them, and the completions that they make."""

from __future__ import annotations

import json
from typing import Any

from ainsights._processing.accumulator import accumulate

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-4o"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
FIRST_KEYS = ["id", "object", "created", "model", "choices"]


def event(value: Any) -> bytes:
    return b"data: " + (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n\n"


def body_of(*values: Any) -> bytes:
    return b"".join(map(event, values))


def chunk(delta: Any = None, *, index: int = 0, finish: str | None = None, **choice: Any) -> dict[str, Any]:
    return HEAD | {"choices": [{"index": index, "delta": delta, "finish_reason": finish} | choice]}


def message_of(*deltas: Any) -> dict[str, Any]:
    return accumulate(body_of(*map(chunk, deltas))).completion["choices"][0]["message"]


def content_of(body: bytes) -> Any:
    choices = accumulate(body).completion["choices"]
    return choices[0]["message"]["content"] if choices else None


def calls_of(*lists: Any) -> list[Any]:
    return message_of(*({"tool_calls": calls} for calls in lists))["tool_calls"]


def call(arguments: str, name: str | None = None, **rest: Any) -> dict[str, Any]:
    return rest | {"function": {"arguments": arguments} | ({"name": name} if name else {})}


ORDINARY = body_of(
    chunk({"role": "assistant", "content": "", "refusal": None}, logprobs=None),
    chunk({"content": "Gr\u00fc\u00df"}, logprobs=None),
    chunk({"content": "e \U0001f600\n"}, logprobs=None),
    chunk({}, finish="stop", logprobs=None),
    HEAD | {"choices": [], "usage": USAGE},
    "[DONE]",
)
