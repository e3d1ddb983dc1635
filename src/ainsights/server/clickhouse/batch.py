"""Storing one batch of events: columns, conversations, MACs; then one insert, and the entry of the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.clickhouse import erasure, ledger, linking, rows
from ainsights.server.clickhouse.ledger import Item, Ledger
from ainsights.server.clickhouse.numbers import Numbers
from ainsights.server.clickhouse.schema import DAY_MICROSECONDS
from ainsights.server.store import StoredBody

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ainsights.server.clickhouse.connection import Connection
    from ainsights.server.clickhouse.rows import Row
    from ainsights.server.clickhouse.slots import Slot
    from ainsights.server.store import Put


IDS_AT_ONCE = 5000
"""Ids in one statement."""

MAX_PARTITIONS = 100
"""Days in one insert: each makes a part, and a thousand parts take longer than a statement may."""


class BatchWriter:
    """Writes the batches of one replica. Used by one thread at a time.

    Attributes:
        ledger: the replica's chain.
        last_seq: the highest number that this replica gave so far.
    """

    def __init__(self, connection: Connection, slot: Slot, key: bytes) -> None:
        self.ledger = Ledger(connection, key)
        self.last_seq = 0
        self._connection = connection
        self._slot = slot
        self._key = key
        self._numbers: Numbers | None = None
        self._number_of_slot = -1

    def store(self, puts: Sequence[Put]) -> None:
        """Store the events; when it returns, they are durable. Ids that are stored already change nothing.

        Raises:
            StoreError: none of them counts as stored; some may be, and are the same events when they come again.
        """
        self.ledger.flush()
        stored = self._numbered(self._admitted(puts))
        if not stored:
            return
        read = [rows.read(each) for each in stored]
        macs = [ledger.event_mac(self._key, each) for each in stored]
        linked = linking.find(self._connection, read)
        linking.write(self._connection, linked)
        for part in _in_few_partitions([*zip(read, macs, strict=True)]):
            self._connection.insert_json("event", rows.encode(part, linked.targets))
        moved = linking.settle(self._connection, linked)
        self._hide_erased([*(row.stored.event_id for row in read), *moved])
        items = [
            Item(row.stored.seq, row.key_time // DAY_MICROSECONDS, ledger.id_mac(self._key, row.stored.event_id), mac)
            for row, mac in zip(read, macs, strict=True)
        ]
        self.ledger.append(ledger.PUT, items)
        self.last_seq = max(self.last_seq, stored[-1].seq)

    def _admitted(self, puts: Sequence[Put]) -> list[Put]:
        """Return each event once, without those that were erased."""
        fresh = {put.event_id: put for put in reversed(puts)}
        for event_id in self._erased([*fresh]):
            del fresh[event_id]
        return [*reversed(fresh.values())]

    def _erased(self, event_ids: Sequence[str]) -> set[str]:
        """Return those of the ids that were erased."""
        found: set[str] = set()
        for at in range(0, len(event_ids), IDS_AT_ONCE):
            macs = {ledger.id_mac(self._key, event_id): event_id for event_id in event_ids[at : at + IDS_AT_ONCE]}
            sql = f"SELECT id_mac FROM erased WHERE id_mac IN ({', '.join(map(str, macs))})"  # noqa: S608  numbers
            found.update(macs[mac] for (mac,) in self._connection.rows(sql))
        return found

    def _hide_erased(self, event_ids: Sequence[str]) -> None:
        """Hide what another replica erased while this one stored it.

        An erasure notes the ids first, and hides the rows then: one of the two finds what the other did.
        """
        erased = self._erased(event_ids)
        if erased:
            erasure.hide(self._connection, sorted(erased))

    def _numbered(self, puts: Sequence[Put]) -> list[StoredBody]:
        slot = self._slot.take()
        if self._numbers is None or slot != self._number_of_slot:
            self._numbers, self._number_of_slot = Numbers(slot), slot
        numbers = self._numbers.take(len(puts), self._connection.now())
        return [StoredBody(number, *put) for number, put in zip(numbers, puts, strict=True)]


def _in_few_partitions(read: Sequence[tuple[Row, bytes]]) -> Iterator[list[tuple[Row, bytes]]]:
    """Yield the rows in parts that have events of some days each; usually there is one."""
    part: list[tuple[Row, bytes]] = []
    days: set[int] = set()
    for row, mac in sorted(read, key=lambda each: each[0].key_time):
        days.add(row.key_time // DAY_MICROSECONDS)
        if len(days) > MAX_PARTITIONS:
            yield part
            part, days = [], {row.key_time // DAY_MICROSECONDS}
        part.append((row, mac))
    yield part
