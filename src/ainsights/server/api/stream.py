"""``GET /insights/stream``: events as they are stored, as server-sent events."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from ainsights.server.api import answers
from ainsights.server.api.events import bodies_of
from ainsights.server.problems import Problem
from ainsights.server.query.engine import IndexUnavailableError
from ainsights.server.store import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ainsights.server.api.service import Service
    from ainsights.server.query import Filter
    from ainsights.server.query.engine import Follower

MAX_STREAMS = 64
HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 0.1
"""Between two looks whether there is something new."""

AT_ONCE = 100

_SEQ = re.compile(r"[0-9]{1,18}")


class Streams:
    """Counts the streams of one server."""

    def __init__(self) -> None:
        self.open = 0

    def start(self, service: Service, wanted: Filter, last_event_id: str | None) -> AsyncIterator[bytes]:
        """Return what is sent: events that follow ``last_event_id``, else those that are stored from now on.

        Raises:
            Problem: the id is none of a stream, or there are too many streams.
        """
        if last_event_id and not _SEQ.fullmatch(last_event_id):
            raise Problem(422, "Last-Event-ID: give the id of an event of this stream", parameter="Last-Event-ID")
        if self.open >= MAX_STREAMS:
            raise Problem(503, f"there are {MAX_STREAMS} streams already", headers={"Retry-After": "5"})
        return self._run(service, service.engine.follow(wanted, int(last_event_id) if last_event_id else None))

    async def _run(self, service: Service, follower: Follower) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            yield b"retry: 1000\n\n"
            last_sent = time.monotonic()
            while not service.stopping.is_set():
                data = await _next(service, follower)
                if data or time.monotonic() - last_sent >= HEARTBEAT_SECONDS:
                    yield data or b": alive\n\n"
                    last_sent = time.monotonic()
                if not data:
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            self.open -= 1


async def _next(service: Service, follower: Follower) -> bytes:
    if not follower.is_due:
        return b""
    try:
        return await service.query(_read, service, follower)
    except (IndexUnavailableError, StoreError, Problem):  # it is being built, away, or busy: a little later
        return b""


def _read(service: Service, follower: Follower) -> bytes:
    after = follower.after
    seqs = follower.next(AT_ONCE)
    parts = []
    for row, body in bodies_of(service, service.engine.rows(seqs) if seqs else []):
        after = max(after, row.seq)
        shown = answers.encode(answers.item(row, answers.event_of(body)))
        parts.append(b"id: %d\nevent: insight\ndata: %b\n\n" % (after, shown))
    return b"".join(parts)
