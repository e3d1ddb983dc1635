"""A value of the user's as JSON, taken at once: what they change later, or on another thread, changes no event."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticSerializationError, to_json


def encode(value: Any) -> bytes:
    """Return ``value`` as JSON. Dates, models, dataclasses and their like as pydantic has them, the rest as its text.

    Raises:
        ValueError: the value holds itself, or is nested too deeply.
    """
    try:
        return to_json(value, fallback=text, inf_nan_mode="constants")
    except PydanticSerializationError:  # bytes or surrogates, which are not UTF-8
        try:
            return json.dumps(value, default=text, skipkeys=True).encode()
        except RecursionError:
            raise ValueError("it is nested too deeply") from None


def snapshot(value: Any) -> Any:
    """Return ``value`` as the JSON value that it is in an event; raises as :func:`encode` does."""
    return json.loads(encode(value))


def text(value: Any) -> str:
    """Return ``str(value)``, or the name of its type if it has no text."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  whatever the user's own __str__ raises
        return f"<{type(value).__name__}>"
