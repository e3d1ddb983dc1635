"""Lists of events, page by page, in any order. A page is found by the values of the last event before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.server.clickhouse.engine.selection import matching
from ainsights.server.clickhouse.engine.source import EVENTS, select
from ainsights.server.query.cursors import Position
from ainsights.server.query.dialects.sql import SQL, concat
from ainsights.server.query.engine import EventRow
from ainsights.server.query.fields import FIELDS, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.model import Filter, Order


def _shown(name: str) -> str:
    if name == "time":
        return "time / 1000000"
    is_text = name in FIELDS and FIELDS[name].kind is Kind.TEXT
    return f"nullIf(`{name}`, '')" if is_text else f"`{name}`"


_ROW = ", ".join(_shown(name) for name in EventRow._fields)


class Asked(NamedTuple):
    """What a page takes."""

    filter: Filter
    order: Order
    after: Position | None
    limit: int


def page(database: Database, asked: Asked) -> list[tuple[Position, EventRow]]:
    """Return the first events after the position, in order."""
    condition = matching(asked.filter)
    if asked.after:
        condition = concat(condition, " AND ", _after(asked.order, asked.after))
    key, direction = f"`{asked.order.name}`", "DESC" if asked.order.descending else "ASC"
    order = f"{key} {direction} NULLS LAST, seq {direction} LIMIT {asked.limit:d}"
    statement = concat(f"SELECT {key}, {_ROW} FROM {EVENTS} WHERE ", condition, f" ORDER BY {order}")  # noqa: S608  names of our own
    rows = select(database, statement)
    return [(Position(row[0], row[1]), _event_row(row[1:])) for row in rows]


def _after(order: Order, after: Position) -> SQL:
    key, beyond = f"`{order.name}`", "<" if order.descending else ">"
    if after.value is None:
        return SQL(f"({key} IS NULL AND seq {beyond} {{:Int64}})", (after.seq,))
    kind = "Int64" if order.name == "time" else "Float64"
    return SQL(
        f"({key} {beyond} {{:{kind}}} OR ({key} = {{:{kind}}} AND seq {beyond} {{:Int64}}) OR isNull({key}))",
        (after.value, after.value, after.seq),
    )


def rows_where(database: Database, condition: SQL, order: str) -> list[EventRow]:
    """Return the events that meet a condition."""
    statement = concat(f"SELECT {_ROW} FROM {EVENTS} WHERE ", condition, f" ORDER BY {order}")  # noqa: S608  names of our own
    return [_event_row(row) for row in select(database, statement)]


def _event_row(row: Sequence[Any]) -> EventRow:
    return EventRow._make(row)
