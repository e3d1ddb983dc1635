"""What both engines make of the rows that they select: tables, and lists of what is asked and answered most often."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.server.events import build_event
from ainsights.server.events.texts import count_words, message_with_hash
from ainsights.server.query.defaults import TEXT_LENGTH, WORDS, auto_bucket
from ainsights.server.query.dialects.times import MICROSECONDS, to_microseconds
from ainsights.server.query.engine import RepeatedText, Table, WordCount, Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.query.engine import EventRow
    from ainsights.server.query.model import Filter, Query
    from ainsights.server.store import Store


class Repeated(NamedTuple):
    """What many events have, such as the hash of a message, how many they are, and the last of them."""

    key: object
    events: int
    users: int
    errors: int
    last_time: float
    last_id: str
    last_seq: int


def questions(found: Sequence[Repeated], store: Store) -> list[RepeatedText]:
    """Return the last user messages whose hashes were found."""
    examples = {body.seq: build_event(*body) for body in store.bodies([each.last_seq for each in found])}
    return [
        _repeated(each, examples[each.last_seq].question if each.last_seq in examples else "", "user") for each in found
    ]


def messages(found: Sequence[Repeated], store: Store) -> list[RepeatedText]:
    """Return the messages whose hashes were found."""
    bodies = {body.seq: body.body for body in store.bodies([each.last_seq for each in found])}
    return [_repeated(each, *message_with_hash(bodies.get(each.last_seq, b""), each.key)) for each in found]


def urls(found: Sequence[Repeated]) -> list[RepeatedText]:
    """Return the URLs that were found."""
    return [_repeated(each, str(each.key), "url") for each in found]


def words(rows: Sequence[EventRow], store: Store, limit: int | None, total: int) -> Words:
    """Return the words that most of the events ``rows`` contain, which are a sample of ``total``."""
    ranked = count_words(build_event(*body) for body in store.bodies([row.seq for row in rows]))[: limit or WORDS]
    return Words([WordCount(*item) for item in ranked], len(rows), total)


def _repeated(found: Repeated, text: str, role: str) -> RepeatedText:
    return RepeatedText(
        text[:TEXT_LENGTH], role, found.events, found.users, found.errors, found.last_time, found.last_id
    )


def table(query: Query, rows: Sequence[tuple[Any, ...]], bucket: str, limit: int) -> Table:
    """Return the table of the rows, of which there may be one more than ``limit``; times are in microseconds."""
    names = (*(group.name for group in query.groups), *(measure.name for measure in query.measures))
    at = next((number for number, group in enumerate(query.groups) if group.is_bucket), None)
    if at is not None:
        rows = [(*row[:at], row[at] / MICROSECONDS, *row[at + 1 :]) for row in rows]
    return Table(names, list(rows[:limit]), bucket if at is not None else None, len(rows) > limit)


def table_order(query: Query, groups: dict[str, str]) -> str:
    """Return the terms of ORDER BY for a table, whose measures are m0, m1, ...

    Args:
        query: of the table.
        groups: the expressions of its groups, by name.
    """
    tie_breakers = [f"{expression} ASC NULLS LAST" for expression in groups.values()]
    terms = groups | {measure.name: f"m{number}" for number, measure in enumerate(query.measures)}
    if query.order:
        direction = "DESC" if query.order.descending else "ASC"
        return ", ".join([f"{terms[query.order.name]} {direction} NULLS LAST", *tie_breakers])
    in_time = [terms[group.name] for group in query.groups if group.is_bucket]
    return ", ".join([*in_time, "m0 DESC NULLS LAST", *tie_breakers])


def needs_times(query: Query) -> bool:
    """Return whether the bucket depends on when the events were."""
    return _bucket(query) == "auto"


def bucket_of(query: Query, first: int | None, last: int | None) -> str:
    """Return the time bucket of a query; empty if it has none.

    Args:
        query: whose filter is resolved.
        first: the time of the first event that passes, in microseconds, where :func:`needs_times`.
        last: the time of the last one.
    """
    if not needs_times(query):
        return _bucket(query)
    wanted: Filter = query.filter
    since = to_microseconds(wanted.since) if wanted.since else first
    until = min(to_microseconds(wanted.until), round(time.time() * MICROSECONDS)) if wanted.until else last
    return auto_bucket(((until or 0) - (since or 0)) / MICROSECONDS)


def _bucket(query: Query) -> str:
    return next((group.name for group in query.groups if group.is_bucket), "")
