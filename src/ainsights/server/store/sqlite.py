"""The SQLite file in which the local endpoint keeps insights.

One table, one row per event::

    insight (
      id                 order of arrival
      event_id           meta "ainsights.event_id", unique; a new UUIDv7 where the body has none
      received_at, time  UTC, "2025-01-31T23:59:59.000000Z": when it came; when the call began (else when it came)
      model, user_id, status, latency_ms, prompt_tokens, completion_tokens, total_tokens      null where not told
      body               the body of the request, unchanged
    )

Invariants:

- A put that has returned is on disk: WAL with ``synchronous=FULL``, and nobody is told before the commit.
- Only the writer thread writes. It takes all that wait, commits once, then tells them all: a sync of the disk is the
  dearest part, and many requests share it.
- An event id is stored once; a duplicate is no error, and changes nothing.
- Rows are never changed or deleted.
- ``application_id`` says that the file is ours, ``user_version`` which schema it has. No other file is ever written to.
- The file is readable for its owner only: it holds conversations.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from ainsights.errors import ConfigurationError
from ainsights.server import listing, private
from ainsights.server.rows import Row
from ainsights.server.store.protocol import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from typing_extensions import Self

APPLICATION_ID = 0x41494E53
SCHEMA_VERSION = 1
MAX_BATCH = 1000
BUSY_SECONDS = 5.0
"""How long a put waits for another process that writes to the same file."""

SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS insight (
  id INTEGER PRIMARY KEY,
  event_id TEXT NOT NULL UNIQUE,
  received_at TEXT NOT NULL,
  time TEXT NOT NULL,
  model TEXT,
  user_id TEXT,
  status TEXT,
  latency_ms REAL,
  prompt_tokens INTEGER,
  completion_tokens INTEGER,
  total_tokens INTEGER,
  body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS insight_by_time ON insight (time);
CREATE INDEX IF NOT EXISTS insight_by_model ON insight (model, time);
CREATE INDEX IF NOT EXISTS insight_by_user ON insight (user_id, time);
CREATE INDEX IF NOT EXISTS insight_by_status ON insight (status, time);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

INSERT = (
    f"INSERT INTO insight ({listing.COLUMNS}) VALUES ({', '.join('?' * len(Row._fields))})"  # noqa: S608  our own columns
    " ON CONFLICT (event_id) DO NOTHING"
)


class _Put(NamedTuple):
    row: Row
    stored: asyncio.Future[None]


class SQLiteStore:
    """The database file at ``path``, created if it is not there. Use it as a context manager, or open and close it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: SimpleQueue[_Put | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._writer: threading.Thread | None = None

    def open(self) -> None:
        """Open the file and start the writer thread.

        Raises:
            ConfigurationError: the file cannot be written, is not a database, not ours, or of a newer version.
        """
        connection = _connect(self.path)
        self._writer = threading.Thread(
            target=self._write_all, args=(connection,), name="ainsights-server-writer", daemon=True
        )
        self._writer.start()

    def close(self) -> None:
        """Store what was put, then close the file. Twice is harmless."""
        with self._gate:
            writer, self._writer = self._writer, None
            if writer:
                self._queue.put(None)
        if writer:
            writer.join()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def put(self, row: Row) -> None:
        """Store ``row``; when this returns it is on disk. A row with a known event id is stored already.

        Raises:
            StoreError: it could not be stored.
        """
        stored = asyncio.get_running_loop().create_future()
        with self._gate:
            if self._writer is None:
                raise StoreError("the store is closed")
            self._queue.put(_Put(row, stored))
        await stored

    def page(self, wanted: listing.Listing) -> bytes:
        """Return the page that ``wanted`` describes, as JSON. See :func:`ainsights.server.listing.page`.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._reading() as connection:
            return listing.page(connection, wanted)

    def one(self, event_id: str) -> bytes | None:
        """Return the insight with ``event_id`` as JSON, or None.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._reading() as connection:
            return listing.one(connection, event_id)

    def _write_all(self, connection: sqlite3.Connection) -> None:
        with closing(connection):
            more = True
            while more:
                taken = [self._queue.get()]
                while len(taken) < MAX_BATCH and not self._queue.empty():
                    taken.append(self._queue.get())
                puts = [put for put in taken if put]
                more = len(puts) == len(taken)
                if puts:
                    _tell(puts, _commit(connection, [put.row for put in puts]))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection of the calling thread: readers neither wait for the writer nor hold it up."""
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise StoreError(f"cannot read the database: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    try:
        if not private.create(path):
            private.tighten(path, "the database")
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        with ExitStack() as undo:
            undo.callback(connection.close)
            _check_ours(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.executescript(SCHEMA)
            undo.pop_all()
    except OSError as error:
        raise ConfigurationError(f"database {path}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise ConfigurationError(f"database {path}: {error}") from error
    return connection


def _check_ours(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        return
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ConfigurationError(f"database {path}: another program's; give a file that ainsights made, or a new one")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"database {path}: of a newer ainsights (schema {version}; this one knows up to {SCHEMA_VERSION}); "
            "upgrade ainsights, or give another file"
        )


def _commit(connection: sqlite3.Connection, rows: Sequence[Row]) -> StoreError | None:
    """Store ``rows`` in one transaction; return what went wrong, if anything did: then none of them is stored."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001  the thread must live, and those who wait must hear of it
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        return StoreError(f"cannot store: {error}")
    return None


def _tell(puts: Sequence[_Put], error: StoreError | None) -> None:
    """Wake those who wait: once for each event loop, since waking one costs a system call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for put in puts:
        by_loop.setdefault(put.stored.get_loop(), []).append(put.stored)
    for loop, futures in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, futures, error)


def _settle(futures: Sequence[asyncio.Future[None]], error: StoreError | None) -> None:
    for future in futures:
        if future.done():  # the client has gone
            continue
        if error:
            future.set_exception(error)
        else:
            future.set_result(None)
