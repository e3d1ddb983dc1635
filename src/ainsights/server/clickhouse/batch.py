"""Storing one batch of events: columns, conversations, MACs; then one insert, and the entry of the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.clickhouse import ledger, linking, rows
from ainsights.server.clickhouse.ledger import Item, Ledger
from ainsights.server.clickhouse.numbers import Numbers
from ainsights.server.clickhouse.schema import DAY_MICROSECONDS
from ainsights.server.store import StoredBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.clickhouse.connection import Connection
    from ainsights.server.clickhouse.slots import Slot
    from ainsights.server.store import Put


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
        self._connection.insert_json("event", rows.encode(read, linked.targets, macs))
        linking.settle(self._connection, linked)
        items = [
            Item(row.stored.seq, row.key_time // DAY_MICROSECONDS, ledger.id_mac(self._key, row.stored.event_id), mac)
            for row, mac in zip(read, macs, strict=True)
        ]
        self.ledger.append(ledger.PUT, items)
        self.last_seq = max(self.last_seq, stored[-1].seq)

    def _admitted(self, puts: Sequence[Put]) -> list[Put]:
        """Return each event once, without those that were erased."""
        fresh = {put.event_id: put for put in reversed(puts)}
        macs = {ledger.id_mac(self._key, event_id): event_id for event_id in fresh}
        sql = f"SELECT id_mac FROM erased WHERE id_mac IN ({', '.join(map(str, macs))})"  # noqa: S608  numbers
        for (mac,) in self._connection.rows(sql):
            fresh.pop(macs[mac], None)
        return [*reversed(fresh.values())]

    def _numbered(self, puts: Sequence[Put]) -> list[StoredBody]:
        slot = self._slot.take()
        if self._numbers is None or slot != self._number_of_slot:
            self._numbers, self._number_of_slot = Numbers(slot), slot
        numbers = self._numbers.take(len(puts), self._connection.now())
        return [StoredBody(number, *put) for number, put in zip(numbers, puts, strict=True)]
