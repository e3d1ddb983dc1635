"""Events as rows of the table ``event``. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic_core import to_json

from ainsights.server.clickhouse.links import Target, unnamed
from ainsights.server.clickhouse.schema import EVENT_COLUMNS, REVISION
from ainsights.server.events import build_event
from ainsights.server.events.words import folded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ainsights.server.events import Event
    from ainsights.server.store import StoredBody

MICROSECOND = 1_000_000
EARLIEST, LATEST = 946_684_800 * MICROSECOND, 4_102_444_800 * MICROSECOND
"""The years 2000 to 2099. A time beyond them is a wrong clock's, and makes no partition of its own."""


class Row(NamedTuple):
    """One event, read: what the columns get, and what finds its conversation.

    Attributes:
        key_time: the time in the sorting key, in microseconds since the epoch; 0 where the body has none.
        own: the conversation if no earlier event is found: that with its name, else that of the response that it
            continues, of its end, or of its id.
    """

    stored: StoredBody
    event: Event
    key_time: int
    own: Target


def read(stored: StoredBody) -> Row:
    """Return the row that the body describes."""
    event = build_event(*stored)
    key_time = event.time if event.is_dated and EARLIEST <= event.time < LATEST else 0
    if event.conversation is not None:
        return Row(stored, event, key_time, Target(number_of(event.conversation), event.conversation))
    return Row(stored, event, key_time, unnamed(event.previous or event.turn or number_of(event.id)))


def number_of(name: str) -> int:
    """Return the key of a conversation that has a name: as DuckDB's ``md5_number_lower``."""
    return int.from_bytes(hashlib.md5(name.encode(errors="replace"), usedforsecurity=False).digest()[8:], "little")


def encode(rows: Sequence[tuple[Row, bytes]], conversations: Mapping[int, Target]) -> bytes:
    """Return the rows as ClickHouse's JSONEachRow.

    Args:
        rows: the events, each with its MAC.
        conversations: the conversation of each by seq.
    """
    return b"\n".join(_line(row, conversations[row.stored.seq], mac) for row, mac in rows)


def _line(row: Row, conversation: Target, mac: bytes) -> bytes:
    stored, event = row.stored, row.event
    values: dict[str, Any] = {name: value for name, value in event._asdict().items() if name in EVENT_COLUMNS}
    for name in _TEXTS:
        values[name] = values[name] or ""
    values |= {
        "id": stored.event_id,
        "key_time": row.key_time,
        "version": REVISION // 2 - 1 - stored.seq,
        "received_at": stored.received_at,
        "conversation": conversation.name,
        "conversation_key": conversation.key,
        "turn": (event.turn or 0) if event.conversation is None else 0,
        "question_hash": event.question_hash or 0,
        "question": padded(event.question),
        "answer": padded(event.answer),
        "body": stored.body.decode(errors="replace"),
        "mac": mac.hex(),
    }
    return to_json(values)


def padded(text: str) -> str:
    """Return the words of a text with a space before the first and after the last; empty if there are none."""
    words = folded(text)
    return f" {words} " if words else ""


_TEXTS = tuple(
    name
    for name, kind in EVENT_COLUMNS.items()
    if "String" in kind
    and not kind.startswith(("Array", "Map"))
    and name not in ("id", "question", "answer", "body", "mac")
)
