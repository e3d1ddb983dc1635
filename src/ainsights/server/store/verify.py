"""Proof that no event was changed, added or removed since it was stored."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from ainsights.server.store import chain, codec
from ainsights.server.store.protocol import Verification

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    from ainsights.server.store.protocol import Anchor

REPORT_EVERY = 10_000


class _TamperedError(Exception):
    def __init__(self, problem: str, seq: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.seq = seq


def verify(
    connection: sqlite3.Connection,
    key: bytes,
    anchor: Anchor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Check every event and every entry of the chain.

    Args:
        connection: reads the database; it sees one state of it throughout.
        key: the audit key.
        anchor: an entry that the chain must have: it shows whether the chain was cut off or put back.
        progress: is called with the number of events checked so far.

    Raises:
        sqlite3.Error: the database cannot be read.
    """
    run = _Run(connection, key, progress or (lambda _: None))
    problem, seq = None, None
    connection.execute("BEGIN")
    try:
        run.check(anchor)
    except _TamperedError as error:
        problem, seq = error.problem, error.seq
    finally:
        connection.execute("ROLLBACK")
    return Verification(problem, seq, run.events, run.entries, run.head.hex())


class _Run:
    def __init__(self, connection: sqlite3.Connection, key: bytes, progress: Callable[[int], None]) -> None:
        self._connection = connection
        self._key = key
        self._progress = progress
        self._covered: list[tuple[int, int]] = []
        self._tombstones = 0
        self.events = 0
        self.entries = 0
        self.head = chain.START

    def check(self, anchor: Anchor | None) -> None:
        known = self._connection.execute("SELECT max(number) FROM chain").fetchone()[0] or 0
        if anchor and anchor.number > known:
            raise _TamperedError(f"the chain ends at entry {known}; entry {anchor.number} was cut off")
        # which removals the chain has, before the events: an event may be removed by a later entry
        self._tombstones = self._connection.execute(
            "SELECT coalesce(max(last), 0) FROM chain WHERE kind = ?", (chain.REMOVAL,)
        ).fetchone()[0]
        for row in self._connection.execute("SELECT * FROM chain ORDER BY number"):
            self._check_entry(chain.Entry(*row))
            if anchor and anchor.number == self.entries and anchor.mac != self.head.hex():
                raise _TamperedError(f"entry {anchor.number} of the chain is not the one that was noted")
        self._check_surplus()

    def _check_entry(self, entry: chain.Entry) -> None:
        self.entries += 1
        if entry.number != self.entries:
            raise _TamperedError(f"entry {self.entries} of the chain was removed")
        items = list(self._events(entry) if entry.kind == chain.PUT else self._removals(entry))
        if not hmac.compare_digest(chain.entry_mac(self._key, self.head, entry, items), entry.mac):
            raise _TamperedError(
                f"entry {entry.number} of the chain ({entry.kind} {entry.first} to {entry.last}) was changed, "
                "or the audit key is another one"
            )
        self.head = entry.mac

    def _events(self, entry: chain.Entry) -> Iterator[bytes]:
        sql = """
        SELECT seq, mac, event_id, received_at, codec, content FROM event LEFT JOIN body USING (seq)
        WHERE seq BETWEEN ?1 AND ?2
        UNION ALL SELECT seq, mac, NULL, number, NULL, NULL FROM removal WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq
        """
        expected = entry.first
        for seq, mac, event_id, *rest in self._connection.execute(sql, (entry.first, entry.last)):
            if seq < expected:
                raise _TamperedError(f"event {seq} stands beside its own tombstone: it was added", seq)
            if seq > expected:
                break
            if event_id is None:
                self._check_tombstone(seq, rest[0])
            else:
                self._check_event(seq, mac, event_id, *rest)
            expected += 1
            yield mac
        if expected <= entry.last:
            raise _TamperedError(f"event {expected} was removed", expected)
        self._covered.append((entry.first, entry.last))

    def _check_event(  # noqa: PLR0913, PLR0917  a row
        self, seq: int, mac: bytes, event_id: str, received_at: float, how: int | None, content: bytes | None
    ) -> None:
        if how is None or content is None:
            raise _TamperedError(f"the body of event {seq} was removed", seq)
        try:
            body = codec.decompress(how, content)
        except (ValueError, TypeError):
            raise _TamperedError(f"the body of event {seq} was changed: it cannot be read", seq) from None
        if not hmac.compare_digest(chain.event_mac(self._key, seq, event_id, received_at, body), mac):
            raise _TamperedError(f"event {seq} was changed, or the audit key is another one", seq)
        self.events += 1
        if self.events % REPORT_EVERY == 0:
            self._progress(self.events)

    def _check_tombstone(self, seq: int, number: int) -> None:
        if number > self._tombstones:
            raise _TamperedError(f"event {seq} was removed: the chain has no entry for its tombstone", seq)

    def _removals(self, entry: chain.Entry) -> Iterator[bytes]:
        sql = "SELECT seq, mac FROM removal WHERE number BETWEEN ? AND ? ORDER BY number"
        for seq, mac in self._connection.execute(sql, (entry.first, entry.last)):
            yield chain.tombstone(seq, mac)

    def _check_surplus(self) -> None:
        """Look for events that no entry of the chain covers."""
        self._covered.sort()
        end = 0
        for first, last in [*self._covered, (2**63 - 1, 2**63 - 1)]:
            if first > end + 1:
                rows = "(SELECT seq FROM event UNION ALL SELECT seq FROM body)"
                sql = f"SELECT min(seq) FROM {rows} WHERE seq > ? AND seq < ?"  # noqa: S608  ours
                seq = self._connection.execute(sql, (end, first)).fetchone()[0]
                if seq is not None:
                    raise _TamperedError(f"event {seq} was added", seq)
            end = max(end, last)
