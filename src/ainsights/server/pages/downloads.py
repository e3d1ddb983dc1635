"""What is on the screen, as files: events as CSV or JSON lines, a table as CSV or JSON, a chart as SVG."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse

from ainsights.server.pages import explore, svg_file
from ainsights.server.pages.live import chosen, texts_of
from ainsights.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ainsights.server.pages.site import Visit
    from ainsights.server.query.engine import EventRow

AT_ONCE = 500
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def events(visit: Visit) -> Response:
    """Return all events of the filter in the order of the list: its columns as CSV, or the bodies as JSON lines."""
    if visit.own.get("format") == "jsonl":
        return _file(_bodies(visit), "application/x-ndjson", "insights.jsonl")
    return _file(_lines(visit), "text/csv; charset=utf-8", "insights.csv")


def table(visit: Visit) -> Response:
    """Return the table of Explore as CSV or JSON, or its chart as SVG."""
    view = explore.view_of(visit, visit.links)
    kind = visit.own.get("format", "csv")
    if kind == "svg":
        drawn = explore.draw(view)
        if drawn is None:
            raise Problem(404, "There is no chart to download: choose a group.")
        return _file([svg_file.stand_alone(drawn)], "image/svg+xml", "chart.svg")
    rows = [[_plain(value, unit) for value, unit in explore.cells(view, row)] for row in view.table.rows]
    if kind == "json":
        items = [dict(zip(view.table.columns, row, strict=True)) for row in rows]
        return _file([json.dumps(items, ensure_ascii=False, indent=1)], "application/json", "table.json")
    return _file((_csv(row) for row in (view.table.columns, *rows)), "text/csv; charset=utf-8", "table.csv")


def _lines(visit: Visit) -> Iterator[str]:
    columns = chosen(visit.own.get("columns", ""))
    yield _csv(columns)
    with_texts = {"question", "answer"} & set(columns)
    for rows in _pages(visit):
        texts = texts_of(visit.site, rows) if with_texts else {}
        for row in rows:
            question, answer = texts.get(row.seq, ("", ""))
            values = row._asdict() | {"question": question, "answer": answer, "time": _time(row.time)}
            yield _csv([values[name] for name in columns])


def _bodies(visit: Visit) -> Iterator[bytes]:
    for rows in _pages(visit):
        for body in visit.site.store.bodies([row.seq for row in rows]):
            yield b"%b\n" % body.body.replace(b"\n", b" ").replace(b"\r", b" ")


def _pages(visit: Visit) -> Iterator[list[EventRow]]:
    query, cursor = replace(visit.query, limit=AT_ONCE), None
    while True:
        page = visit.engine.events(query, cursor)
        yield page.rows
        cursor = page.next_cursor
        if cursor is None:
            return


def _plain(value: Any, unit: str) -> Any:
    return _time(value) if unit == "time" else value


def _time(seconds: float) -> str:
    at = datetime.fromtimestamp(seconds, timezone.utc)
    return at.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _csv(values: Iterable[Any]) -> str:
    """Return a line of CSV; a text that a spreadsheet would take for a formula gets an apostrophe."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([_cell(value) for value in values])
    return line.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = ", ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        value = value.replace("\0", "\ufffd")
        return f"'{value}" if value.startswith(_FORMULA) else value
    return value


def _file(content: Iterable[str | bytes], media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(content, media_type=media_type, headers=headers)
