"""Conversations and users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights.server.embedded.pages import columns_rows, rows_where
from ainsights.server.embedded.selection import columns_condition, selection
from ainsights.server.embedded.tables import facets
from ainsights.server.query.cursors import Position, decode_cursor, encode_cursor
from ainsights.server.query.defaults import CONVERSATION_EVENTS, PAGE
from ainsights.server.query.dialects.sql import SQL, concat
from ainsights.server.query.engine import Conversation, ConversationPage, EventRow, UserSummary
from ainsights.server.query.model import Condition, Filter

if TYPE_CHECKING:
    from ainsights.server.index import Index
    from ainsights.server.query.model import Query

_FIRST_LOOK = 2000
"""Newest events among which the last active conversations are looked for first."""


def conversations(index: Index, query: Query, cursor: str | None) -> ConversationPage:
    """Return the conversations with an event within a resolved filter, the last active first."""
    limit = query.limit or PAGE
    after = decode_cursor(cursor) if cursor else None
    with selection(index, query.filter) as condition:
        latest = _latest(index, condition, after, limit + 1)
        keys = [key for _, _, key in latest[:limit]]
        found = _details(index, condition, keys)
    next_cursor = encode_cursor(Position(latest[limit - 1][0], latest[limit - 1][1])) if len(latest) > limit else None
    return ConversationPage([found[key] for key in keys], next_cursor)


def _latest(index: Index, condition: SQL, after: Position | None, wanted: int) -> list[tuple[int, int, int]]:
    """Return time and seq of the newest event, and the key, of the last active conversations.

    Each of them has an event among the newest ones: it suffices to look through those, unless few conversations have
    many events. A conversation that was active after the cursor was on a page before.
    """
    look, found = _FIRST_LOOK, []
    while True:
        newest = _newest_events(index, condition, after, look)
        seen: dict[int, tuple[int, int, int]] = {}
        for row in newest:
            seen.setdefault(row[2], row)
        found = _without_earlier_pages(index, condition, after, list(seen.values()))
        if len(found) >= wanted or len(newest) < look:
            return found[:wanted]
        look *= 10


def _newest_events(index: Index, condition: SQL, after: Position | None, limit: int) -> list[tuple[Any, ...]]:
    if after:
        condition = concat(condition, SQL(" AND (time, seq) < (?, ?)", (after.value, after.seq)))
    sql = f"""
        SELECT time, seq, conversation_key FROM event WHERE {condition.text}
        ORDER BY time DESC, seq DESC LIMIT {limit:d}
    """  # noqa: S608  values bound
    return columns_rows(index, SQL(sql, condition.values))


def _without_earlier_pages(
    index: Index, condition: SQL, after: Position | None, found: list[tuple[int, int, int]]
) -> list[tuple[int, int, int]]:
    if not after or not found:
        return found
    keys = [key for _, _, key in found]
    sql = f"""
        SELECT DISTINCT conversation_key FROM event
        WHERE {condition.text} AND (time, seq) >= (?, ?) AND conversation_key IN (SELECT unnest(?::UBIGINT[]))
    """  # noqa: S608  values bound
    earlier = {row[0] for row in columns_rows(index, SQL(sql, (*condition.values, after.value, after.seq, keys)))}
    return [row for row in found if row[2] not in earlier]


def _details(index: Index, condition: SQL, keys: list[int]) -> dict[int, Conversation]:
    sql = f"""
        SELECT conversation_key, any_value(conversation), min(time) / 1000000.0, max(time) / 1000000.0, count(*),
               count(*) FILTER (status = 'error'), sum(tokens), sum(cost), arg_max("user", (time, seq)),
               arg_max(id, (time, seq))
        FROM event WHERE {condition.text} AND conversation_key IN (SELECT unnest(?::UBIGINT[])) GROUP BY 1
    """  # noqa: S608  values bound
    rows = columns_rows(index, SQL(sql, (*condition.values, keys)))
    return {row[0]: Conversation(*row[1:]) for row in rows}


def conversation(index: Index, conversation_id: str) -> list[EventRow]:
    """Return the events of one conversation, oldest first."""
    wanted = Filter((Condition("conversation", ":", (conversation_id,)),))
    return rows_where(index, columns_condition(index, wanted), f"time, seq LIMIT {CONVERSATION_EVENTS:d}")


def user(index: Index, user_id: str) -> UserSummary | None:
    """Return what is known of a user."""
    wanted = Filter((Condition("user", ":", (user_id,)),))
    condition = columns_condition(index, wanted)
    sql = f"""
        SELECT min(time) / 1000000.0, max(time) / 1000000.0, count(*), count(*) FILTER (status = 'error'),
               count(DISTINCT conversation_key), sum(tokens), sum(cost)
        FROM event WHERE {condition.text}
    """  # noqa: S608  values bound
    row = columns_rows(index, SQL(sql, condition.values))[0]
    if not row[2]:
        return None
    models = facets(index, wanted, ("model",), 10)["model"]
    return UserSummary._make((user_id, *row, models))
