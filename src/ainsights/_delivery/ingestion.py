"""Ingestion: takes captured events from the queue, has them processed and stored, and passes them to the scheduler."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from ainsights._delivery.envelope import FlushMarker
from ainsights._delivery.store import MemoryStore
from ainsights._internal_errors import capture_internal_errors
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from ainsights._delivery.envelope import Envelope
    from ainsights._delivery.event_queue import EventQueue
    from ainsights._delivery.scheduler import Scheduler
    from ainsights._delivery.settlement import Settlement
    from ainsights._delivery.store import Store

BATCH_SIZE = 64
"""Events that are processed, and written to the store together, before the first of them is sent."""

BATCH_SECONDS = 0.1
"""After so long a batch is stored and sent, however small: processing may be slow, as a user's before_send is."""

CLAIM_INTERVAL = 1.0
"""Seconds between two looks for events that other processes left in the store."""

_processing = capture_internal_errors("encoding an event")
_storing = capture_internal_errors("storing events")


class Processed(Protocol):
    """What processing made of a captured item."""

    @property
    def body(self) -> bytes | None:
        """What is sent; None: nothing is to be."""

    @property
    def is_part(self) -> bool:
        """Whether the item is part of another event, and none of its own."""

    @property
    def drop_reason(self) -> str | None:
        """One word, if nothing may be sent because processing failed."""

    @property
    def problem(self) -> str:
        """A sentence about the failure, which quotes nothing of the event."""


class Processor(Protocol):
    """Makes of a captured item what is sent."""

    def __call__(self, item: Any, /) -> Processed:
        """Process ``item``; what it raises, whatever it is, costs this event and no other."""


class Ingestion:
    """One thread at a time, whichever worker is free, carries events from the queue to the scheduler."""

    def __init__(self, queue: EventQueue, scheduler: Scheduler, settlement: Settlement) -> None:
        self._queue = queue
        self._scheduler = scheduler
        self._settlement = settlement
        self._lock = threading.Lock()
        self._store: Store = MemoryStore()
        self._batch: list[Envelope] = []
        """What was taken out of the queue and is not with the scheduler yet, also after a failure of ours."""
        self._next_claim = 0.0
        self._deadline = float("inf")

    def configure(self, process: Processor, store: Store, max_events: int, max_bytes: int) -> None:
        """Set how events are processed, where they are kept, and how many are held in memory at most."""
        self._process, self._store = process, store
        self._most_events, self._most_bytes = max_events // 2, max_bytes // 2

    @property
    def busy(self) -> bool:
        """Whether a thread is at it."""
        return self._lock.locked()

    def run(self, wait: float) -> bool:
        """Wait up to ``wait`` seconds for events, and carry a batch of them. False if another thread is at it."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._run(wait)
        finally:
            self._lock.release()
        return True

    def drain(self, deadline: float) -> None:
        """Carry what is in the queue to the store until it is empty, or the deadline is over; for good."""
        self._deadline = deadline
        if self._lock.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            try:
                while self._store.persistent and not self._queue.empty and time.monotonic() < deadline:
                    self._run(0.0)
            finally:
                self._lock.release()

    def _run(self, wait: float) -> None:
        claimed = self._claim_from_spool()
        started = None
        try:
            for entry in self._queue.take(0.0 if claimed or self._batch else wait, BATCH_SIZE):
                started = started or time.monotonic()
                if isinstance(entry, FlushMarker):
                    self._forward()
                    with _storing:
                        entry.more_in_store = self._store.has_unclaimed()
                    self._scheduler.await_all(entry)
                else:
                    self._batch.append(entry)
                    self._process_one(entry)
                now = time.monotonic()
                if now - started > BATCH_SECONDS or now > self._deadline:
                    break
        finally:
            self._forward()

    def _process_one(self, envelope: Envelope) -> None:
        try:
            processed = self._process(envelope.item)
        except BaseException as error:  # SystemExit of the user's before_send must not end a worker
            self._settlement.drop(envelope, "failed")
            if not _processing.caught(error):
                raise
            return
        if processed.body is not None:
            self._settlement.resize(envelope, len(processed.body))
            envelope.body, envelope.item = processed.body, None
        elif processed.is_part:
            self._settlement.withdraw(envelope)
        elif processed.drop_reason is None:
            self._settlement.filter(envelope)
        else:
            log_rate_limited("error", f"dropped: {processed.drop_reason}", "%s", processed.problem)
            self._settlement.drop(envelope, processed.drop_reason)

    def _forward(self) -> None:
        """Pass the events of the batch on, by way of the store."""
        held = [each for each in self._batch if each in self._settlement]  # not what close() has counted as lost
        for envelope in held:
            if not envelope.body:  # a failure of ours interrupted its processing
                self._settlement.drop(envelope, "failed")
        processed = [each for each in held if each.body]
        if processed:
            with _storing:
                self._store.add(processed)
            self._scheduler.add(processed)
        self._batch.clear()
        if processed:
            self._offload()

    def _offload(self) -> None:
        """Keep memory for what is to come: leave to the store what would fill half of the bounds."""
        held, size = len(self._settlement), self._settlement.size
        if self._store.persistent and (held > self._most_events or size > self._most_bytes):
            offloaded = self._scheduler.offload(self._store, keep=BATCH_SIZE)
            self._scheduler.add(self._store.release(offloaded))
            self._settlement.leave((each for each in offloaded if each.row is not None), "the event waits in the spool")

    def _claim_from_spool(self) -> bool:
        """Claim events that no process is about to deliver, while there is little else to send."""
        now = time.monotonic()
        if self._deadline != float("inf") or (now < self._next_claim and not self._queue.flush_requested):
            return False
        claimed = self._store.claim(BATCH_SIZE) if self._scheduler.is_low(BATCH_SIZE) else []
        self._next_claim = now if len(claimed) == BATCH_SIZE else now + CLAIM_INTERVAL
        if claimed:
            self._settlement.accept_stored(claimed)
            self._scheduler.add(claimed)
        else:
            self._store.maintain()
        return bool(claimed)
