"""Every event in the order of the table, a part at a time: for verification and for copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.clickhouse.reading import BODY, MAX_BYTES, stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.server.clickhouse.connection import Connection
    from ainsights.server.store import StoredBody

AT_ONCE = 5000
_AFTER = "key_time >= {key_time:Int64} AND (key_time, id) > ({key_time:Int64}, {id:String})"
_SIZES = f"SELECT key_time, id, size FROM event FINAL WHERE {_AFTER} ORDER BY key_time, id LIMIT {AT_ONCE}"  # noqa: S608
_ROWS = (
    f"SELECT key_time, mac, {BODY} FROM event FINAL WHERE {_AFTER} "  # noqa: S608  our own names
    "AND key_time <= {last_time:Int64} AND (key_time, id) <= ({last_time:Int64}, {last_id:String}) "
    "ORDER BY key_time, id"
)


class Place(NamedTuple):
    """A place in the table: the sorting key of an event."""

    key_time: int
    event_id: str


BEGINNING = Place(-1, "")


class Scanned(NamedTuple):
    """One event, with its MAC as the row has it."""

    place: Place
    mac: bytes
    stored: StoredBody


def scan(connection: Connection, after: Place = BEGINNING) -> Iterator[list[Scanned]]:
    """Yield the events that follow ``after``, in parts of some megabytes. What arrives meanwhile may be among them."""
    while True:
        last, total = None, 0
        for key_time, event_id, size in connection.rows(_SIZES, after._asdict() | {"id": after.event_id}):
            last, total = Place(key_time, event_id), total + size
            if total >= MAX_BYTES:
                break
        if last is None:
            return
        bounds = {
            "key_time": after.key_time,
            "id": after.event_id,
            "last_time": last.key_time,
            "last_id": last.event_id,
        }
        rows = connection.rows(_ROWS, bounds)
        yield [Scanned(Place(row[0], row[3]), _mac(row[1]), stored(row[2:])) for row in rows]
        after = last


def _mac(value: bytes | str) -> bytes:
    try:
        return bytes.fromhex(value.decode() if isinstance(value, bytes) else value)
    except ValueError:
        return b""
