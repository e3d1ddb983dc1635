"""Values of fields, and how many events have each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.clickhouse.engine.source import passing, select
from ainsights.server.query.defaults import FACETS
from ainsights.server.query.dialects import clickhouse as dialect
from ainsights.server.query.dialects.sql import concat, join
from ainsights.server.query.engine import Facet
from ainsights.server.query.fields import Kind, get_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.dialects.sql import SQL
    from ainsights.server.query.model import Filter


def facets(database: Database, wanted: Filter, fields: Sequence[str], limit: int) -> dict[str, list[Facet]]:
    """Return the most frequent values of each field, by name, among the events of a resolved filter."""
    names = list(dict.fromkeys(fields or FACETS))
    found: dict[str, list[Facet]] = {name: [] for name in names}
    parts = [_facet(number, name, wanted, limit) for number, name in enumerate(names)]
    rows = select(database, concat(join(" UNION ALL ", parts), " ORDER BY field, n DESC, value NULLS LAST"))
    for number, value, events in rows:
        found[names[number]].append(Facet(_typed(names[number], value), events))
    return found


def _facet(number: int, name: str, wanted: Filter, limit: int) -> SQL:
    value = dialect.known_or_null(name, "v")
    return concat(  # values bound, names of our own
        f"SELECT {number:d}::UInt8 AS field, toString({value})::Nullable(String) AS value, n FROM"  # noqa: S608
        " (SELECT v, count() AS n FROM (SELECT ", dialect.values_of(name), " AS v ", passing(wanted),
        f") GROUP BY v ORDER BY n DESC, {value} NULLS LAST LIMIT {limit:d})",
    )  # fmt: skip


def _typed(name: str, value: str | None) -> str | bool | None:
    if get_field(name).kind is Kind.FLAG and value is not None:
        return value == "true"
    return value


def meta_keys(database: Database, wanted: Filter, limit: int) -> list[Facet]:
    """Return the keys of meta and how many events of a resolved filter have each."""
    statement = concat(
        "SELECT key, count() AS n FROM (SELECT arrayJoin(mapKeys(meta)) AS key ", passing(wanted),
        f") GROUP BY key ORDER BY n DESC, key LIMIT {limit:d}",
    )  # fmt: skip
    return [Facet(key, events) for key, events in select(database, statement)]
