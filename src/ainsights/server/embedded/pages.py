"""Lists of events, page by page, in any order. A page is found by the values of the last event before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.server.embedded.selection import batches, columns_condition, matches_of, selection, text_query
from ainsights.server.index.encoding import LISTS, split_items
from ainsights.server.query.cursors import Position
from ainsights.server.query.defaults import NEWEST_FIRST
from ainsights.server.query.dialects.sql import SQL, concat
from ainsights.server.query.engine import EventRow
from ainsights.server.query.model import Filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.index import Index
    from ainsights.server.query.model import Order

_ROW = ", ".join("time / 1000000.0" if name == "time" else f'"{name}"' for name in EventRow._fields)


class _Wanted(NamedTuple):
    """What a page takes."""

    filter: Filter
    order: Order
    after: Position | None
    limit: int


def page(
    index: Index, wanted: Filter, order: Order, after: Position | None, limit: int
) -> list[tuple[Position, EventRow]]:
    """Return the first ``limit`` events after the position, in order."""
    asked = _Wanted(wanted, order, after, limit)
    texts = text_query(wanted)
    if texts and not texts.excluded and order == NEWEST_FIRST:
        return _newest_with_text(index, asked)
    with selection(index, wanted) as condition:
        return _select(index, asked, condition)


def _newest_with_text(index: Index, asked: _Wanted) -> list[tuple[Position, EventRow]]:
    """Look through the newest matches first, and no further than needed: a word may be in half of all events."""
    texts = text_query(asked.filter)
    if texts is None:
        return []
    latest = index.columns.latest_times()
    shards = sorted(index.text.numbers, key=lambda shard: latest.get(shard, -1), reverse=True)
    found: list[tuple[Position, EventRow]] = []
    for batch in batches(matches_of(index, texts, shards)):
        with selection(index, asked.filter, batch) as condition:
            found += _select(index, asked, condition)
        found = sorted(found, key=lambda item: item[0], reverse=True)[: asked.limit]
        left = shards[shards.index(batch[-1].shard) + 1 :]
        if left and len(found) == asked.limit and (found[-1][0].value or 0) > latest.get(left[0], -1):
            break
    return found


def _select(index: Index, asked: _Wanted, condition: SQL) -> list[tuple[Position, EventRow]]:
    key, direction = f'"{asked.order.name}"', "DESC" if asked.order.descending else "ASC"
    if asked.after:
        condition = concat(condition, " AND ", _after(asked.order, asked.after))
    statement = concat(
        f"SELECT {key}, {_ROW} FROM event WHERE ",  # noqa: S608  names of our own
        condition,
        f" ORDER BY {key} {direction} NULLS LAST, seq {direction} LIMIT {asked.limit:d}",
    )
    with index.columns.cursor() as cursor:
        rows = cursor.execute(statement.text, statement.values).fetchall()
    return [(Position(row[0], row[1]), _event_row(row[1:])) for row in rows]


def _after(order: Order, after: Position) -> SQL:
    key, beyond = f'"{order.name}"', "<" if order.descending else ">"
    if after.value is None:
        return SQL(f"({key} IS NULL AND seq {beyond} ?)", (after.seq,))
    return SQL(
        f"({key} {beyond} ? OR ({key} = ? AND seq {beyond} ?) OR {key} IS NULL)", (after.value, after.value, after.seq)
    )


def rows_where(index: Index, condition: SQL, order: str) -> list[EventRow]:
    """Return the events that meet a condition."""
    statement = concat(f"SELECT {_ROW} FROM event WHERE ", condition, f" ORDER BY {order}")  # noqa: S608  names of our own
    return [_event_row(row) for row in columns_rows(index, statement)]


def rows_of(index: Index, seqs: Sequence[int]) -> list[EventRow]:
    """Return the events with these numbers."""
    wanted = SQL(" AND seq IN (SELECT unnest(?::BIGINT[]))", (list(seqs),))
    return rows_where(index, concat(columns_condition(index, Filter()), wanted), "seq")


def _event_row(row: Sequence[Any]) -> EventRow:
    lists = (split_items(joined) for joined in row[-len(LISTS) :])
    return EventRow._make((*row[: -len(LISTS)], *lists))


def columns_rows(index: Index, statement: SQL) -> list[tuple[Any, ...]]:
    """Return what a statement on the columns selects."""
    with index.columns.cursor() as cursor:
        return cursor.execute(statement.text, statement.values).fetchall()
