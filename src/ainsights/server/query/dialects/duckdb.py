"""The dialect of DuckDB, over the table ``event`` of the index. Pure.

A field is the column of its name; ``time`` is in microseconds; a key of meta is looked up in the map ``meta``; a list
is one text with a separator around each item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.query.dialects.sql import SQL, concat, join
from ainsights.server.query.dialects.times import BUCKETS, MICROSECONDS, TO_MONDAY, to_microseconds
from ainsights.server.query.fields import META_PREFIX, Kind, get_field

SEPARATOR = "\x1f"
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.query.model import Condition, Filter, Group, Measure

_NUMBER = r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_SPEED_KNOWN = 'FILTER ("completion_tokens" IS NOT NULL AND "latency" > 0)'


def column(name: str) -> SQL:
    """Return the expression of a field."""
    if name.startswith(META_PREFIX):
        return SQL("meta[?]", (name[len(META_PREFIX) :],))
    return SQL(f'"{get_field(name).name}"')


def where(wanted: Filter) -> SQL:
    """Return the condition that the events of a resolved filter meet, but for its texts."""
    parts = [_condition(condition) for condition in wanted.conditions]
    if wanted.since is not None:
        parts.append(SQL("time >= ?", (to_microseconds(wanted.since),)))
    if wanted.until is not None:
        parts.append(SQL("time < ?", (to_microseconds(wanted.until),)))
    return join(" AND ", parts) if parts else SQL("true")


def _condition(condition: Condition) -> SQL:
    positive = _positive(condition)
    return concat("NOT coalesce(", positive, ", false)") if condition.negated else positive


def _positive(condition: Condition) -> SQL:
    name, kind = condition.field, get_field(condition.field).kind
    expression, values = column(name), tuple(_bound(value) for value in condition.values)
    if condition.operator == "has":
        return concat(expression, " IS NOT NULL")
    if kind is Kind.LIST:
        end = SEPARATOR if condition.operator == ":" else ""
        items = tuple(f"{SEPARATOR}{str(value).replace(SEPARATOR, ' ')}{end}" for value in values)
        return _any("contains", expression, items)
    if condition.operator == "*":
        return _any("starts_with", expression, values)
    if condition.operator == ":":
        return concat(expression, SQL(f" IN ({', '.join('?' * len(values))})", values))
    if name.startswith(META_PREFIX):
        expression = concat(
            "if(regexp_full_match(", expression, f", '{_NUMBER}'), try_cast(", expression, " AS DOUBLE), NULL)"
        )
    return concat(expression, SQL(f" {condition.operator} ?", values))


def _bound(value: object) -> object:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _any(function: str, expression: SQL, values: tuple[object, ...]) -> SQL:
    return concat(
        "(", join(" OR ", [concat(f"{function}(", expression, SQL(", ?)", (value,))) for value in values]), ")"
    )


def group(wanted: Group, bucket: str) -> SQL:
    """Return the expression to group by. ``bucket`` is what ``auto`` means.

    An event is in the group of each value of a list; in that of None where there is none.
    """
    if wanted.is_bucket:
        name = bucket if wanted.name == "auto" else wanted.name
        width = BUCKETS[name] * MICROSECONDS
        shift = TO_MONDAY * MICROSECONDS if name == "week" else 0
        return SQL(f"((time + {shift}) // {width} * {width} - {shift})")
    expression = column(wanted.name)
    if get_field(wanted.name).kind is Kind.LIST:
        return concat("unnest(", items(expression), ")")
    return expression


def items(expression: SQL) -> SQL:
    """Return the items of a list, which is kept as one text with separators; NULL alone if there is none."""
    split = concat("string_split(substr(", expression, ", 2, length(", expression, ") - 2), chr(31))")
    return concat("if(", expression, " IS NULL, [NULL], ", split, ")")


def measure(wanted: Measure, measures: Sequence[Measure], total: int) -> SQL:
    """Return the aggregate of a measure.

    Args:
        wanted: which.
        measures: all of the query: percentiles of one field are calculated together.
        total: events that pass the filter, for shares.
    """
    if wanted.statistic:
        return _statistic(wanted, measures)
    if wanted.name == "share":
        return SQL("count(*) / ?::DOUBLE", (max(1, total),))
    return SQL(_PLAIN.get(wanted.name, f'sum("{wanted.name}")'))


_PLAIN = {
    "events": "count(*)",
    "errors": "count(*) FILTER (status = 'error')",
    "error_rate": "count(*) FILTER (status = 'error') / nullif(count(*), 0)::DOUBLE",
    "users": 'count(DISTINCT "user")',
    "conversations": "count(DISTINCT conversation_key)",
    "tokens_per_second": f'sum("completion_tokens") {_SPEED_KNOWN} / (sum("latency") {_SPEED_KNOWN} / 1000)',
}


def _statistic(wanted: Measure, measures: Sequence[Measure]) -> SQL:
    statistic, field = wanted.statistic or "", f'"{wanted.of}"'
    if not statistic.startswith("p"):
        function = "avg" if statistic == "mean" else statistic
        return SQL(f"{function}({field})")
    wanted_of_field = sorted({each.statistic or "" for each in measures if each.of == wanted.of})
    percentiles = [each for each in wanted_of_field if each.startswith("p")]
    fractions = ", ".join(f"0.{each[1:]}" for each in percentiles)
    return SQL(f"quantile_cont({field}::DOUBLE, [{fractions}])[{percentiles.index(statistic) + 1}]")
