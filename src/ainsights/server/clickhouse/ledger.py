"""The hash chain of one replica: an entry for each batch that it stored, and for each removal. Pure but for the insert.

Every replica, each time that it starts, begins a chain of its own. An entry holds number, MAC and (as a MAC) id of
each event, so that it can be checked when some are gone: erased, beyond the retention, or merged with a duplicate that
arrived elsewhere earlier. An event has its MAC in its row too: a row that no entry has, because its replica was killed
before it wrote one (and before it answered), is known to be genuine by it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
import threading
from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.store import chain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.clickhouse.connection import Connection
    from ainsights.server.store import StoredBody

PUT = chain.PUT
REMOVAL = chain.REMOVAL
RETENTION = "retention"
CHECKPOINT = "checkpoint"

START = chain.START
COLUMNS = (
    *("chain", "number", "kind", "at", "seqs", "days", "id_macs", "macs"),
    *("detail", "items_mac", "mac", "pruned"),
)
_ITEM = struct.Struct(">qHQ16s")


class Item(NamedTuple):
    """One event in an entry.

    Attributes:
        day: of its partition, in days since the epoch.
        id_mac: what recognises its id.
        mac: over all of it.
    """

    seq: int
    day: int
    id_mac: int
    mac: bytes


class Entry(NamedTuple):
    """One entry, as it is stored."""

    chain: str
    number: int
    kind: str
    at: float
    items: tuple[Item, ...]
    detail: str
    items_mac: bytes
    mac: bytes

    def row(self) -> tuple[object, ...]:
        """Return the row of the table."""
        seqs, days, id_macs, macs = zip(*self.items, strict=True) if self.items else ((), (), (), ())
        columns = (list(each) for each in (seqs, days, id_macs, macs))
        return (*self[:4], *columns, self.detail, self.items_mac, self.mac, 0)


def event_mac(key: bytes, stored: StoredBody) -> bytes:
    """Return the MAC of one event."""
    return chain.event_mac(key, stored.seq, stored.event_id, stored.received_at, stored.body)[:16]


def id_mac(key: bytes, event_id: str) -> int:
    """Return what recognises an event id, without keeping it."""
    return int.from_bytes(chain.event_id_mac(key, event_id)[:8], "big")


def items_mac(key: bytes, items: Sequence[Item]) -> bytes:
    """Return the MAC of the items of an entry."""
    digest = hmac.new(key, b"items", hashlib.sha256)
    for item in items:
        digest.update(_ITEM.pack(*item))
    return digest.digest()


def entry_mac(key: bytes, previous: bytes, entry: Entry) -> bytes:
    """Return the MAC of an entry, whose own is not looked at, after the entry with the MAC ``previous``."""
    head = f"entry {entry.chain} {entry.number} {entry.kind} {entry.at!r} {len(entry.detail)} {entry.detail}"
    return hmac.digest(key, previous + entry.items_mac + head.encode(), "sha256")


class Ledger:
    """Writes the entries of this replica, from any thread."""

    def __init__(self, connection: Connection, key: bytes) -> None:
        self._connection = connection
        self._key = key
        self._chain = secrets.token_hex(8)
        self._number = 0
        self._head = START
        self._unwritten: list[Entry] = []
        self._lock = threading.Lock()

    @property
    def head(self) -> tuple[int, bytes]:
        """Number and MAC of the latest entry."""
        return self._number, self._head

    def append(self, kind: str, items: Sequence[Item], detail: str = "") -> None:
        """Extend the chain by an entry, after those that could not be written before.

        Raises:
            StoreError: it cannot be written now; it will be with the next one.
        """
        with self._lock:
            at = round(self._connection.now(), 6)
            covered = items_mac(self._key, items)
            entry = Entry(self._chain, self._number + 1, kind, at, tuple(items), detail, covered, b"")
            entry = entry._replace(mac=entry_mac(self._key, self._head, entry))
            self._number, self._head = entry.number, entry.mac
            self._unwritten.append(entry)
            self._write()

    def flush(self) -> None:
        """Write the entries that could not be written.

        Raises:
            StoreError: it cannot be done now.
        """
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self._unwritten:
            self._connection.insert("ledger", COLUMNS, [entry.row() for entry in self._unwritten])
            self._unwritten.clear()
