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

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ainsights._delivery.spool.database import SpoolFile
from ainsights._delivery.spool.process_lock import is_dead
from ainsights._logging import log_rate_limited, sanitize

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

_FREE = "owner IS NULL AND reason IS NULL"


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
    """One process's hold on a spool. Not to be used on the user's thread, but for :attr:`count`.

    Args:
        directory: made, for the user alone, if it is not there.
        max_bytes: what its events may take.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.directory = directory
        self.count = 0
        """Events that are not delivered, as far as known: other processes' are counted now and then."""
        self._crowded_out = 0
        self._max_bytes = max_bytes
        self._file = SpoolFile(directory)

    @property
    def problem(self) -> str | None:
        """What went wrong last; None if nothing did since the last success."""
        return self._file.problem

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
                kept.append(_insert(connection, body, owner) if room >= 0 else None)
            if None in kept:
                log_rate_limited(
                    "warning", "spool full", "the spool %s is full: new events are kept in memory only", self.directory
                )
            return kept

        numbers: list[int | None] = self._file.do(keep, [None for _ in bodies])
        self.count += len(numbers) - numbers.count(None)
        return numbers

    def crowded_out(self) -> int:
        """Return how many dead letters had to make room since this was last asked."""
        dropped, self._crowded_out = self._crowded_out, 0
        return dropped

    def claim(self, most: int) -> list[tuple[int, bytes]]:
        """Take events in hand that nobody has, or that a process had that died; the oldest first."""

        def take(connection: sqlite3.Connection, owner: str) -> list[tuple[int, bytes]]:
            self._release_dead(connection, owner)
            rows: list[tuple[int, bytes]] = connection.execute(
                f"SELECT id, body FROM event WHERE {_FREE} ORDER BY id LIMIT ?",  # noqa: S608  our own constant
                (most,),
            ).fetchall()
            connection.executemany("UPDATE event SET owner = ? WHERE id = ?", [(owner, number) for number, _ in rows])
            self.count = connection.execute("SELECT count(*) FROM event WHERE reason IS NULL").fetchone()[0]
            return rows

        return self._file.do(take, [])

    def delivered(self, number: int) -> None:
        """Delete an event that the endpoint has."""
        self._file.do(lambda connection, _: connection.execute("DELETE FROM event WHERE id = ?", (number,)), None)
        self.count -= 1

    def rejected(self, number: int, reason: str) -> None:
        """Make a dead letter of an event that the endpoint refused for good."""
        change = "UPDATE event SET owner = NULL, reason = ? WHERE id = ?"
        self._file.do(lambda connection, _: connection.execute(change, (reason, number)), None)
        self.count -= 1

    def release(self, numbers: Sequence[int]) -> None:
        """Give events out of hand, so that any process may take them."""
        change = "UPDATE event SET owner = NULL WHERE id = ?"
        rows = [(number,) for number in numbers]
        self._file.do(lambda connection, _: connection.executemany(change, rows), None)

    def waiting(self) -> bool:
        """Tell whether there are events that could be claimed."""

        def look(connection: sqlite3.Connection, owner: str) -> bool:
            self._release_dead(connection, owner)
            found = f"SELECT 1 FROM event WHERE {_FREE} LIMIT 1"  # noqa: S608  our own constant
            return connection.execute(found).fetchone() is not None

        return self._file.do(look, default=False)

    def keep(self) -> None:
        """Do what is due while there is little to do: show that we live, and give free room back to the disk."""
        self._file.touch()
        self._file.tidy()

    def close(self) -> None:
        """Give all out of hand and close. A later use opens again."""
        if self._file.is_open:
            change = "UPDATE event SET owner = NULL WHERE owner = ?"
            self._file.do(lambda connection, owner: connection.execute(change, (owner,)), None)
            self._file.tidy()
            self._file.close()

    def forget(self) -> None:
        """Leave everything to the parent: this is its fork."""
        self._file.forget()

    # What the command line does

    def status(self) -> SpoolStatus:
        """Return what is in the spool; counts as nothing what cannot be read."""

        def look(connection: sqlite3.Connection, owner: str) -> SpoolStatus:
            self._release_dead(connection, owner)
            waiting, in_hand, dead, oldest = connection.execute(
                "SELECT count(*) FILTER (WHERE owner IS NULL AND reason IS NULL), "
                "count(*) FILTER (WHERE owner IS NOT NULL AND reason IS NULL), "
                "count(*) FILTER (WHERE reason IS NOT NULL), min(made_at) FROM event"
            ).fetchone()
            latest = "SELECT reason FROM event WHERE reason IS NOT NULL ORDER BY id DESC LIMIT 5"
            reasons = tuple(sanitize(str(reason)) for (reason,) in connection.execute(latest))
            return SpoolStatus(waiting, in_hand, dead, self._file.used(connection), oldest, reasons)

        return self._file.do(look, SpoolStatus())

    def retry_rejected(self) -> int:
        """Make events of all dead letters again, and return how many there were."""
        change = "UPDATE event SET reason = NULL, owner = NULL WHERE reason IS NOT NULL"
        return self._file.do(lambda connection, _: connection.execute(change).rowcount, 0)

    # How

    def _room(self, connection: sqlite3.Connection, wanted: int) -> int:
        """Return how many bytes may be added, once dead letters have made room for ``wanted`` as far as they can."""
        room = self._max_bytes - self._file.used(connection)
        oldest = "SELECT id, length(body) FROM event WHERE reason IS NOT NULL ORDER BY id LIMIT 1"
        while room < wanted and (found := connection.execute(oldest).fetchone()):
            connection.execute("DELETE FROM event WHERE id = ?", (found[0],))
            room += found[1]
            self._crowded_out += 1
        return room

    def _release_dead(self, connection: sqlite3.Connection, mine: str) -> None:
        owners = "SELECT DISTINCT owner FROM event WHERE reason IS NULL AND owner IS NOT NULL AND owner != ?"
        for (owner,) in connection.execute(owners, (mine,)).fetchall():
            if is_dead(self.directory, owner):
                connection.execute("UPDATE event SET owner = NULL WHERE owner = ?", (owner,))


def _insert(connection: sqlite3.Connection, body: bytes, owner: str) -> int | None:
    made = "INSERT INTO event (body, made_at, owner) VALUES (?, ?, ?)"
    return connection.execute(made, (body, time.time(), owner)).lastrowid
