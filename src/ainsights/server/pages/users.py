"""Users: who asks, how much, what it costs and what fails; one user; and the way to erase what is stored of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.pages import charts, panels
from ainsights.server.pages.links import Links, held_to, url
from ainsights.server.pages.live import lines
from ainsights.server.problems import Problem
from ainsights.server.query import Query

if TYPE_CHECKING:
    from starlette.responses import Response

    from ainsights.server.pages.site import Visit

MEASURED = ("events", "conversations", "errors", "error_rate", "tokens", "cost", "p50_latency")
USERS = 100


def show(visit: Visit) -> Response:
    """Return the users with the most events, or the highest of another measure."""
    order = visit.own.get("sort", "events")
    ranked = panels.ranking(visit.links, visit.engine, "user", MEASURED, USERS, order if order in MEASURED else None)
    count = panels.totals(visit.engine, visit.query.filter, ["users"])["users"]
    return visit.page(
        "users.html",
        ranked=ranked,
        count=count,
        chart=charts.columns(panels.wide(panels.over_time("Users", visit.links, visit.engine, ["users"]))),
        unit_of=panels.unit_of,
        erased=visit.own.get("erased", ""),
        is_empty=panels.is_empty(visit.engine),
    )


def show_one(visit: Visit) -> Response:
    """Return one user."""
    summary = visit.engine.user(visit.item)
    if summary is None:
        raise Problem(404, "No event has this user.")
    wanted = held_to(visit.query.filter, "user", visit.item)
    links = Links("/ui/", Query(wanted))
    engine = visit.engine
    return visit.page(
        "user.html",
        summary=summary,
        all_link=url("/ui/", Query(wanted)),
        conversations_link=url("/ui/conversations", Query(wanted)),
        erase_link=url("/ui/erase", Query(held_to(Query().filter, "user", visit.item))),
        activity=charts.columns(panels.by_group("Insights", links, engine, "events", "status")),
        costs=charts.columns(panels.by_group("Cost", links, engine, "cost", "model")),
        questions=engine.questions(Query(wanted, limit=10)),
        errors=panels.ranking(
            panels.compared(links, held_to(wanted, "status", "error")), engine, "error", ["events"], 10
        ),
        lines=lines(visit, engine.events(Query(wanted, limit=10)).rows),
        unit_of=panels.unit_of,
    )
