"""Measures by groups, facets and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights.server import answers
from ainsights.server.embedded.selection import selection
from ainsights.server.query.defaults import FACETS, ROWS
from ainsights.server.query.dialects import duckdb as dialect
from ainsights.server.query.dialects.sql import SQL, concat, join
from ainsights.server.query.engine import Facet
from ainsights.server.query.fields import Kind, get_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from ainsights.server.index import Index
    from ainsights.server.query.engine import Table
    from ainsights.server.query.model import Filter, Query


def aggregate(index: Index, query: Query) -> Table:
    """Return the measures of a query whose filter is resolved."""
    with selection(index, query.filter) as condition:
        bucket = _bucket(index, query, condition)
        needs_total = any(measure.name == "share" for measure in query.measures)
        total = _count(index, condition) if needs_total else 0
        limit = query.limit or ROWS
        statement = _statement(query, condition, bucket, total, limit + 1)
        with index.columns.cursor() as cursor:
            rows = cursor.execute(statement.text, statement.values).fetchall()
    return answers.table(query, rows, bucket, limit)


def _statement(query: Query, condition: SQL, bucket: str, total: int, limit: int) -> SQL:
    source = concat("SELECT * FROM event WHERE ", condition)
    for number, group in enumerate(query.groups):  # one by one: DuckDB pairs the items of lists unnested together
        source = concat("SELECT *, ", dialect.group(group, bucket), f" AS g{number} FROM (", source, ")")
    measures = [
        concat(dialect.measure(measure, query.measures, total), f" AS m{number}")
        for number, measure in enumerate(query.measures)
    ]
    names = [f"g{number}" for number in range(len(query.groups))]
    by = f" GROUP BY {', '.join(names)}" if names else ""
    return concat(
        "SELECT ", join(", ", [*map(SQL, names), *measures]), " FROM (", source, f"){by} ORDER BY {_order(query)}",
        f" LIMIT {limit:d}",
    )  # fmt: skip


def _order(query: Query) -> str:
    return answers.table_order(query, {group.name: f"g{number}" for number, group in enumerate(query.groups)})


def _bucket(index: Index, query: Query, condition: SQL) -> str:
    first = last = None
    if answers.needs_times(query):
        with index.columns.cursor() as cursor:
            sql = f"SELECT min(time), max(time) FROM event WHERE {condition.text}"  # noqa: S608  values bound
            first, last = cursor.execute(sql, condition.values).fetchall()[0]
    return answers.bucket_of(query, first, last)


def count(index: Index, wanted: Filter) -> int:
    """Return how many events pass a resolved filter."""
    with selection(index, wanted) as condition:
        return _count(index, condition)


def _count(index: Index, condition: SQL) -> int:
    with index.columns.cursor() as cursor:
        sql = f"SELECT count(*) FROM event WHERE {condition.text}"  # noqa: S608  values bound
        found: int = cursor.execute(sql, condition.values).fetchall()[0][0]
    return found


def facets(index: Index, wanted: Filter, fields: Sequence[str], limit: int) -> dict[str, list[Facet]]:
    """Return the most frequent values of each field, by name, among the events of a resolved filter."""
    names = list(dict.fromkeys(fields or FACETS))
    with selection(index, wanted) as condition, index.columns.cursor() as cursor:
        if not wanted.texts:
            return {name: _facet(cursor, name, _values(name, condition), limit) for name in names}
        columns = [concat(dialect.column(name), f" AS v{at}") for at, name in enumerate(names)]
        picked = concat("CREATE TEMP TABLE picked AS SELECT ", join(", ", columns), " FROM event WHERE ", condition)
        cursor.execute(picked.text, picked.values)  # a search is dear: once for all fields
        found = {name: _facet(cursor, name, _picked(at), limit) for at, name in enumerate(names)}
        cursor.execute("DROP TABLE picked")
        return found


def _values(name: str, condition: SQL) -> SQL:
    return concat("SELECT ", dialect.column(name), " AS value FROM event WHERE ", condition)


def _picked(at: int) -> SQL:
    return SQL(f"SELECT v{at:d} AS value FROM picked")  # noqa: S608  a number of our own


def _facet(cursor: duckdb.DuckDBPyConnection, name: str, values: SQL, limit: int) -> list[Facet]:
    statement = concat("SELECT value, count(*) AS n FROM (", values, ") GROUP BY 1")
    if get_field(name).kind is Kind.LIST:  # there are few different lists
        statement = concat("SELECT unnest(", dialect.items(SQL("value")), ") AS value, n FROM (", statement, ")")
        statement = concat("SELECT value, sum(n)::BIGINT AS n FROM (", statement, ") GROUP BY 1")
    return _facets(cursor, concat(statement, f" ORDER BY n DESC, value NULLS LAST LIMIT {limit:d}"))


def meta_keys(index: Index, wanted: Filter, limit: int) -> list[Facet]:
    """Return the keys of meta and how many events of a resolved filter have each."""
    with selection(index, wanted) as condition:
        keys = concat("SELECT map_keys(meta) AS keys, count(*) AS n FROM event WHERE ", condition, " GROUP BY 1")
        statement = concat(
            "SELECT key, sum(n)::BIGINT AS events FROM (SELECT unnest(keys) AS key, n FROM (", keys,
            f")) GROUP BY 1 ORDER BY events DESC, key LIMIT {limit:d}",
        )  # fmt: skip
        with index.columns.cursor() as cursor:
            return _facets(cursor, statement)


def _facets(cursor: duckdb.DuckDBPyConnection, statement: SQL) -> list[Facet]:
    rows: list[tuple[Any, ...]] = cursor.execute(statement.text, statement.values).fetchall()
    return [Facet(value, events) for value, events in rows]
