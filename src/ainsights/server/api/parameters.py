"""URL parameters -> Query, and the parameters as the OpenAPI document has them. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.server.problems import Problem
from ainsights.server.query import FIELDS, GROUPS, Filter, Query, QueryError, parse_params, parse_query

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_ROWS = 1000
"""Items in one answer."""

_OF_QUERY = ("show", "by", "order", "limit")
_FILTER = ("q", "since", "until")
_PLAIN = ("query", "cursor", "format", "field", "reason", "before", "entries", "head")

_ABOUT: dict[str, tuple[str, dict[str, Any]]] = {
    "q": ('The filter, as in `model:gpt-4o latency>2s "exact phrase" -word`.', {"type": "string"}),
    "since": ("Events that began then or later: `7d` (ago), a date, or RFC 3339.", {"type": "string"}),
    "until": ("Events that began before; as since.", {"type": "string"}),
    "query": ("A whole query: `p95 latency by model, hour order by events where user:ann`.", {"type": "string"}),
    "show": ("Measures, as in `p95 latency, errors`.", {"type": "string"}),
    "by": (f"Up to two groups: {', '.join(GROUPS)}, meta.KEY.", {"type": "string"}),
    "order": ("What to order by, as in `events desc`.", {"type": "string"}),
    "limit": ("At most so many items in the answer.", {"type": "integer", "minimum": 1, "maximum": MAX_ROWS}),
    "cursor": ("next_cursor of the page before.", {"type": "string"}),
    "format": ("How the events are written.", {"type": "string", "enum": ["jsonl", "csv"], "default": "jsonl"}),
    "field": ("A field whose values are counted; can be repeated. `meta` counts the keys of meta.",
              {"type": "array", "items": {"type": "string"}}),
    "reason": ("Why, for the records.", {"type": "string", "maxLength": 500}),
    "before": ("A number: only entries before it.", {"type": "integer", "minimum": 1}),
    "entries": ("Number of an entry of the hash chain that was noted, with head.", {"type": "integer", "minimum": 1}),
    "head": ("Its hash, in hexadecimal.", {"type": "string"}),
}  # fmt: skip


class Asked(NamedTuple):
    """What a request asks: the query, and the parameters beside it."""

    query: Query
    others: dict[str, list[str]]

    def other(self, name: str, default: str = "") -> str:
        """Return the value of a parameter that is given once.

        Raises:
            Problem: it is given several times.
        """
        values = self.others.get(name, [default])
        if len(values) > 1:
            raise Problem(422, f"{name} is there twice", parameter=name)
        return values[0]

    def number(self, name: str) -> int | None:
        """Return the value of a parameter that is a number; None if it is not there.

        Raises:
            Problem: it is none.
        """
        text = self.other(name)
        if not text:
            return None
        if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
            raise Problem(422, f"{name} takes a number above 0, not {text[:40]!r}", parameter=name)
        return int(text)


def read(params: Iterable[tuple[str, str]], taken: Sequence[str]) -> Asked:
    """Return what the parameters ask.

    Args:
        params: names and values.
        taken: the parameters that the route takes beside a filter.

    Raises:
        Problem: 422, which names the parameter that is wrong.
    """
    given, others = [], dict[str, list[str]]()
    for name, value in params:
        if name in (*_OF_QUERY, *_PLAIN) and name not in taken:
            raise Problem(422, f"{name}: is not a parameter here; these are: {_names(taken)}", parameter=name)
        if name in _PLAIN:
            others.setdefault(name, []).append(value)
        else:
            given.append((name, value))
    try:
        query = parse_params(given)
        for text in others.get("query", []):
            query = _merged(parse_query(text), query)
    except QueryError as error:
        texts = [("query", text) for text in others.get("query", [])]
        raise Problem(422, str(error), parameter=_parameter(error, [*given, *texts])) from None
    if query.limit and query.limit > MAX_ROWS:
        raise Problem(422, f"limit is a number from 1 to {MAX_ROWS}, not {query.limit}", parameter="limit")
    return Asked(query, others)


def _merged(whole: Query, more: Query) -> Query:
    """Return the query with further parameters applied: a narrower filter, and what it leaves open."""
    for name in ("since", "until"):
        if getattr(whole.filter, name) and getattr(more.filter, name):
            raise QueryError(f"{name} is there twice: in query and as a parameter", name)
    for ours, theirs, name in ((whole.measures, more.measures, "show"), (whole.groups, more.groups, "by")):
        if ours and theirs:
            raise QueryError(f"{name} is there twice: in query and as a parameter", name)
    return Query(
        Filter(
            (*whole.filter.conditions, *more.filter.conditions),
            (*whole.filter.texts, *more.filter.texts),
            whole.filter.since or more.filter.since,
            whole.filter.until or more.filter.until,
        ),
        whole.measures or more.measures,
        whole.groups or more.groups,
        whole.order or more.order,
        whole.limit or more.limit,
    )


def read_plain(params: Iterable[tuple[str, str]], taken: Sequence[str]) -> Asked:
    """Return what the parameters of a route without a filter ask; else as :func:`read`."""
    params = list(params)
    for name, _ in params:
        if name not in taken:
            raise Problem(422, f"{name}: is not a parameter here; these are: {_names(taken, ())}", parameter=name)
    return read(params, taken)


def _names(taken: Sequence[str], filters: Sequence[str] = (*_FILTER, *FIELDS, "meta.KEY")) -> str:
    return ", ".join((*taken, *filters)) or "none"


def _parameter(error: QueryError, given: Sequence[tuple[str, str]]) -> str | None:
    """Return the parameter in which the word at fault stands."""
    names = [name for name, _ in given]
    if error.word in names:
        return error.word
    holding = [name for name, value in given if error.word and error.word.lower() in value.lower()]
    return next(iter([*holding, *(name for name in names if name in (*_OF_QUERY, *_FILTER))]), None)


def document(*taken: str, with_filter: bool = True) -> dict[str, Any]:
    """Return the part of an operation in the OpenAPI document that describes its parameters."""
    described = [_described(name) for name in ((*_FILTER, *taken) if with_filter else taken)]
    fields = FIELDS.values() if with_filter else ()
    described += [
        {
            "name": field.name,
            "in": "query",
            "description": f"{field.title[0].upper()}{field.title[1:]} ({field.kind.value}); repeated: one of them.",
            "schema": {"type": "array", "items": {"type": "string"}},
        }
        for field in fields
    ]
    return {"parameters": described}


def _described(name: str) -> dict[str, Any]:
    description, schema = _ABOUT[name]
    return {"name": name, "in": "query", "description": description, "schema": schema}
