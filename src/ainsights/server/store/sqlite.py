"""SQLiteStore: the truth in one SQLite file.

- A put that has returned is on disk: write-ahead log with ``synchronous=FULL``, and no answer before the commit.
- One thread writes (`writer`), with one transaction for all that wait (`ledger`); readers have connections of their own
  (`reader`), and neither wait for it nor hold it up.
- Events are never changed. Each commit extends a hash chain (`chain`, `verify`). Removal, by erasure or by `retention`,
  overwrites the content and leaves a tombstone.
- One process owns the file (`lock`). No file that isn't ours is ever changed (`schema`).
"""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ainsights._logging import log_rate_limited
from ainsights.errors import ConfigurationError
from ainsights.server.store import legacy, schema, verify
from ainsights.server.store.audit_key import audit_key
from ainsights.server.store.database_file import DatabaseFile
from ainsights.server.store.lock import ProcessLock
from ainsights.server.store.maintenance import Maintenance
from ainsights.server.store.protocol import Access, Put, Removal, StoredBody, StoreError, StoreStatus
from ainsights.server.store.reader import Reader
from ainsights.server.store.retention import Limits
from ainsights.server.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from ainsights.server.store.protocol import Anchor, Verification

ERASE_AT_ONCE = 200
"""Events of one transaction of an erasure: ingestion waits for one at the most."""

SCRUB_SECONDS = 10.0
"""How long an erasure waits for readers that keep removed content in the write-ahead log."""


class SQLiteStore:
    """The database file at ``path``, made if it is not there. Use it as a context manager, or open and close it."""

    def __init__(self, path: Path, limits: Limits | None = None, audit_key_file: Path | None = None) -> None:
        """Nothing is opened yet.

        Args:
            path: the database.
            limits: how long and how much is kept; by default everything.
            audit_key_file: where the key of the hash chain is kept; by default beside the database.
        """
        self.path = path
        self._limits = limits or Limits()
        self._audit_key_file = audit_key_file or path.with_name(f"{path.name}.audit-key")
        self._reader = Reader(path)
        self._key = b""
        self._last_seq = 0
        self._commit_listeners: list[Callable[[int], None]] = []
        self._removal_listeners: list[Callable[[Sequence[int]], None]] = []
        self._file: DatabaseFile | None = None
        self._writer: Writer | None = None
        self._maintenance: Maintenance | None = None
        self._closing = ExitStack()

    def open(self) -> None:
        """Lock and open the file, and start the threads.

        Raises:
            ConfigurationError: the file is in use, cannot be written, is not ours, or of a newer version.
        """
        with ExitStack() as undo:
            _check_usable(self.path)  # before anything is put beside it
            undo.enter_context(ProcessLock(self.path))
            self._key = audit_key(self._audit_key_file, self.path, is_new=not _has_chain(self.path))
            self._file = DatabaseFile(self.path, self._key, self._reader.renew)
            self._writer = Writer(self._file, self._committed)
            self._writer.open()
            undo.callback(self._writer.close)
            undo.callback(self._reader.renew)  # first: the last connection to close empties the write-ahead log
            self._last_seq = self._writer.run(lambda ledger: ledger.last_seq)
            legacy.remove_if_copied(self.path, pending=self._writer.run(lambda ledger: ledger.migrating))
            self._maintenance = Maintenance(self._writer, self._limits, self._removed, self._migrated)
            self._maintenance.open()
            undo.callback(self._maintenance.close)
            self._closing = undo.pop_all()

    def close(self) -> None:
        """Store what was put, then close the file. Twice is harmless."""
        self._closing.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.path)

    @property
    def problem(self) -> str | None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return self._open_writer.problem

    @property
    def lost(self) -> str | None:
        """What happened to stored events because their file was deleted while in use; None if it never was."""
        return self._file.lost if self._file else None

    @property
    def to_migrate(self) -> int:
        """How many events of a database of the first schema are still to be copied; they can be read all the time."""
        with self._reader.connection() as connection:
            row = connection.execute("SELECT last - through FROM migration").fetchone()
        return row[0] if row else 0

    async def put(self, event_id: str, received_at: float, body: bytes) -> None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        stored = asyncio.get_running_loop().create_future()
        self._open_writer.put(Put(event_id, received_at, body), stored)
        await stored

    def bodies_after(self, seq: int, limit: int) -> list[StoredBody]:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return self._reader.bodies_after(seq, limit)

    def bodies(self, seqs: Sequence[int]) -> list[StoredBody]:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return self._reader.bodies(seqs)

    def find(self, event_id: str) -> StoredBody | None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return self._reader.find(event_id)

    def last_seq(self) -> int:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return self._last_seq

    def erase(self, seqs: Sequence[int], *, by: str, reason: str) -> int:
        """See :class:`ainsights.server.store.protocol.Store`."""
        writer = self._open_writer
        erased = 0
        for at in range(0, len(seqs), ERASE_AT_ONCE):
            some = seqs[at : at + ERASE_AT_ONCE]
            gone = writer.run(lambda ledger, some=some: ledger.remove(some, by, reason, erase=True))  # type: ignore[misc]
            self._removed(gone)
            erased += len(gone)
        if erased:
            self._scrub(writer)
        return erased

    def removals_after(self, number: int, limit: int) -> list[Removal]:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return self._reader.removals_after(number, limit)

    def add_commit_listener(self, listener: Callable[[int], None]) -> None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        self._commit_listeners.append(listener)

    def add_removal_listener(self, listener: Callable[[Sequence[int]], None]) -> None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        self._removal_listeners.append(listener)

    def log_access(self, key_name: str, action: str, detail: str) -> None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        self._open_writer.log_access(Access(time.time(), key_name, action, detail))

    def accesses(self, before: int | None = None, limit: int = 100) -> list[tuple[int, Access]]:
        """See :class:`ainsights.server.store.protocol.Store`."""
        sql = "SELECT number, at, key_name, action, detail FROM access WHERE number < ? ORDER BY number DESC LIMIT ?"
        with self._reader.connection() as connection:
            rows = connection.execute(sql, (before if before is not None else 2**63 - 1, limit))
            return [(number, Access(*rest)) for number, *rest in rows]

    def status(self) -> StoreStatus:
        """See :class:`ainsights.server.store.protocol.Store`."""
        files = [self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal", "-shm")]
        size = sum(file.stat().st_size for file in files if file.exists())
        disk = shutil.disk_usage(self.path.absolute().parent)
        return StoreStatus(self._last_seq, size, self.to_migrate, self.problem, disk.free, disk.total)

    def verify(self, anchor: Anchor | None = None, progress: Callable[[int], None] | None = None) -> Verification:
        """See :class:`ainsights.server.store.protocol.Store`."""
        with self._reader.connection() as connection:
            return verify.verify(connection, self._key, anchor, progress)

    def wake(self) -> None:
        """Look at once for what is beyond the limits; otherwise every few seconds."""
        if self._maintenance:
            self._maintenance.wake()

    @property
    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise StoreError("the store is closed")
        return self._writer

    def _committed(self, last_seq: int) -> None:
        self._last_seq = last_seq
        for listener in self._commit_listeners:
            _notify(lambda listener=listener: listener(last_seq))  # type: ignore[misc]

    def _removed(self, seqs: Sequence[int]) -> None:
        for listener in self._removal_listeners:
            _notify(lambda listener=listener: listener(seqs))  # type: ignore[misc]

    def _migrated(self) -> None:
        self._reader.renew()
        legacy.remove_if_copied(self.path, pending=False)

    def _scrub(self, writer: Writer) -> None:
        """Empty the write-ahead log of what was removed.

        Raises:
            StoreError: a reader was in the way all the time.
        """
        deadline = time.monotonic() + SCRUB_SECONDS
        while not writer.run(lambda ledger: ledger.scrub()):
            if time.monotonic() > deadline:
                raise StoreError("the events are erased; remains in the write-ahead log wait for readers to end")
        self.wake()


def _notify(listener: Callable[[], None]) -> None:
    try:
        listener()
    except Exception as error:  # noqa: BLE001  the writer goes on, whatever a listener does
        log_rate_limited("error", "listener", "Internal error in a listener of the store: %r", error, error=error)


def _has_chain(database: Path) -> bool:
    return schema.version_of(database) > 1


def _check_usable(path: Path) -> None:
    try:
        schema.version_of(path)
    except OSError as error:
        raise ConfigurationError(f"database {path}: {error.strerror}") from error
