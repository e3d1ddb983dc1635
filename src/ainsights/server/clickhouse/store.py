"""ClickHouseStore: the truth in ClickHouse, shared by any number of replicas.

- A put that has returned is durable: one synchronous insert for all that wait (`writer`, `batch`).
- An event id is stored once: duplicates are the same row (`schema`), and no reader sees two of them.
- What a replica stores is chained (`ledger`, `verify`). Removal is erasure (`erasure`) or retention (`maintenance`).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from ainsights.server.clickhouse import erasure, migrations, reading
from ainsights.server.clickhouse.access_log import AccessLog
from ainsights.server.clickhouse.audit_key import check_audit_key
from ainsights.server.clickhouse.batch import BatchWriter
from ainsights.server.clickhouse.connection import Connection
from ainsights.server.clickhouse.maintenance import Maintenance, apply_retention
from ainsights.server.clickhouse.slots import Slot
from ainsights.server.clickhouse.verify import verify
from ainsights.server.clickhouse.writer import Writer
from ainsights.server.store import Access, Limits, Put, StoreError, StoreStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typing_extensions import Self

    from ainsights.server.clickhouse.address import Address
    from ainsights.server.store import Anchor, StoredBody, Verification

PURGE_LOOK_SECONDS = 0.5
_SIZE = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
_DISK = "SELECT min(free_space), min(total_space) FROM system.disks"


class ClickHouseStore:
    """The database at ``address``. Use it as a context manager, or open and close it."""

    def __init__(self, address: Address, audit_key: bytes, limits: Limits | None = None) -> None:
        """Nothing is opened yet.

        Args:
            address: where.
            audit_key: of the hash chains; the same for all replicas.
            limits: how long events are kept; by default for ever.
        """
        self.connection = Connection(address)
        self._key = audit_key
        self._slot = Slot(self.connection)
        self._batches = BatchWriter(self.connection, self._slot, audit_key)
        self._eraser = erasure.Eraser(self.connection, self._batches.ledger, audit_key)
        self._writer = Writer(self._batches.store, self._probe, address.name)
        self._access_log = AccessLog(self.connection)
        self._limits = limits or Limits()
        self._maintenance = Maintenance(self.connection, self._slot, self._access_log, self._retain, self._writer.fail)
        self._last_seq = 0
        self._closing = ExitStack()

    def open(self) -> None:
        """Connect, and start the threads.

        Raises:
            ConfigurationError: the server cannot be used, or has tables that this version does not know.
        """
        with ExitStack() as undo:
            undo.callback(self.connection.close)
            self.connection.check()
            migrations.check(self.connection)
            self.connection.read_clock()
            check_audit_key(self.connection, self._key)
            self._slot.take()
            undo.callback(self._release)
            self._writer.open()
            undo.callback(self._writer.close)
            self._maintenance.open()
            undo.callback(self._maintenance.close)
            self._closing = undo.pop_all()

    def close(self) -> None:
        """Store what was put, then disconnect. Twice is harmless."""
        self._closing.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The address without the password."""
        return self.connection.address.name

    @property
    def problem(self) -> str | None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return self._writer.problem

    @property
    def lost(self) -> str | None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return None

    async def put(self, event_id: str, received_at: float, body: bytes) -> None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        stored = asyncio.get_running_loop().create_future()
        self._writer.put(Put(event_id, received_at, body), stored)
        await stored

    def bodies_after(self, seq: int, limit: int) -> list[StoredBody]:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return reading.bodies_after(self.connection, seq, limit)

    def bodies(self, seqs: Sequence[int]) -> list[StoredBody]:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return reading.bodies(self.connection, seqs)

    def find(self, event_id: str) -> StoredBody | None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return reading.find(self.connection, event_id)

    def last_seq(self) -> int:
        """See :class:`ainsights.server.store.protocol.Store`."""
        self._last_seq = reading.last_seq(self.connection, max(self._last_seq, self._batches.last_seq))
        return self._last_seq

    def erase(self, seqs: Sequence[int], *, by: str, reason: str) -> int:
        """See :class:`ainsights.server.store.protocol.Store`. The disk follows at night; see :meth:`status`."""
        erased = 0
        for at in range(0, len(seqs), erasure.AT_ONCE):
            found = erasure.find(self.connection, seqs[at : at + erasure.AT_ONCE])
            if found:
                erased += self._eraser.erase(found, by, reason)
                self._access_log.add(erasure.access(found, by, reason, self.connection.now()))
        return erased

    def status(self) -> StoreStatus:
        """See :class:`ainsights.server.store.protocol.Store`."""
        size = int(self.connection.rows(_SIZE)[0][0] or 0)
        free, total = self.connection.rows(_DISK)[0]
        hidden = sum(events for _, events in erasure.pending(self.connection))
        return StoreStatus(self.last_seq(), size, 0, self.problem, int(free), int(total), hidden)

    def log_access(self, key_name: str, action: str, detail: str) -> None:
        """See :class:`ainsights.server.store.protocol.Store`."""
        self._access_log.add(Access(self.connection.now(), key_name, action, detail))

    def accesses(self, before: int | None = None, limit: int = 100) -> list[tuple[int, Access]]:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return self._access_log.latest(before, limit)

    def verify(self, anchor: Anchor | None = None, progress: Callable[[int], None] | None = None) -> Verification:
        """See :class:`ainsights.server.store.protocol.Store`."""
        return verify(self.connection, self._key, self._batches.ledger, anchor, progress)

    def purge(self) -> None:
        """Remove from the disk what is hidden, now instead of at night; return when it is done."""
        started = self.connection.now()
        if erasure.start_purge(self.connection):
            while not erasure.finish_purge(self.connection, started):
                time.sleep(PURGE_LOOK_SECONDS)

    def _retain(self) -> None:
        if self._limits.keep_days is not None:
            apply_retention(self.connection, self._batches.ledger, self._limits.keep_days)

    def _probe(self) -> None:
        self._slot.take()
        self._slot.confirm()  # an insert: a server that has only become read-only answers queries

    def _release(self) -> None:
        with suppress(StoreError):
            self._access_log.flush()
            self._slot.release()
