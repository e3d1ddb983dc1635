"""Bodies from ClickHouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights.server.store import StoredBody

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ainsights.server.clickhouse.connection import Connection

BODY = "seq, id, received_at, body"
AT_ONCE = 500
MAX_BYTES = 64 * 2**20
"""Bodies that one call returns, at about."""


def find(connection: Connection, event_id: str) -> StoredBody | None:
    """Return the body with this event id: of duplicates the one that remains when they are merged."""
    sql = f"SELECT {BODY} FROM event WHERE id = {{id:String}} ORDER BY version DESC LIMIT 1"  # noqa: S608  our own names
    rows = connection.rows(sql, {"id": event_id})
    return stored(rows[0]) if rows else None


def bodies(connection: Connection, seqs: Sequence[int]) -> list[StoredBody]:
    """Return the bodies with these numbers, in the order of ``seqs``."""
    found: dict[int, StoredBody] = {}
    for at in range(0, len(seqs), AT_ONCE):
        listed = ", ".join(map(str, map(int, seqs[at : at + AT_ONCE])))
        # no FINAL: a number belongs to one event, of which every row has the same body
        sql = f"SELECT {BODY} FROM event WHERE seq IN ({listed}) LIMIT 1 BY seq"  # noqa: S608  numbers
        found.update((row[0], stored(row)) for row in connection.rows(sql))
    return [found[seq] for seq in seqs if seq in found]


def bodies_after(connection: Connection, seq: int, limit: int) -> list[StoredBody]:
    """Return bodies that follow ``seq``, in order of seq."""
    sizes = "SELECT seq, size FROM event FINAL WHERE seq > {after:Int64} ORDER BY seq LIMIT {limit:UInt64}"
    wanted, total = list[int](), 0
    for number, size in connection.rows(sizes, {"after": seq, "limit": limit}):
        wanted.append(number)
        total += size
        if total >= MAX_BYTES:
            break
    return bodies(connection, wanted)


def last_seq(connection: Connection, known: int) -> int:
    """Return the highest number that is stored; ``known`` is one that was seen before, and spares to look at all."""
    sql = "SELECT max(seq) FROM event WHERE seq >= {known:Int64}"
    return max(known, int(connection.rows(sql, {"known": known})[0][0]))


def stored(row: Iterable[Any]) -> StoredBody:
    """Return the body of a row that was selected as :data:`BODY`."""
    seq, event_id, received_at, body = row
    return StoredBody(seq, event_id, received_at, body.encode())
