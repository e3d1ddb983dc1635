"""All that is ever written to the database, one transaction each. Used by the writer's thread alone.

After an error a ledger is closed, and the next one reads from the file where things stand.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ainsights.server.store import bulk, chain, codec, legacy, schema
from ainsights.server.store.protocol import Access, Put

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PROBE_BYTES = 256 * 1024
"""What must be writable before the store counts as recovered."""


class Ledger:
    """The writer's connection, the end of the chain, and the next numbers.

    Attributes:
        last_seq: the highest number given so far.
        migrating: whether an old file is still to be copied.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self.connection = schema.connect(path)
        self._key = key
        self.migrating = self._one("SELECT count(*) FROM migration") > 0
        if self.migrating:
            self._attach_legacy(path)
        row = self.connection.execute("SELECT * FROM chain ORDER BY number DESC LIMIT 1").fetchone()
        self._head = chain.Entry(*row) if row else None
        self.last_seq: int = max(
            self._one(f"SELECT coalesce(max({column}), 0) FROM {table}")  # noqa: S608  names of our own
            for column, table in (("seq", "event"), ("seq", "removal"), ("last", "migration"))
        )
        self._last_removal = self._one("SELECT coalesce(max(number), 0) FROM removal")
        self._remembers = self._one("SELECT count(*) FROM removal WHERE id_mac IS NOT NULL") > 0

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def append(self, puts: Sequence[Put], accesses: Sequence[Access] = ()) -> None:
        """Store the events whose ids are new, and lines of the access log."""
        with self._transaction():
            fresh = {put.event_id: put for put in reversed(puts)}
            for known in self._known([*fresh]):
                del fresh[known]
            self._insert([*reversed(fresh.values())], self.last_seq + 1)
            self._log(accesses)

    def remove(self, seqs: Sequence[int], by: str, reason: str, *, erase: bool) -> list[int]:
        """Remove those of ``seqs`` that are there, and return them.

        Each leaves a tombstone; all of them together, an entry of the chain. If ``erase``, their ids are remembered as
        MACs, so that no late duplicate brings an event back, and the access log gets a line.
        """
        with self._transaction():
            rows = self._rows_of(seqs)
            if not rows:
                return []
            gone = [seq for seq, _, _ in rows]
            at = time.time()
            self._leave_tombstones(rows, json.dumps({"at": at, "by": by, "reason": reason}), erase=erase)
            for table in ("body", "event"):
                self.connection.executemany(f"DELETE FROM {table} WHERE seq = ?", [(seq,) for seq in gone])  # noqa: S608  ours
            if erase:
                self._log([Access(at, by, "erase", json.dumps({"seqs": gone, "reason": reason}))])
        if self.migrating:
            self._remove_from_legacy()
        return gone

    def scrub(self) -> bool:
        """Empty the write-ahead log, where removed content still stands; False if a reader keeps it from that."""
        busy: int = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return busy == 0

    def vacuum(self, pages: int) -> None:
        """Give some free pages back to the file system."""
        # a script: execute() would end the pragma, which returns no columns, after its first page
        self.connection.executescript(f"PRAGMA incremental_vacuum({pages:d})")

    def sizes(self) -> tuple[int, int]:
        """Return the bytes of the file, and how many of them are free."""
        page, count, free = (self._one(f"PRAGMA {name}") for name in ("page_size", "page_count", "freelist_count"))
        return page * count, page * free

    def oldest(self, limit: int) -> list[tuple[int, float, int]]:
        """Return number, time of receipt and stored bytes of the oldest events."""
        sql = "SELECT seq, received_at, length(content) FROM event JOIN body USING (seq) ORDER BY seq LIMIT ?"
        return self.connection.execute(sql, (limit,)).fetchall()

    def migrate(self, limit: int) -> bool:
        """Copy some rows of the old file; return whether there are more."""
        if not self.migrating:
            return False
        with self._transaction():
            through, last = self.connection.execute("SELECT through, last FROM migration").fetchone()
            rows = self.connection.execute(
                "SELECT id, event_id, received_at, body FROM legacy.insight WHERE id > ? ORDER BY id LIMIT ?",
                (through, limit),
            ).fetchall()
            for run in _runs(rows):
                puts = [Put(event_id, legacy.seconds(at), body.encode()) for _, event_id, at, body in run]
                self._insert(puts, run[0][0])
            if rows and rows[-1][0] < last:
                self.connection.execute("UPDATE migration SET through = ?", (rows[-1][0],))
                return True
            self.connection.execute("DELETE FROM migration")
        self.connection.execute("DETACH legacy")
        self.migrating = False
        return False

    def probe(self) -> None:
        """Write something, as a put would.

        Raises:
            sqlite3.Error: it cannot be written.
        """
        with self._transaction():
            self.connection.execute("INSERT INTO probe VALUES (zeroblob(?))", (PROBE_BYTES,))
        with self._transaction():
            self.connection.execute("DELETE FROM probe")

    def _insert(self, puts: Sequence[Put], first: int) -> None:
        if not puts:
            return
        seqs = range(first, first + len(puts))
        macs = [chain.event_mac(self._key, seq, *put) for seq, put in zip(seqs, puts, strict=True)]
        rows = [(seq, put.event_id, put.received_at, mac) for seq, put, mac in zip(seqs, puts, macs, strict=True)]
        bulk.insert(self.connection, "event", rows)
        contents = codec.compress_all([put.body for put in puts])
        bulk.insert(self.connection, "body", [(seq, *content) for seq, content in zip(seqs, contents, strict=True)])
        self._extend(chain.PUT, first, seqs[-1], "", macs)
        self.last_seq = max(self.last_seq, seqs[-1])

    def _extend(self, kind: str, first: int, last: int, detail: str, items: Sequence[bytes]) -> None:
        self._head = chain.follow(self._key, self._head, chain.Entry(0, kind, first, last, detail, b""), items)
        self.connection.execute("INSERT INTO chain VALUES (?, ?, ?, ?, ?, ?)", self._head)

    def _known(self, event_ids: Sequence[str]) -> set[str]:
        """Return those that are stored, or were erased."""
        known: set[str] = bulk.find(self.connection, "event", "event_id", event_ids)
        if self.migrating:
            known |= bulk.find(self.connection, "legacy.insight", "event_id", event_ids)
        if self._remembers:
            macs = {chain.event_id_mac(self._key, event_id): event_id for event_id in event_ids}
            known.update(macs[mac] for mac in bulk.find(self.connection, "removal", "id_mac", [*macs]))
        return known

    def _rows_of(self, seqs: Sequence[int]) -> list[tuple[int, str, bytes]]:
        """Return number, id and MAC of the events that are there."""
        rows: list[tuple[int, str, bytes]] = []
        for seq in dict.fromkeys(seqs):
            row = self.connection.execute("SELECT seq, event_id, mac FROM event WHERE seq = ?", (seq,)).fetchone()
            if row is None and self.migrating:
                row = self._legacy_row(seq)
            if row:
                rows.append(row)
        return rows

    def _legacy_row(self, seq: int) -> tuple[int, str, bytes] | None:
        sql = (
            "SELECT event_id, received_at, body FROM legacy.insight WHERE id = ? AND id > "
            "(SELECT through FROM migration)"
        )
        row = self.connection.execute(sql, (seq,)).fetchone()
        if row is None:
            return None
        event_id, received_at, body = row
        mac = chain.event_mac(self._key, seq, event_id, legacy.seconds(received_at), body.encode())
        # it gets its entry in the chain before that of its removal
        self._extend(chain.PUT, seq, seq, "", [mac])
        return seq, event_id, mac

    def _leave_tombstones(self, rows: Sequence[tuple[int, str, bytes]], detail: str, *, erase: bool) -> None:
        first = self._last_removal + 1
        tombstones = [
            (number, seq, mac, chain.event_id_mac(self._key, event_id) if erase else None)
            for number, (seq, event_id, mac) in enumerate(rows, first)
        ]
        self.connection.executemany("INSERT INTO removal VALUES (?, ?, ?, ?)", tombstones)
        self._last_removal += len(rows)
        self._remembers |= erase
        self._extend(
            chain.REMOVAL, first, self._last_removal, detail, [chain.tombstone(seq, mac) for seq, _, mac in rows]
        )

    def _log(self, accesses: Sequence[Access]) -> None:
        sql = "INSERT INTO access (at, key_name, action, detail) VALUES (?, ?, ?, ?)"
        self.connection.executemany(sql, accesses)

    def _attach_legacy(self, path: Path) -> None:
        self.connection.execute(legacy.ATTACH, (legacy.uri(path, "rw"),))
        self.connection.execute("PRAGMA legacy.secure_delete = ON")
        self._remove_from_legacy()

    def _remove_from_legacy(self) -> None:
        """Delete from the old file what was removed: by this process just now, or by one that was killed over it."""
        self.connection.execute("DELETE FROM legacy.insight WHERE id IN (SELECT seq FROM main.removal)")

    def _one(self, sql: str) -> int:
        value: int = self.connection.execute(sql).fetchone()[0]
        return value

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            with suppress(Exception):
                self.connection.execute("ROLLBACK")
            raise


def _runs(rows: Sequence[tuple[int, str, str, str]]) -> Iterator[list[tuple[int, str, str, str]]]:
    """Yield ``rows`` in runs whose numbers follow each other without a gap."""
    run: list[tuple[int, str, str, str]] = []
    for row in rows:
        if run and row[0] != run[-1][0] + 1:
            yield run
            run = []
        run.append(row)
    if run:
        yield run
