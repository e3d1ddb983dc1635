"""Measures by groups, and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server import answers
from ainsights.server.clickhouse.engine.source import passing, select
from ainsights.server.query.defaults import ROWS
from ainsights.server.query.dialects import clickhouse as dialect
from ainsights.server.query.dialects.sql import SQL, concat, join

if TYPE_CHECKING:
    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.engine import Table
    from ainsights.server.query.model import Filter, Query


def aggregate(database: Database, query: Query) -> Table:
    """Return the measures of a query whose filter is resolved."""
    bucket = _bucket(database, query)
    needs_total = any(measure.name == "share" for measure in query.measures)
    total = count(database, query.filter) if needs_total else 0
    limit = query.limit or ROWS
    rows = [tuple(row) for row in select(database, _statement(query, bucket, total, limit + 1))]
    return answers.table(query, rows, bucket, limit)


def _statement(query: Query, bucket: str, total: int, limit: int) -> SQL:
    groups = [concat(dialect.group(group, bucket), f" AS g{number}") for number, group in enumerate(query.groups)]
    measures = [
        concat(dialect.measure(measure, query.measures, total), f" AS m{number}")
        for number, measure in enumerate(query.measures)
    ]
    names = [f"g{number}" for number in range(len(groups))]
    shown = [SQL(dialect.known_or_null(group.name, name)) for name, group in zip(names, query.groups, strict=True)]
    by = f" GROUP BY {', '.join(names)}" if names else ""
    return concat(
        "SELECT ", join(", ", [*shown, *measures]),
        " FROM (SELECT ", join(", ", [SQL("*"), *groups]), " ", passing(query.filter),
        f"){by} ORDER BY {_order(query)} LIMIT {limit:d}",
    )  # fmt: skip


def _order(query: Query) -> str:
    groups = {group.name: dialect.known_or_null(group.name, f"g{number}") for number, group in enumerate(query.groups)}
    return answers.table_order(query, groups)


def _bucket(database: Database, query: Query) -> str:
    first = last = None
    if answers.needs_times(query):
        first, last = select(database, concat("SELECT min(time), max(time) ", passing(query.filter)))[0]
    return answers.bucket_of(query, first, last)


def count(database: Database, wanted: Filter) -> int:
    """Return how many events pass a resolved filter."""
    found: int = select(database, concat("SELECT count() ", passing(wanted)))[0][0]
    return found
