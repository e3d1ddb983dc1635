"""Proof that no event was changed, added or removed since it was stored, over the chains of all replicas."""

from __future__ import annotations

import hmac
import json
import time
from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.clickhouse import ledger
from ainsights.server.clickhouse.ledger import Entry, Item
from ainsights.server.clickhouse.scan import scan
from ainsights.server.store import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ainsights.server.clickhouse.connection import Connection
    from ainsights.server.clickhouse.ledger import Ledger
    from ainsights.server.clickhouse.scan import Scanned
    from ainsights.server.store import Anchor

ENTRIES_AT_ONCE = 200
DAY_BITS = 16
"""Of the number that stands for an event that is expected: its seq and its day, in little memory."""

ERASURE_SECONDS = 20.0
"""How long an erasure that is under way may take to hide what it noted as erased."""

SEQS_AT_ONCE = 1000
LOOK_SECONDS = 0.2
_ENTRIES = f"""
    SELECT {", ".join(ledger.COLUMNS)} FROM ledger FINAL
    WHERE (chain, number) > ({{chain:String}}, {{number:UInt64}}) ORDER BY chain, number LIMIT {ENTRIES_AT_ONCE}
"""  # noqa: S608  names of our own


class _TamperedError(Exception):
    def __init__(self, problem: str, seq: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.seq = seq


class _Removed(NamedTuple):
    """What may be missing.

    Attributes:
        id_macs: of events that were erased.
        through_day: the last day whose events were beyond the retention.
        undated_before: events whose body has no time, or one in the future, were, if they have a lower number.
    """

    id_macs: set[int]
    through_day: int
    undated_before: int

    def covers(self, seq: int, day: int) -> bool:
        """Whether the event was beyond the retention."""
        if 0 < day <= self.through_day + 1:
            return day <= self.through_day
        return seq < self.undated_before


def verify(
    connection: Connection,
    key: bytes,
    chain: Ledger,
    anchor: Anchor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Check every event and every entry, then note the heads of all chains in an entry of this replica's chain.

    Args:
        connection: reads the store.
        key: the audit key.
        chain: of this replica.
        anchor: an entry that was noted: it shows whether a chain was cut off or put back.
        progress: is called with the number of events checked so far.

    Raises:
        StoreError: the store cannot be read.
    """
    run = _Run(connection, key, progress or (lambda _: None))
    try:
        run.check(anchor)
    except _TamperedError as error:
        return Verification(error.problem, error.seq, run.events, run.entries, "")
    heads = {name: [number, mac.hex()] for name, (number, mac) in run.heads.items()}
    entries = run.entries + 1
    chain.append(ledger.CHECKPOINT, (), json.dumps({"entries": entries, "heads": heads}))
    return Verification(None, None, run.events, entries, chain.head[1].hex())


class _Run:
    def __init__(self, connection: Connection, key: bytes, progress: Callable[[int], None]) -> None:
        self._connection = connection
        self._key = key
        self._progress = progress
        self._checkpoints: dict[str, str] = {}
        self._macs: set[tuple[str, int, str]] = set()
        self._expected: dict[int, int] = {}
        self._erased: set[int] = set()
        self.heads: dict[str, tuple[int, bytes]] = {}
        self.events = 0
        self.entries = 0

    def check(self, anchor: Anchor | None) -> None:
        removed = self._check_chains()
        if anchor:
            self._check_anchor(anchor)
        for part in scan(self._connection):
            for row in part:
                self._check_row(row, removed)
            self._progress(self.events)
        self._check_erased()
        self._check_missing()

    def _check_chains(self) -> _Removed:
        """Check every entry, and note the events that there must be."""
        removed = _Removed(set(), -1, -1)
        for entry, pruned in _entries(self._connection):
            self._check_entry(entry, pruned=pruned)
            if entry.kind == ledger.PUT:
                self._expected.update((item.id_mac, item.seq << DAY_BITS | item.day) for item in entry.items)
            removed = _with(removed, entry)
            if entry.kind == ledger.CHECKPOINT:
                self._checkpoints[entry.mac.hex()] = entry.detail
            self._macs.add((entry.chain, entry.number, entry.mac.hex()))
        return removed

    def _check_entry(self, entry: Entry, *, pruned: bool) -> None:
        self.entries += 1
        number, head = self.heads.get(entry.chain, (0, ledger.START))
        if entry.number != number + 1:
            raise _TamperedError(f"entry {number + 1} of the chain {entry.chain} was removed")
        if not pruned and not hmac.compare_digest(ledger.items_mac(self._key, entry.items), entry.items_mac):
            raise _TamperedError(f"the events of entry {entry.number} of the chain {entry.chain} were changed")
        if not hmac.compare_digest(ledger.entry_mac(self._key, head, entry), entry.mac):
            raise _TamperedError(f"entry {entry.number} of the chain {entry.chain} was changed")
        self.heads[entry.chain] = entry.number, entry.mac

    def _check_anchor(self, anchor: Anchor) -> None:
        detail = self._checkpoints.get(anchor.mac)
        if detail is None:
            raise _TamperedError(
                f"the entry that was noted as {anchor.number} is in no chain: one was cut off or put back"
            )
        noted = json.loads(detail)
        if noted["entries"] != anchor.number:
            raise _TamperedError(f"entry {anchor.number} of the chain is not the one that was noted")
        for chain, (number, mac) in noted["heads"].items():
            if (chain, number, mac) not in self._macs:
                raise _TamperedError(f"the chain {chain} was cut off or put back: entry {number} is not the one noted")

    def _check_row(self, row: Scanned, removed: _Removed) -> None:
        stored = row.stored
        if not hmac.compare_digest(ledger.event_mac(self._key, stored), row.mac):
            raise _TamperedError(
                f"event {stored.seq} was changed or added, or the audit key is another one", stored.seq
            )
        id_mac = ledger.id_mac(self._key, stored.event_id)
        if id_mac in removed.id_macs:
            self._erased.add(stored.seq)
        self._expected.pop(id_mac, None)
        self.events += 1

    def _check_erased(self) -> None:
        """Look whether what was erased goes: an erasure that is under way notes it first, and hides it then."""
        deadline = time.monotonic() + ERASURE_SECONDS
        while self._erased:
            some = sorted(self._erased)[:SEQS_AT_ONCE]
            sql = f"SELECT seq FROM event FINAL WHERE seq IN ({', '.join(map(str, some))})"  # noqa: S608  numbers
            there = {seq for (seq,) in self._connection.rows(sql)}
            if there and time.monotonic() >= deadline:
                raise _TamperedError(f"event {min(there)} was erased, and is there again", min(there))
            self._erased = self._erased.difference(some) | there
            if there:
                time.sleep(LOOK_SECONDS)

    def _check_missing(self) -> None:
        """Look whether what is not there may be missing: it may have been removed while the check ran, too."""
        if not self._expected:
            return
        removed = _Removed(set(), -1, -1)
        for entry, _ in _entries(self._connection):
            removed = _with(removed, entry)
        for id_mac, expected in self._expected.items():
            seq, day = expected >> DAY_BITS, expected & (1 << DAY_BITS) - 1
            if id_mac not in removed.id_macs and not removed.covers(seq, day):
                raise _TamperedError(f"event {seq} was removed", seq)


def _with(removed: _Removed, entry: Entry) -> _Removed:
    """Return what may be missing after this entry, too."""
    if entry.kind == ledger.REMOVAL:
        removed.id_macs.update(item.id_mac for item in entry.items)
    elif entry.kind == ledger.RETENTION:
        detail = json.loads(entry.detail)
        return removed._replace(
            through_day=max(removed.through_day, detail["through_day"]),
            undated_before=max(removed.undated_before, detail["undated_before"]),
        )
    return removed


def _entries(connection: Connection) -> Iterator[tuple[Entry, bool]]:
    """Yield every entry, chain by chain in order, and whether its events were pruned."""
    after = {"chain": "", "number": 0}
    while rows := connection.rows(_ENTRIES, after):
        for row in rows:
            chain, number, kind, at, seqs, days, id_macs, macs, detail, items_mac, mac, pruned = row
            items = tuple(map(Item, seqs, days, id_macs, map(bytes, macs)))
            yield Entry(chain, number, kind, at, items, detail, bytes(items_mac), bytes(mac)), bool(pruned)
        after = {"chain": rows[-1][0], "number": rows[-1][1]}
