"""One server-sent event -> its JSON value, by the standard (HTML, 9.2). Pure."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from ainsights._json import cut_depth, parse_json_or_none

DONE = object()
"""The value of the terminal event."""


def event_value(event: bytes) -> Any:
    """Return the JSON value of ``event`` in any form that the standard allows, ``DONE``, or None if it has none.

    The value of an event of the type ``error`` is an object with an ``error``.
    """
    lines = [line.partition(b":")[::2] for line in event.split(b"\n")]
    data = b"\n".join(value.removeprefix(b" ") for key, value in lines if key == b"data").decode(errors="replace")
    if data.lstrip().startswith("[DONE]"):
        return DONE
    value = _parse(data)
    failed = any(key == b"event" and name.strip() == b"error" for key, name in lines)
    has_error = value.__class__ is dict and value.get("error")
    return {"error": value or data} if failed and data and not has_error else value


def _parse(data: str) -> Any:
    try:
        return from_json(data)
    except ValueError:
        value = parse_json_or_none(data)
        return cut_depth(value)[0] if isinstance(value, dict) else value
