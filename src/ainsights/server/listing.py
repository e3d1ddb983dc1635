"""Reading the store: one page of insights, newest first, or one insight. Answers are JSON bytes."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from ainsights._model import Insight
from ainsights.server.rows import Instant, Row, row_of, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.server.store import Store

MAX_PAGE_BYTES = 32 * 2**20
"""Bodies in one page; the page that reaches it ends early, so that no request takes the memory of the process."""

AT_ONCE = 500


class Stored(BaseModel):
    """One stored insight: the columns, and the body as it was received."""

    event_id: str
    received_at: str
    time: str = Field(description="When the call began (ainsights.timestamp), else received_at.")
    model: str | None
    user_id: str | None
    status: str | None
    latency_ms: float | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    body: Insight


class Page(BaseModel):
    """Some of the insights that were asked for, newest first."""

    items: list[Stored]
    next_cursor: str | None = Field(description="Give it as cursor to go on; null at the end.")
    total: int | None = Field(description="How many there are, on all pages; null on all but the first page.")


class Listing(BaseModel):
    """What ``GET /insights`` takes."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=1000, description="Items in the page at the most.")
    cursor: Annotated[str, Field(pattern=r"^[0-9T:.Z-]{27}_[0-9]{1,18}$")] | None = Field(
        None, description="next_cursor of the page before."
    )
    model: str | None = None
    user_id: str | None = None
    status: str | None = None
    since: Instant | None = Field(None, description="RFC 3339; calls that began then or later.")
    until: Instant | None = Field(None, description="RFC 3339; calls that began before.")

    def equal(self) -> dict[str, str | None]:
        """Return the columns that must equal a value, and which, or None."""
        return {"model": self.model, "user_id": self.user_id, "status": self.status}


def page(store: Store, listing: Listing) -> bytes:
    """Return the :class:`Page` that ``listing`` asks for.

    It is ordered by time and number, and the cursor names the last item by both: whatever is stored meanwhile, each
    item that was there at the first page comes exactly once. Every body is read for it.
    """
    after = _cursor(listing.cursor)
    matching = [(row.time, seq) for seq, row in _rows(store) if _matches(row, listing)]
    found = heapq.nlargest(listing.limit + 1, (place for place in matching if after is None or place < after))
    items = _items(store, [seq for _, seq in found[: listing.limit]])
    more = len(items) < len(found)
    next_cursor = f"{found[len(items) - 1][0]}_{found[len(items) - 1][1]}" if items and more else None
    total = len(matching) if after is None else None
    return b'{"items":[%b],"next_cursor":%b,"total":%b}' % (b",".join(items), to_json(next_cursor), to_json(total))


def one(store: Store, event_id: str) -> bytes | None:
    """Return the :class:`Stored` insight with ``event_id``, or None."""
    found = store.find(event_id)
    return _encode(row_of(found)) if found else None


def _rows(store: Store) -> Iterator[tuple[int, Row]]:
    seq = 0
    while bodies := store.bodies_after(seq, AT_ONCE):
        for stored in bodies:
            yield stored.seq, row_of(stored)
        seq = bodies[-1].seq


def _matches(row: Row, listing: Listing) -> bool:
    return (
        all(wanted is None or getattr(row, name) == wanted for name, wanted in listing.equal().items())
        and (listing.since is None or row.time >= timestamp(listing.since))
        and (listing.until is None or row.time < timestamp(listing.until))
    )


def _cursor(cursor: str | None) -> tuple[str, int] | None:
    if cursor is None:
        return None
    time, _, number = cursor.rpartition("_")
    return time, int(number)


def _items(store: Store, seqs: list[int]) -> list[bytes]:
    """Return the items of the page, or the first of them if they are large."""
    items: list[bytes] = []
    size = 0
    for seq in seqs:
        if size >= MAX_PAGE_BYTES:
            break
        items += [_encode(row_of(stored)) for stored in store.bodies([seq])]
        size += len(items[-1])
    return items


def _encode(row: Row) -> bytes:
    """Return the row as JSON, with the body spliced in: what came is what is shown, to the byte."""
    *columns, body = row
    shown = to_json(dict(zip(Row._fields, columns, strict=False)))
    return b'%b,"body":%b}' % (shown[:-1], body)
