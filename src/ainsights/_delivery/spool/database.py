"""The file of a spool: opened at its first use, shared between processes, set aside and recreated when damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ainsights._delivery import descriptors
from ainsights._delivery.spool.access import UnsafeSpoolError, check_access
from ainsights._delivery.spool.process_lock import ProcessLock, exclusively, sweep
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = 1
BUSY_SECONDS = 5.0
MANY_FREE_PAGES = 256

SCHEMA = f"""
CREATE TABLE event (
  id INTEGER PRIMARY KEY, body BLOB NOT NULL, made_at REAL NOT NULL, owner TEXT, reason TEXT, token BLOB
);
CREATE INDEX event_owner ON event (owner) WHERE reason IS NULL;
CREATE INDEX event_dead ON event (id) WHERE reason IS NOT NULL;
PRAGMA user_version = {VERSION};
"""
_SUFFIXES = ("", "-wal", "-shm")
_NOT_OURS = "not a spool"
_DAMAGED = ("malformed", "not a database", "encrypted", _NOT_OURS)

_kept_open: list[sqlite3.Connection] = []
"""Connections that a fork inherited: they are its parent's to close."""

T = TypeVar("T")


class SpoolFile:
    """One process's connection to ``spool.db``, and its lock as an owner of events.

    Args:
        directory: created, for the user alone, if it does not exist.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "spool.db"
        self.problem: str | None = None
        """The last failure; None if an operation has succeeded since."""
        self.set_aside: str | None = None
        """The name that a damaged file has been given."""
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file_ids: list[tuple[int, int] | None] = []
        self._owner: ProcessLock | None = None

    @property
    def is_open(self) -> bool:
        """Whether it was used."""
        return self._connection is not None

    def do(self, work: Callable[[sqlite3.Connection, str], T], default: T) -> T:
        """Do ``work``, with this process's name as an owner, in a transaction, and return its result.

        Returns ``default``, having done nothing, if the disk or the file does not permit it.
        """
        with self._lock:
            try:
                try:
                    return self._transact(work)
                except sqlite3.DatabaseError as error:
                    if not self._recover(error):
                        raise
                    return self._transact(work)
            except (sqlite3.Error, OSError) as error:
                self._handle(error)
            return default

    def used(self, connection: sqlite3.Connection) -> int:
        """Return how many bytes are taken, without room that is free for new events."""
        pages = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
        return pages * _pragma(connection, "page_size")

    def shrink(self) -> None:
        """Return the room of deleted events to the disk."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            if self._connection is not None and _pragma(self._connection, "freelist_count") > MANY_FREE_PAGES:
                self._connection.executescript("PRAGMA incremental_vacuum")  # execute() would stop at a page
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def touch(self) -> None:
        """Show that this process lives, where its lock cannot."""
        with contextlib.suppress(OSError):
            if self._owner is not None:
                self._owner.touch()

    def close(self) -> None:
        """Close the connection and release the lock. A later use opens again."""
        with self._lock:
            connection, self._connection = self._connection, None
            owner, self._owner = self._owner, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()
            if owner is not None:
                owner.close()

    def reset_after_fork(self) -> None:
        """Leave everything to the parent, in the child of a fork."""
        descriptors.reset_after_fork()
        if self._connection is not None:
            _kept_open.append(self._connection)
        if self._owner is not None:
            self._owner.reset_after_fork()

    def _transact(self, work: Callable[[sqlite3.Connection, str], T]) -> T:
        if self._connection is not None and not self._is_current():
            self.close()  # what is written to a file that was deleted is lost with the process
        connection = self._connection or self._open()
        if self._owner is None:
            sweep(self.directory)
            self._owner = ProcessLock(self.directory)
        owner = self._owner
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection, owner.name)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        self.problem = None
        return result

    def _is_current(self) -> bool:
        """Return whether the files that are open are still those at their paths: not deleted or replaced."""
        return self._look_up() == self._file_ids

    def _look_up(self) -> list[tuple[int, int] | None]:
        """Return what identifies the database, its log and the index of that, each by its path."""
        return [_identity(f"{self.path}{suffix}") for suffix in _SUFFIXES]

    def _open(self) -> sqlite3.Connection:
        check_access(self.directory)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_access(self.directory)  # somebody else may have been faster
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        os.close(os.open(self.path, flags, 0o600))  # SQLite gives its other files the same mode
        with descriptors.low_numbers_reserved():
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                _prepare(connection)
                check_access(self.directory)
                self._file_ids = self._look_up()
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        return connection

    def _handle(self, error: sqlite3.Error | OSError) -> None:
        self.problem = str(error) if isinstance(error, UnsafeSpoolError) else f"{type(error).__name__}: {error}"
        if not isinstance(error, sqlite3.OperationalError) or not self.path.exists():
            self.close()
        log_rate_limited(
            "error", "spool", "the spool %s cannot be used, events are kept in memory: %s", self.path, self.problem
        )

    def _recover(self, error: sqlite3.DatabaseError) -> bool:
        """Move the file away if it is damaged, unless another process was faster. True: it may be recreated."""
        if not any(word in str(error) for word in _DAMAGED):
            return False
        self.close()
        with exclusively(self.directory):
            if not _is_damaged(self.path):
                return True
            aside = f"{self.path}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
            for suffix in _SUFFIXES:
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")
            self.set_aside = aside
            log_rate_limited(
                "error", "spool damaged", "%s could not be read (%s), is kept as %s", self.path, error, aside
            )
        return True


def _prepare(connection: sqlite3.Connection) -> None:
    new = _checked(connection) == 0
    if new:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")  # no file of its own, later on
    if not new and _has_tokens(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    if _checked(connection) == 0:  # no other process was faster
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
    elif not _has_tokens(connection):  # the file is of a release that had none
        connection.execute("ALTER TABLE event ADD COLUMN token BLOB")
    connection.execute("COMMIT")


def _has_tokens(connection: sqlite3.Connection) -> bool:
    return any(column[1] == "token" for column in connection.execute("PRAGMA table_info(event)"))


def _checked(connection: sqlite3.Connection) -> int:
    """Return the version of the schema; 0 if there is none yet."""
    version = _pragma(connection, "user_version")
    if version > VERSION:
        raise sqlite3.NotSupportedError(f"it was made by a newer ainsights (schema {version}), please update this one")
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise sqlite3.DatabaseError(_NOT_OURS)
    return version


def _is_damaged(path: Path) -> bool:
    try:
        with (
            descriptors.low_numbers_reserved(),
            contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection,
        ):
            _checked(connection)
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
    except (sqlite3.OperationalError, sqlite3.NotSupportedError):
        return False
    except sqlite3.DatabaseError:
        return True


def _identity(path: str) -> tuple[int, int] | None:
    """Return what identifies the file at ``path``; None if there is none."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    value: Any = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return int(value)
