"""Which events pass a filter: a condition on the columns, and the matches of the text index in a file beside it."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.index.shards import first_seq
from ainsights.server.index.words import match_any, match_expression
from ainsights.server.query.dialects import duckdb as dialect
from ainsights.server.query.dialects.sql import SQL, concat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ainsights.server.index import Index
    from ainsights.server.query.model import Filter

BATCH = 1000
"""Matches that a query on the columns takes at a time, at least, when the newest are wanted."""


_READ = "SELECT 1 FROM read_csv('PATH', columns = {'seq': 'BIGINT'}, header = false, auto_detect = false) AS found"


SEARCHES = 2
"""Shards that are searched at a time."""


class Matches(NamedTuple):
    """Numbers of events, one a line: the format in which SQLite writes and DuckDB reads them fastest."""

    lines: str
    shard: int


class TextQuery(NamedTuple):
    """The texts of a filter for the text index: what events contain, or, if ``excluded``, what they don't."""

    expression: str
    excluded: bool


def text_query(wanted: Filter) -> TextQuery | None:
    """Return what the text index has to find; None if the filter has no texts."""
    positive = [text.text for text in wanted.texts if not text.negated]
    negative = [text.text for text in wanted.texts if text.negated]
    if positive:
        expression = match_expression(positive)
        return TextQuery(f"({expression}) NOT ({match_any(negative)})" if negative else expression, excluded=False)
    return TextQuery(match_any(negative), excluded=True) if negative else None


def columns_condition(index: Index, wanted: Filter) -> SQL:
    """Return the condition on the columns, without the texts."""
    condition = dialect.where(wanted)
    hidden = index.hidden
    if hidden:
        condition = concat(condition, SQL(" AND seq NOT IN (SELECT unnest(?::BIGINT[]))", (list(hidden),)))
    return condition


@contextmanager
def selection(index: Index, wanted: Filter, some: Sequence[Matches] | None = None) -> Iterator[SQL]:
    """Yield the condition that the events of the filter meet. It holds inside the context alone.

    Args:
        index: where.
        wanted: a resolved filter.
        some: matches to take instead of all.
    """
    condition, texts = columns_condition(index, wanted), text_query(wanted)
    if texts is None:
        yield condition
        return
    if some is None:
        some = _all_matches_at_once(index, texts)
    else:  # DuckDB skips what is outside of this range
        shards = [matches.shard for matches in some]
        bounds = (first_seq(min(shards)), first_seq(max(shards) + 1))
        condition = concat(condition, SQL(" AND seq >= ? AND seq < ?", bounds))
    with _file(some) as path:
        negation = "NOT " if texts.excluded else ""
        yield concat(condition, f" AND {negation}EXISTS ({_READ.replace('PATH', path)} WHERE found.seq = event.seq)")


def matches_of(index: Index, texts: TextQuery, shards: Iterable[int]) -> Iterator[Matches]:
    """Yield the matches of the shards that have some, in the order given."""
    for number in shards:
        lines = index.text.matches_in(number, texts.expression)
        if lines:
            yield Matches(lines, number)


def _all_matches_at_once(index: Index, texts: TextQuery) -> list[Matches]:
    """Return the matches of all shards; SQLite searches several at a time."""

    def search(number: int) -> Matches:
        return Matches(index.text.matches_in(number, texts.expression), number)

    numbers = sorted(index.text.numbers)
    if len(numbers) <= SEARCHES:
        return [search(number) for number in numbers]
    with ThreadPoolExecutor(SEARCHES, "ainsights-search") as pool:
        return list(pool.map(search, numbers))


def batches(found: Iterator[Matches]) -> Iterator[list[Matches]]:
    """Put matches together: enough of them to pay for a query, and ten times as many in each batch as before."""
    batch: list[Matches] = []
    size, enough = 0, BATCH
    for matches in found:
        batch.append(matches)
        size += matches.lines.count("\n") + 1
        if size >= enough:
            yield batch
            batch, size, enough = [], 0, enough * 10
    if batch:
        yield batch


@contextmanager
def _file(found: Iterable[Matches]) -> Iterator[str]:
    handle, path = tempfile.mkstemp(prefix="ainsights-", suffix=".csv")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            for matches in found:
                file.write(matches.lines)
                file.write("\n")
        yield path.replace("'", "''")
    finally:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108  a path as text
