"""Lenient reading of JSON that anyone may have sent: a value of the wanted type, or None. Pure."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from pydantic_core import from_json

MAX_TEXT = 1000
"""Characters of a text column; longer ones are cut."""

SEPARATOR = "\x1f"
"""The character (unit separator) that no item of a list contains: the index keeps a list as one text."""

_LARGEST_INTEGER = 2**63 - 1
_LARGEST_COUNT = 10**12
"""No call has more tokens. Sums of counts stay within 64 bits."""

_SMALLEST_NUMBER = 1e-12
"""Smaller durations and costs count as 0, so that what is divided by them stays finite."""


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the object in ``body``; an empty one if there is none. What UTF-8 cannot carry becomes ``?``."""
    try:
        value = from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        value = _parse_slowly(body)
    return value if isinstance(value, dict) else {}


def _parse_slowly(body: bytes) -> Any:
    """Parse what only the standard library parses: lone surrogates and deep nesting."""
    try:
        value = json.loads(body.decode(errors="replace"), parse_constant=_refuse)
        return json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    except (RecursionError, ValueError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


def as_dict(value: Any) -> dict[str, Any]:
    """Return ``value`` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return ``value`` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Any, limit: int = MAX_TEXT) -> str | None:
    """Return ``value`` if it is a text that is not empty, at most ``limit`` characters of it, without NUL."""
    if not isinstance(value, str) or not value:
        return None
    text: str = value if len(value) <= limit else value[:limit]
    return text.replace("\0", "\ufffd") if "\0" in text else text


def as_scalar_text(value: Any) -> str | None:
    """Return a text, number or flag as text, as JSON writes it."""
    if isinstance(value, str):
        return as_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return as_text(str(value)) if abs(value) <= _LARGEST_INTEGER else None
    return repr(value) if isinstance(value, float) and math.isfinite(value) else None


def as_number(value: Any) -> float | None:
    """Return ``value`` if it is a finite number that is not negative."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= _LARGEST_INTEGER:
        return float(value) if value >= _SMALLEST_NUMBER else 0.0
    return None


def as_count(value: Any) -> int | None:
    """Return ``value`` if it is a whole number that is not negative, and not absurdly large."""
    number = as_number(value)
    return int(value) if number is not None and number.is_integer() and number <= _LARGEST_COUNT else None


def as_flag(value: Any) -> bool | None:
    """Return ``value`` if it is true or false."""
    return value if isinstance(value, bool) else None


def as_texts(value: Any, limit: int) -> list[str]:
    """Return the texts in a list, or the one text, each once, sorted, at most ``limit``; without separators."""
    items = value if isinstance(value, list) else [value]
    texts = {text.replace(SEPARATOR, " ") for item in items[: limit * 4] if (text := as_text(item))}
    return sorted(texts)[:limit]
