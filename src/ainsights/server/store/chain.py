"""The hash chain: what proves that no event was changed, added or removed. Pure.

Each event has a MAC over all that is stored of it, each commit an entry whose MAC covers the MACs of its events and the
entry before. The key is not part of the database: whoever can write to the database alone can't write a valid MAC.

What no chain shows: that its end was cut off, or that the whole file was put back to an earlier state. For that, note
the number and the MAC of the latest entry elsewhere, and pass them to `verify` as its anchor.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

PUT = "put"
REMOVAL = "removal"

START = bytes(32)
"""What stands for the entry before the first."""

_NUMBERS = struct.Struct(">qd")


class Entry(NamedTuple):
    """One commit.

    Attributes:
        number: from 1, without gaps.
        kind: :data:`PUT` or :data:`REMOVAL`.
        first: the first seq that was put, or the number of the first tombstone.
        last: the last one.
        detail: of a removal who asked for it, when and why, as JSON.
        mac: over all this, the MACs of the events, and the entry before.
    """

    number: int
    kind: str
    first: int
    last: int
    detail: str
    mac: bytes


def event_mac(key: bytes, seq: int, event_id: str, received_at: float, body: bytes) -> bytes:
    """Return the MAC of one event."""
    content = _NUMBERS.pack(seq, received_at) + hashlib.sha256(body).digest() + event_id.encode(errors="replace")
    return hmac.digest(key, b"event" + content, "sha256")


def event_id_mac(key: bytes, event_id: str) -> bytes:
    """Return what recognises the event id of an erased event, without keeping it."""
    return hmac.digest(key, b"event_id" + event_id.encode(errors="replace"), "sha256")[:16]


def tombstone(seq: int, mac: bytes) -> bytes:
    """Return what an entry covers of the removal of one event."""
    return struct.pack(">q", seq) + mac


def entry_mac(key: bytes, previous: bytes, entry: Entry, items: Iterable[bytes]) -> bytes:
    """Return the MAC of ``entry``, whose own ``mac`` is not looked at.

    Args:
        key: the audit key.
        previous: the MAC of the entry before, or :data:`START`.
        entry: the entry.
        items: the MACs of the events that were put, or the tombstones of those that were removed, in order.
    """
    head = f"entry {entry.number} {entry.kind} {entry.first} {entry.last} {len(entry.detail)} {entry.detail}"
    digest = hmac.new(key, previous + head.encode(), "sha256")
    for item in items:
        digest.update(item)
    return digest.digest()


def follow(key: bytes, previous: Entry | None, entry: Entry, items: Iterable[bytes]) -> Entry:
    """Return ``entry`` with the number and the MAC that follow ``previous``."""
    entry = entry._replace(number=previous.number + 1 if previous else 1)
    return entry._replace(mac=entry_mac(key, previous.mac if previous else START, entry, items))
