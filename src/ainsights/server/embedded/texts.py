"""What is asked and answered most often. The columns count by hashes; the texts come from the bodies of examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server import answers
from ainsights.server.answers import Repeated
from ainsights.server.embedded.pages import page
from ainsights.server.embedded.selection import selection
from ainsights.server.embedded.tables import count
from ainsights.server.query.defaults import NEWEST_FIRST, SAMPLE, TEXTS
from ainsights.server.query.dialects.duckdb import items
from ainsights.server.query.dialects.sql import SQL

if TYPE_CHECKING:
    from ainsights.server.index import Index
    from ainsights.server.query.engine import RepeatedText, Words
    from ainsights.server.query.model import Query
    from ainsights.server.store import Store


def questions(index: Index, store: Store, query: Query) -> list[RepeatedText]:
    """Return the most frequent last user messages of the events of a resolved filter."""
    return answers.questions(_most_frequent(index, query, "question_hash"), store)


def messages(index: Index, store: Store, query: Query) -> list[RepeatedText]:
    """Return the messages that most events begin with or ask."""
    return answers.messages(_most_frequent(index, query, "unnest(messages)"), store)


def urls(index: Index, query: Query) -> list[RepeatedText]:
    """Return the URLs that most events mention."""
    return answers.urls(_most_frequent(index, query, f"unnest({items(SQL('url')).text})"))


def words(index: Index, store: Store, query: Query) -> Words:
    """Return the words that most of the newest events contain."""
    rows = [row for _, row in page(index, query.filter, NEWEST_FIRST, None, SAMPLE)]
    return answers.words(rows, store, query.limit, count(index, query.filter))


def _most_frequent(index: Index, query: Query, key: str) -> list[Repeated]:
    limit = query.limit or TEXTS
    with selection(index, query.filter) as condition, index.columns.cursor() as cursor:
        keys = cursor.execute(_ranking(key, condition, limit), condition.values).fetchall()
        wanted = [value for value, _ in keys]
        rows = cursor.execute(_details(key, condition), [*condition.values, wanted]).fetchall()
    found = {row[0]: Repeated(*row) for row in rows}
    return [found[value] for value in wanted if value in found]


def _ranking(key: str, condition: SQL, limit: int) -> str:
    return f"""
        SELECT key, count(*) AS events FROM (SELECT {key} AS key FROM event WHERE {condition.text})
        WHERE key IS NOT NULL GROUP BY key ORDER BY events DESC, key LIMIT {limit:d}
    """  # noqa: S608  names of our own, values bound


def _details(key: str, condition: SQL) -> str:
    return f"""
        SELECT key, count(*), count(DISTINCT "user"), count(*) FILTER (status = 'error'),
               max(time) / 1000000.0, arg_max(id, (time, seq)), arg_max(seq, (time, seq))
        FROM (SELECT {key} AS key, "user", status, time, id, seq FROM event WHERE {condition.text})
        WHERE key IN (SELECT unnest(?)) GROUP BY key
    """  # noqa: S608  names of our own, values bound
