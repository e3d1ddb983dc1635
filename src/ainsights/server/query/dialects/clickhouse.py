"""The dialect of ClickHouse, over the table ``event`` of the store. Pure.

A placeholder names the type of its value, ``{:String}``, and the server binds it. A field is the column of its name;
``time`` is in microseconds; a key of meta is looked up in the map ``meta``. What is unknown is an empty text, an empty
list, or NULL in numbers and flags.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ainsights.server.query.dialects.sql import SQL, concat, join
from ainsights.server.query.dialects.times import BUCKETS, MICROSECONDS, TO_MONDAY, to_microseconds
from ainsights.server.query.fields import BUCKETS as BUCKET_NAMES
from ainsights.server.query.fields import META_PREFIX, Kind, get_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.query.model import Condition, Filter, Group, Measure

_PLACEHOLDER = re.compile(r"\{:([^}]+)\}")
_NUMBER = r"\\A[+-]?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]+)?\\z"
_SPEED_KNOWN = "isNotNull(completion_tokens) AND latency > 0"


def bind(statement: SQL) -> tuple[str, dict[str, Any]]:
    """Return the statement with a name for each placeholder, and the values by name."""
    names = iter(range(len(statement.values)))
    text = _PLACEHOLDER.sub(lambda match: f"{{p{next(names)}:{match[1]}}}", statement.text)
    return text, {f"p{number}": value for number, value in enumerate(statement.values)}


def column(name: str) -> SQL:
    """Return the expression of a field."""
    if name.startswith(META_PREFIX):
        return SQL("meta[{:String}]", (name[len(META_PREFIX) :],))
    return SQL(f"`{get_field(name).name}`")


def where(wanted: Filter) -> SQL:
    """Return the condition that the events of a resolved filter meet, but for its texts."""
    parts = [_condition(condition) for condition in wanted.conditions]
    if wanted.since is not None:
        parts.append(in_time(">=", to_microseconds(wanted.since)))
    if wanted.until is not None:
        parts.append(in_time("<", to_microseconds(wanted.until)))
    return join(" AND ", parts) if parts else SQL("true")


def in_time(operator: str, microseconds: int) -> SQL:
    """Return a condition on ``time``. It is repeated for the sorting key, which spares whole partitions."""
    sql = f"(key_time = 0 OR key_time {operator} {{:Int64}}) AND time {operator} {{:Int64}}"
    return SQL(sql, (microseconds, microseconds))


def _condition(condition: Condition) -> SQL:
    positive = _positive(condition)
    return concat("NOT ifNull(", positive, ", false)") if condition.negated else positive


def _positive(condition: Condition) -> SQL:
    name, kind = condition.field, get_field(condition.field).kind
    expression, values = column(name), tuple(_bound(value) for value in condition.values)
    if condition.operator == "has":
        return is_known(name)
    if kind is Kind.LIST:
        return _any_item(condition.operator, expression, values)
    if condition.operator == "*":
        return concat(is_known(name), " AND ", _any("startsWith(", expression, ", {:String})", values))
    if condition.operator == ":":
        return _equals(kind, expression, values)
    if name.startswith(META_PREFIX):
        expression = concat("if(match(", expression, f", '{_NUMBER}'), toFloat64OrNull(", expression, "), NULL)")
    return concat(expression, SQL(f" {condition.operator} {{:Float64}}", values))


def is_known(name: str) -> SQL:
    """Return the condition that the field is known."""
    kind = get_field(name).kind
    return concat("notEmpty(" if kind in (Kind.TEXT, Kind.LIST) else "isNotNull(", column(name), ")")


def _equals(kind: Kind, expression: SQL, values: tuple[object, ...]) -> SQL:
    if kind.is_numeric or kind is Kind.FLAG:
        return _any("", expression, " = {:Float64}" if kind.is_numeric else " = {:Bool}", values)
    known = [value for value in values if value != ""]
    if not known:
        return SQL("false")
    if len(known) == 1:
        return concat(expression, SQL(" = {:String}", (known[0],)))
    return concat(expression, SQL(" IN {:Array(String)}", (known,)))


def _any_item(operator: str, expression: SQL, values: tuple[object, ...]) -> SQL:
    if operator == ":":
        return concat("hasAny(", expression, SQL(", {:Array(String)})", (list(values),)))
    starts = join(" OR ", [SQL("startsWith(item, {:String})", (value,)) for value in values])
    return concat("arrayExists(item -> ", starts, ", ", expression, ")")


def _bound(value: object) -> object:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _any(before: str, expression: SQL, after: str, values: tuple[object, ...]) -> SQL:
    parts = [concat(before, expression, SQL(after, (value,))) for value in values]
    return concat("(", join(" OR ", parts), ")") if len(parts) > 1 else parts[0]


def group(wanted: Group, bucket: str) -> SQL:
    """Return the expression to group by. ``bucket`` is what ``auto`` means.

    An event is in the group of each value of a list; in that of an empty text where there is none.
    """
    if wanted.is_bucket:
        name = bucket if wanted.name == "auto" else wanted.name
        width = BUCKETS[name] * MICROSECONDS
        shift = TO_MONDAY * MICROSECONDS if name == "week" else 0
        return SQL(f"intDiv(time + {shift}, {width}) * {width} - {shift}")
    return values_of(wanted.name)


def values_of(name: str) -> SQL:
    """Return the value of a field, in a row of its own for each item of a list; an empty text where there is none."""
    expression = column(name)
    if get_field(name).kind is Kind.LIST:
        return concat("arrayJoin(if(empty(", expression, "), [''], ", expression, "))")
    return expression


def known_or_null(name: str, value: str) -> str:
    """Return the expression ``value`` of a group or facet, with NULL where it is unknown."""
    is_text = name not in BUCKET_NAMES and get_field(name).kind in (Kind.TEXT, Kind.LIST)
    return f"nullIf({value}, '')" if is_text else value


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
        return SQL("count() / {:Float64}", (max(1, total),))
    return SQL(_PLAIN.get(wanted.name, f"sumOrNull(`{wanted.name}`)"))


_PLAIN = {
    "events": "count()",
    "errors": "countIf(status = 'error')",
    "error_rate": "countIf(status = 'error') / nullIf(count(), 0)",
    "users": "uniqExactIf(user, notEmpty(user))",
    "conversations": "uniqExact(conversation_key)",
    "tokens_per_second": f"if(countIf({_SPEED_KNOWN}) = 0, NULL, sumIf(completion_tokens, {_SPEED_KNOWN})"
    f" / (sumIf(latency, {_SPEED_KNOWN}) / 1000))",
}


def _statistic(wanted: Measure, measures: Sequence[Measure]) -> SQL:
    statistic, field = wanted.statistic or "", f"`{wanted.of}`"
    if not statistic.startswith("p"):
        function = "avg" if statistic == "mean" else statistic
        return SQL(f"{function}OrNull({field})")  # a column that is always known has 0 of no event otherwise
    percentiles = sorted({each.statistic for each in measures if each.of == wanted.of and each.statistic} - _OTHERS)
    fractions = ", ".join(f"0.{each[1:]}" for each in percentiles)
    at = percentiles.index(statistic) + 1
    return SQL(f"if(count({field}) = 0, NULL, quantilesExactInclusive({fractions})({field})[{at}])")


_OTHERS = {"mean", "min", "max"}
