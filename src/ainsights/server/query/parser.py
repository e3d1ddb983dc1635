"""Text or URL parameters -> Query. One language: ``p95 latency by model, hour where model:gpt-4o since:7d``."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ainsights.server.query.fields import META_PREFIX, QueryError, get_field
from ainsights.server.query.filters import condition, parse_filter
from ainsights.server.query.model import Group, Measure, Order, Query
from ainsights.server.query.syntax import NAME, QUOTED, read_name
from ainsights.server.query.values import parse_when

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ainsights.server.query.model import Condition, When

_TOKEN = re.compile(rf'\s*(meta\.{QUOTED}|,|[^\s,"]+|")', re.DOTALL)
_CLAUSES = ("by", "order", "limit", "where")
_PARAMETERS = ("q", "show", "by", "order", "limit", "since", "until")
_COMPARISON = re.compile(r"\s*([<>]=?)?\s*(.*)", re.DOTALL)


def parse_query(text: str) -> Query:
    """Return the query that ``text`` describes.

    It is ``MEASURE, MEASURE by GROUP, GROUP order by NAME asc|desc limit NUMBER where FILTER``, each part optional;
    without a measure, the query is for a list of events. For the filter see
    :func:`~ainsights.server.query.filters.parse_filter`.

    Raises:
        QueryError: it names the word at fault and what would be right.
    """
    clauses = _split(text)
    return Query(
        filter=parse_filter(clauses.get("where", "")),
        measures=_measures(clauses.get("show", "")),
        groups=_groups(clauses["by"]) if "by" in clauses else (),
        order=_order(clauses["order"]) if "order" in clauses else None,
        limit=_limit(clauses["limit"]) if "limit" in clauses else None,
    )


def parse_params(params: Iterable[tuple[str, str]]) -> Query:
    """Return the query that the URL parameters describe.

    ``show``, ``by``, ``order``, ``limit``, ``since``, ``until``, and the filter as ``q``; also the name of each field
    with the plain value to equal (several times: one of them), or, for a numeric field, ``latency=>2s``.

    Raises:
        QueryError: it names the parameter at fault.
    """
    given: dict[str, list[str]] = {}
    for name, value in params:
        given.setdefault(name, []).append(value)
    single = {name: _only(name, given.pop(name)) for name in _PARAMETERS if name in given}
    wanted = parse_filter(single.get("q", ""))
    if single.get("since"):
        wanted = replace(wanted, since=_time("since", single["since"], wanted.since))
    if single.get("until"):
        wanted = replace(wanted, until=_time("until", single["until"], wanted.until))
    return Query(
        filter=wanted.with_condition(*(_from_param(name, values) for name, values in given.items())),
        measures=_measures(single.get("show", "")),
        groups=_groups(single["by"]) if single.get("by") else (),
        order=_order(single["order"]) if single.get("order") else None,
        limit=_limit(single["limit"]) if single.get("limit") else None,
    )


def _only(name: str, values: Sequence[str]) -> str:
    if len(values) > 1:
        raise QueryError(f"{name} is there twice", name)
    return values[0]


def _time(name: str, value: str, in_filter: When | None) -> When:
    if in_filter:
        raise QueryError(f"{name} is there twice: in q and as a parameter", name)
    return parse_when(value)


def _from_param(name: str, values: Sequence[str]) -> Condition:
    kind = get_field(name).kind
    if kind.is_numeric and len(values) == 1 and (match := _COMPARISON.fullmatch(values[0])):
        return condition(name, match[1] or ":", [match[2].strip()])
    return condition(name, ":", values)


def _split(text: str) -> dict[str, str]:
    """Part the text into its clauses: show, by, order, limit, where."""
    clauses: dict[str, str] = {}
    clause, start, at = "show", 0, 0
    while match := _TOKEN.match(text, at):
        at = match.end()
        if match[1].lower() not in _CLAUSES:
            continue
        clauses[clause] = text[start : match.start(1)]
        clause, start = match[1].lower(), at
        if clause in clauses:
            raise QueryError(f"{clause!r} is there twice", clause)
        if clause == "order":
            if not (by := re.compile(r"\s+by\b", re.IGNORECASE).match(text, at)):
                raise QueryError("write order by NAME", "order")
            start = at = by.end()
        if clause == "where":
            break
    clauses[clause] = text[start:]
    return clauses


def _measures(text: str) -> tuple[Measure, ...]:
    if not text.strip():
        return ()
    return tuple(Measure("_".join(part.lower().split())) for part in text.split(","))


def _groups(text: str) -> tuple[Group, ...]:
    parts: list[str] = [""]
    for match in _TOKEN.finditer(text):
        if match[1] == ",":
            parts.append("")
        else:
            parts[-1] = f"{parts[-1]} {match[1]}" if parts[-1] else match[1]
    return tuple(Group(_name(part)) for part in parts)


def _name(text: str) -> str:
    """Return the name of a field, a measure or a bucket, given as people write it."""
    text = text.strip()
    if text.startswith(META_PREFIX) and NAME.fullmatch(text):
        return read_name(text)
    return "_".join(text.lower().split())


def _order(text: str) -> Order:
    name, _, direction = text.strip().rpartition(" ")
    if direction.lower() not in ("asc", "desc"):
        name, direction = text, "desc"
    if not name.strip():
        raise QueryError("write order by NAME desc", text)
    return Order(_name(name), direction.lower() == "desc")


def _limit(text: str) -> int:
    if not re.fullmatch(r"\s*\d{1,9}\s*", text, re.ASCII):
        raise QueryError(f"limit takes a number, not {text.strip()!r}", text.strip())
    return int(text)
