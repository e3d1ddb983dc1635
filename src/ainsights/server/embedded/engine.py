"""EmbeddedEngine: answers queries from the index in this process, and texts from its store."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import duckdb

from ainsights.server.embedded import conversations, tables, texts
from ainsights.server.embedded.following import EmbeddedFollower
from ainsights.server.embedded.pages import page, rows_of
from ainsights.server.embedded.selection import matches_of, selection, text_query
from ainsights.server.index.shards import shard_of
from ainsights.server.query.cursors import Position, decode_cursor, encode_cursor
from ainsights.server.query.defaults import NEWEST_FIRST, PAGE
from ainsights.server.query.engine import (
    ConversationPage,
    EventPage,
    EventRow,
    Facet,
    IndexStatus,
    IndexUnavailableError,
    Neighbors,
    RepeatedText,
    Table,
    UserSummary,
    Words,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ainsights.server.index import Index
    from ainsights.server.query.dialects.sql import SQL
    from ainsights.server.query.model import Filter, Order, Query
    from ainsights.server.store import Store

_DAMAGE = (duckdb.IOException, duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException)


class EmbeddedEngine:
    """See :class:`ainsights.server.query.engine.Engine`."""

    def __init__(self, index: Index, store: Store) -> None:
        self._index = index
        self._store = store

    def events(self, query: Query, cursor: str | None = None) -> EventPage:
        """Return the page of events that follows ``cursor``."""
        limit = query.limit or PAGE
        after = decode_cursor(cursor) if cursor else None
        with self._answering():
            found = page(self._index, _resolved(query).filter, query.order or NEWEST_FIRST, after, limit + 1)
        next_cursor = encode_cursor(found[limit - 1][0]) if len(found) > limit else None
        return EventPage([row for _, row in found[:limit]], next_cursor)

    def count(self, wanted: Filter) -> int:
        """Return how many events pass."""
        with self._answering():
            return tables.count(self._index, wanted.resolved(_now()))

    def seqs(self, wanted: Filter, after: int, limit: int) -> list[int]:
        """Return the next ``limit`` events that pass, by seq from ``after`` upwards."""
        wanted = wanted.resolved(_now())
        with self._answering():
            found: list[int] = []
            query = text_query(wanted)
            if query is None or query.excluded:
                with selection(self._index, wanted) as condition:
                    return self._seqs(condition, after, limit)
            shards = sorted(number for number in self._index.text.numbers if number >= shard_of(after))
            for matches in matches_of(self._index, query, shards):
                with selection(self._index, wanted, [matches]) as condition:
                    found += self._seqs(condition, after, limit)
                if len(found) >= limit:
                    break
            return found[:limit]

    def _seqs(self, condition: SQL, after: int, limit: int) -> list[int]:
        sql = f"SELECT seq FROM event WHERE seq > ? AND {condition.text} ORDER BY seq LIMIT {limit:d}"  # noqa: S608  bound
        with self._index.columns.cursor() as cursor:
            return [seq for (seq,) in cursor.execute(sql, [after, *condition.values]).fetchall()]

    def follow(self, wanted: Filter, after: int | None = None) -> EmbeddedFollower:
        """Return what shows the events that pass and arrive after ``after``."""
        return EmbeddedFollower(self, self._store, wanted, after)

    def rows(self, seqs: Sequence[int]) -> list[EventRow]:
        """Return what is known of these events, by seq upwards."""
        with self._answering():
            return rows_of(self._index, seqs)

    def aggregate(self, query: Query) -> Table:
        """Return the measures of the query, by its groups."""
        with self._answering():
            return tables.aggregate(self._index, _resolved(query))

    def facets(self, wanted: Filter, fields: Sequence[str] = (), limit: int = 10) -> dict[str, list[Facet]]:
        """Return the most frequent values of each field."""
        with self._answering():
            return tables.facets(self._index, wanted.resolved(_now()), fields, limit)

    def meta_keys(self, wanted: Filter, limit: int = 100) -> list[Facet]:
        """Return the keys of meta and how many events have each."""
        with self._answering():
            return tables.meta_keys(self._index, wanted.resolved(_now()), limit)

    def neighbors(self, query: Query, event_id: str) -> Neighbors:
        """Return what stands next to the event in the list that ``query`` gives."""
        order = query.order or NEWEST_FIRST
        stored = self._store.find(event_id)
        with self._answering():
            position = self._position(order, stored.seq) if stored else None
            if position is None:
                return Neighbors(None, None)
            wanted = _resolved(query).filter
            following, before = (page(self._index, wanted, each, position, 1) for each in (order, order.reversed))
        older, newer = ([row.id for _, row in each] for each in (following, before))
        return Neighbors(newer[0] if newer else None, older[0] if older else None)

    def _position(self, order: Order, seq: int) -> Position | None:
        with self._index.columns.cursor() as cursor:
            rows = cursor.execute(f'SELECT "{order.name}" FROM event WHERE seq = ?', [seq]).fetchall()  # noqa: S608  a field
        return Position(rows[0][0], seq) if rows else None

    def questions(self, query: Query) -> list[RepeatedText]:
        """Return the most frequent last user messages."""
        with self._answering():
            return texts.questions(self._index, self._store, _resolved(query))

    def messages(self, query: Query) -> list[RepeatedText]:
        """Return the messages that occur in most events."""
        with self._answering():
            return texts.messages(self._index, self._store, _resolved(query))

    def urls(self, query: Query) -> list[RepeatedText]:
        """Return the URLs that most events mention."""
        with self._answering():
            return texts.urls(self._index, _resolved(query))

    def words(self, query: Query) -> Words:
        """Return the most frequent words, from a sample."""
        with self._answering():
            return texts.words(self._index, self._store, _resolved(query))

    def conversations(self, query: Query, cursor: str | None = None) -> ConversationPage:
        """Return the conversations with an event within the filter, the last active first."""
        with self._answering():
            return conversations.conversations(self._index, _resolved(query), cursor)

    def conversation(self, conversation_id: str) -> list[EventRow]:
        """Return the events of one conversation, oldest first."""
        with self._answering():
            return conversations.conversation(self._index, conversation_id)

    def user(self, user_id: str) -> UserSummary | None:
        """Return what is known of the user."""
        with self._answering():
            return conversations.user(self._index, user_id)

    def status(self) -> IndexStatus:
        """Return how far the index is."""
        return self._index.status()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        if not self._index.is_open:
            raise IndexUnavailableError("the index is being opened; ask again")
        try:
            yield
        except _DAMAGE as error:
            self._index.report_damage(error)
            raise IndexUnavailableError(f"the index is damaged and is being rebuilt: {error}") from error
        except (duckdb.ConnectionException, duckdb.CatalogException, duckdb.OutOfMemoryException) as error:
            raise IndexUnavailableError(f"the index cannot answer now: {error}") from error


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _resolved(query: Query) -> Query:
    return query.resolved(_now())
