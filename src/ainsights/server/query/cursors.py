"""Cursors: the place in a list at which the next page begins, as text."""

from __future__ import annotations

import base64
import binascii
import json
import math
from typing import NamedTuple

from ainsights.server.query.fields import QueryError

_LATEST = 2**58
"""Microseconds: later than the year 9999."""


class Position(NamedTuple):
    """An event's place in a list: the value that it is ordered by (time in microseconds), and its seq."""

    value: float | None
    seq: int


def encode_cursor(position: Position) -> str:
    """Return the position as text."""
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> Position:
    """Return the position that the text names.

    Raises:
        QueryError: the text is not a cursor.
    """
    try:
        value, seq = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise QueryError("the cursor is not one that a page gave", "cursor") from None
    is_number = type(value) in (int, float) and math.isfinite(value) and abs(value) < 2**63
    if type(seq) is not int or not 0 <= seq < 2**63 or not (value is None or is_number):
        raise QueryError("the cursor is not one that a page gave", "cursor")
    return Position(value, seq)


def instant(position: Position) -> int:
    """Return the time, in microseconds since the epoch, at which a page of a list in order of time begins.

    Raises:
        QueryError: the cursor is of a list in another order.
    """
    value = position.value
    if value is None or value != int(value) or not 0 <= value <= _LATEST:
        raise QueryError("the cursor is not one of a list in order of time", "cursor")
    return int(value)
