"""What arrives at any replica, in order of arrival and at most two seconds later.

Replicas number events by the clock of the server, and their inserts end in another order than they began. A follower
therefore shows an event once its number is a second old. An insert that took longer still is found by a second look at
the last half minute: there are more events in it than were shown.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ainsights.server.clickhouse.engine.pages import seqs
from ainsights.server.clickhouse.engine.source import passing, select
from ainsights.server.clickhouse.numbers import number_at
from ainsights.server.query.dialects.sql import SQL, concat

if TYPE_CHECKING:
    from ainsights.server.clickhouse.engine.source import Database
    from ainsights.server.query.model import Filter

SETTLED_SECONDS = 1.0
LATE_SECONDS = 30.0
LOOK_SECONDS = 0.4
"""Between two looks at what is new, of all followers of a replica together."""


class Newest:
    """The highest number that is stored; ClickHouse is asked once for all followers."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._number = 0

    def number(self) -> int:
        """Return the number, as of a moment ago."""
        with self._lock:
            if time.monotonic() - self._looked_at >= LOOK_SECONDS:
                sql = SQL("SELECT max(seq) FROM event WHERE seq >= {:Int64}", (self._number,))
                self._number = max(self._number, select(self._database, sql)[0][0])
                self._looked_at = time.monotonic()
            return self._number


class ClickHouseFollower:
    """See :class:`ainsights.server.query.engine.Follower`."""

    def __init__(self, database: Database, newest: Newest, wanted: Filter, after: int | None) -> None:
        self._database = database
        self._newest = newest
        self._wanted = wanted
        self._looked_at = float("-inf")
        self.after = number_at(database.now()) if after is None else after
        self._shown: set[int] | None = None

    @property
    def is_due(self) -> bool:
        """Whether it is time to look."""
        return time.monotonic() - self._looked_at >= LOOK_SECONDS

    def next(self, limit: int) -> list[int]:
        """Return the next events that arrived."""
        now = self._database.now()
        settled, oldest = number_at(now - SETTLED_SECONDS), number_at(now - LATE_SECONDS)
        if self._shown is None:  # the stream begins or goes on: what becomes visible from now on is late
            self._shown = {*self._numbers(oldest)}
        self._shown = {seq for seq in self._shown if seq > oldest}
        found: list[int] = []
        newest = self._newest.number()
        if newest > oldest:
            found = self._late(oldest, self._shown)
        if newest > self.after and settled > self.after:
            fresh = [seq for seq in seqs(self._database, self._resolved(), self.after, limit) if seq <= settled]
            self.after = fresh[-1] if len(fresh) == limit else settled
            found += fresh
        if len(found) < limit:
            self._looked_at = time.monotonic()
        self._shown.update(found)
        return found

    def _late(self, oldest: int, shown: set[int]) -> list[int]:
        """Return events that became visible after others with higher numbers were shown."""
        if select(self._database, concat("SELECT count() ", self._before(oldest)))[0][0] <= len(shown):
            return []
        return [seq for seq in self._numbers(oldest) if seq not in shown]

    def _numbers(self, oldest: int) -> list[int]:
        statement = concat("SELECT seq ", self._before(oldest), " ORDER BY seq")
        return [seq for (seq,) in select(self._database, statement)]

    def _before(self, oldest: int) -> SQL:
        """Return what selects the latest events up to the place of the stream."""
        bounds = SQL(" AND seq > {:Int64} AND seq <= {:Int64}", (oldest, self.after))
        return concat(passing(self._resolved()), bounds)

    def _resolved(self) -> Filter:
        return self._wanted.resolved(datetime.now(timezone.utc))
