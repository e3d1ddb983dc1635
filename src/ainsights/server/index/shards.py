"""The full-text index: one SQLite file with an FTS5 table for each 65,536 events, in order of arrival.

A file holds words and no text. Shards make three things cheap: a list of the newest matches needs the newest shards
alone; an erasure replaces the files that knew the event, so that nothing of it remains in free pages or old segments;
and a rebuild writes several at once.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from ainsights.server.events.words import spaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ainsights.server.events import Event

SHARD_BITS = 16
FORMAT = 1

_SCHEMA = f"""
CREATE VIRTUAL TABLE text USING fts5(
  question, answer, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2');
CREATE TABLE state (indexed_seq INTEGER NOT NULL);
INSERT INTO state VALUES (0);
PRAGMA user_version = {FORMAT};
"""  # noqa: S608  a number of our own


def shard_of(seq: int) -> int:
    """Return the number of the shard that holds the event."""
    return seq >> SHARD_BITS


def first_seq(shard: int) -> int:
    """Return the lowest number that an event of the shard may have."""
    return shard << SHARD_BITS


class Shard:
    """One file. It may be used from any thread; one at a time reads or writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA cache_size = -4000")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        elif version != FORMAT:
            raise sqlite3.DatabaseError(f"{self.path}: of another version")

    def close(self) -> None:
        """Close the file. Twice is harmless."""
        with self._lock:
            self._connection.close()

    @property
    def indexed_seq(self) -> int:
        """The last event in the file."""
        with self._lock:
            seq: int = self._connection.execute("SELECT indexed_seq FROM state").fetchone()[0]
        return seq

    def add(self, events: Iterable[tuple[int, str, str]]) -> None:
        """Add the question and answer of events, by seq, in one transaction. Those already there are left out."""
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                last = self._add(events)
                self._connection.execute("UPDATE state SET indexed_seq = max(indexed_seq, ?)", (last,))
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def _add(self, events: Iterable[tuple[int, str, str]]) -> int:
        last: int = self._connection.execute("SELECT indexed_seq FROM state").fetchone()[0]
        new = [(seq, spaced(question), spaced(answer)) for seq, question, answer in events if seq > last]
        self._connection.executemany("INSERT INTO text (rowid, question, answer) VALUES (?, ?, ?)", new)
        return max((row[0] for row in new), default=0)

    def optimize(self) -> None:
        """Merge what many small transactions have written; to be called once the shard is full."""
        with self._lock:
            self._connection.execute("INSERT INTO text (text) VALUES ('optimize')")
            self._connection.execute("PRAGMA journal_mode = DELETE")
            self._connection.execute("VACUUM")

    def matches(self, expression: str) -> str:
        """Return the events that the FTS5 query finds: their numbers, a line each; empty if there are none."""
        sql = "SELECT group_concat(rowid, char(10)) FROM text WHERE text MATCH ?"
        with self._lock:
            found: str | None = self._connection.execute(sql, (expression,)).fetchone()[0]
        return found or ""


class TextIndex:
    """All shards in one directory. One thread at a time writes; any number may read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._shards: dict[int, Shard] = {}

    def open(self) -> None:
        """Open every shard.

        Raises:
            sqlite3.Error: one of them is damaged or of another version.
        """
        for path in sorted(self._directory.glob("text-*.db")):
            self._shards[int(path.stem[5:])] = Shard(path)

    def close(self) -> None:
        """Close all files. Twice is harmless."""
        for shard in self._shards.values():
            shard.close()
        self._shards = {}

    @property
    def indexed_seq(self) -> int:
        """The last event in the index."""
        return max((shard.indexed_seq for shard in self._shards.values()), default=0)

    def add(self, events: Sequence[Event]) -> None:
        """Add events, in order of seq."""
        by_shard: dict[int, list[tuple[int, str, str]]] = {}
        for event in events:
            by_shard.setdefault(shard_of(event.seq), []).append((event.seq, event.question, event.answer))
        for number, rows in by_shard.items():
            is_new = number not in self._shards
            if is_new:
                self._optimize_before(number)
                self._shards = {**self._shards, number: Shard(self.path(number))}
            self._shards[number].add(rows)

    def _optimize_before(self, number: int) -> None:
        earlier = [each for each in self._shards if each < number]
        if earlier:
            self._shards[max(earlier)].optimize()

    def path(self, number: int) -> Path:
        """Return the path of a shard's file."""
        return self._directory / f"text-{number:06}.db"

    @property
    def numbers(self) -> frozenset[int]:
        """The shards that are there."""
        return frozenset(self._shards)

    def remove(self, number: int) -> None:
        """Delete a shard."""
        shards = dict(self._shards)
        shard = shards.pop(number, None)
        self._shards = shards
        if shard:
            shard.close()
            for suffix in ("", "-wal", "-shm"):
                shard.path.with_name(shard.path.name + suffix).unlink(missing_ok=True)

    def install(self, number: int, built: Path) -> None:
        """Put the file that was built elsewhere in the place of a shard."""
        former = self._shards.get(number)
        if former:
            former.close()
        for suffix in ("-wal", "-shm"):
            self.path(number).with_name(self.path(number).name + suffix).unlink(missing_ok=True)
        built.replace(self.path(number))
        self._shards = {**self._shards, number: Shard(self.path(number))}

    def matches_in(self, number: int, expression: str) -> str:
        """Return :meth:`Shard.matches` of one shard."""
        try:
            return self._shards[number].matches(expression)
        except sqlite3.ProgrammingError:  # it was replaced just now
            return self._shards[number].matches(expression)
