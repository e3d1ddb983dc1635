"""The columns of all events, in a DuckDB file: everything that an event is known by, but no text.

::

    event    one row for each event; conversation_key is a number for each conversation, cheaper to count than its name
    waiting  hashes of message prefixes that may turn out to be the end of an event that has not arrived yet
    state    one row: what has been indexed
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from ainsights.server.index.chaining import orphan_followers
from ainsights.server.index.directory import INCOMING, SPILL
from ainsights.server.index.encoding import encode
from ainsights.server.index.linking import FORMAT, SCHEMA, insert, quoted, stage
from ainsights.server.index.shards import first_seq

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ainsights.server.events import Event

MEMORY_LIMIT = "256MB"
THREADS = 2
LATE_ROWS = 1001
"""Up to this limit an ordered list reads the order's column alone, and then the columns of the rows that it shows."""


class IndexState(NamedTuple):
    """What the file holds: ``complete`` is false while it is being built."""

    complete: bool
    indexed_seq: int
    removals: int


class IndexFormatError(Exception):
    """The file is damaged or of another version: it must be rebuilt."""


class Columns:
    """The DuckDB file. One thread writes; any number may read."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._path: Path | None = None
        self._latest_times: dict[int, int] = {}

    def open(self) -> None:
        """Open the newest file, or create one.

        Raises:
            IndexFormatError: it is damaged or of another version.
        """
        paths = sorted(self._directory.glob("columns-*.duckdb"))
        path = paths[-1] if paths else self._new_path()
        try:
            connection = self._connect(path)
        except duckdb.Error as error:
            raise IndexFormatError(f"{path}: {error}") from error
        try:
            if not paths:
                connection.execute(f"BEGIN; {SCHEMA} COMMIT")
            _check(connection, path)
        except BaseException:
            connection.close()  # else DuckDB would go on with this file when another one takes its place
            raise
        self._connection, self._path = connection, path
        self._remove_other_files()

    def close(self) -> None:
        """Close the file. Twice is harmless."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection:
            with suppress(duckdb.Error):
                connection.close()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection of the calling thread. It sees what was committed before."""
        with self._lock:
            if self._connection is None:
                raise duckdb.ConnectionException("the index is closed")
            cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def use_threads(self, count: int) -> None:
        """Have queries use this many processors."""
        with self.cursor() as cursor:
            cursor.execute(f"SET threads TO {count:d}")

    def state(self) -> IndexState:
        """Return what the file holds."""
        with self.cursor() as cursor:
            row = cursor.execute("SELECT complete, indexed_seq, removals FROM state").fetchone()
        return IndexState(*row) if row else IndexState(complete=False, indexed_seq=0, removals=0)

    def set_complete(self, indexed_seq: int, removals: int) -> None:
        """Note that the file holds every event up to ``indexed_seq``, and no removed one up to that number."""
        with self._writing() as cursor:
            cursor.execute("UPDATE state SET complete = true, indexed_seq = ?, removals = ?", [indexed_seq, removals])

    def latest_times(self) -> dict[int, int]:
        """Return, by shard, a time that none of its events is later than; those that are full are read once."""
        known = self._latest_times
        sql = "SELECT seq // ?, max(time) FROM event WHERE seq >= ? GROUP BY ALL"
        with self.cursor() as cursor:
            rows = cursor.execute(sql, [first_seq(1), first_seq(max(known, default=-1) + 1)]).fetchall()
        found = known | dict(rows)
        newest = max(found, default=0)
        with self._lock:
            if self._latest_times is known:  # no rebuild has loaded events meanwhile
                self._latest_times = {shard: time for shard, time in found.items() if shard < newest}
        return found

    def add(self, events: Sequence[Event]) -> None:
        """Add events that follow the last one, in one transaction."""
        path = self._directory / INCOMING
        path.write_bytes(encode(events))
        try:
            with self._writing() as cursor:
                stage(cursor, path, "WHERE seq > (SELECT indexed_seq FROM state)")
                insert(cursor)
                cursor.execute(
                    "UPDATE state SET indexed_seq = greatest(indexed_seq, (SELECT coalesce(max(seq), 0) FROM incoming))"
                )
        finally:
            path.unlink(missing_ok=True)

    def load(self, path: Path) -> None:
        """Add the events in a file that :func:`encode` wrote; in any order, and not counted in the state."""
        with self._writing() as cursor:
            stage(cursor, path, "")
            insert(cursor)
        with self._lock:
            self._latest_times = {}

    def replace(self, events: Sequence[Event]) -> None:
        """Relink the events of conversations whose first event was removed."""
        path = self._directory / INCOMING
        path.write_bytes(encode(events))
        try:
            with self._writing() as cursor:
                stage(cursor, path, "WHERE seq IN (SELECT seq FROM orphan)")
                for table in ("event", "waiting"):
                    cursor.execute(f"DELETE FROM {table} WHERE seq IN (SELECT seq FROM orphan)")  # noqa: S608
                cursor.execute("DELETE FROM orphan")
                insert(cursor)
        finally:
            path.unlink(missing_ok=True)

    def orphans(self) -> list[int]:
        """Return the events whose conversation began with an event that was removed."""
        with self.cursor() as cursor:
            return [seq for (seq,) in cursor.execute("SELECT seq FROM orphan ORDER BY seq").fetchall()]

    def remove(self, seqs: Sequence[int]) -> None:
        """Remove events from all queries. :meth:`compact` then removes them from the disk."""
        with self._writing() as cursor:
            cursor.execute("CREATE OR REPLACE TEMP TABLE gone AS SELECT unnest(?::BIGINT[]) AS seq", [list(seqs)])
            cursor.execute(
                "CREATE OR REPLACE TEMP TABLE ended AS "
                "SELECT turn FROM event SEMI JOIN gone USING (seq) WHERE turn IS NOT NULL"
            )
            orphan_followers(cursor)
            for table in ("event", "waiting", "orphan"):
                cursor.execute(f"DELETE FROM {table} WHERE seq IN (SELECT seq FROM gone)")  # noqa: S608
            cursor.execute("DELETE FROM ended WHERE turn IN (SELECT turn FROM event WHERE turn IS NOT NULL)")
            cursor.execute(
                "INSERT INTO orphan SELECT seq FROM event SEMI JOIN ended ON conversation_key = ended.turn "
                "WHERE seq NOT IN (SELECT seq FROM orphan)"
            )

    def set_removals(self, number: int) -> None:
        """Note that no event removed up to this number of the log is in the file."""
        with self._writing() as cursor:
            cursor.execute("UPDATE state SET removals = ?", [number])

    def compact(self) -> None:
        """Write a new file without what was removed, and delete the old one, whose free blocks still hold it."""
        if self._path is None:
            return
        path = self._new_path()
        part = path.with_name(f"{path.name}.part")  # which nobody takes for the newest file, if we are killed meanwhile
        part.unlink(missing_ok=True)
        with self.cursor() as cursor:
            name = cursor.execute("SELECT current_database()").fetchall()[0][0]
            cursor.execute(f"ATTACH '{quoted(part)}' AS compacted")
            try:
                cursor.execute(f'COPY FROM DATABASE "{name}" TO compacted')
                cursor.execute("CHECKPOINT compacted")  # leaves nothing in a log beside it
            finally:
                cursor.execute("DETACH compacted")
        part.replace(path)
        fresh = self._connect(path)
        with self._lock:
            self._connection, self._path = fresh, path  # close() of the former would end the queries that run on it
        self._remove_other_files()

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.execute("ROLLBACK")
                raise

    def _connect(self, path: Path) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(
            str(path),
            config={
                "late_materialization_max_rows": LATE_ROWS,
                "memory_limit": MEMORY_LIMIT,
                "threads": THREADS,
                "preserve_insertion_order": False,
                "temp_directory": str(self._directory / SPILL),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )

    def _new_path(self) -> Path:
        number = int(self._path.stem[8:]) + 1 if self._path else 1
        return self._directory / f"columns-{number:06}.duckdb"

    def _remove_other_files(self) -> None:
        for path in self._directory.glob("columns-*"):
            if self._path and not path.name.startswith(self._path.name):
                with suppress(OSError):  # Windows keeps what a query still reads; the next start removes it
                    path.unlink()


def _check(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        usable = connection.execute("SELECT format FROM state").fetchall() == [(FORMAT,)]
        usable = usable and _is_whole(connection, path)
    except duckdb.Error as error:
        raise IndexFormatError(f"{path}: {error}") from error
    if not usable:
        raise IndexFormatError(f"{path}: of another version, or truncated")


def _is_whole(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether the file is as long as its blocks need; DuckDB itself notices it when it reads them."""
    sql = "SELECT coalesce(max(block_id), -1) + 1 FROM pragma_storage_info('event')"
    size = connection.execute("SELECT block_size FROM pragma_database_size()").fetchall()[0][0]
    return path.stat().st_size >= int(connection.execute(sql).fetchall()[0][0]) * int(size)
