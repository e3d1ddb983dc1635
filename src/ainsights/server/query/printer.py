"""Query -> text. What is printed parses to an equal query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.query.fields import get_field
from ainsights.server.query.syntax import BARE_VALUE, BARE_WORD, RESERVED, quote, write_name
from ainsights.server.query.values import print_number, print_when

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.server.query.model import Condition, Filter, Order, Query, Text, Value


def print_filter(wanted: Filter) -> str:
    """Return the filter as :func:`~ainsights.server.query.parser.parse_filter` takes it."""
    parts = list(_terms(wanted))
    if wanted.since:
        parts.append(f"since:{print_when(wanted.since)}")
    if wanted.until:
        parts.append(f"until:{print_when(wanted.until)}")
    return " ".join(parts)


def print_query(query: Query) -> str:
    """Return the query as one text: ``p95 latency by model, hour order by events desc limit 20 where status:error``."""
    filters = print_filter(query.filter)
    parts = [
        print_measures(query),
        f"by {print_groups(query)}" if query.groups else "",
        f"order by {_order(query.order)}" if query.order else "",
        f"limit {query.limit}" if query.limit else "",
        f"where {filters}" if filters else "",
    ]
    return " ".join(part for part in parts if part)


def print_measures(query: Query) -> str:
    """Return ``p95 latency, errors``."""
    return ", ".join(measure.label for measure in query.measures)


def print_groups(query: Query) -> str:
    """Return ``model, hour``."""
    return ", ".join(write_name(group.name) for group in query.groups)


def to_params(query: Query) -> list[tuple[str, str]]:
    """Return the query as URL parameters, which :func:`~ainsights.server.query.parser.parse_params` takes."""
    params = {
        "show": print_measures(query),
        "by": print_groups(query),
        "order": _order(query.order) if query.order else "",
        "limit": str(query.limit or ""),
        "q": " ".join(_terms(query.filter)),
        "since": print_when(query.filter.since) if query.filter.since else "",
        "until": print_when(query.filter.until) if query.filter.until else "",
    }
    return [(name, value) for name, value in params.items() if value]


def _terms(wanted: Filter) -> Iterator[str]:
    yield from (print_condition(condition) for condition in wanted.conditions)
    yield from (_text(text) for text in wanted.texts)


def print_condition(condition: Condition) -> str:
    """Return ``-model:gpt-4o,gpt-5`` and the like."""
    sign = "-" if condition.negated else ""
    name = write_name(condition.field)
    if condition.operator == "has":
        return f"{sign}has:{name}"
    star = "*" if condition.operator == "*" else ""
    operator = ":" if star else condition.operator
    return f"{sign}{name}{operator}{','.join(_value(condition, value) + star for value in condition.values)}"


def _value(condition: Condition, value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return print_number(value, get_field(condition.field).kind)
    return value if BARE_VALUE.fullmatch(value) else quote(value)


def _text(text: Text) -> str:
    bare = BARE_WORD.fullmatch(text.text) and text.text not in RESERVED
    return ("-" if text.negated else "") + (text.text if bare else quote(text.text))


def _order(order: Order) -> str:
    name = write_name(order.name) if "." in order.name else order.name.replace("_", " ")
    return f"{name} {'desc' if order.descending else 'asc'}"
