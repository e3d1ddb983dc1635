"""Live updates: how many events of a filter are new, as server-sent events, as soon as queries see them."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from ainsights.server.query.engine import IndexUnavailableError
from ainsights.server.query.fields import QueryError
from ainsights.server.store import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ainsights.server.api import Service
    from ainsights.server.pages.site import Site
    from ainsights.server.query import Filter
    from ainsights.server.query.engine import Follower

MAX_STREAMS = 64
"""Open pages that are kept up to date at the same time."""

HEARTBEAT = 15.0
"""Seconds after which something is sent, so that a connection that is gone is noticed."""

POLL = 0.2
"""Seconds between two looks at what is new."""

AT_ONCE = 1000


class LiveStreams:
    """Counts new events for every page that is open."""

    def __init__(self, site: Site, service: Service) -> None:
        self._site = site
        self._service = service
        self._open = 0

    def response(self, wanted: Filter) -> Response:
        """Return the stream of one page."""
        if self._open >= MAX_STREAMS:
            return PlainTextResponse("too many pages are open\n", 503)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        messages = self._messages(self._site.engine.follow(wanted))
        return StreamingResponse(messages, media_type="text/event-stream", headers=headers)

    async def _messages(self, follower: Follower) -> AsyncIterator[str]:
        """Yield how many events are new, now and again."""
        self._open += 1
        try:
            yield "retry: 2000\n\n"
            sent = time.monotonic()
            while not self._service.stopping.is_set():
                await asyncio.sleep(POLL)
                count = await self._service.query(_new, follower) if follower.is_due else 0
                if count or time.monotonic() - sent > HEARTBEAT:
                    sent = time.monotonic()
                    yield _message({"new": count}) if count else ": nothing new\n\n"
        finally:
            self._open -= 1


def _new(follower: Follower) -> int:
    """Return how many further events have arrived."""
    try:
        return len(follower.next(AT_ONCE))
    except (IndexUnavailableError, StoreError, QueryError):
        return 0


def _message(content: dict[str, Any]) -> str:
    return f"event: insights\ndata: {json.dumps(content)}\n\n"
