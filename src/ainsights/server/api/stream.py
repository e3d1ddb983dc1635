"""``GET /insights/stream``: events as they are stored, as server-sent events."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.api import answers
from ainsights.server.api.events import bodies_of
from ainsights.server.problems import Problem
from ainsights.server.query.engine import IndexUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ainsights.server.api.service import Service
    from ainsights.server.query import Filter

MAX_STREAMS = 64
HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 0.1
"""Between two looks whether there is something new; the index takes as long."""

AT_ONCE = 100

_SEQ = re.compile(r"[0-9]{1,18}")


class _Batch(NamedTuple):
    """Some events as they are sent, and after which the next begin."""

    data: bytes
    after: int


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
        after = int(last_event_id) if last_event_id else service.store.last_seq()
        return self._run(service, wanted, after)

    async def _run(self, service: Service, wanted: Filter, after: int) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            yield b"retry: 1000\n\n"
            last_sent = time.monotonic()
            while not service.stopping.is_set():
                batch = await _next(service, wanted, after)
                after = batch.after
                if batch.data or time.monotonic() - last_sent >= HEARTBEAT_SECONDS:
                    yield batch.data or b": alive\n\n"
                    last_sent = time.monotonic()
                if not batch.data:
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            self.open -= 1


async def _next(service: Service, wanted: Filter, after: int) -> _Batch:
    if service.store.last_seq() <= after:
        return _Batch(b"", after)
    try:
        return await service.query(_read, service, wanted, after)
    except (IndexUnavailableError, Problem):  # it is being built, or busy: a little later
        return _Batch(b"", after)


def _read(service: Service, wanted: Filter, after: int) -> _Batch:
    status = service.engine.status()
    if status.state != "ready" or status.indexed_seq <= after:
        return _Batch(b"", after)
    seqs = service.engine.seqs(wanted, after, AT_ONCE)
    parts = []
    for row, body in bodies_of(service, service.engine.rows(seqs)):
        shown = answers.encode(answers.item(row, answers.event_of(body)))
        parts.append(b"id: %d\nevent: insight\ndata: %b\n\n" % (row.seq, shown))
    return _Batch(b"".join(parts), seqs[-1] if len(seqs) == AT_ONCE else max(status.indexed_seq, *seqs, after))
