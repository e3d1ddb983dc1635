"""Conversations and users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.clickhouse.engine.facets import facets
from ainsights.server.clickhouse.engine.pages import bounds, rows_where
from ainsights.server.clickhouse.engine.selection import matching
from ainsights.server.clickhouse.engine.source import passing, select
from ainsights.server.query.cursors import Position, decode_cursor, encode_cursor, instant
from ainsights.server.query.defaults import CONVERSATION_EVENTS, NEWEST_FIRST, PAGE
from ainsights.server.query.dialects.sql import SQL, concat
from ainsights.server.query.engine import Conversation, ConversationPage, EventRow, UserSummary
from ainsights.server.query.model import Condition, Filter

if TYPE_CHECKING:
    from ainsights.server.clickhouse.engine.extent import Stored
    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.model import Query

_Latest = tuple[int, int, str]
"""Time and seq of the newest event of a conversation, and its id."""


def conversations(database: Database, query: Query, cursor: str | None, stored: Stored) -> ConversationPage:
    """Return the conversations with an event within a resolved filter, the last active first."""
    limit = query.limit or PAGE
    after = decode_cursor(cursor) if cursor else None
    latest = _latest(database, query.filter, after, limit + 1, stored)
    names = [name for _, _, name in latest[:limit]]
    found = _details(database, query.filter, names)
    next_cursor = encode_cursor(Position(latest[limit - 1][0], latest[limit - 1][1])) if len(latest) > limit else None
    return ConversationPage([found[name] for name in names if name in found], next_cursor)


def _latest(database: Database, wanted: Filter, after: Position | None, limit: int, stored: Stored) -> list[_Latest]:
    """Return the last active conversations: those of recent events, if they are enough.

    A conversation that was active after the cursor was on a page before.
    """
    found: list[_Latest] = []
    for bound in bounds(stored, NEWEST_FIRST, wanted, after):
        statement = concat(
            "SELECT max(time) AS latest, argMax(seq, (time, seq)) AS number, conversation ", passing(wanted),
            " AND ", bound, " GROUP BY conversation", _active_before(after),
            f" ORDER BY latest DESC, number DESC LIMIT {limit:d}",
        )  # fmt: skip
        found = [(time, seq, name) for time, seq, name in select(database, statement)]
        if len(found) >= limit:
            break
    return found


def _active_before(after: Position | None) -> SQL:
    if after is None:
        return SQL("")
    return SQL(" HAVING (latest, number) < ({:Int64}, {:Int64})", (instant(after), after.seq))


def _details(database: Database, wanted: Filter, names: list[str]) -> dict[str, Conversation]:
    statement = concat(
        "SELECT conversation, min(time) / 1000000, max(time) / 1000000, count(), countIf(status = 'error'),"
        " sum(tokens), sum(cost), nullIf(argMax(user, (time, seq)), ''), argMax(id, (time, seq)) ",
        passing(wanted),
        SQL(" AND conversation IN {:Array(String)} GROUP BY conversation", (names,)),
    )
    return {row[0]: Conversation(*row) for row in select(database, statement)}


def conversation(database: Database, conversation_id: str) -> list[EventRow]:
    """Return the events of one conversation, oldest first."""
    wanted = Filter((Condition("conversation", ":", (conversation_id,)),))
    return rows_where(database, matching(wanted), f"time, seq LIMIT {CONVERSATION_EVENTS:d}")


def user(database: Database, user_id: str) -> UserSummary | None:
    """Return what is known of a user."""
    wanted = Filter((Condition("user", ":", (user_id,)),))
    statement = concat(
        "SELECT min(time) / 1000000, max(time) / 1000000, count(), countIf(status = 'error'),"
        " uniqExact(conversation_key), sum(tokens), sum(cost) ",
        passing(wanted),
    )
    row = select(database, statement)[0]
    if not row[2]:
        return None
    models = facets(database, wanted, ("model",), 10)["model"]
    return UserSummary._make((user_id, *row, models))
