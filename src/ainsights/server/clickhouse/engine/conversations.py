"""Conversations and users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.clickhouse.engine.facets import facets
from ainsights.server.clickhouse.engine.pages import rows_where
from ainsights.server.clickhouse.engine.selection import matching
from ainsights.server.clickhouse.engine.source import passing, select
from ainsights.server.query.cursors import Position, decode_cursor, encode_cursor
from ainsights.server.query.defaults import CONVERSATION_EVENTS, PAGE
from ainsights.server.query.dialects.sql import SQL, concat
from ainsights.server.query.engine import Conversation, ConversationPage, EventRow, UserSummary
from ainsights.server.query.model import Condition, Filter

if TYPE_CHECKING:
    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.model import Query

_FIRST_LOOK = 2000
"""Newest events among which the last active conversations are looked for first."""

_Latest = tuple[int, int, str]
"""Time and seq of the newest event of a conversation, and its id."""


def conversations(database: Database, query: Query, cursor: str | None) -> ConversationPage:
    """Return the conversations with an event within a resolved filter, the last active first."""
    limit = query.limit or PAGE
    after = decode_cursor(cursor) if cursor else None
    latest = _latest(database, query.filter, after, limit + 1)
    names = [name for _, _, name in latest[:limit]]
    found = _details(database, query.filter, names)
    next_cursor = encode_cursor(Position(latest[limit - 1][0], latest[limit - 1][1])) if len(latest) > limit else None
    return ConversationPage([found[name] for name in names if name in found], next_cursor)


def _latest(database: Database, wanted: Filter, after: Position | None, limit: int) -> list[_Latest]:
    """Return the last active conversations.

    Each of them has an event among the newest ones: it suffices to look through those, unless few conversations have
    many events. A conversation that was active after the cursor was on a page before.
    """
    look = _FIRST_LOOK
    while True:
        newest = _newest_events(database, wanted, after, look)
        seen: dict[str, _Latest] = {}
        for row in newest:
            seen.setdefault(row[2], row)
        found = _without_earlier_pages(database, wanted, after, list(seen.values()))
        if len(found) >= limit or len(newest) < look:
            return found[:limit]
        look *= 10


def _newest_events(database: Database, wanted: Filter, after: Position | None, limit: int) -> list[_Latest]:
    beyond = SQL(" AND (time, seq) < ({:Int64}, {:Int64})", (after.value, after.seq)) if after else ""
    statement = concat(
        "SELECT time, seq, conversation ", passing(wanted), beyond, f" ORDER BY time DESC, seq DESC LIMIT {limit:d}"
    )
    return [(time, seq, name) for time, seq, name in select(database, statement)]


def _without_earlier_pages(
    database: Database, wanted: Filter, after: Position | None, found: list[_Latest]
) -> list[_Latest]:
    if not after or not found:
        return found
    names = [name for _, _, name in found]
    statement = concat(
        "SELECT DISTINCT conversation ", passing(wanted),
        SQL(" AND (time, seq) >= ({:Int64}, {:Int64})", (after.value, after.seq)),
        SQL(" AND conversation IN {:Array(String)}", (names,)),
    )  # fmt: skip
    earlier = {row[0] for row in select(database, statement)}
    return [row for row in found if row[2] not in earlier]


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
