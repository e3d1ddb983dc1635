"""ClickHouseEngine: answers queries from the tables of the store, and texts from its bodies."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ainsights.server.clickhouse.engine import conversations, facets, tables, texts
from ainsights.server.clickhouse.engine.extent import Extent
from ainsights.server.clickhouse.engine.following import ClickHouseFollower, Newest
from ainsights.server.clickhouse.engine.pages import Asked, page, rows_where, seqs
from ainsights.server.clickhouse.engine.source import EVENTS, select
from ainsights.server.query.cursors import Position, decode_cursor, encode_cursor
from ainsights.server.query.defaults import NEWEST_FIRST, PAGE, SAMPLE
from ainsights.server.query.dialects.sql import SQL
from ainsights.server.query.engine import (
    ConversationPage,
    EventPage,
    EventRow,
    Facet,
    IndexStatus,
    Neighbors,
    RepeatedText,
    Table,
    UserSummary,
    Words,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.model import Filter, Order, Query
    from ainsights.server.store import Store


class ClickHouseEngine:
    """See :class:`ainsights.server.query.engine.Engine`."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store
        self._newest = Newest(database)
        self._extent = Extent(database)

    def events(self, query: Query, cursor: str | None = None) -> EventPage:
        """Return the page of events that follows ``cursor``."""
        limit = query.limit or PAGE
        after = decode_cursor(cursor) if cursor else None
        order = query.order or NEWEST_FIRST
        found = self._page(Asked(_resolved(query).filter, order, after, limit + 1))
        next_cursor = encode_cursor(found[limit - 1][0]) if len(found) > limit else None
        return EventPage([row for _, row in found[:limit]], next_cursor)

    def _page(self, asked: Asked) -> list[tuple[Position, EventRow]]:
        return page(self._database, asked, self._extent.stored())

    def count(self, wanted: Filter) -> int:
        """Return how many events pass."""
        return tables.count(self._database, wanted.resolved(_now()))

    def seqs(self, wanted: Filter, after: int, limit: int) -> list[int]:
        """Return the next ``limit`` events that pass, by seq from ``after`` upwards."""
        return seqs(self._database, wanted.resolved(_now()), after, limit)

    def follow(self, wanted: Filter, after: int | None = None) -> ClickHouseFollower:
        """Return what shows the events that pass and arrive after ``after``, at any replica."""
        return ClickHouseFollower(self._database, self._newest, wanted, after)

    def rows(self, seqs: Sequence[int]) -> list[EventRow]:
        """Return what is known of these events, by seq upwards."""
        return rows_where(self._database, SQL("seq IN {:Array(Int64)}", (list(seqs),)), "seq")

    def aggregate(self, query: Query) -> Table:
        """Return the measures of the query, by its groups."""
        return tables.aggregate(self._database, _resolved(query))

    def facets(self, wanted: Filter, fields: Sequence[str] = (), limit: int = 10) -> dict[str, list[Facet]]:
        """Return the most frequent values of each field."""
        return facets.facets(self._database, wanted.resolved(_now()), fields, limit)

    def meta_keys(self, wanted: Filter, limit: int = 100) -> list[Facet]:
        """Return the keys of meta and how many events have each."""
        return facets.meta_keys(self._database, wanted.resolved(_now()), limit)

    def neighbors(self, query: Query, event_id: str) -> Neighbors:
        """Return what stands next to the event in the list that ``query`` gives."""
        order = query.order or NEWEST_FIRST
        position = self._position(order, event_id)
        if position is None:
            return Neighbors(None, None)
        wanted = _resolved(query).filter
        following, before = (self._page(Asked(wanted, each, position, 1)) for each in (order, order.reversed))
        older, newer = ([row.id for _, row in each] for each in (following, before))
        return Neighbors(newer[0] if newer else None, older[0] if older else None)

    def _position(self, order: Order, event_id: str) -> Position | None:
        statement = SQL(f"SELECT `{order.name}`, seq FROM {EVENTS} WHERE id = {{:String}}", (event_id,))  # noqa: S608  a field
        rows = select(self._database, statement)
        return Position(*rows[0]) if rows else None

    def questions(self, query: Query) -> list[RepeatedText]:
        """Return the most frequent last user messages."""
        return texts.questions(self._database, self._store, _resolved(query))

    def messages(self, query: Query) -> list[RepeatedText]:
        """Return the messages that occur in most events."""
        return texts.messages(self._database, self._store, _resolved(query))

    def urls(self, query: Query) -> list[RepeatedText]:
        """Return the URLs that most events mention."""
        return texts.urls(self._database, _resolved(query))

    def words(self, query: Query) -> Words:
        """Return the most frequent words, from a sample."""
        wanted = _resolved(query)
        rows = self._page(Asked(wanted.filter, NEWEST_FIRST, None, SAMPLE))
        return texts.words(self._database, self._store, wanted, [row for _, row in rows])

    def conversations(self, query: Query, cursor: str | None = None) -> ConversationPage:
        """Return the conversations with an event within the filter, the last active first."""
        return conversations.conversations(self._database, _resolved(query), cursor, self._extent.stored())

    def conversation(self, conversation_id: str) -> list[EventRow]:
        """Return the events of one conversation, oldest first."""
        return conversations.conversation(self._database, conversation_id)

    def user(self, user_id: str) -> UserSummary | None:
        """Return what is known of the user."""
        return conversations.user(self._database, user_id)

    def status(self) -> IndexStatus:
        """Return how far the index is: it is part of the store, and never behind."""
        last = self._store.last_seq()
        return IndexStatus("ready", last, last, 0.0, 1.0, 0, None)


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _resolved(query: Query) -> Query:
    return query.resolved(_now())
