"""The bytes of a stream -> the ChatCompletion that the API would have returned without streaming. Pure.

How chunks are merged, where the API's documents leave it open:

- Nothing is invented: a key is there if a chunk carried it, and null if it never was anything else. Only ``role``,
  ``content``, ``logprobs`` and ``finish_reason`` always are; the ``finish_reason`` of a stream that was cut is null.
  What only chunks have goes: ``delta``, ``obfuscation``, a null ``usage``, the ``index`` of a tool call.
- At the top the last value wins, lists too, since vendors repeat them whole (``citations``); dicts but for ``usage``
  merge. Null and empty values, as in Azure's first chunk, never win over real ones.
- In choices and deltas dicts merge, lists extend, lists of dicts that have an ``index`` merge by it, strings with
  the name of a text are joined; any other value replaces the one before, if it is not null or empty.
- A tool call is found by its index, else its id, else its position. A fragment that brings a name and another id
  (or, without ids, another name, or the same one and whole arguments after whole arguments) begins a new call even
  so: some vendors number all of them 0.
- Where a choice has a ``delta`` and a ``message``, the delta counts; of the message is added what no delta brings.
  A ``message`` alone is the whole so far if it begins with the text so far, else a piece.
- As in the library, nothing counts after ``[DONE]``. Unlike there, the last event may lack its blank line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import from_json

from ainsights._processing.fragments import Fields, cover, merge, plain
from ainsights._processing.sse import DONE, event_value


class Accumulation(NamedTuple):
    """What the chunks of a stream make together.

    Attributes:
        completion: The ChatCompletion, as far as it had arrived. Always has id, object, created, model and choices.
        done: Whether the terminal ``[DONE]`` was seen.
        error: The ``error`` of the first error event, a dict or a string; None if none came.
        chunks: The number of chunks that were merged.
        status: The status of what is done.
    """

    completion: dict[str, Any]
    done: bool
    error: Any | None
    chunks: int
    status: str = "ok"


def accumulate(body: bytes) -> Accumulation:
    """Return what the server-sent events of ``body`` make together; its end may be missing, wherever it was cut.

    Never raises: what is not a JSON object is left out.
    """
    chunks, value = _Chunks(), None
    for event in body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        try:
            value = from_json(event[5:]) if event[:5] == b"data:" else None
        except ValueError:
            value = None
        if value.__class__ is not dict and (value := event_value(event)) is DONE:
            break
        if value.__class__ is dict:
            chunks.add(value)
    return Accumulation(chunks.completion(), value is DONE, chunks.error, chunks.count)


@dataclass(slots=True)
class _Choice:
    """The fragments of one choice: of its message, and of what stands beside it."""

    fields: Fields = field(default_factory=dict)
    message: Fields = field(default_factory=dict)
    by_delta: set[str] | None = None
    """The fields of the message that deltas have brought; None while no chunk has had a ``message``."""

    def add(self, part: Fields) -> None:
        delta = part.pop("delta", None)
        if delta.__class__ is dict:
            merge(self.message, delta)
            if self.by_delta is not None:
                self.by_delta.update(key for key, value in delta.items() if value)
        if part != self.fields:  # where they are equal there is nothing to add, for no list equals its pieces
            message = part.pop("message", None)
            if message.__class__ is dict:
                if self.by_delta is None:
                    self.by_delta = {key for key, value in self.message.items() if plain(value)}
                cover(self.message, message, self.by_delta)
            merge(self.fields, part)

    def plain(self, index: int) -> Fields:
        fields, message = plain(self.fields), plain(self.message)
        role, content = message.pop("role", None) or "assistant", message.pop("content", None)
        logprobs, finish_reason = fields.pop("logprobs", None), fields.pop("finish_reason", None)
        return {
            "index": index,
            "message": {"role": role, "content": content} | message,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
            **fields,
        }


@dataclass(slots=True)
class _Chunks:
    """The chunks so far, merged."""

    choices: dict[int, _Choice] = field(default_factory=dict)
    count: int = 0
    error: Any | None = None
    fields: Fields = field(default_factory=dict)
    latest: Fields = field(default_factory=dict)

    def add(self, chunk: Fields) -> None:
        error = chunk.pop("error", None)
        if error:
            self.error = self.error or error
            if "choices" not in chunk:
                return
        self.count += 1
        choices = chunk.pop("choices", None)
        chunk.pop("obfuscation", None)
        if chunk != self.latest:
            _overlay(self.fields, chunk)
            self.latest = chunk
        for position, part in enumerate(choices if choices.__class__ is list else ()):
            if part.__class__ is dict:
                index = part.pop("index", None)
                choice = self.choices.get(key := index if index.__class__ is int else position)
                if choice is None:
                    choice = self.choices[key] = _Choice()
                choice.add(part)

    def completion(self) -> Fields:
        known = {
            "id": self.fields.get("id") or "",
            "object": "chat.completion",
            "created": self.fields.get("created") or 0,
            "model": self.fields.get("model") or "",
            "choices": [self.choices[index].plain(index) for index in sorted(self.choices)],
        }
        unused = {*known, "usage"} if self.fields.get("usage") is None else known
        return known | {key: value for key, value in self.fields.items() if key not in unused}


def _overlay(into: Fields, fields: Fields) -> None:
    for key, value in fields.items():
        old = into.get(key)
        if old is None:
            into[key] = value
        elif value.__class__ is dict and old.__class__ is dict and value and key != "usage":
            _overlay(old, value)
        elif value not in (None, "", [], {}) and (value or key != "created"):
            into[key] = value
