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
    from collections.abc import Iterable, Sequence

    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.dialects.sql import SQL
    from ainsights.server.query.model import Filter


def facets(database: Database, wanted: Filter, fields: Sequence[str], limit: int) -> dict[str, list[Facet]]:
    """Return the most frequent values of each field, by name, among the events of a resolved filter."""
    names = list(dict.fromkeys(fields or FACETS))
    found: dict[str, list[Facet]] = {name: [] for name in names}
    for number, value, events in select(database, _statement(names, wanted, limit)):
        found[names[number]].append(Facet(_typed(names[number], value), events))
    return found


def _statement(names: Sequence[str], wanted: Filter, limit: int) -> SQL:
    """Return what counts the values of all fields in one pass: a grouping set for each."""
    columns = [concat(dialect.column(name), f" AS v{number}") for number, name in enumerate(names)]
    values = [f"v{number}" for number in range(len(names))]
    is_of = [f"bitTest(g, {len(names) - 1 - number}) = 0" for number in range(len(names))]
    number = _case(is_of, map(str, range(len(names))))
    texts = _case(is_of, (_texts(name, value) for name, value in zip(names, values, strict=True)))
    sets = ", ".join(f"({value})" for value in values)
    listed = ", ".join(values)
    return concat(
        f"SELECT field, value, sum(n) AS events FROM (SELECT {number} AS field, arrayJoin({texts}) AS value, n"  # noqa: S608  our own names
        f" FROM (SELECT {listed}, grouping({listed}) AS g, count() AS n FROM (SELECT ", join(", ", columns), " ",
        passing(wanted),
        f") GROUP BY GROUPING SETS ({sets}))) GROUP BY field, value"
        f" ORDER BY field, events DESC, empty(value), value LIMIT {limit:d} BY field",
    )  # fmt: skip


def _case(conditions: Sequence[str], results: Iterable[str]) -> str:
    *cases, last = zip(conditions, results, strict=True)
    return (
        f"multiIf({', '.join(f'{condition}, {result}' for condition, result in cases)}, {last[1]})"
        if cases
        else last[1]
    )


def _texts(name: str, value: str) -> str:
    """Return the array of texts that a value of the field is; an empty text where it is unknown."""
    kind = get_field(name).kind
    if kind is Kind.LIST:
        return f"if(empty({value}), [''], arrayMap(item -> toString(item), {value}))"
    return f"[ifNull(toString({value}), '')]"


def _typed(name: str, value: str) -> str | bool | None:
    if not value:
        return None
    return value == "true" if get_field(name).kind is Kind.FLAG else value


def meta_keys(database: Database, wanted: Filter, limit: int) -> list[Facet]:
    """Return the keys of meta and how many events of a resolved filter have each."""
    statement = concat(
        "SELECT key, count() AS n FROM (SELECT arrayJoin(mapKeys(meta)) AS key ", passing(wanted),
        f") GROUP BY key ORDER BY n DESC, key LIMIT {limit:d}",
    )  # fmt: skip
    return [Facet(key, events) for key, events in select(database, statement)]
