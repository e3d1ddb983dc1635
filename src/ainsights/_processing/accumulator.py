"""The bytes of a stream -> the ChatCompletion that the API would have returned without streaming. Pure.

How chunks are merged, where the API's documents leave it open:

- Nothing is invented: a key is there if a chunk carried it, and null if it never was anything else. Only ``role``,
  ``content``, ``logprobs`` and ``finish_reason`` always are; the ``finish_reason`` of a stream that was cut is null.
  What only chunks have goes: ``delta``, ``obfuscation``, a null ``usage``, the ``index`` of a tool call.
- At the top the last value wins, lists too, since vendors repeat them whole (``citations``); dicts but for ``usage``
  merge. Null and empty values, as in Azure's first chunk, never win over real ones.
- In choices and deltas dicts merge, lists extend, lists of dicts that have an ``index`` merge by it, strings whose
  name says that they are texts are joined; any other value replaces the one before, if it is not null or empty.
- A tool call is found by its index, else its id, else its position. A fragment that brings a name and another id
  (or, without ids, another name) begins a new call even so: some vendors number all of them 0.
- A ``message`` instead of a ``delta`` is the whole if it begins with the text so far, else a piece.
- As in the library, nothing counts after ``[DONE]``. Unlike there, the last event may lack its blank line.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

from pydantic_core import from_json

_Fields: TypeAlias = "dict[str, Any]"
_TEXTS = frozenset(["arguments", "content", "data", "input", "refusal", "summary", "text", "transcript"])
_TEXT_PREFIXES = ("reasoning", "thinking", "thought")
_DONE = object()
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class Assembled(NamedTuple):
    """What a stream said.

    Attributes:
        completion: The ChatCompletion, as far as it had arrived. Always has id, object, created, model and choices.
        done: Whether the terminal ``[DONE]`` was seen.
        error: The ``error`` of the first error event, a dict or a string; None if none came.
        chunks: The number of chunks that were merged.
    """

    completion: dict[str, Any]
    done: bool
    error: Any | None
    chunks: int


def assemble(body: bytes) -> Assembled:
    """Return what the server-sent events of ``body`` say; its end may be missing, wherever it was cut.

    Never raises: what is no JSON object is left out. https://html.spec.whatwg.org/multipage/server-sent-events.html
    """
    chunks, value = _Chunks(), None
    for event in body.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        try:
            value = from_json(event[5:]) if event[:5] == b"data:" else None
        except ValueError:
            value = None
        if value.__class__ is not dict and (value := _unusual(event)) is _DONE:
            break
        if value.__class__ is dict:
            chunks.add(value)
    return Assembled(chunks.completion(), value is _DONE, chunks.error, chunks.count)


def _unusual(event: bytes) -> Any:
    lines = [line.partition(b":")[::2] for line in event.split(b"\n")]
    data = b"\n".join(value.removeprefix(b" ") for key, value in lines if key == b"data").decode(errors="replace")
    if data.lstrip().startswith("[DONE]"):
        return _DONE
    value = _parse(data)
    failed = any(key == b"event" and name.strip() == b"error" for key, name in lines)
    told = value.__class__ is dict and value.get("error")
    return {"error": value or data} if failed and data and not told else value


def _parse(data: str) -> Any:
    try:
        return from_json(data)
    except ValueError:
        without_surrogates = _SURROGATE.sub(r"\\n", data)
    try:
        from_json(without_surrogates)  # bounds the depth, which the other parser does not
        return json.loads(data)
    except ValueError:
        return None


@dataclass(slots=True)
class _Chunks:
    """The chunks so far, merged; choices as what they say beside their message, and their message."""

    choices: defaultdict[int, tuple[_Fields, _Fields]] = field(default_factory=lambda: defaultdict(lambda: ({}, {})))
    count: int = 0
    error: Any | None = None
    fields: _Fields = field(default_factory=dict)
    latest: _Fields = field(default_factory=dict)

    def add(self, chunk: _Fields) -> None:
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
                self._add_choice(part, position)

    def _add_choice(self, part: _Fields, position: int) -> None:
        index, delta = part.pop("index", None), part.pop("delta", None)
        fields, message = self.choices[index if index.__class__ is int else position]
        if part != fields:  # where they are equal there is nothing to add, for no list equals its pieces
            whole = part.pop("message", None)
            if whole.__class__ is dict:
                _add_message(message, whole)
            _merge(fields, part)
        if delta.__class__ is dict:
            _merge(message, delta)

    def completion(self) -> _Fields:
        known = {
            "id": self.fields.get("id") or "",
            "object": "chat.completion",
            "created": self.fields.get("created") or 0,
            "model": self.fields.get("model") or "",
            "choices": [_choice(index, *map(_plain, self.choices[index])) for index in sorted(self.choices)],
        }
        unused = {*known, "usage"} if self.fields.get("usage") is None else known
        return known | {key: value for key, value in self.fields.items() if key not in unused}


def _choice(index: int, fields: _Fields, message: _Fields) -> _Fields:
    return {
        "index": index,
        "message": {"role": message.pop("role", None) or "assistant", "content": message.pop("content", None)}
        | message,
        "logprobs": fields.pop("logprobs", None),
        "finish_reason": fields.pop("finish_reason", None),
        **fields,
    }


def _add_message(message: _Fields, other: _Fields) -> None:
    so_far, text = _plain(message.get("content")) or "", other.get("content") or ""
    if so_far.__class__ is str and text.__class__ is str and not text.startswith(so_far):
        message["content"] = _Pieces([so_far])
    else:
        for key in [key for key, value in other.items() if value is not None]:
            message.pop(key, None)
    _merge(message, other)


class _Pieces(list[Any]):
    """A text or a list in the pieces that came. Some vendors mix them: text and lists of content parts."""

    def plain(self) -> Any:
        try:
            text = "".join(self)
            text.encode()
        except TypeError:
            return self._parts()
        except UnicodeEncodeError:  # two chunks may each bring one half of a surrogate pair
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return text

    def _parts(self) -> Any:
        solid = [_plain(piece) for piece in self if piece != ""]
        if len(solid) == 1:
            return solid[0]
        parts: list[Any] = []
        for kind, run in groupby(solid, type):
            if kind is str:
                parts.append({"type": "text", "text": "".join(run)})
            else:
                parts.extend(part for piece in run for part in (piece if kind is list else [piece]))
        return parts


@dataclass(slots=True)
class _Items:
    """A list whose entries arrive in fragments: tool calls, or dicts that have an ``index``."""

    are_calls: bool
    entries: list[tuple[int, Any]] = field(default_factory=list)  # with their places
    known: dict[int | str | None, _Fields] = field(default_factory=dict)  # by index, id and position
    latest: int | str | None = None  # of the keys that came with a fragment

    def add(self, fragments: list[Any]) -> None:
        for position, fragment in enumerate(fragments):
            if fragment.__class__ is dict:
                _merge(self._entry(fragment, position, len(fragments)), fragment)
            elif fragment is not None:
                self.entries.append((len(self.entries), fragment))

    def _entry(self, fragment: _Fields, position: int, among: int) -> _Fields:
        index = fragment.pop("index", None) if self.are_calls else fragment.get("index")
        identity = fragment.get("id")
        keys: list[int | str] = [index] if index.__class__ is int else []
        if identity and identity.__class__ is str:
            keys.append(identity)
        if keys:
            self.latest = keys[0]
        elif self.are_calls:
            keys.append(position if among > 1 or self.latest is None else self.latest)
        entry = self.known.get(keys[0]) if keys else None
        if entry is None or self._begins_another(entry, fragment):
            entry = {}
            self.entries.append((index if index.__class__ is int else len(self.entries), entry))
            self.known.update((key, entry) for key in keys)
            self.known.setdefault(len(self.entries) - 1, entry)
        return entry

    def _begins_another(self, entry: _Fields, fragment: _Fields) -> bool:
        if not self.are_calls:
            old, new = entry.get("type"), fragment.get("type")
        elif not (name := _name_of(fragment)):
            return False
        elif entry.get("id") or fragment.get("id"):
            old, new = entry.get("id"), fragment.get("id")
        else:
            old, new = _name_of(entry), name
        return bool(old and new and old != new)

    def plain(self) -> list[Any]:
        return [_plain(entry) for _, entry in sorted(self.entries, key=itemgetter(0))]


def _name_of(call: _Fields) -> Any:
    called = call.get("function") or call.get("custom")
    return called.get("name") if called.__class__ is dict else None


def _merge(into: _Fields, fields: _Fields) -> None:
    for key, value in fields.items():
        old = into.get(key)
        if old.__class__ is _Pieces and value.__class__ is str:
            old.append(value)
        elif value is None:
            into.setdefault(key)
        else:
            into[key] = _merged(key, old, value)


def _merged(key: str, old: Any, value: Any) -> Any:
    if value.__class__ is str:
        if key in _TEXTS or key.startswith(_TEXT_PREFIXES):
            return _Pieces([value] if old is None else [old, value])
        return value or old or value
    if not value and value in ({}, []):
        return value if old is None else old
    if old.__class__ is _Pieces:
        old.append(value)
        return old
    if value.__class__ is dict:
        into = old if old.__class__ is dict else {}
        _merge(into, value)
        return into
    return _extended(key, old, value) if value.__class__ is list else value


def _extended(key: str, old: Any, value: list[Any]) -> Any:
    if old.__class__ is not _Items:
        if key != "tool_calls" and not any(item.__class__ is dict and "index" in item for item in value):
            return _Pieces([value])
        old = _Items(are_calls=key == "tool_calls")
    old.add(value)
    return old


def _overlay(into: _Fields, fields: _Fields) -> None:
    for key, value in fields.items():
        old = into.get(key)
        if old is None:
            into[key] = value
        elif value.__class__ is dict and old.__class__ is dict and value and key != "usage":
            _overlay(old, value)
        elif value not in (None, "", [], {}) and (value or key != "created"):
            into[key] = value


def _plain(value: Any) -> Any:
    if value.__class__ is dict:
        return {key: _plain(item) for key, item in value.items()}
    return value.plain() if isinstance(value, (_Pieces, _Items)) else value
