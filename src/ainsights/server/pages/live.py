"""Live: the list of insights, newest first, with facets, search, and columns to choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.events.messages import answer_of, last_user_text, message_list, render
from ainsights.server.events.reading import as_dict, parse_body
from ainsights.server.pages import charts, panels
from ainsights.server.pages.highlight import excerpt
from ainsights.server.query.engine import EventRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from starlette.responses import Response

    from ainsights.server.pages.site import Site, Visit
    from ainsights.server.query import Query
    from ainsights.server.query.engine import Facet

COLUMNS = (
    "time", "status", "model", "user", "question", "answer", "latency", "ttft", "tokens", "prompt_tokens",
    "completion_tokens", "cached_tokens", "reasoning_tokens", "tokens_per_second", "cost", "error", "finish", "tool",
    "tag", "template", "conversation", "release", "host", "api", "stream", "size", "id",
)  # fmt: skip
DEFAULT = ("time", "status", "model", "user", "question", "answer", "latency", "tokens", "cost")
ORDERED = ("time", "latency", "ttft", "tokens", "prompt_tokens", "completion_tokens", "cost", "size")
UNITS = {
    "latency": "ms", "ttft": "ms", "cost": "USD", "size": "bytes", "tokens_per_second": "tokens/s",
    "tokens": "count", "prompt_tokens": "count", "completion_tokens": "count", "cached_tokens": "count",
    "reasoning_tokens": "count",
}  # fmt: skip
FACETS = ("status", "model", "user", "error", "finish", "tool", "tag", "template", "release", "host", "api", "stream")
SHOWN = 6
"""Values of a facet that are shown at first."""

MOST = 30
"""Values of a facet that is opened."""

PAGE = 50


class Line(NamedTuple):
    """One insight of the list, with what was asked and answered."""

    row: EventRow
    question: Markup
    answer: Markup
    link: str


def show(visit: Visit) -> Response:
    """Return the list."""
    wanted = visit.query.filter
    page = visit.engine.events(visit.query, visit.own.get("after") or None)
    columns = chosen(visit.own.get("columns", ""))
    if page.rows or not panels.is_empty(visit.engine):
        facets, count = _facets(visit), visit.engine.count(wanted)
        chart = charts.columns(
            panels.wide(panels.by_group("Insights", visit.links, visit.engine, "events", "status"), 130)
        )
    else:
        facets, count, chart = {}, 0, None
    return visit.page(
        "live.html",
        lines=lines(visit, page.rows),
        next_url=visit.links.with_own(after=page.next_cursor) if page.next_cursor else "",
        is_first=not visit.own.get("after"),
        facets=facets,
        count=count,
        chart=chart,
        columns=columns,
        all_columns=COLUMNS,
        units=UNITS,
        ordered=ORDERED,
        order=visit.query.order,
        views=visit.site.saved_views.read(),
        is_empty=chart is None,
        title_of=title_of,
        facet_name=panels.name_of,
        loop_index=EventRow._fields.index,
    )


def chosen(columns: str) -> list[str]:
    """Return the columns that are named, in our order; the usual ones if none is."""
    named = set(columns.split(","))
    return [name for name in COLUMNS if name in named] or list(DEFAULT)


def title_of(column: str) -> str:
    """Return the heading of a column."""
    return {"ttft": "TTFT", "id": "ID"}.get(column, column.replace("_", " ").capitalize())


def lines(visit: Visit, rows: Sequence[EventRow]) -> list[Line]:
    """Return the rows with what was asked and answered, cut short, with the hits of the search marked."""
    words = words_of(visit.query)
    texts = texts_of(visit.site, rows)
    return [
        Line(row, excerpt(question, words), excerpt(answer, words), visit.links.insight(row.id))
        for row, (question, answer) in ((row, texts.get(row.seq, ("", ""))) for row in rows)
    ]


def texts_of(site: Site, rows: Sequence[EventRow]) -> dict[int, tuple[str, str]]:
    """Return question and answer by seq."""
    found: dict[int, tuple[str, str]] = {}
    for body in site.store.bodies([row.seq for row in rows]):
        insight = parse_body(body.body)
        messages = message_list(insight.get("messages")) or render(
            insight.get("template"), as_dict(insight.get("inputs"))
        )
        found[body.seq] = last_user_text(messages), answer_of(as_dict(insight.get("response")))
    return found


def words_of(query: Query) -> list[str]:
    """Return the words that are searched for."""
    return [text.text for text in query.filter.texts if not text.negated]


def _facets(visit: Visit) -> dict[str, list[Facet]]:
    """Return the values of each facet that has more than unknown ones; many of the one that is open."""
    opened = visit.own.get("open", "")
    found = visit.engine.facets(visit.query.filter, FACETS, SHOWN + 1)
    if opened in FACETS:
        found[opened] = visit.engine.facets(visit.query.filter, [opened], MOST)[opened]
    return {name: values for name, values in found.items() if any(facet.value is not None for facet in values)}


def save_view(visit: Visit) -> Response:
    """Save the view that the form names."""
    url = visit.form.get("url", "/ui/")
    visit.site.saved_views.add(visit.form.get("name", ""), url)
    return visit.redirect(url if url.startswith("/ui/") else "/ui/")


def remove_view(visit: Visit) -> Response:
    """Remove the view that the form names."""
    visit.site.saved_views.remove(visit.form.get("name", ""))
    return visit.redirect("/ui/")
