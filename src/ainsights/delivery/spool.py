"""Spool: events on disk, shared by any number of processes through one directory.

Schema, version 1, in ``spool.db`` (SQLite, WAL):

- ``event(id, body, made_at, owner, reason)``. A row is an event that is not delivered yet. ``owner`` names the process
  that has it in hand; NULL: nobody has. ``reason`` is NULL, or why the endpoint refused it for good: a dead letter.

Invariants:

- An event is in hand of one process at a time. Each process holds a lock on ``owner-<name>.lock`` for as long as it
  lives, which the kernel drops when it dies, however it dies: its events are then anybody's. Where there are no such
  locks, an owner counts as dead when it has not touched its file for a minute.
- What ``add`` returned a number for survives the death of the process (WAL, synchronous NORMAL; the machine's own
  death may cost the last moments). Only ``delivered`` deletes an event that is no dead letter.
- The file has a limit. Dead letters go first, the oldest before the others; then new events are refused.
- Nothing here raises for what disks and files do: an operation that fails does nothing, says so, and a file that is
  damaged is set aside and begun anew.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ainsights._contain import say
from ainsights.delivery.owner import Owner, is_dead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VERSION = 1
BUSY_SECONDS = 5.0
MANY_FREE_PAGES = 256

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS event (
  id INTEGER PRIMARY KEY, body BLOB NOT NULL, made_at REAL NOT NULL, owner TEXT, reason TEXT
);
CREATE INDEX IF NOT EXISTS event_owner ON event (owner) WHERE reason IS NULL;
CREATE INDEX IF NOT EXISTS event_dead ON event (id) WHERE reason IS NOT NULL;
PRAGMA user_version = {VERSION};
"""
_DAMAGED = ("malformed", "not a database", "encrypted", "schema version")

_kept_open: list[sqlite3.Connection] = []
"""Connections that a fork inherited: to close them would drop its parent's locks."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """What is in a spool."""

    waiting: int = 0
    """Events that nobody has in hand."""
    in_hand: int = 0
    dead: int = 0
    """Dead letters: events that the endpoint refused."""
    bytes: int = 0
    """What the file takes for events, without room that is free for new ones."""
    oldest: float | None = None
    """When the oldest event was made, in seconds since the epoch."""
    reasons: tuple[str, ...] = ()
    """Why the latest dead letters were refused."""


class Spool:
    """One process's hold on a spool. Opened at its first use; not to be used on the user's thread.

    Args:
        directory: made, for the user alone, if it is not there.
        max_bytes: what its events may take.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self.path = directory / "spool.db"
        self.problem: str | None = None
        """What went wrong last; None if nothing did since the last success."""
        self.dropped = 0
        """Dead letters that had to make room."""
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._owner: Owner | None = None

    # What a pipeline does

    def add(self, bodies: Sequence[bytes]) -> list[int | None]:
        """Keep events, in one transaction, in hand of this process.

        Returns:
            a number for each, or None for one that could not be kept.
        """

        def keep(connection: sqlite3.Connection, owner: str) -> list[int | None]:
            room = self._room(connection, sum(map(len, bodies)))
            kept: list[int | None] = []
            for body in bodies:
                room -= len(body)
                fits = room >= 0
                kept.append(self._insert(connection, body, owner) if fits else None)
            if None in kept:
                say("warning", "spool full", "the spool %s is full: new events are kept in memory only", self.directory)
            return kept

        return self._do(keep, [None] * len(bodies))

    def claim(self, most: int) -> list[tuple[int, bytes]]:
        """Take events in hand that nobody has, or that a process had that died; the oldest first."""

        def take(connection: sqlite3.Connection, owner: str) -> list[tuple[int, bytes]]:
            self._release_dead(connection, owner)
            rows: list[tuple[int, bytes]] = connection.execute(
                "SELECT id, body FROM event WHERE owner IS NULL AND reason IS NULL ORDER BY id LIMIT ?", (most,)
            ).fetchall()
            connection.executemany("UPDATE event SET owner = ? WHERE id = ?", [(owner, number) for number, _ in rows])
            return rows

        return self._do(take, [])

    def delivered(self, number: int) -> None:
        """Delete an event that the endpoint has."""
        self._do(lambda connection, _: connection.execute("DELETE FROM event WHERE id = ?", (number,)), None)

    def rejected(self, number: int, reason: str) -> None:
        """Make a dead letter of an event that the endpoint refused for good."""
        change = "UPDATE event SET owner = NULL, reason = ? WHERE id = ?"
        self._do(lambda connection, _: connection.execute(change, (reason, number)), None)

    def release(self, numbers: Sequence[int] | None = None) -> None:
        """Give events out of hand, so that any process may take them; all that this one has, if None."""

        def give(connection: sqlite3.Connection, owner: str) -> None:
            if numbers is None:
                connection.execute("UPDATE event SET owner = NULL WHERE owner = ?", (owner,))
            else:
                connection.executemany("UPDATE event SET owner = NULL WHERE id = ?", [(number,) for number in numbers])

        self._do(give, None)

    def waiting(self) -> bool:
        """Tell whether there are events that could be claimed."""
        return self._connection is not None and self._do(self._any_waiting, default=False)

    def tidy(self) -> None:
        """Give the room of deleted events back to the disk."""
        with self._lock:
            if self._connection is not None and self._pragma(self._connection, "freelist_count") > MANY_FREE_PAGES:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("PRAGMA incremental_vacuum").fetchall()
                    self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Give all out of hand and close. A later use opens again."""
        with self._lock:
            if self._connection is not None:
                self.release()
                self.tidy()
                self._shut()

    def forget(self) -> None:
        """Leave everything to the parent: this is its fork."""
        if self._connection is not None:
            _kept_open.append(self._connection)
        if self._owner is not None:
            self._owner.forget()

    # What the command line does

    def status(self) -> SpoolStatus:
        """Return what is in the spool; counts as nothing what cannot be read."""

        def look(connection: sqlite3.Connection, _owner: str) -> SpoolStatus:
            waiting, in_hand, dead, oldest = connection.execute(
                "SELECT count(*) FILTER (WHERE owner IS NULL AND reason IS NULL), "
                "count(*) FILTER (WHERE owner IS NOT NULL AND reason IS NULL), "
                "count(*) FILTER (WHERE reason IS NOT NULL), min(made_at) FROM event"
            ).fetchone()
            latest = "SELECT reason FROM event WHERE reason IS NOT NULL ORDER BY id DESC LIMIT 5"
            reasons = tuple(reason for (reason,) in connection.execute(latest))
            return SpoolStatus(waiting, in_hand, dead, self._used(connection), oldest, reasons)

        return self._do(look, SpoolStatus())

    def retry_rejected(self) -> int:
        """Make events of all dead letters again, and return how many there were."""
        change = "UPDATE event SET reason = NULL, owner = NULL WHERE reason IS NOT NULL"
        return self._do(lambda connection, _: connection.execute(change).rowcount, 0)

    # How

    def _do(self, work: Callable[[sqlite3.Connection, str], T], default: T) -> T:
        """Do ``work`` in a transaction and return its result, or ``default`` if disk or file does not let us."""
        with self._lock:
            try:
                return self._transact(work)
            except sqlite3.Error as error:
                self._trouble(error)
            except OSError as error:
                self._trouble(error)
            return default

    def _transact(self, work: Callable[[sqlite3.Connection, str], T]) -> T:
        if self._connection is not None and not self.path.exists():
            self._shut()  # what is written to a file that was deleted is lost with the process
        connection = self._connection or self._open()
        owner = self._owner or Owner(self.directory)
        self._owner = owner
        owner.touch()
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

    def _open(self) -> sqlite3.Connection:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            version = self._checked_version(connection)
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("PRAGMA synchronous = NORMAL")
            if version == 0:
                connection.executescript(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _checked_version(self, connection: sqlite3.Connection) -> int:
        version = self._pragma(connection, "user_version")
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"schema version {version}, not {VERSION}")
        return version

    def _trouble(self, error: sqlite3.Error | OSError) -> None:
        self.problem = f"{type(error).__name__}: {error}"
        if any(word in str(error) for word in _DAMAGED):
            self._set_aside()
            return
        if not isinstance(error, sqlite3.OperationalError) or not self.path.exists():
            self._shut()
        say("error", "spool", "the spool %s cannot be used: %s", self.directory, self.problem)

    def _set_aside(self) -> None:
        """Begin the file anew; only the first of several processes to find the damage moves it away."""
        self._shut()
        with contextlib.suppress(OSError), Owner.exclusively(self.directory):
            if not _is_damaged(self.path):
                return
            aside = f"{self.path}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self.path}{suffix}").replace(f"{aside}{suffix}")
            say("error", "spool damaged", "%s could not be read (%s), is kept as %s", self.path, self.problem, aside)

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        owner, self._owner = self._owner, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        if owner is not None:
            owner.close()

    def _insert(self, connection: sqlite3.Connection, body: bytes, owner: str) -> int | None:
        made = "INSERT INTO event (body, made_at, owner) VALUES (?, ?, ?)"
        return connection.execute(made, (body, time.time(), owner)).lastrowid

    def _room(self, connection: sqlite3.Connection, wanted: int) -> int:
        """Return how many bytes may be added, once dead letters have made room for ``wanted`` as far as they can."""
        room = self._max_bytes - self._used(connection)
        oldest = "SELECT id, length(body) FROM event WHERE reason IS NOT NULL ORDER BY id LIMIT 1"
        while room < wanted and (found := connection.execute(oldest).fetchone()):
            connection.execute("DELETE FROM event WHERE id = ?", (found[0],))
            room += found[1]
            self.dropped += 1
        return room

    def _release_dead(self, connection: sqlite3.Connection, mine: str) -> None:
        owners = "SELECT DISTINCT owner FROM event WHERE reason IS NULL AND owner IS NOT NULL AND owner != ?"
        for (owner,) in connection.execute(owners, (mine,)).fetchall():
            if is_dead(self.directory, owner):
                connection.execute("UPDATE event SET owner = NULL WHERE owner = ?", (owner,))

    def _any_waiting(self, connection: sqlite3.Connection, mine: str) -> bool:
        self._release_dead(connection, mine)
        found = "SELECT 1 FROM event WHERE owner IS NULL AND reason IS NULL LIMIT 1"
        return connection.execute(found).fetchone() is not None

    def _used(self, connection: sqlite3.Connection) -> int:
        pages = self._pragma(connection, "page_count") - self._pragma(connection, "freelist_count")
        return pages * self._pragma(connection, "page_size")

    @staticmethod
    def _pragma(connection: sqlite3.Connection, name: str) -> int:
        value: Any = connection.execute(f"PRAGMA {name}").fetchone()[0]
        return int(value)


def _is_damaged(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            return version not in (0, VERSION) or connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok"
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True
