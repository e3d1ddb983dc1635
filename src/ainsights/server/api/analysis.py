"""What the engine computes: tables, facets, frequent texts, conversations, users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights.server.api import answers
from ainsights.server.events.reading import parse_body
from ainsights.server.problems import Problem
from ainsights.server.query import Condition, Group, Measure, Query, QueryError, get_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights.server.api.parameters import Asked
    from ainsights.server.api.service import Service
    from ainsights.server.query.engine import RepeatedText

MAX_FACETS = 30
META = "meta"
TEMPLATES = 20
MAX_TEMPLATE = 5000
"""Characters of a template in a list."""


def query(service: Service, asked: Asked) -> bytes:
    """Return a table of measures."""
    wanted = asked.query
    if not wanted.measures:
        raise Problem(422, "name a measure to show, such as events or p95 latency", parameter="show")
    found = service.engine.aggregate(wanted)
    rows = answers.table(found.columns, found.rows, found.bucket, wanted.groups)
    return answers.encode(found._asdict() | {"rows": rows})


def facets(service: Service, asked: Asked) -> bytes:
    """Return the most frequent values of fields."""
    names = list(dict.fromkeys(asked.others.get("field", [])))
    if len(names) > MAX_FACETS:
        raise Problem(422, f"field: at most {MAX_FACETS} of them", parameter="field")
    limit = asked.query.limit or 10
    fields = [_facet_field(name) for name in names if name != META]
    found: dict[str, Any] = {}
    if fields or not names:
        found = service.engine.facets(asked.query.filter, fields, limit)
    if META in names:
        found[META] = service.engine.meta_keys(asked.query.filter, limit)
    return answers.encode({name: [facet._asdict() for facet in values] for name, values in found.items()})


def _facet_field(name: str) -> str:
    try:
        kind = get_field(name).kind
    except QueryError as error:
        raise Problem(422, str(error), parameter="field") from None
    if kind.is_numeric:
        raise Problem(422, f"{name} has no values to count: it is a {kind.value}", parameter="field")
    return name


def texts(ask: str) -> Callable[[Service, Asked], bytes]:
    """Return what answers with the texts that the engine's method ``ask`` finds."""

    def answer(service: Service, asked: Asked) -> bytes:
        found: list[RepeatedText] = getattr(service.engine, ask)(asked.query)
        return answers.encode({"items": [answers.plain(each) for each in found]})

    return answer


def words(service: Service, asked: Asked) -> bytes:
    """Return the words of a sample."""
    found = service.engine.words(asked.query)
    return answers.encode(found._asdict() | {"words": [each._asdict() for each in found.words]})


def templates(service: Service, asked: Asked) -> bytes:
    """Return the prompt templates that most events were made from."""
    names = ("events", "users", "errors", "p50_latency", "cost")
    known = asked.query.filter.with_condition(Condition("template", "has"))
    limit = asked.query.limit or TEMPLATES
    wanted = Query(known, tuple(map(Measure, names)), (Group("template"),), limit=limit)
    items = [
        {"template": template, "text": _template_text(service, template), **dict(zip(names, values, strict=True))}
        for template, *values in service.engine.aggregate(wanted).rows
    ]
    return answers.encode({"items": items})


def _template_text(service: Service, template: str) -> str | None:
    wanted = Query().filter.with_condition(Condition("template", ":", (template,)))
    rows = service.engine.events(Query(wanted, limit=1)).rows
    for body in service.store.bodies([row.seq for row in rows]):
        text = parse_body(body.body).get("template")
        return (text if isinstance(text, str) else answers.encode(text).decode())[:MAX_TEMPLATE]
    return None


def conversations(service: Service, asked: Asked) -> bytes:
    """Return a page of conversations."""
    cursor = asked.other("cursor")
    try:
        page = service.engine.conversations(asked.query, cursor or None)
    except QueryError as error:
        raise Problem(422, str(error), parameter="cursor" if cursor else None) from None
    return answers.encode({"items": [answers.plain(each) for each in page.rows], "next_cursor": page.next_cursor})


def user(service: Service, user_id: str) -> bytes:
    """Return what is known of a user."""
    found = service.engine.user(user_id)
    if found is None:
        raise Problem(404, "no event has this user")
    return answers.encode(answers.plain(found))
