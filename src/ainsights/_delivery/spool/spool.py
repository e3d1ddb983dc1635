"""Spool: events on disk, shared by any number of processes through one directory.

Schema, version 1, in ``spool.db`` (SQLite, WAL):

- ``event(id, body, made_at, owner, reason, token)``. A row is an event that is not delivered yet. ``owner`` names the
  process that has claimed it; NULL: none has. ``reason`` is NULL, or why the endpoint rejected it: a dead letter.
  ``token`` is random. A row's number alone does not identify an event: another database has the same numbers, and
  SQLite assigns the number of a deleted row again.

Invariants:

- One process at a time has claimed an event. Each process holds a lock on ``owner-<name>.lock`` for as long as it
  lives, which the kernel releases when it dies, however it dies: its events may then be claimed by any. Where there are
  no such locks, a process counts as dead when it has not touched its file for a minute.
- What ``add`` returned a row for survives the death of the process (WAL, synchronous NORMAL; a crash of the machine
  may cost the last moments). Only ``acknowledge`` deletes an event that is not a dead letter, and only with its row.
- The file has a limit. Dead letters are evicted first, the oldest before the others; then new events are refused.
- Nothing here raises for what disks and files do: an operation that fails does nothing and is logged, and a file that
  is damaged is set aside and recreated.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ainsights._delivery.spool.database import SpoolFile
from ainsights._delivery.spool.process_lock import is_dead
from ainsights._logging import log_rate_limited, sanitize

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

_UNCLAIMED = "owner IS NULL AND reason IS NULL"


class SpoolRow(NamedTuple):
    """The identity of an event in a spool; in any other spool it identifies nothing."""

    number: int
    token: bytes


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """What is in a spool."""

    waiting: int = 0
    """Events that no process has claimed."""
    claimed: int = 0
    """Events that running processes have claimed."""
    dead: int = 0
    """Dead letters: events that the endpoint rejected."""
    bytes: int = 0
    """What the file takes for events, without room that is free for new ones."""
    oldest: float | None = None
    """When the oldest event was made, in seconds since the epoch."""
    reasons: tuple[str, ...] = ()
    """Why the latest dead letters were rejected."""


class Spool:
    """One process's access to a spool. Not to be used on the user's thread, except for :attr:`count`.

    Args:
        directory: created, for the user alone, if it does not exist.
        max_bytes: the limit for its events.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self.count = 0
        """Events that are not delivered, as far as known: other processes' are counted now and then."""
        self._evicted = 0
        self._max_bytes = max_bytes
        self._file = SpoolFile(directory)

    @property
    def problem(self) -> str | None:
        """The last failure; None if an operation has succeeded since."""
        return self._file.problem

    @property
    def set_aside(self) -> str | None:
        """The name that a damaged file has been given; None if it was not damaged."""
        return self._file.set_aside

    # For a pipeline

    def add(self, bodies: Sequence[bytes]) -> list[SpoolRow | None]:
        """Store events in one transaction, claimed by this process.

        Returns:
            the row of each, or None for one that could not be stored.
        """

        def store(connection: sqlite3.Connection, owner: str) -> list[SpoolRow | None]:
            room = self._make_room(connection, sum(map(len, bodies)))
            stored: list[SpoolRow | None] = []
            for body in bodies:
                room -= len(body)
                stored.append(_insert(connection, body, owner) if room >= 0 else None)
            if None in stored:
                log_rate_limited(
                    "warning", "spool full", "the spool %s is full: new events are kept in memory only", self.directory
                )
            return stored

        rows: list[SpoolRow | None] = self._file.do(store, [None for _ in bodies])
        self.count += len(rows) - rows.count(None)
        return rows

    def evicted(self) -> int:
        """Return how many dead letters were evicted since the last call."""
        evicted, self._evicted = self._evicted, 0
        return evicted

    def claim(self, most: int) -> list[tuple[SpoolRow, bytes]]:
        """Claim events that no living process has claimed, the oldest first."""

        def take(connection: sqlite3.Connection, owner: str) -> list[tuple[SpoolRow, bytes]]:
            self._release_dead(connection, owner)
            found = connection.execute(
                f"SELECT id, token, body FROM event WHERE {_UNCLAIMED} ORDER BY id LIMIT ?",  # noqa: S608  our own constant
                (most,),
            ).fetchall()
            claimed = [(SpoolRow(number, token or _new_token()), body) for number, token, body in found]
            change = "UPDATE event SET owner = ?, token = ? WHERE id = ?"
            connection.executemany(change, [(owner, row.token, row.number) for row, _ in claimed])
            self.count = connection.execute("SELECT count(*) FROM event WHERE reason IS NULL").fetchone()[0]
            return claimed

        return self._file.do(take, [])

    def acknowledge(self, row: SpoolRow) -> None:
        """Delete an event that the endpoint has."""
        self._settle("DELETE FROM event WHERE id = ? AND token = ?", row)

    def reject(self, row: SpoolRow, reason: str) -> None:
        """Make a dead letter of an event that the endpoint rejected."""
        self._settle("UPDATE event SET owner = NULL, reason = ? WHERE id = ? AND token = ?", (reason, *row))

    def release(self, rows: Sequence[SpoolRow]) -> set[SpoolRow]:
        """Give up events that this process has claimed, so that any process may claim them.

        Returns:
            those that are in the spool. The others are in another one, or their file was deleted: keep them.
        """
        change = "UPDATE event SET owner = NULL WHERE id = ? AND token = ? AND owner = ?"

        def give_up(connection: sqlite3.Connection, owner: str) -> set[SpoolRow]:
            return {row for row in rows if connection.execute(change, (*row, owner)).rowcount}

        return self._file.do(give_up, set())

    def has_unclaimed(self) -> bool:
        """Return whether there are events that could be claimed."""

        def look(connection: sqlite3.Connection, owner: str) -> bool:
            self._release_dead(connection, owner)
            found = f"SELECT 1 FROM event WHERE {_UNCLAIMED} LIMIT 1"  # noqa: S608  our own constant
            return connection.execute(found).fetchone() is not None

        return self._file.do(look, default=False)

    def maintain(self) -> None:
        """Do what is due while there is little to do: show that this process lives, return free room to the disk."""
        self._file.touch()
        self._file.shrink()

    def close(self) -> None:
        """Give up all claimed events and close. A later use opens again."""
        if self._file.is_open:
            change = "UPDATE event SET owner = NULL WHERE owner = ?"
            self._file.do(lambda connection, owner: connection.execute(change, (owner,)), None)
            self._file.shrink()
            self._file.close()

    def reset_after_fork(self) -> None:
        """Leave everything to the parent, in the child of a fork."""
        self._file.reset_after_fork()

    # For the command line

    def status(self) -> SpoolStatus:
        """Return what is in the spool; what cannot be read counts as nothing."""

        def look(connection: sqlite3.Connection, owner: str) -> SpoolStatus:
            self._release_dead(connection, owner)
            waiting, claimed, dead, oldest = connection.execute(
                "SELECT count(*) FILTER (WHERE owner IS NULL AND reason IS NULL), "
                "count(*) FILTER (WHERE owner IS NOT NULL AND reason IS NULL), "
                "count(*) FILTER (WHERE reason IS NOT NULL), min(made_at) FROM event"
            ).fetchone()
            latest = "SELECT reason FROM event WHERE reason IS NOT NULL ORDER BY id DESC LIMIT 5"
            reasons = tuple(sanitize(str(reason)) for (reason,) in connection.execute(latest))
            return SpoolStatus(waiting, claimed, dead, self._file.used(connection), oldest, reasons)

        return self._file.do(look, SpoolStatus())

    def retry_rejected(self) -> int:
        """Turn all dead letters into events again, and return how many there were."""
        change = "UPDATE event SET reason = NULL, owner = NULL WHERE reason IS NOT NULL"
        return self._file.do(lambda connection, _: connection.execute(change).rowcount, 0)

    # How

    def _settle(self, change: str, values: Sequence[object]) -> None:
        changed = self._file.do(lambda connection, _: connection.execute(change, values).rowcount, 0)
        self.count = max(self.count - changed, 0)

    def _make_room(self, connection: sqlite3.Connection, wanted: int) -> int:
        """Return how many bytes may be added, once dead letters were evicted for ``wanted`` as far as possible."""
        room = self._max_bytes - self._file.used(connection)
        oldest = "SELECT id, length(body) FROM event WHERE reason IS NOT NULL ORDER BY id LIMIT 1"
        while room < wanted and (found := connection.execute(oldest).fetchone()):
            connection.execute("DELETE FROM event WHERE id = ?", (found[0],))
            room += found[1]
            self._evicted += 1
        return room

    def _release_dead(self, connection: sqlite3.Connection, own: str) -> None:
        owners = "SELECT DISTINCT owner FROM event WHERE reason IS NULL AND owner IS NOT NULL AND owner != ?"
        for (owner,) in connection.execute(owners, (own,)).fetchall():
            if is_dead(self.directory, owner):
                connection.execute("UPDATE event SET owner = NULL WHERE owner = ?", (owner,))


def _new_token() -> bytes:
    return os.urandom(8)


def _insert(connection: sqlite3.Connection, body: bytes, owner: str) -> SpoolRow | None:
    token = _new_token()
    insert = "INSERT INTO event (body, made_at, owner, token) VALUES (?, ?, ?, ?)"
    number = connection.execute(insert, (body, time.time(), owner, token)).lastrowid
    return None if number is None else SpoolRow(number, token)
