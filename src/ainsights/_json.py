"""JSON as it comes from others: with lone surrogates, NaN and deep nesting, and of any size. Pure.

What is large is read and written step by step in Python instead of in one call: it takes longer, but a call in C holds
the interpreter lock until it ends, and stops all other threads of the process.
"""

from __future__ import annotations

import json
from json import scanner
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 128 * 1024
"""Bytes or characters up to which one call in C does it: some milliseconds, however many values there are."""

_MAX_LOOKS = 200
_PER_VALUE = 8
"""What a value counts, in characters: it takes time beyond that of its text."""

MAX_DEPTH = 190
"""Levels to which :func:`cut_depth` cuts. pydantic reads 200 of them; our own recursion has room for more."""

_LONGEST_PATH = 200
_CUT = "[… nested too deeply …]"


def parse_json(data: bytes | str) -> Any:
    """Return the JSON value of ``data``. Lone surrogates, NaN and infinities are read too.

    Raises:
        ValueError: it is not JSON, or nested more deeply than Python can read.
    """
    try:
        return _parse_in_steps(data) if len(data) > LARGE else _parse_at_once(data)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def parse_json_or_none(data: bytes | str | None) -> Any:
    """Return the JSON value of ``data``, or None if it is none."""
    try:
        return parse_json(data) if data else None
    except ValueError:
        return None


def dump_json(value: Any) -> str:
    """Return the JSON text of ``value``, which is made of JSON values, in many small steps."""
    return "".join(json.JSONEncoder(ensure_ascii=False).iterencode(value))


class _SteppingDecoder(json.JSONDecoder):
    """Reads objects and lists in Python; only texts and numbers are read in C."""

    def __init__(self) -> None:
        super().__init__()
        self.parse_object = json.decoder.JSONObject  # type: ignore[attr-defined]
        self.parse_array = json.decoder.JSONArray  # type: ignore[attr-defined]
        self.scan_once = scanner.py_make_scanner(self)  # type: ignore[attr-defined]


def _parse_in_steps(data: bytes | str) -> Any:
    try:
        return _SteppingDecoder().decode(data if isinstance(data, str) else data.decode())
    except RecursionError:
        return json.loads(data)  # whose recursion goes deeper


def _parse_at_once(data: bytes | str) -> Any:
    try:
        return from_json(data)
    except ValueError:
        return json.loads(data)


def cut_depth(fields: dict[str, Any], levels: int = MAX_DEPTH) -> tuple[dict[str, Any], dict[str, int]]:
    """Return a copy of ``fields`` in which what is nested more deeply than ``levels`` is replaced by a short text.

    Does not recurse, so that any depth will do.

    Returns:
        The copy, and by their paths how many values there were in what was cut.
    """
    copy: dict[str, Any] = {}
    cut: dict[str, int] = {}
    todo: list[tuple[Any, Any, str, int]] = [(fields, copy, "", 1)]
    while todo:
        source, target, path, level = todo.pop()
        for key, item in source.items() if isinstance(source, dict) else enumerate(source):
            new = item
            if isinstance(item, (dict, list, tuple)):
                place = f"{path}.{key}"[:_LONGEST_PATH] if path else str(key)
                if level >= levels:
                    new, cut[place] = _CUT, _count(item)
                else:
                    new = {} if isinstance(item, dict) else []
                    todo.append((item, new, place, level + 1))
            if isinstance(target, dict):
                target[key] = new
            else:
                target.append(new)
    return copy, cut


def _count(value: Any) -> int:
    count, todo = 0, [value]
    while todo:
        item = todo.pop()
        count += 1
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, (list, tuple)):
            todo.extend(cast("list[Any]", item))
    return count


def is_large(value: Any) -> bool:
    """Return whether one call in C would stop other threads for long, by the sizes of its first parts."""
    room, todo, looks = LARGE, [value], _MAX_LOOKS
    while todo and room > 0 and looks > 0:
        looks -= 1
        item = todo.pop()
        kind = item.__class__
        if kind is str:
            room -= len(item)
        elif kind is dict:
            room -= _PER_VALUE * len(item)
            todo.extend(item.values())
        elif kind is list:
            room -= _PER_VALUE * len(item)
            todo.extend(item)
    return room <= 0


def encode_in_steps(value: Any) -> bytes:
    """Return ``to_json(value, inf_nan_mode="strings")`` in many small steps.

    Raises:
        pydantic_core.PydanticSerializationError: as ``to_json`` does, for lone surrogates.
    """
    return b"".join(_encoded_pieces(value))


def _encoded_pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, str) and len(value) > LARGE:
        yield b'"'
        for start in range(0, len(value), LARGE):
            yield to_json(value[start : start + LARGE])[1:-1]
        yield b'"'
    elif value.__class__ is dict and is_large(value) and all(isinstance(key, str) for key in value):
        mark = b"{"
        for key, item in value.items():
            yield mark + to_json(key) + b":"
            yield from _encoded_pieces(item)
            mark = b","
        yield b"}"
    elif value.__class__ is list and is_large(value):
        mark = b"["
        for item in value:
            yield mark
            yield from _encoded_pieces(item)
            mark = b","
        yield b"]"
    else:
        yield to_json(value, inf_nan_mode="strings")
