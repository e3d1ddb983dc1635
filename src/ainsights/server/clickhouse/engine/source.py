"""What queries select from, and how they are run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ainsights.server.clickhouse.engine.selection import matching
from ainsights.server.query.dialects import clickhouse as dialect
from ainsights.server.query.dialects.sql import SQL, concat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ainsights.server.query.model import Filter

EVENTS = "event FINAL"
"""Each event once, also while a second copy of it waits to be merged away."""


class Database(Protocol):
    """Runs statements whose values the server binds."""

    def rows(self, statement: str, parameters: Mapping[str, Any], /) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a SELECT."""
        ...

    def now(self) -> float:
        """Return the server's time in seconds since the epoch."""
        ...


def select(database: Database, statement: SQL) -> Sequence[tuple[Any, ...]]:
    """Return the rows of a statement."""
    return database.rows(*dialect.bind(statement))


def passing(wanted: Filter) -> SQL:
    """Return ``FROM event WHERE …`` for the events of a resolved filter."""
    return concat(f"FROM {EVENTS} WHERE ", matching(wanted))
