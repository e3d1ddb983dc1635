"""``GET /insights`` and ``GET /insights/{id}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights.server.api import answers
from ainsights.server.problems import Problem
from ainsights.server.query import QueryError
from ainsights.server.query.engine import IndexUnavailableError, Neighbors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ainsights.server.api.parameters import Asked
    from ainsights.server.api.service import Service
    from ainsights.server.query.engine import EventRow
    from ainsights.server.store import StoredBody

BATCH_BYTES = 8 * 2**20
"""Bodies that are read at once."""

TAKEN = ("order", "limit", "cursor")


def list_events(service: Service, asked: Asked) -> bytes:
    """Return the page that the request asks for."""
    cursor = asked.other("cursor")
    try:
        page = service.engine.events(asked.query, cursor or None)
    except QueryError as error:
        raise Problem(422, str(error), parameter="cursor" if cursor else None) from None
    items = [answers.item(row, answers.event_of(body)) for row, body in bodies_of(service, page.rows)]
    total = None if cursor else service.engine.count(asked.query.filter)
    return answers.encode({"items": items, "next_cursor": page.next_cursor, "total": total})


def bodies_of(service: Service, rows: Sequence[EventRow]) -> Iterator[tuple[EventRow, StoredBody]]:
    """Yield each row with its body, a few megabytes at a time; events that were removed meanwhile are left out."""
    batch: list[EventRow] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += row.size
        if size >= BATCH_BYTES:
            yield from _read(service, batch)
            batch, size = [], 0
    yield from _read(service, batch)


def _read(service: Service, rows: Sequence[EventRow]) -> list[tuple[EventRow, StoredBody]]:
    found = {body.seq: body for body in service.store.bodies([row.seq for row in rows])}
    return [(row, found[row.seq]) for row in rows if row.seq in found]


def one_event(service: Service, event_id: str, asked: Asked) -> bytes:
    """Return one event. It is there as soon as it is stored, even if the index is behind."""
    stored = service.store.find(event_id)
    if stored is None:
        raise Problem(404, "no event has this id")
    event = answers.event_of(stored)
    row, neighbors = answers.row_of(event), Neighbors(None, None)
    try:
        row = next(iter(service.engine.rows([stored.seq])), row)
        neighbors = service.engine.neighbors(asked.query, event_id)
    except IndexUnavailableError:  # the event itself is more than enough to answer
        pass
    shown: dict[str, Any] = answers.item(row, event, None) | {
        "received_at": answers.timestamp(stored.received_at),
        "cost_source": event.cost_source,
        "meta": event.meta,
        "neighbors": neighbors._asdict(),
    }
    return answers.with_body(shown, stored.body)


def conversation(service: Service, conversation_id: str) -> bytes:
    """Return the events of one conversation."""
    rows = service.engine.conversation(conversation_id)
    if not rows:
        raise Problem(404, "no event is of this conversation")
    items = [answers.item(row, answers.event_of(body), None) for row, body in bodies_of(service, rows)]
    return answers.encode({"items": items, "next_cursor": None, "total": len(items)})
