"""The access log: lines of all replicas, stored within a second or two."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from ainsights.server.clickhouse.numbers import number_at
from ainsights.server.store import Access

if TYPE_CHECKING:
    from ainsights.server.clickhouse.connection import Connection

MAX_LINES = 100_000
"""Lines that wait while ClickHouse is away; the oldest are dropped."""

COLUMNS = ("number", "at", "key_name", "action", "detail")
_LATEST = (
    "SELECT DISTINCT number, at, key_name, action, detail FROM access WHERE number < {before:Int64} "
    "ORDER BY number DESC LIMIT {limit:UInt64} WITH TIES"
)
"""Two replicas may give two lines the same number: they are on one page, since the next one begins with a lower one.
A line is there twice if the answer to its insert was lost."""


class AccessLog:
    """The lines that this replica writes, and those of all replicas to read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lines: deque[tuple[int, Access]] = deque(maxlen=MAX_LINES)
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._last = 0

    def add(self, access: Access) -> None:
        """Have a line stored with the next :meth:`flush`."""
        with self._lock:
            self._last = max(self._last + 1, number_at(access.at))
            self._lines.append((self._last, access))

    def flush(self) -> None:
        """Store the lines that wait.

        Raises:
            StoreError: ClickHouse is away; they go on waiting.
        """
        with self._flushing:  # who reads waits for lines that are on their way
            with self._lock:
                lines = [*self._lines]
            if lines:
                self._connection.insert("access", COLUMNS, [(number, *access) for number, access in lines])
            with self._lock:
                while self._lines and lines and self._lines[0][0] <= lines[-1][0]:
                    self._lines.popleft()

    def latest(self, before: int | None, limit: int) -> list[tuple[int, Access]]:
        """Return lines with their numbers, latest first; more than ``limit`` if the last ones have the same number."""
        self.flush()
        bounds = {"before": before if before is not None else 2**63 - 1, "limit": limit}
        return [(number, Access(*rest)) for number, *rest in self._connection.rows(_LATEST, bounds)]
