"""Erasing events: hidden from every reader at once, purged from the disk at night.

A lightweight delete hides the rows as soon as it returns; the text and the bodies stand in the files until ClickHouse
rewrites them, which `maintenance` has it do. Each erasure records which of the two it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.clickhouse import ledger
from ainsights.server.clickhouse.ledger import Item
from ainsights.server.clickhouse.schema import DAY_MICROSECONDS
from ainsights.server.store import Access

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ainsights.server.clickhouse.connection import Connection
    from ainsights.server.clickhouse.ledger import Ledger

AT_ONCE = 500
MAX_PARAMETER = 4000

_COLUMNS = ("number", "at", "by", "reason", "events", "purged_at")
_HIDDEN = "SELECT count() FROM system.parts WHERE active AND has_lightweight_delete AND database = currentDatabase()"
_MUTATIONS = "SELECT count() FROM system.mutations WHERE NOT is_done AND database = currentDatabase()"
_FOUND = "seq, id, key_time, turn, mac"


class Found(NamedTuple):
    """A row that is to be erased."""

    seq: int
    event_id: str
    key_time: int
    turn: int
    mac: bytes


def find(connection: Connection, seqs: Sequence[int]) -> list[Found]:
    """Return every row of the events with these numbers, duplicates included."""
    listed = ", ".join(map(str, map(int, seqs)))
    ids = f"SELECT DISTINCT id FROM event WHERE seq IN ({listed})"  # noqa: S608  numbers
    sql = f"SELECT {_FOUND} FROM event WHERE id IN {{ids:Array(String)}}"  # noqa: S608  our own names
    rows = [
        row for some in _some([event_id for (event_id,) in connection.rows(ids)]) for row in connection.rows(sql, some)
    ]
    return [Found(seq, event_id, at, turn, bytes.fromhex(_text(mac))) for seq, event_id, at, turn, mac in rows]


class Eraser:
    """Erases for one replica, whose chain has the entries."""

    def __init__(self, connection: Connection, chain: Ledger, key: bytes) -> None:
        self._connection = connection
        self._chain = chain
        self._key = key

    def erase(self, found: Sequence[Found], by: str, reason: str) -> int:
        """Hide the rows, and refuse their ids from now on; return how many events they are."""
        connection, at = self._connection, self._connection.now()
        number = int(at * 1000)
        macs = {event_id: ledger.id_mac(self._key, event_id) for event_id in sorted({each.event_id for each in found})}
        connection.insert("erased", ("id_mac", "number"), [(mac, number) for mac in macs.values()])
        items = [Item(each.seq, each.key_time // DAY_MICROSECONDS, macs[each.event_id], each.mac) for each in found]
        self._chain.append(ledger.REMOVAL, items, json.dumps({"by": by, "reason": reason}))
        hide(connection, [*macs], {each.event_id: each.key_time for each in found})
        _forget_links(connection, {each.turn for each in found if each.turn})
        connection.insert("erasure", _COLUMNS, [(number, at, by, reason, len(macs), 0.0)])
        return len(macs)


def hide(connection: Connection, ids: Sequence[str], times: Mapping[str, int] | None = None) -> None:
    """Delete the rows with these ids from every answer. Their times, if known, spare to look through all others."""
    for some in _some(ids):
        condition = "id IN {ids:Array(String)}"
        if times is not None:
            condition += f" AND key_time IN ({', '.join(str(times[event_id]) for event_id in some['ids'])})"
        connection.command(
            f"DELETE FROM event{connection.address.cluster.clause} WHERE {condition}",  # noqa: S608  numbers; ids bound
            some,
            lightweight_deletes_sync=2,
        )


def pending(connection: Connection) -> list[tuple[int, int]]:
    """Return number and events of the erasures that are hidden, and not purged yet."""
    rows = connection.rows("SELECT number, events FROM erasure FINAL WHERE purged_at = 0 ORDER BY number")
    return [(int(number), int(events)) for number, events in rows]


def start_purge(connection: Connection) -> bool:
    """Have ClickHouse remove from the disk what is hidden, by erasure or retention; return whether there is something.

    Raises:
        StoreError: it cannot be done now.
    """
    if not pending(connection) and not connection.rows(_HIDDEN)[0][0]:
        return False
    for table in ("link", "event"):
        connection.command(
            f"ALTER TABLE {table}{connection.address.cluster.clause} APPLY DELETED MASK", mutations_sync=0
        )
    return True


def finish_purge(connection: Connection, started: float) -> bool:
    """Return whether the purge that was started then has ended; if so, record it with each erasure before it.

    Raises:
        StoreError: it cannot be done now.
    """
    if connection.rows(_MUTATIONS)[0][0]:
        return False
    sql = 'SELECT number, at, "by", reason, events FROM erasure FINAL WHERE purged_at = 0 AND number <= {started:Int64}'
    purged = connection.rows(sql, {"started": int(started * 1000)})
    if purged:
        connection.insert("erasure", _COLUMNS, [(*row, connection.now()) for row in purged])
    return True


def _forget_links(connection: Connection, ends: set[int]) -> None:
    """Delete the links to the ends of events that are gone, unless another event ends alike."""
    if not ends:
        return
    listed = ", ".join(map(str, ends))
    kept = {end for (end,) in connection.rows(f"SELECT DISTINCT turn FROM event WHERE turn IN ({listed})")}  # noqa: S608
    gone = ", ".join(map(str, ends - kept))
    if gone:
        connection.command(
            f"DELETE FROM link{connection.address.cluster.clause} WHERE kind = 0 AND hash IN ({gone})",  # noqa: S608
            lightweight_deletes_sync=2,
        )


def access(found: Sequence[Found], by: str, reason: str, at: float) -> Access:
    """Return the line of the access log."""
    seqs = sorted({each.seq for each in found})
    return Access(at, by, "erase", json.dumps({"seqs": seqs, "reason": reason}))


def _some(ids: Sequence[str]) -> Iterator[dict[str, list[str]]]:
    """Yield the ids as parameters of statements, which travel in URLs: some thousand characters at once."""
    some: list[str] = []
    size = 0
    for event_id in ids:
        some.append(event_id)
        size += len(event_id.encode())
        if size >= MAX_PARAMETER:
            yield {"ids": some}
            some, size = [], 0
    if some:
        yield {"ids": some}


def _text(mac: bytes | str) -> str:
    return mac.decode() if isinstance(mac, bytes) else mac
