"""Lists of events, page by page, in any order. A page is found by the values of the last event before it.

The rows of a page are found in two steps. The first reads the columns of filter and order alone, also of copies that
are not merged yet, and goes back in time only as far as needed. The second reads the rows that were found, each event
once, and checks them: of copies that differ, the one that remains may not pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.server.clickhouse.engine.selection import matching
from ainsights.server.clickhouse.engine.source import EVENTS, select
from ainsights.server.query.cursors import Position, instant
from ainsights.server.query.dialects import clickhouse as dialect
from ainsights.server.query.dialects.sql import SQL, concat
from ainsights.server.query.dialects.times import to_microseconds
from ainsights.server.query.engine import EventRow
from ainsights.server.query.fields import FIELDS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ainsights.server.clickhouse.engine.extent import Stored
    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.model import Filter, Order

MOST_KEYS = 1000
"""Rows that are read by their keys; a longer list is read as a whole."""


class Asked(NamedTuple):
    """What a page takes. The filter is resolved."""

    filter: Filter
    order: Order
    after: Position | None
    limit: int

    @property
    def key(self) -> str:
        """The column of the order."""
        return f"`{self.order.name}`"

    @property
    def sorting(self) -> str:
        """The order with its limit."""
        direction = "DESC" if self.order.descending else "ASC"
        return f" ORDER BY {self.key} {direction} NULLS LAST, seq {direction} LIMIT {self.limit:d}"

    @property
    def condition(self) -> SQL:
        """The condition that the events of the page meet."""
        condition = matching(self.filter)
        return concat(condition, " AND ", _after(self.order, self.after)) if self.after else condition


class _Candidate(NamedTuple):
    position: Position
    key: tuple[int, str]


_Found = list[tuple[Position, EventRow]]


def page(database: Database, asked: Asked, stored: Stored) -> _Found:
    """Return the first events after the position, in order."""
    if asked.limit > MOST_KEYS:
        return _read(database, asked, SQL("true"))
    for bound in bounds(stored, asked.order, asked.filter, asked.after):
        found, is_enough = _look(database, asked, bound)
        if is_enough:
            break
    return found


def _look(database: Database, asked: Asked, bound: SQL) -> tuple[_Found, bool]:
    """Return the events of the page within a bound, and whether the page is full."""
    found: _Found = []
    rest = asked
    while True:
        candidates = _candidates(database, rest, bound)
        places = {candidate.position for candidate in candidates}
        found += [row for row in _resolved(database, rest, candidates) if row[0] in places]
        if len(candidates) < rest.limit or len(found) >= asked.limit:
            return found[: asked.limit], len(found) >= asked.limit
        rest = rest._replace(after=candidates[-1].position)


def bounds(stored: Stored, order: Order, wanted: Filter, after: Position | None) -> Iterator[SQL]:
    """Yield conditions that let more and more of the first events in an order by time pass, and at the end all."""
    if order.name == "time":
        when = wanted.until if order.descending else wanted.since
        limits = [to_microseconds(when)] if when else []
        limits += [instant(after)] if after else []
        begin = min([stored.last, *limits]) if order.descending else max([stored.first, *limits])
        for width in stored.widths():
            yield dialect.in_time(">=", begin - width) if order.descending else dialect.in_time("<=", begin + width)
    yield SQL("true")


def _candidates(database: Database, asked: Asked, bound: SQL) -> list[_Candidate]:
    statement = concat(
        f"SELECT {asked.key}, seq, key_time, id FROM event WHERE ",  # noqa: S608  names of our own
        bound, " AND ", asked.condition, asked.sorting,
    )  # fmt: skip
    rows = select(database, statement)
    return [_Candidate(Position(value, seq), (key_time, name)) for value, seq, key_time, name in rows]


def _resolved(database: Database, asked: Asked, candidates: Sequence[_Candidate]) -> _Found:
    if not candidates:
        return []
    keys = sorted({candidate.key for candidate in candidates})
    return _read(database, asked, _is_one_of(keys))


def _is_one_of(keys: Sequence[tuple[int, str]]) -> SQL:
    return SQL("(key_time, id) IN {:Array(Tuple(Int64, String))}", (keys,))


def _read(database: Database, asked: Asked, bound: SQL) -> _Found:
    statement = concat(
        f"SELECT {asked.key}, {_ROW} FROM {EVENTS} WHERE ",  # noqa: S608  names of our own
        bound, " AND ", asked.condition, asked.sorting,
    )  # fmt: skip
    return [(Position(row[0], row[1]), _event_row(row[1:])) for row in select(database, statement)]


def _after(order: Order, after: Position) -> SQL:
    key, beyond = f"`{order.name}`", "<" if order.descending else ">"
    if order.name != "time" and after.value is None:
        return SQL(f"({key} IS NULL AND seq {beyond} {{:Int64}})", (after.seq,))
    kind, value = ("Int64", instant(after)) if order.name == "time" else ("Float64", after.value)
    return SQL(
        f"({key} {beyond} {{:{kind}}} OR ({key} = {{:{kind}}} AND seq {beyond} {{:Int64}}) OR isNull({key}))",
        (value, value, after.seq),
    )


def seqs(database: Database, wanted: Filter, after: int, limit: int) -> list[int]:
    """Return the numbers of the next events that pass, in order; also in two steps."""
    found: list[int] = []
    condition = matching(wanted)
    while True:
        statement = concat(
            "SELECT DISTINCT seq, key_time, id FROM event WHERE ", condition,
            SQL(" AND seq > {:Int64}", (after,)), f" ORDER BY seq LIMIT {limit:d}",
        )  # fmt: skip
        candidates = select(database, statement)
        keys = sorted({(key_time, name) for _, key_time, name in candidates})
        statement = concat(f"SELECT seq FROM {EVENTS} WHERE ", _is_one_of(keys), " AND ", condition)  # noqa: S608  bound
        passed = {seq for (seq,) in select(database, statement)} if keys else set()
        found += [seq for seq, *_ in candidates if seq in passed]
        if len(found) >= limit or len(candidates) < limit:
            return list(dict.fromkeys(found))[:limit]
        after = candidates[-1][0]


def rows_where(database: Database, condition: SQL, order: str) -> list[EventRow]:
    """Return the events that meet a condition."""
    statement = concat(f"SELECT {_ROW} FROM {EVENTS} WHERE ", condition, f" ORDER BY {order}")  # noqa: S608  names of our own
    return [_event_row(row) for row in select(database, statement)]


def _event_row(row: Sequence[Any]) -> EventRow:
    return EventRow._make(row)


def _shown(name: str) -> str:
    if name == "time":
        return "time / 1000000"
    is_text = name in FIELDS and FIELDS[name].kind is Kind.TEXT
    return f"nullIf(`{name}`, '')" if is_text else f"`{name}`"


_ROW = ", ".join(_shown(name) for name in EventRow._fields)
