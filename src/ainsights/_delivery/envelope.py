"""What travels through delivery: an envelope for each event, and markers by which a flush knows what came before it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ainsights._delivery.receipt import Receipt
    from ainsights._delivery.store import Store


class Envelope:
    """One event, from the moment it is captured until it is settled."""

    __slots__ = ("attempts", "body", "item", "receipt", "row", "sent_at", "size", "store")

    def __init__(self, item: Any, size: int, receipt: Receipt | None = None) -> None:
        self.item = item
        """What was captured; None once it is processed."""
        self.size = size
        """The bytes that count against the bound: of the item, later of the body."""
        self.receipt = receipt
        """Reports the outcome to whoever waits for it."""
        self.body = b""
        """What is sent; empty until the event is processed."""
        self.store: Store | None = None
        """Where the event is kept besides memory; None: nowhere."""
        self.row: Any = None
        """Its place in the store."""
        self.attempts = 0
        """Requests that failed."""
        self.sent_at = 0.0
        """When the last request began, on the monotonic clock."""

    @classmethod
    def stored(cls, body: bytes, store: Store, row: Any) -> Envelope:
        """Return the envelope of an event that a store has kept."""
        envelope = cls(None, len(body))
        envelope.body, envelope.store, envelope.row = body, store, row
        return envelope


class FlushMarker:
    """Stands in the queue after the events that a flush waits for."""

    def __init__(self) -> None:
        self.pending: set[Envelope] = set()
        """The events before it that are not settled. Belongs to the scheduler."""
        self.more_in_store = False
        """Whether the store had unclaimed events when the marker came out of the queue."""
        self.done = threading.Event()
        """Set when all events before the marker are settled, or delivery has ended."""
        self.abandoned = False
        """Whether delivery ended first."""

    def abandon(self) -> None:
        """Let go of whoever waits: delivery has ended."""
        self.abandoned = True
        self.done.set()
