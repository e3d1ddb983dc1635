"""How much is stored, and over what time: what a look at the newest events has to read to find some."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.clickhouse.engine.source import select
from ainsights.server.query.dialects.sql import SQL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.server.clickhouse.engine.source import Database

FIRST_LOOK = 16_384
"""Events, at about, among which a list is looked for first."""

WIDER = 16
FRESH_SECONDS = 10.0


class Stored(NamedTuple):
    """How many rows there are, and the times of the first and the last, in microseconds."""

    rows: int
    first: int
    last: int

    def widths(self) -> Iterator[int]:
        """Yield spans of time that hold more and more events, but not all, in microseconds."""
        rows = FIRST_LOOK
        while rows * WIDER <= self.rows:
            yield max(1, (self.last - self.first) * rows // self.rows)
            rows *= WIDER


class Extent:
    """What is stored, as of some seconds ago. ClickHouse knows it of each part without reading it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._stored = Stored(0, 0, 0)

    def stored(self) -> Stored:
        """Return what is stored."""
        with self._lock:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                sql = SQL("SELECT count(), min(key_time), max(key_time) FROM event WHERE key_time > 0")
                self._stored = Stored(*select(self._database, sql)[0])
                self._read_at = time.monotonic()
            return self._stored
