"""Performance: latency and time to first token over time and by model, throughput, the slowest insights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.pages import charts, panels
from ainsights.server.pages.live import lines
from ainsights.server.query import Order, Query

if TYPE_CHECKING:
    from starlette.responses import Response

    from ainsights.server.pages.site import Visit

MEASURED = ("events", "p50_latency", "p95_latency", "p99_latency", "p50_ttft", "p95_ttft", "tokens_per_second")
SLOWEST = 10


def show(visit: Visit) -> Response:
    """Return the page."""
    links, engine = visit.links, visit.engine
    slowest = engine.events(Query(visit.query.filter, order=Order("latency"), limit=SLOWEST))
    return visit.page(
        "performance.html",
        totals=panels.totals(engine, visit.query.filter, MEASURED),
        latency=charts.lines(panels.over_time("Latency", links, engine, ["p50_latency", "p95_latency", "p99_latency"])),
        ttft=charts.lines(panels.over_time("Time to first token", links, engine, ["p50_ttft", "p95_ttft"])),
        models=charts.lines(panels.by_group("p95 latency by model", links, engine, "p95_latency", "model")),
        speed=charts.lines(panels.by_group("Tokens per second by model", links, engine, "tokens_per_second", "model")),
        ranked=panels.ranking(links, engine, "model", MEASURED, 20),
        slowest=lines(visit, slowest.rows),
        unit_of=panels.unit_of,
        is_empty=panels.is_empty(engine),
    )
