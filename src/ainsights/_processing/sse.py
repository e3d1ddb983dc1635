"""One server-sent event -> its JSON value, as the standard says (HTML, 9.2). Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic_core import from_json

DONE = object()
"""The value of the terminal event."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


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
        without_surrogates = _SURROGATE.sub(r"\\n", data)
    try:
        from_json(without_surrogates)  # bounds the depth, which the other parser does not
        return json.loads(data)
    except ValueError:
        return None
