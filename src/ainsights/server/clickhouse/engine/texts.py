"""What is asked and answered most often. The columns count by hashes; the texts come from the bodies of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.clickhouse.engine.source import passing, select
from ainsights.server.clickhouse.engine.tables import count
from ainsights.server.events import build_event
from ainsights.server.events.texts import count_words, message_with_hash
from ainsights.server.query.defaults import TEXT_LENGTH, TEXTS, WORDS
from ainsights.server.query.dialects.sql import SQL, concat
from ainsights.server.query.engine import RepeatedText, WordCount, Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.engine import EventRow
    from ainsights.server.query.model import Query
    from ainsights.server.store import Store


class _Found(NamedTuple):
    key: object
    events: int
    users: int
    errors: int
    last_time: float
    last_id: str
    last_seq: int


def questions(database: Database, store: Store, query: Query) -> list[RepeatedText]:
    """Return the most frequent last user messages of the events of a resolved filter."""
    found = _most_frequent(database, query, "question_hash", "UInt64", "WHERE key != 0")
    examples = {body.seq: build_event(*body) for body in store.bodies([each.last_seq for each in found])}
    return [
        _repeated(each, examples[each.last_seq].question if each.last_seq in examples else "", "user") for each in found
    ]


def messages(database: Database, store: Store, query: Query) -> list[RepeatedText]:
    """Return the messages that most events begin with or ask."""
    found = _most_frequent(database, query, "arrayJoin(messages)", "UInt64")
    bodies = {body.seq: body.body for body in store.bodies([each.last_seq for each in found])}
    return [_repeated(each, *message_with_hash(bodies.get(each.last_seq, b""), each.key)) for each in found]


def urls(database: Database, query: Query) -> list[RepeatedText]:
    """Return the URLs that most events mention."""
    return [
        _repeated(each, str(each.key), "url") for each in _most_frequent(database, query, "arrayJoin(url)", "String")
    ]


def words(database: Database, store: Store, query: Query, rows: Sequence[EventRow]) -> Words:
    """Return the words that most of the newest events, ``rows``, contain."""
    events = (build_event(*body) for body in store.bodies([row.seq for row in rows]))
    ranked = count_words(events)[: query.limit or WORDS]
    return Words([WordCount(*item) for item in ranked], len(rows), count(database, query.filter))


def _most_frequent(database: Database, query: Query, key: str, kind: str, known: str = "") -> list[_Found]:
    """Return the keys that most events have, the most frequent first: counts of all keys, then details of those."""
    ranking = concat(
        f"SELECT key, count() AS events FROM (SELECT {key} AS key ", passing(query.filter),  # noqa: S608  our own names
        f") {known} GROUP BY key ORDER BY events DESC, key LIMIT {query.limit or TEXTS:d}",
    )  # fmt: skip
    keys = [found for found, _ in select(database, ranking)]
    if not keys:
        return []
    details = concat(
        "SELECT key, count(), uniqExactIf(user, notEmpty(user)), countIf(status = 'error'),"  # noqa: S608  our own names
        " max(time) / 1000000, argMax(id, (time, seq)), argMax(seq, (time, seq))"
        f" FROM (SELECT {key} AS key, user, status, time, id, seq ", passing(query.filter),
        SQL(f") WHERE key IN {{:Array({kind})}} GROUP BY key", (keys,)),
    )  # fmt: skip
    found = {row[0]: _Found(*row) for row in select(database, details)}
    return [found[key] for key in keys if key in found]


def _repeated(found: _Found, text: str, role: str) -> RepeatedText:
    return RepeatedText(
        text[:TEXT_LENGTH], role, found.events, found.users, found.errors, found.last_time, found.last_id
    )
