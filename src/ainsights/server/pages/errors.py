"""Errors: by type, by model, over time; the first and the last of each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.pages import charts, panels
from ainsights.server.pages.links import Links, held_to
from ainsights.server.pages.live import lines
from ainsights.server.query import Order, Query

if TYPE_CHECKING:
    from starlette.responses import Response

    from ainsights.server.pages.panels import Ranked
    from ainsights.server.pages.site import Visit
    from ainsights.server.query.engine import EventRow

TYPES = 12
LATEST = 10


class Kind(NamedTuple):
    """One type of error, and its first and last event."""

    ranked: Ranked
    first: EventRow
    last: EventRow
    first_link: str
    last_link: str


def show(visit: Visit) -> Response:
    """Return the page."""
    engine, wanted = visit.engine, held_to(visit.query.filter, "status", "error")
    failed = Links("/ui/errors", Query(wanted))
    ranked = panels.ranking(failed, engine, "error", ["events", "users"], TYPES)
    return visit.page(
        "errors.html",
        totals=panels.totals(engine, visit.query.filter, ["events", "errors", "error_rate"]),
        by_type=charts.columns(panels.by_group("Errors by type", failed, engine, "events", "error")),
        rate=charts.lines(panels.over_time("Error rate", visit.links, engine, ["error_rate"])),
        kinds=[kind for each in ranked.rows if (kind := _kind(visit, failed, each))],
        models=panels.ranking(visit.links, engine, "model", ["errors", "error_rate", "events"], TYPES),
        templates=panels.ranking(visit.links, engine, "template", ["errors", "error_rate", "events"], TYPES),
        users=panels.ranking(visit.links, engine, "user", ["errors", "error_rate", "events"], TYPES),
        latest=lines(visit, engine.events(Query(wanted, limit=LATEST)).rows),
        failed_link=failed.events(),
        unit_of=panels.unit_of,
        is_empty=panels.is_empty(engine),
    )


def _kind(visit: Visit, failed: Links, ranked: Ranked) -> Kind | None:
    query = Query(held_to(failed.query.filter, "error", ranked.value), limit=1)
    ends = [
        visit.engine.events(replace(query, order=Order("time", descending=descending))).rows
        for descending in (False, True)
    ]
    if not all(ends):
        return None
    first, last = (rows[0] for rows in ends)
    links = Links("/ui/", Query(query.filter))
    return Kind(ranked, first, last, links.insight(first.id), links.insight(last.id))
