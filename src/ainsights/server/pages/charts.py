"""Charts as SVG, drawn on the server: bars, stacked bars, lines, sparklines. Pure: values in, markup out.

Colours, fonts and sizes of text are the style sheet's, by class: the pages' security policy allows no inline style. A
chart stands in a ``<figure>`` with its legend and, for screen readers and for copying, the same numbers as a table.
"""

from __future__ import annotations

import math
from itertools import accumulate
from typing import TYPE_CHECKING

from markupsafe import Markup

from ainsights.server.pages import axes
from ainsights.server.pages.chart import LEFT, RIGHT, TOP
from ainsights.server.pages.units import exact, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ainsights.server.pages.chart import Chart

ROW = 26
"""Height of one horizontal bar."""
COLOURS = 8
"""So many colours the style sheet has; further series start again, with another dash or hatch."""
CHARACTER = 7
"""Width of one character of an axis label, about."""


def columns(chart: Chart) -> Markup:
    """Draw vertical bars, stacked where there are several series: for values over time."""
    scale = axes.scale(chart.largest_sum, chart.unit)
    slot = chart.plot_width / max(len(chart.labels), 1)
    marks = [_column(chart, position, slot, scale) for position in range(len(chart.labels))]
    return _figure(chart, [*_grid(chart, scale), *_x_labels(chart, slot), *marks], chart.height, "columns")


def lines(chart: Chart) -> Markup:
    """Draw a line for each series; it is broken where nothing is known."""
    scale = axes.scale(chart.largest, chart.unit)
    slot = chart.plot_width / max(len(chart.labels), 1)
    marks: list[Markup] = []
    for number, each in enumerate(chart.series):
        points = [
            None
            if value is None
            else (LEFT + slot * (place + 0.5), chart.base - chart.plot_height * scale.share(value))
            for place, value in enumerate(each.values)
        ]
        marks.append(Markup('<path class="line {}" d="{}"/>').format(_colour(number), _path(points)))
        alone = (point for place, point in enumerate(points) if point and _stands_alone(points, place))
        marks += [
            Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3"/>').format(_colour(number), *at)
            for at in alone
        ]
    hits = [_hit(chart, position, slot) for position in range(len(chart.labels))]
    return _figure(chart, [*_grid(chart, scale), *_x_labels(chart, slot), *marks, *hits], chart.height, "lines")


def bars(chart: Chart) -> Markup:
    """Draw horizontal bars, stacked where there are several series: for values by name."""
    scale = axes.scale(chart.largest_sum, chart.unit)
    height = ROW * len(chart.labels) + 4
    rows = [_bar(chart, position, scale) for position in range(len(chart.labels))]
    return _figure(chart, rows, max(height, ROW), "bars")


def sparkline(values: Sequence[float | None], title: str, width: int = 96, height: int = 22) -> Markup:
    """Draw a small line without axes, to stand in a table's cell."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    step = width / max(len(values) - 1, 1)
    points = [
        None if value is None else (step * place, height - 2 - (height - 4) * max(value, 0.0) / top)
        for place, value in enumerate(values)
    ]
    return Markup(
        '<svg class="spark" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{title}">'
        '<path class="line c0" d="{path}"/></svg>'
    ).format(w=width, h=height, title=title, path=_path(points))


def table(chart: Chart) -> Markup:
    """Return the chart's numbers as a table."""
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(each.name) for each in chart.series)
    body = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            Markup('<a href="{}">{}</a>').format(chart.links[place], label) if chart.links else label,
            Markup("").join(
                Markup("<td>{}</td>").format(exact(each.values[place], chart.unit)) for each in chart.series
            ),
        )
        for place, label in enumerate(chart.labels)
    )
    return Markup("<table><caption>{}</caption><thead><tr><td></td>{}</tr></thead><tbody>{}</tbody></table>").format(
        chart.title, head, body
    )


def _figure(chart: Chart, parts: Sequence[Markup], height: int, kind: str) -> Markup:
    drawing = Markup(
        '<svg class="chart {kind}" viewBox="0 0 {w} {h}" role="{role}" aria-label="{title}" data-left="{left}" '
        'data-right="{right}" data-bucket="{bucket}" data-end="{end}">{parts}</svg>'
    ).format(
        bucket=chart.bucket,
        end=chart.end,
        role="group" if chart.links else "img",
        kind=kind,
        w=chart.width,
        h=height,
        title=chart.title,
        left=LEFT,
        right=RIGHT,
        parts=Markup("").join(parts),
    )
    return Markup(
        '<figure class="chart-figure">{legend}{drawing}<details><summary>Numbers</summary>'
        '<div class="scroll">{table}</div></details></figure>'
    ).format(legend=_legend(chart), drawing=drawing, table=table(chart))


def _legend(chart: Chart) -> Markup:
    if len(chart.series) < 2:  # noqa: PLR2004  the title names a single one
        return Markup("")
    entries = Markup("").join(
        Markup(
            '<li><svg class="swatch" viewBox="0 0 10 10" aria-hidden="true"><rect class="area {}" width="10" '
            'height="10" rx="2"/></svg>{}</li>'
        ).format(_colour(number), each.name)
        for number, each in enumerate(chart.series)
    )
    return Markup('<ul class="legend">{}</ul>').format(entries)


def _grid(chart: Chart, scale: axes.Scale) -> Iterator[Markup]:
    for tick in scale.ticks:
        y = chart.base - chart.plot_height * scale.share(tick)
        yield Markup('<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}"/>').format(
            LEFT, chart.width - RIGHT, y=y
        )
        yield Markup('<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
            LEFT - 8, y + 4, show(tick, chart.unit)
        )


def _x_labels(chart: Chart, slot: float) -> Iterator[Markup]:
    step = axes.every(chart.labels, chart.plot_width // CHARACTER)
    for place in range(0, len(chart.labels), step):
        x = LEFT + slot * (place + 0.5)
        at = Markup(' data-at="{}"').format(chart.keys[place]) if chart.keys else ""
        yield Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle"{}>{}</text>').format(
            x, chart.height - 8, at, chart.labels[place]
        )


def _column(chart: Chart, position: int, slot: float, scale: axes.Scale) -> Markup:
    values = [max(each.values[position] or 0.0, 0.0) for each in chart.series]
    width = max(slot * 0.82, 0.8)
    x = LEFT + slot * position + (slot - width) / 2
    parts = []
    for number, (value, until) in enumerate(zip(values, accumulate(values), strict=True)):
        height = chart.plot_height * scale.share(value)
        if value:
            parts.append(
                Markup('<rect class="area {}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                    _colour(number), x, chart.base - chart.plot_height * scale.share(until), width, max(height, 1.0)
                )
            )
    return Markup("").join([*parts, _hit(chart, position, slot)])


def _hit(chart: Chart, position: int, slot: float) -> Markup:
    """Return what reacts at one position: the whole height, with a tooltip, and a link where there is one."""
    mark = Markup('<rect class="hit" x="{:.1f}" y="{}" width="{:.1f}" height="{}"{}><title>{}</title></rect>').format(
        LEFT + slot * position, TOP, slot, chart.plot_height, _key(chart, position), _tooltip(chart, position)
    )
    return _linked(chart, position, mark)


def _bar(chart: Chart, position: int, scale: axes.Scale) -> Markup:
    y = ROW * position + 2
    label, room = chart.labels[position], chart.width // 3
    shown = label if len(label) * CHARACTER <= room else label[: room // CHARACTER - 1] + "…"
    width = chart.width - room - 90
    values = [max(each.values[position] or 0.0, 0.0) for each in chart.series]
    parts = [Markup('<text class="name" x="{}" y="{}" text-anchor="end">{}</text>').format(room - 8, y + 16, shown)]
    start = float(room)
    for number, value in enumerate(values):
        length = width * scale.share(value)
        if value:
            parts.append(
                Markup('<rect class="area {}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>').format(
                    _colour(number), start, y + 2, max(length, 1.0), ROW - 8
                )
            )
        start += length
    known = any(each.values[position] is not None for each in chart.series)
    total = show(sum(values) if known else None, chart.unit)
    parts.append(Markup('<text class="value" x="{:.1f}" y="{}">{}</text>').format(start + 6, y + 16, total))
    hit = Markup('<rect class="hit" x="0" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
        y, chart.width, ROW - 2, _tooltip(chart, position)
    )
    return Markup("").join([*parts, _linked(chart, position, hit)])


def _linked(chart: Chart, position: int, mark: Markup) -> Markup:
    if not chart.links:
        return mark
    return Markup('<a href="{}" tabindex="-1" aria-label="{}">{}</a>').format(
        chart.links[position], _tooltip(chart, position).replace("\n", ", "), mark
    )


def _key(chart: Chart, position: int) -> Markup:
    return Markup(' data-key="{}"').format(chart.keys[position]) if chart.keys else Markup("")


def _tooltip(chart: Chart, position: int) -> str:
    values = [(each.name, each.values[position]) for each in chart.series]
    shown = [f"{name}: {exact(value, chart.unit)}" for name, value in values if value is not None or len(values) == 1]
    return "\n".join([chart.labels[position], *shown])


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    parts, pen = [], "M"
    for point in points:
        if point is None or not all(map(math.isfinite, point)):
            pen = "M"
            continue
        parts.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen = "L"
    return "".join(parts)


def _stands_alone(points: Sequence[tuple[float, float] | None], place: int) -> bool:
    before = points[place - 1] if place else None
    after = points[place + 1] if place + 1 < len(points) else None
    return before is None and after is None


def _colour(number: int) -> str:
    return f"c{number % COLOURS}" + (" again" if number >= COLOURS else "")
