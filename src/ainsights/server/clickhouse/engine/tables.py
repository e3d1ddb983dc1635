"""Measures by groups, and counts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ainsights.server.clickhouse.engine.source import passing, select
from ainsights.server.query.defaults import ROWS, auto_bucket
from ainsights.server.query.dialects import clickhouse as dialect
from ainsights.server.query.dialects.sql import SQL, concat, join
from ainsights.server.query.dialects.times import MICROSECONDS, to_microseconds
from ainsights.server.query.engine import Table

if TYPE_CHECKING:
    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.model import Filter, Query


def aggregate(database: Database, query: Query) -> Table:
    """Return the measures of a query whose filter is resolved."""
    bucket = _bucket(database, query)
    needs_total = any(measure.name == "share" for measure in query.measures)
    total = count(database, query.filter) if needs_total else 0
    limit = query.limit or ROWS
    rows = [tuple(row) for row in select(database, _statement(query, bucket, total, limit + 1))]
    names = (*(group.name for group in query.groups), *(measure.name for measure in query.measures))
    at = next((number for number, group in enumerate(query.groups) if group.is_bucket), None)
    if at is not None:
        rows = [(*row[:at], row[at] / MICROSECONDS, *row[at + 1 :]) for row in rows]
    return Table(names, rows[:limit], bucket if at is not None else None, len(rows) > limit)


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
    columns = {group.name: dialect.known_or_null(group.name, f"g{number}") for number, group in enumerate(query.groups)}
    tie_breakers = [f"{column} ASC NULLS LAST" for column in columns.values()]
    columns |= {measure.name: f"m{number}" for number, measure in enumerate(query.measures)}
    if query.order:
        direction = "DESC" if query.order.descending else "ASC"
        return ", ".join([f"{columns[query.order.name]} {direction} NULLS LAST", *tie_breakers])
    in_time = [columns[group.name] for group in query.groups if group.is_bucket]
    return ", ".join([*in_time, "m0 DESC NULLS LAST", *tie_breakers])


def _bucket(database: Database, query: Query) -> str:
    bucket = next((group.name for group in query.groups if group.is_bucket), "")
    if bucket != "auto":
        return bucket
    wanted = query.filter
    first, last = select(database, concat("SELECT min(time), max(time) ", passing(wanted)))[0]
    since = to_microseconds(wanted.since) if wanted.since else first
    until = min(to_microseconds(wanted.until), round(time.time() * MICROSECONDS)) if wanted.until else last
    return auto_bucket((until - since) / MICROSECONDS)


def count(database: Database, wanted: Filter) -> int:
    """Return how many events pass a resolved filter."""
    found: int = select(database, concat("SELECT count() ", passing(wanted)))[0][0]
    return found
