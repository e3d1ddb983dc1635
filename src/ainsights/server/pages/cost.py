"""Cost: over time, and by model, user, template and tag. What has no known price is shown as unknown, never as 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.pages import charts, panels
from ainsights.server.query import Condition

if TYPE_CHECKING:
    from starlette.responses import Response

    from ainsights.server.pages.site import Visit

GROUPS = {"model": "Model", "user": "User", "template": "Template", "tag": "Tag", "release": "Release", "host": "Host"}
MEASURED = ("cost", "mean_cost", "events", "tokens")
ROWS = 10


def show(visit: Visit) -> Response:
    """Return the page."""
    engine, links = visit.engine, visit.links
    tab = visit.own.get("tab", "")
    tab = tab if tab in GROUPS else "model"
    unknown = Condition("cost", "has", negated=True)
    without = visit.query.filter.with_condition(unknown)
    return visit.page(
        "cost.html",
        totals=panels.totals(engine, visit.query.filter, ["cost", "mean_cost", "events", "tokens", "cached_tokens"]),
        unknown=engine.count(without),
        unknown_link=links.events(unknown),
        unknown_models=panels.ranking(panels.compared(links, without), engine, "model", ["events"], ROWS),
        tab=tab,
        tabs=[(name, title, links.with_own(tab=name)) for name, title in GROUPS.items()],
        over_time=charts.columns(panels.wide(panels.by_group(f"Cost by {tab}", links, engine, "cost", tab))),
        rankings=[(title, name, panels.ranking(links, engine, name, MEASURED, ROWS)) for name, title in GROUPS.items()],
        unit_of=panels.unit_of,
        is_empty=panels.is_empty(engine),
    )
