"""Explore: any measure by any groups as chart and table, compared with another filter or period."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.server.pages import charts, panels
from ainsights.server.pages.chart import Chart, Series
from ainsights.server.pages.links import Links, held_to
from ainsights.server.query import GROUPS, MEASURES, Filter, Group, Measure, Query, QueryError, parse_filter
from ainsights.server.query.fields import BUCKETS

if TYPE_CHECKING:
    from markupsafe import Markup
    from starlette.responses import Response

    from ainsights.server.pages.site import Visit
    from ainsights.server.query.engine import Table

PREVIOUS = "previous"
DRAWINGS = ("columns", "lines", "bars", "table")
ROWS = 200
COMMON = (
    "events", "users", "conversations", "errors", "error_rate", "cost", "mean_cost", "tokens", "prompt_tokens",
    "completion_tokens", "p50_latency", "p95_latency", "p99_latency", "p50_ttft", "p95_ttft", "tokens_per_second",
)  # fmt: skip
"""The measures that are offered first."""

BARS = 20


class View(NamedTuple):
    """One filter's answer: as shown, and as downloads have it.

    Attributes:
        chart: None where there is nothing to draw.
        total: the measure of all events that pass.
    """

    links: Links
    query: Query
    table: Table
    chart: Chart | None
    drawing: str
    total: float | None


def show(visit: Visit) -> Response:
    """Return the page."""
    view = view_of(visit, visit.links)
    other = _compared_filter(visit)
    second = view_of(visit, panels.compared(view.links, other)) if other else None
    fields = [group for group in view.query.groups if not group.is_bucket]
    return visit.page(
        "explore.html",
        view=view,
        second=second,
        drawn=[(each, draw(each, compared=second is not None)) for each in (view, second) if each],
        measure=view.query.measures[0],
        unit=panels.unit_of(view.query.measures[0]),
        common=[Measure(name) for name in COMMON],
        measures=[Measure(name) for name in MEASURES if name not in COMMON],
        fields=[name for name in GROUPS if name not in BUCKETS],
        buckets=BUCKETS,
        field=fields[0].name if fields else "",
        second_field=fields[1].name if len(fields) > 1 else "",
        bucket=next((group.name for group in view.query.groups if group.is_bucket), ""),
        drawings=DRAWINGS,
        compare=visit.own.get("compare", ""),
        percent=visit.own.get("percent", ""),
        cells=cells,
        row_link=row_link,
        unit_of=panels.unit_of,
        change=_change(view.total, second.total) if second else None,
    )


def view_of(visit: Visit, links: Links) -> View:
    """Return what the query of ``links`` measures; without a measure, events over time by model."""
    query = links.query
    if not query.measures:
        query = replace(query, measures=(Measure("events"),), groups=(Group("auto"), Group("model")), order=None)
    query = replace(query, limit=query.limit or (1000 if any(group.is_bucket for group in query.groups) else ROWS))
    links = Links(links.path, query, links.kept)
    table = visit.engine.aggregate(query)
    chart = _chart(visit, links, query, table)
    drawing = visit.own.get("chart", "")
    drawing = drawing if drawing in DRAWINGS else _fitting(query)
    if chart and visit.own.get("percent") and query.measures[0].name in panels.ADDITIVE:
        chart = as_shares(chart)
    whole = visit.engine.aggregate(Query(query.filter, query.measures[:1]))
    return View(links, query, table, chart, drawing, whole.rows[0][0])


def draw(view: View, *, compared: bool = False) -> Markup | None:
    """Return the drawing of the chart, if there is one."""
    if view.chart is None or view.drawing == "table":
        return None
    drawings = {"columns": charts.columns, "lines": charts.lines, "bars": charts.bars}
    return drawings[view.drawing](panels.wide(view.chart, 260) if not compared else view.chart)


def as_shares(chart: Chart) -> Chart:
    """Return the chart with each value as a share of what stands at its position; of all, for a single series."""
    if len(chart.series) == 1:
        sums = [sum(value or 0 for value in chart.series[0].values)] * len(chart.labels)
    else:
        sums = [sum(each.values[place] or 0 for each in chart.series) for place in range(len(chart.labels))]
    series = [
        Series(
            each.name, [(value or 0) / total if total else 0 for value, total in zip(each.values, sums, strict=True)]
        )
        for each in chart.series
    ]
    return replace(chart, series=series, unit="share")


def cells(view: View, row: tuple[Any, ...]) -> list[tuple[Any, str]]:
    """Return the values of a row, each with its unit: ``time``, ``text`` or that of its measure."""
    kinds = ["time" if group.is_bucket else "text" for group in view.query.groups]
    units = [*kinds, *(panels.unit_of(measure) for measure in view.query.measures)]
    return [(panels.name_of(value) if unit == "text" else value, unit) for value, unit in zip(row, units, strict=True)]


def row_link(view: View, row: tuple[Any, ...]) -> str:
    """Return the list of the events of a row."""
    wanted = view.query.filter
    links = view.links
    for group, value in zip(view.query.groups, row, strict=False):
        if group.is_bucket:
            start = datetime.fromtimestamp(value, timezone.utc)
            until = panels.end_of(view.table.bucket or "day", start)
            wanted = replace(wanted, since=start, until=until)
        else:
            wanted = held_to(wanted, group.name, value)
    return panels.compared(links, wanted).events()


def _chart(visit: Visit, links: Links, query: Query, table: Table) -> Chart | None:
    measure = query.measures[0]
    title = measure.label.capitalize()
    buckets = [group.name for group in query.groups if group.is_bucket]
    fields = [group.name for group in query.groups if not group.is_bucket]
    if not table.rows or not query.groups:
        return None
    if buckets and fields:
        return panels.by_group(f"{title} by {fields[0]}", links, visit.engine, measure.name, fields[0], buckets[0])
    if buckets:
        alike = [each.name for each in query.measures if panels.unit_of(each) == panels.unit_of(measure)]
        return panels.over_time(title, links, visit.engine, alike, buckets[0])
    return _stacked(title, links, query, table) if len(fields) > 1 else _bars(title, links, query, table)


def _bars(title: str, links: Links, query: Query, table: Table) -> Chart:
    rows, field, measure = table.rows[:BARS], query.groups[0].name, query.measures[0]
    names = [panels.name_of(row[0]) for row in rows]
    series = [Series(measure.label, [row[1] for row in rows])]
    to = [links.events_with(field, row[0]) for row in rows]
    return Chart(f"{title} by {field}", names, series, panels.unit_of(measure), to)


def _stacked(title: str, links: Links, query: Query, table: Table) -> Chart:
    measure, (first, second) = query.measures[0], query.groups
    heights: dict[Any, float] = {}
    weights: dict[Any, float] = {}
    for one, two, value, *_ in table.rows:
        heights[one] = heights.get(one, 0) + (value or 0)
        weights[two] = weights.get(two, 0) + (value or 0)
    labels = sorted(heights, key=lambda one: -heights[one])[:BARS]
    kinds = sorted(weights, key=lambda two: -weights[two])[: panels.TOP]
    values = {(row[0], row[1]): row[2] for row in table.rows}
    series = [Series(panels.name_of(two), [values.get((one, two)) for one in labels]) for two in kinds]
    to = [links.events_with(first.name, one) for one in labels]
    names = [panels.name_of(one) for one in labels]
    return Chart(f"{title} by {first.name} and {second.name}", names, series, panels.unit_of(measure), to)


def _fitting(query: Query) -> str:
    if not query.groups:
        return "table"
    if not any(group.is_bucket for group in query.groups):
        return "bars"
    return "columns" if query.measures[0].name in panels.ADDITIVE else "lines"


def _compared_filter(visit: Visit) -> Filter | None:
    text, wanted = visit.own.get("compare", "").strip(), visit.query.filter
    if not text:
        return None
    if text != PREVIOUS:
        other = parse_filter(text)
        return replace(
            other, since=other.since or wanted.since, until=other.until or (None if other.since else wanted.until)
        )
    now = datetime.now(timezone.utc)
    resolved = wanted.resolved(now)
    if not isinstance(resolved.since, datetime):
        raise QueryError("choose a time range to compare with the period before it", "compare")
    until = resolved.until if isinstance(resolved.until, datetime) else now
    return replace(wanted, since=resolved.since - (until - resolved.since), until=resolved.since)


def _change(now: float | None, before: float | None) -> float | None:
    return (now - before) / before if now is not None and before else None
