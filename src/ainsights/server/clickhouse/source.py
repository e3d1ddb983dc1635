"""The events of a store on ClickHouse for a copy, in the order of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.errors import ConfigurationError
from ainsights.server.clickhouse.scan import BEGINNING, Place, scan
from ainsights.server.copying.stream import Copied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.server.clickhouse.connection import Connection


class ClickHouseSource:
    """See :class:`ainsights.server.copying.stores.Source`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def count(self) -> int:
        """Return how many events there are."""
        return int(self._connection.rows("SELECT count() FROM event FINAL")[0][0])

    def parts(self, after: str) -> Iterator[list[Copied]]:
        """Yield the events that follow a place, some megabytes at a time; empty: all.

        Raises:
            ConfigurationError: there is no such place.
            StoreError: the store cannot be read.
        """
        for part in scan(self._connection, _place(after)):
            yield [Copied(f"{row.place.key_time}:{row.place.event_id}", row.stored) for row in part]


def _place(after: str) -> Place:
    if not after:
        return BEGINNING
    key_time, colon, event_id = after.partition(":")
    if not colon or not key_time.isdecimal():
        raise ConfigurationError(f"--after: {after[:80]!r} is not a position in a store on ClickHouse")
    return Place(int(key_time), event_id)
