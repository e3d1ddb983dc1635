"""Insight: one call with all that is known of it, between its neighbours within the filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from ainsights._model import META_KEYS, MetaKey
from ainsights.server.events import build_event
from ainsights.server.events.reading import as_dict, as_number, parse_body
from ainsights.server.pages import output_items, prompt_diff, response_chain, snippets, transcript
from ainsights.server.pages.links import LIVE, url
from ainsights.server.pages.live import words_of
from ainsights.server.problems import Problem
from ainsights.server.query.engine import IndexUnavailableError, Neighbors

if TYPE_CHECKING:
    from ainsights.server.events import Event
    from ainsights.server.pages.site import Visit

BAD_REQUEST = 400
"""The lowest HTTP status of an error."""

MAX_RAW = 100_000
"""Characters of the raw JSON on the page; the download has all."""

WIDTH = 600
"""Units of the timing bar."""


def show(visit: Visit) -> Response:
    """Return the page of one insight."""
    stored = visit.site.store.find(visit.item)
    if stored is None:
        raise Problem(404, "No insight has this id. It may have been erased, or removed by the retention limits.")
    if visit.own.get("format") == "json":
        return _json(stored.body)
    insight, event = parse_body(stored.body), build_event(*stored)
    raw = transcript.pretty(insight)
    return visit.page(
        "insight.html",
        event=event,
        time=event.time / 1e6,
        received_at=stored.received_at,
        neighbors=_neighbors(visit),
        back=url(LIVE, visit.query, **visit.links.kept),
        messages=transcript.request_messages(insight),
        answers=transcript.answers(insight),
        items=output_items.items(insight),
        state=output_items.state(insight),
        chain=response_chain.chain(visit, insight, event),
        words=words_of(visit.query),
        template=prompt_diff.compare(insight),
        error=_error(insight),
        args=_table(as_dict(insight.get("args"))),
        meta=_table(as_dict(insight.get("meta"))),
        inputs=_table(as_dict(insight.get("inputs"))),
        usage=_usage(event),
        timing=timing(event, as_number(as_dict(insight.get("meta")).get(MetaKey.RETRIES))),
        raw=raw[:MAX_RAW],
        is_cut=len(raw) > MAX_RAW,
        curl=snippets.curl(insight)[:MAX_RAW],
        python=snippets.python(insight)[:MAX_RAW],
    )


def timing(event: Event, retries: float | None) -> dict[str, Any] | None:
    """Return the parts of the timing bar, and its texts; None where no time is known."""
    if event.latency is None:
        return None
    until_first = WIDTH * min((event.ttft or 0) / event.latency, 1) if event.latency else 0
    return {
        "latency": event.latency,
        "ttft": event.ttft,
        "first": round(until_first, 1),
        "rest": round(WIDTH - until_first, 1),
        "width": WIDTH,
        "retries": int(retries or 0),
    }


def _neighbors(visit: Visit) -> Neighbors:
    try:
        return visit.engine.neighbors(visit.query, visit.item)
    except IndexUnavailableError:  # the insight itself can be shown
        return Neighbors(None, None)


def _error(insight: dict[str, Any]) -> list[tuple[str, str]]:
    error, meta = as_dict(insight.get("response")).get("error"), as_dict(insight.get("meta"))
    kind, status = meta.get(MetaKey.ERROR_TYPE), meta.get(MetaKey.HTTP_STATUS)
    is_refused = isinstance(status, int) and status >= BAD_REQUEST
    if not (error or kind or is_refused):
        return []
    details = error if isinstance(error, dict) else {"message": error}
    named = {"type": kind, "HTTP status": status} | details
    return [(name, transcript.scalar(value)) for name, value in named.items() if value is not None]


def _table(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Return names and values, what ainsights added last."""
    ordered = sorted(values.items(), key=lambda item: item[0] in META_KEYS)
    return [(key, transcript.scalar(value)) for key, value in ordered[:200]]


def _usage(event: Event) -> list[tuple[str, int | None]]:
    return [
        ("Prompt", event.prompt_tokens),
        ("of it cached", event.cached_tokens),
        ("Completion", event.completion_tokens),
        ("of it reasoning", event.reasoning_tokens),
        ("In all", event.tokens),
    ]


def _json(body: bytes) -> Response:
    named = {"Content-Disposition": 'attachment; filename="insight.json"'}
    return Response(body, media_type="application/json", headers=named)
