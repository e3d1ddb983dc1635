"""Charts and rankings as the pages show them: a query each, answered by the engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.server.pages.chart import MAX_MARKS, Chart, Series
from ainsights.server.pages.highlight import visible
from ainsights.server.pages.links import Links
from ainsights.server.query import FIELDS, Condition, Filter, Group, Kind, Measure, Order, Query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ainsights.server.pages.units import Unit
    from ainsights.server.query.engine import Engine, Table
    from ainsights.server.query.model import Value

TOP = 7
"""So many groups have a colour of their own."""

OTHERS = "others"
UNKNOWN = "unknown"
ADDITIVE = frozenset(("events", "errors", "tokens", "prompt_tokens", "completion_tokens", "cost", "size", "share"))
"""Measures of which the rest is the total less those that are shown."""

_STEPS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_WEEK = timedelta(days=7)
_TOLERANCE = 86_400
"""Seconds that clocks may be ahead."""
_FORMATS = {"minute": "%H:%M", "hour": "%d %b %H:%M", "day": "%d %b", "week": "%d %b %Y"}


class Ranked(NamedTuple):
    """One group of a ranking: its value, the values of the measures, and the list of its events."""

    value: Value | None
    name: str
    numbers: tuple[float | None, ...]
    link: str


class Ranking(NamedTuple):
    """Groups by their measures."""

    measures: tuple[Measure, ...]
    rows: list[Ranked]
    truncated: bool


def unit_of(measure: Measure) -> Unit:
    """Return the unit of the measure's values."""
    if measure.of in ("share", "error_rate"):
        return "share"
    if measure.of == "tokens_per_second":
        return "tokens/s"
    if measure.of == "cost":
        return "USD"
    if measure.of == "size":
        return "bytes"
    field = FIELDS.get(measure.of)
    if field and field.kind is Kind.DURATION:
        return "ms"
    return "tokens" if measure.of.endswith("tokens") else "count"


def name_of(value: Any) -> str:
    """Return a group's value as people read it."""
    if value is None or value == "":
        return UNKNOWN
    return str(value).lower() if isinstance(value, bool) else visible(str(value))


def totals(engine: Engine, wanted: Filter, names: Sequence[str]) -> dict[str, Any]:
    """Return measures of all events that pass, by name."""
    table = engine.aggregate(Query(wanted, tuple(map(Measure, names))))
    return dict(zip(names, table.rows[0], strict=True))


def ranking(  # noqa: PLR0913, PLR0917  what a ranking shows
    links: Links, engine: Engine, field: str, names: Sequence[str], limit: int = 20, by: str | None = None
) -> Ranking:
    """Return the groups of ``field``, ordered by the measure ``by``, the first one if none is named."""
    measures = tuple(map(Measure, names))
    query = Query(links.query.filter, measures, (Group(field),), Order(by or names[0]), limit)
    table = engine.aggregate(query)
    rows = [Ranked(row[0], name_of(row[0]), row[1:], links.events_with(field, row[0])) for row in table.rows]
    return Ranking(measures, rows, table.truncated)


def ranking_chart(title: str, ranked: Ranking, number: int = 0, most: int = 12) -> Chart:
    """Return the ranking as bars of one of its measures."""
    rows = [row for row in ranked.rows if row.numbers[number] is not None][:most]
    measure = ranked.measures[number]
    series = [Series(measure.label, [row.numbers[number] for row in rows])]
    return Chart(title, [row.name for row in rows], series, unit_of(measure), [row.link for row in rows])


def over_time(title: str, links: Links, engine: Engine, names: Sequence[str], bucket: str = "auto") -> Chart:
    """Return one series for each measure, over time."""
    measures = tuple(map(Measure, names))
    table = engine.aggregate(Query(links.query.filter, measures, (Group(bucket),), limit=10_000))
    series = {measure.label: {row[0]: row[number + 1] for row in table.rows} for number, measure in enumerate(measures)}
    return time_chart(title, links, table, series, measures[0])


def by_group(title: str, links: Links, engine: Engine, name: str, field: str, bucket: str = "auto") -> Chart:  # noqa: PLR0913, PLR0917  what a chart shows
    """Return one series for each of the most frequent values of ``field``, over time, and one for the others."""
    measure, wanted = Measure(name), links.query.filter
    ranked = ranking(links, engine, field, [name, "events"] if name != "events" else [name], TOP, _rank(name))
    values = [row.value for row in ranked.rows if row.value is not None and row.value != ""]
    group = Group(bucket)
    everything = engine.aggregate(Query(wanted, (measure,), (group,), limit=10_000))
    series: dict[str, Mapping[float, float | None]] = {}
    if values:
        held = wanted.with_condition(Condition(field, ":", tuple(values)))
        table = engine.aggregate(
            Query(held, (measure,), (Group(everything.bucket or bucket), Group(field)), limit=10_000)
        )
        for value in values:
            series[name_of(value)] = {row[0]: row[2] for row in table.rows if row[1] == value}
    if name in ADDITIVE:
        rest = {at: _rest(total, [numbers.get(at) for numbers in series.values()]) for at, total in everything.rows}
        if any(number and number > 1e-9 for number in rest.values()):  # noqa: PLR2004  not a remainder of rounding
            series[OTHERS] = rest
    return time_chart(title, links, everything, series, measure)


def _rank(name: str) -> str:
    return name if name in ADDITIVE else "events"


def _rest(total: float | None, shown: Sequence[float | None]) -> float | None:
    return None if total is None else max(total - sum(number or 0 for number in shown), 0)


def time_chart(
    title: str, links: Links, table: Table, series: Mapping[str, Mapping[float, float | None]], measure: Measure
) -> Chart:
    """Return the series over every bucket from the first to the last, those without events too."""
    bucket = table.bucket or "day"
    starts = buckets(bucket, _until_now([row[0] for row in table.rows]))
    missing = 0 if measure.name in ADDITIVE and measure.of != "cost" else None
    drawn = [
        Series(name, [numbers.get(start.timestamp(), missing) for start in starts]) for name, numbers in series.items()
    ] or [Series(measure.label, [missing for _ in starts])]
    links_to = [links.events(since=start, until=start + _step(bucket)) for start in starts]
    keys = [start.isoformat(timespec="seconds").replace("+00:00", "Z") for start in starts]
    ends = [(start + _step(bucket)).isoformat(timespec="seconds").replace("+00:00", "Z") for start in starts[-1:]]
    labels = [start.strftime(_FORMATS[bucket]) for start in starts]
    return Chart(title, labels, drawn, unit_of(measure), links_to, keys, bucket, ends[0] if ends else "")


def wide(chart: Chart, height: int = 200) -> Chart:
    """Return the chart for the whole width of a page."""
    return replace(chart, width=1080, height=height)


def buckets(bucket: str, times: Sequence[float]) -> list[datetime]:
    """Return the beginnings of all buckets from the first to the last; of too many, the last ones."""
    if not times:
        return []
    first, last = (datetime.fromtimestamp(pick(times), timezone.utc) for pick in (min, max))
    count = round((last - first) / _step(bucket)) + 1
    begin = max(count - MAX_MARKS, 0)
    return [first + _step(bucket) * number for number in range(begin, count)]


def _until_now(times: Sequence[float]) -> Sequence[float]:
    """Return the times without those that a wrong clock set to the future, unless there are no others."""
    now = datetime.now(timezone.utc).timestamp() + _TOLERANCE
    return [time for time in times if time <= now] or times


def _step(bucket: str) -> timedelta:
    return _STEPS.get(bucket, _WEEK)


def compared(links: Links, wanted: Filter) -> Links:
    """Return links of the same page for another filter."""
    return Links(links.path, replace(links.query, filter=wanted), links.kept)


def is_empty(engine: Engine) -> bool:
    """Return whether nothing was ever stored."""
    return engine.status().last_seq == 0


def end_of(bucket: str, start: datetime) -> datetime:
    """Return where the bucket that begins at ``start`` ends."""
    return start + _step(bucket)
