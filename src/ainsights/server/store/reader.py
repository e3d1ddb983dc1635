"""Reading: connections that never wait for the writer, nor hold it up."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from ainsights.server.store import codec, legacy, schema
from ainsights.server.store.protocol import Removal, StoredBody, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MAX_BYTES = 64 * 2**20
"""Bodies that one call returns; what reaches it ends early, so that no caller takes the memory of the process."""

MAX_CONNECTIONS = 8
"""Readers at the same time; each has three file descriptors. More of them wait for one another."""

_AT_ONCE = 500
"""Values in one statement."""


class Reader:
    """Read-only connections to the database at ``path``, kept open for the next caller."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._generation = 0

    def renew(self) -> None:
        """Close all connections; new ones see the file that is there now. Nothing else is needed at the end."""
        with self._lock:
            self._generation += 1
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def bodies_after(self, seq: int, limit: int) -> list[StoredBody]:
        """See :class:`ainsights.server.store.protocol.Store`."""
        sql = "SELECT seq, event_id, received_at, codec, content FROM stored WHERE seq > ? ORDER BY seq LIMIT ?"
        with self.connection() as connection, closing(connection.execute(sql, (seq, limit))) as rows:
            found: list[StoredBody] = []
            size = 0
            for row in rows:
                found.append(_stored(row))
                size += len(found[-1].body)
                if size >= MAX_BYTES:
                    break
            return found

    def bodies(self, seqs: Sequence[int]) -> list[StoredBody]:
        """See :class:`ainsights.server.store.protocol.Store`."""
        found: dict[int, StoredBody] = {}
        with self.connection() as connection:
            for at in range(0, len(seqs), _AT_ONCE):
                some = seqs[at : at + _AT_ONCE]
                marks = ", ".join("?" * len(some))
                sql = f"SELECT seq, event_id, received_at, codec, content FROM stored WHERE seq IN ({marks})"  # noqa: S608  bound
                found.update((row[0], _stored(row)) for row in connection.execute(sql, some))
        return [found[seq] for seq in seqs if seq in found]

    def find(self, event_id: str) -> StoredBody | None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        sql = "SELECT seq, event_id, received_at, codec, content FROM stored WHERE event_id = ?"
        with self.connection() as connection:
            row = connection.execute(sql, (event_id,)).fetchone()
            return _stored(row) if row else None

    def removals_after(self, number: int, limit: int) -> list[Removal]:
        """See :class:`ainsights.server.store.protocol.Store`."""
        sql = "SELECT number, seq FROM removal WHERE number > ? ORDER BY number LIMIT ?"
        with self.connection() as connection:
            return [Removal(*row) for row in connection.execute(sql, (number, limit))]

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that has the view `stored`: all bodies, during a migration those of the old file too.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._room:
            generation, connection = self._generation, self._take_idle()
            try:
                connection = connection or self._connect()
                yield connection
            except BaseException as error:
                if connection:
                    connection.close()
                if isinstance(error, (sqlite3.Error, ValueError)):
                    raise StoreError(f"cannot read the database: {error}") from error
                raise
            self._put_back(connection, generation)

    def _take_idle(self) -> sqlite3.Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _put_back(self, connection: sqlite3.Connection, generation: int) -> None:
        with self._lock:
            if generation == self._generation:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, timeout=schema.BUSY_SECONDS, check_same_thread=False)
        try:
            view = legacy.VIEW
            if connection.execute("SELECT count(*) FROM migration").fetchone()[0]:
                with suppress(sqlite3.OperationalError):  # the migration ended just now
                    connection.execute(legacy.ATTACH, (legacy.uri(self._path, "ro"),))
                    view = legacy.VIEW_WITH_LEGACY
            connection.execute(view)
        except BaseException:
            connection.close()
            raise
        return connection


def _stored(row: tuple[int, str, float | str, int, bytes | str]) -> StoredBody:
    seq, event_id, received_at, how, content = row
    if isinstance(content, str) or isinstance(received_at, str):  # of the old file
        return StoredBody(seq, event_id, legacy.seconds(str(received_at)), str(content).encode())
    return StoredBody(seq, event_id, received_at, codec.decompress(how, content))
