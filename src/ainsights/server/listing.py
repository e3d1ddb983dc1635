"""Reading the store: one page of insights, newest first, or one insight. Answers are JSON bytes."""

from __future__ import annotations

import sqlite3  # noqa: TC003  the types of public functions
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from ainsights._model import Insight
from ainsights.server.rows import Instant, Row, timestamp

MAX_PAGE_BYTES = 32 * 2**20
"""Bodies in one page; the page that reaches it ends early, so that no request takes the memory of the process."""

COLUMNS = ", ".join(Row._fields)


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


def page(connection: sqlite3.Connection, listing: Listing) -> bytes:
    """Return the :class:`Page` that ``listing`` asks for.

    It is ordered by time and id, and the cursor names the last item by both: whatever is stored meanwhile, each item
    that was there at the first page comes exactly once.
    """
    wanted: dict[str, str | None] = {
        "model = ?": listing.model,
        "user_id = ?": listing.user_id,
        "status = ?": listing.status,
        "time >= ?": timestamp(listing.since) if listing.since else None,
        "time < ?": timestamp(listing.until) if listing.until else None,
    }
    conditions = {sql: value for sql, value in wanted.items() if value is not None}
    total = None if listing.cursor else _count(connection, conditions)
    items, last = _items(connection, conditions, listing)
    next_cursor = f"{last[0]}_{last[1]}" if last else None
    return b'{"items":[%b],"next_cursor":%b,"total":%b}' % (b",".join(items), to_json(next_cursor), to_json(total))


def one(connection: sqlite3.Connection, event_id: str) -> bytes | None:
    """Return the :class:`Stored` insight with ``event_id``, or None."""
    rows = connection.execute(f"SELECT {COLUMNS} FROM insight WHERE event_id = ?", (event_id,))  # noqa: S608  our own columns
    row = rows.fetchone()
    return _encode(Row._make(row)) if row else None


def _count(connection: sqlite3.Connection, conditions: dict[str, str]) -> int:
    sql = f"SELECT count(*) FROM insight WHERE {_where(conditions)}"  # noqa: S608  conditions of our own, values bound
    count: int = connection.execute(sql, tuple(conditions.values())).fetchone()[0]
    return count


def _items(
    connection: sqlite3.Connection, conditions: dict[str, str], listing: Listing
) -> tuple[list[bytes], tuple[str, int] | None]:
    """Return the items of the page, and time and id of the last one if more follow."""
    values: list[str | int] = list(conditions.values())
    where = _where(conditions)
    if listing.cursor:
        time, _, number = listing.cursor.rpartition("_")
        where += " AND (time, id) < (?, ?)"
        values += [time, int(number)]
    sql = f"SELECT {COLUMNS}, id FROM insight WHERE {where} ORDER BY time DESC, id DESC LIMIT ?"  # noqa: S608  as above
    items: list[bytes] = []
    size, last = 0, None
    for *columns, number in connection.execute(sql, (*values, listing.limit + 1)):
        if len(items) == listing.limit or size >= MAX_PAGE_BYTES:
            return items, last
        row = Row._make(columns)
        items.append(_encode(row))
        size += len(items[-1])
        last = row.time, number
    return items, None


def _where(conditions: dict[str, str]) -> str:
    return " AND ".join(conditions) or "TRUE"


def _encode(row: Row) -> bytes:
    """Return the row as JSON, with the body spliced in: what came is what is shown, to the byte."""
    *columns, body = row
    told = to_json(dict(zip(Row._fields, columns, strict=False)))
    return b'%b,"body":%b}' % (told[:-1], body.encode())
