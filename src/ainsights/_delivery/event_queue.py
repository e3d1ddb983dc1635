"""EventQueue: captured events on their way from the user's threads to a worker; bounded, and never waited for."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any

from ainsights._delivery.envelope import Envelope, FlushMarker
from ainsights._delivery.settlement import OUT_OF_TIME
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights._delivery.receipt import Receipt
    from ainsights._delivery.settlement import Settlement

BATCH_DELAY = 0.02
"""Seconds that the first event of a batch waits for others, so that a busy process is not woken for each."""


class EventQueue:
    """Takes events from any thread, at any moment, a garbage-collector finaliser included: it waits for no lock.

    Args:
        settlement: knows how much is held, and where events end for which there is no room.
    """

    def __init__(self, settlement: Settlement) -> None:
        self._settlement = settlement
        self._entries: queue.SimpleQueue[Envelope | FlushMarker | None] = queue.SimpleQueue()
        self._flush_requested = threading.Event()
        self._closed = False
        self._ended = False

    def set_bounds(self, events: int, size: int) -> None:
        """Set how many events, and bytes, are held at most."""
        self._max_events, self._max_bytes = events, size

    def put(self, item: Any, size: int, receipt: Receipt | None = None) -> bool:
        """Queue ``item``, which holds ``size`` bytes. False if it is dropped; that is counted."""
        envelope = Envelope(item, size, receipt)
        if self._closed:
            self._settlement.refuse(envelope, "closed", "the client is closed")
            log_rate_limited("error", "closed", "an event was captured after delivery had ended, and is lost")
            return False
        if not self._settlement.accept(envelope, self._max_events, self._max_bytes):
            self._settlement.refuse(envelope, "full", "the queue is full")
            return False
        self._entries.put(envelope)
        if self._ended:  # meanwhile: nobody else takes it out
            self.drop_rest()
        return True

    def put_marker(self, marker: FlushMarker) -> None:
        """Queue ``marker``, and have what is before it processed without further delay."""
        self._flush_requested.set()
        self._entries.put(marker)

    def wake(self) -> None:
        """Let whoever waits for an event go."""
        self._entries.put(None)

    # For the thread that takes the events out

    @property
    def flush_requested(self) -> bool:
        """Whether somebody waits for a flush: nothing is delayed then."""
        return self._flush_requested.is_set()

    def flush_ended(self) -> None:
        """Note that nobody waits any more."""
        self._flush_requested.clear()

    def take(self, timeout: float, count: int) -> Iterator[Envelope | FlushMarker]:
        """Wait for an event, and yield up to ``count``: what is there once the batch delay is over."""
        try:
            first = self._entries.get(timeout=timeout) if timeout else self._entries.get_nowait()
            if first is not None:
                self._flush_requested.wait(BATCH_DELAY)
                yield first
            for _ in range(count - 1):
                entry = self._entries.get_nowait()
                if entry is not None:
                    yield entry
        except queue.Empty:
            return

    @property
    def empty(self) -> bool:
        """Whether nothing is in the queue."""
        return self._entries.empty()

    # The end

    @property
    def closed(self) -> bool:
        """Whether new events are refused."""
        return self._closed

    def close(self) -> None:
        """Refuse new events from now on."""
        self._closed = True

    def drop_rest(self) -> None:
        """Drop what is still in the queue: nobody takes it out any more."""
        self._ended = True
        with contextlib.suppress(queue.Empty):
            while True:
                entry = self._entries.get_nowait()
                if isinstance(entry, Envelope):
                    self._settlement.leave((entry,), OUT_OF_TIME)
                elif entry is not None:
                    entry.abandon()
        self.wake()  # in place of the one that was taken out
