"""What is asked and answered most often. The columns count by hashes; the texts come from the bodies of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server import answers
from ainsights.server.answers import Repeated
from ainsights.server.clickhouse.engine.source import passing, select
from ainsights.server.clickhouse.engine.tables import count
from ainsights.server.query.defaults import TEXTS
from ainsights.server.query.dialects.sql import SQL, concat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.engine import EventRow, RepeatedText, Words
    from ainsights.server.query.model import Query
    from ainsights.server.store import Store


def questions(database: Database, store: Store, query: Query) -> list[RepeatedText]:
    """Return the most frequent last user messages of the events of a resolved filter."""
    return answers.questions(_most_frequent(database, query, "question_hash", "UInt64", "WHERE key != 0"), store)


def messages(database: Database, store: Store, query: Query) -> list[RepeatedText]:
    """Return the messages that most events begin with or ask."""
    return answers.messages(_most_frequent(database, query, "arrayJoin(messages)", "UInt64"), store)


def urls(database: Database, query: Query) -> list[RepeatedText]:
    """Return the URLs that most events mention."""
    return answers.urls(_most_frequent(database, query, "arrayJoin(url)", "String"))


def words(database: Database, store: Store, query: Query, rows: Sequence[EventRow]) -> Words:
    """Return the words that most of the newest events, ``rows``, contain."""
    return answers.words(rows, store, query.limit, count(database, query.filter))


def _most_frequent(database: Database, query: Query, key: str, kind: str, known: str = "") -> list[Repeated]:
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
    found = {row[0]: Repeated(*row) for row in select(database, details)}
    return [found[key] for key in keys if key in found]
