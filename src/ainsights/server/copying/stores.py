"""The two ends of a copy: a store that is read while its endpoint may run, and one that is written."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from ainsights.errors import ConfigurationError
from ainsights.server import backends
from ainsights.server.copying.stream import Copied, Tally
from ainsights.server.store import SQLiteStore
from ainsights.server.store import schema as sqlite_schema
from ainsights.server.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ainsights.server.store import Store

AT_ONCE = 2000


class Source(Protocol):
    """A store to read."""

    def count(self) -> int:
        """Return how many events there are."""
        ...

    def parts(self, after: str) -> Iterator[list[Copied]]:
        """Yield the events that follow a place, some megabytes at a time; empty: all.

        Raises:
            ConfigurationError: there is no such place.
            StoreError: the store cannot be read.
        """
        ...


class SQLiteSource:
    """The events of a database file, in order of arrival."""

    def __init__(self, path: Path) -> None:
        self._reader = Reader(path)

    def count(self) -> int:
        """See :class:`Source`."""
        with self._reader.connection() as connection:
            return int(connection.execute("SELECT count(*) FROM stored").fetchone()[0])

    def parts(self, after: str) -> Iterator[list[Copied]]:
        """See :class:`Source`."""
        if after and not after.isdecimal():
            raise ConfigurationError(f"--after: {after[:80]!r} is not a position in a SQLite file")
        seq = int(after or 0)
        while found := self._reader.bodies_after(seq, AT_ONCE):
            yield [Copied(str(stored.seq), stored) for stored in found]
            seq = found[-1].seq


def tally(source: Source) -> Tally:
    """Return count and hash of all that is in a store."""
    found = Tally()
    for part in source.parts(""):
        for copied in part:
            found.add(*copied.stored[1:])
    return found


@contextmanager
def opened_source(database: Path, url: str | None) -> Iterator[Source]:
    """Open the store to read: the file, or what the URL names.

    Raises:
        ConfigurationError: it cannot be used.
    """
    if url is not None:
        with backends.clickhouse(url).opened_source(url) as source:
            yield source
        return
    try:
        if not sqlite_schema.version_of(database):
            raise ConfigurationError(f"database {database}: there is none")
    except OSError as error:
        raise ConfigurationError(f"database {database}: {error.strerror}") from error
    yield SQLiteSource(database)


@contextmanager
def opened_target(database: Path, url: str | None, audit_key_file: Path | None) -> Iterator[Store]:
    """Open the store to write.

    Raises:
        ConfigurationError: it cannot be used.
    """
    if url is None:
        with SQLiteStore(database, audit_key_file=audit_key_file) as store:
            yield store
        return
    file = audit_key_file or database.with_name(f"{database.name}.audit-key")
    with backends.clickhouse(url).opened_store(url, file) as store:
        yield store
