"""Templates: each prompt template with its versions, use, latency, cost and answers."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.events.messages import message_list, text_of
from ainsights.server.events.reading import parse_body
from ainsights.server.pages import charts, panels
from ainsights.server.pages.links import Links, held_to
from ainsights.server.pages.live import lines
from ainsights.server.problems import Problem
from ainsights.server.query import Condition, Order, Query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

    from ainsights.server.pages.panels import Ranked
    from ainsights.server.pages.site import Visit

MEASURED = ("events", "users", "errors", "error_rate", "p50_latency", "p95_latency", "mean_cost", "cost")
TEMPLATES = 50
MAX_COMPARED = 2000
"""Characters of two templates that are compared."""

ALIKE = 0.9
"""Templates that have so much in common are versions of one."""


class Family(NamedTuple):
    """Versions of one template, the most used first."""

    versions: list[tuple[Ranked, str]]


def show(visit: Visit) -> Response:
    """Return the templates with the most events, or the highest of another measure."""
    known = panels.compared(visit.links, visit.query.filter.with_condition(Condition("template", "has")))
    order = visit.own.get("sort", "events")
    ranked = panels.ranking(known, visit.engine, "template", MEASURED, TEMPLATES, order if order in MEASURED else None)
    texts = [text_of_template(visit, str(row.value)) for row in ranked.rows]
    return visit.page(
        "templates.html",
        families=families(list(zip(ranked.rows, texts, strict=True))),
        measures=ranked.measures,
        truncated=ranked.truncated,
        without=visit.engine.count(visit.query.filter.with_condition(Condition("template", "has", negated=True))),
        without_link=visit.links.events(Condition("template", "has", negated=True)),
        cost=charts.columns(panels.wide(panels.by_group("Cost by template", known, visit.engine, "cost", "template"))),
        unit_of=panels.unit_of,
        is_empty=panels.is_empty(visit.engine),
    )


def show_one(visit: Visit) -> Response:
    """Return one template."""
    engine, wanted = visit.engine, held_to(visit.query.filter, "template", visit.item)
    links = Links("/ui/", Query(wanted))
    text = text_of_template(visit, visit.item)
    if not text:
        raise Problem(404, "No event was made from this template.")
    first = engine.events(Query(wanted, order=Order("time", descending=False), limit=1)).rows
    rows = engine.events(Query(wanted, limit=20)).rows
    return visit.page(
        "template.html",
        id=visit.item,
        text=text,
        totals=panels.totals(engine, wanted, MEASURED),
        first=first[0].time if first else None,
        last=rows[0].time if rows else None,
        use=charts.columns(panels.by_group("Insights", links, engine, "events", "status")),
        latency=charts.lines(panels.over_time("Latency", links, engine, ["p50_latency", "p95_latency"])),
        cost=charts.columns(panels.by_group("Cost by model", links, engine, "cost", "model")),
        users=panels.ranking(links, engine, "user", ["events", "errors", "cost"], 10),
        failures=panels.ranking(
            panels.compared(links, held_to(wanted, "status", "error")), engine, "user", ["events"], 10
        ),
        models=panels.ranking(links, engine, "model", ["events", "errors", "p50_latency", "cost"], 10),
        lines=lines(visit, rows),
        all_link=links.events(),
        unit_of=panels.unit_of,
    )


def text_of_template(visit: Visit, template: str) -> str:
    """Return the text of a template, from the newest event that was made from it; empty if there is none."""
    wanted = Query().filter.with_condition(Condition("template", ":", (template,)))
    rows = visit.engine.events(Query(wanted, limit=1)).rows
    for body in visit.site.store.bodies([row.seq for row in rows]):
        messages = message_list(parse_body(body.body).get("template"))
        texts = [(str(message.get("role") or "user"), text_of(message.get("content"))) for message in messages]
        return "\n\n".join(text if len(texts) == 1 else f"{role}: {text}" for role, text in texts) or "(no text)"
    return ""


def families(templates: Sequence[tuple[Ranked, str]]) -> list[Family]:
    """Return the templates, with those that are much alike together: versions of one."""
    found: list[Family] = []
    for ranked, text in templates:
        family = next((each for each in found if _are_similar(each.versions[0][1], text)), None)
        if family:
            family.versions.append((ranked, text))
        else:
            found.append(Family([(ranked, text)]))
    return found


def _are_similar(one: str, other: str) -> bool:
    matcher = SequenceMatcher(None, one[:MAX_COMPARED], other[:MAX_COMPARED], autojunk=False)
    return all(ratio() > ALIKE for ratio in (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio))
