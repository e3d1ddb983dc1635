"""Intake: what was captured and is yet to be encoded, and the spool that events go through where there is one."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from ainsights._delivery.retry import Disposition
from ainsights._delivery.scheduler import Flush, Job
from ainsights._internal_errors import capture_internal_errors
from ainsights._logging import log_rate_limited
from ainsights._privacy.policy import EventDropped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ainsights._config import Settings
    from ainsights._delivery.counters import Counters
    from ainsights._delivery.receipt import Receipt
    from ainsights._delivery.retry import Decision
    from ainsights._delivery.scheduler import Backlog
    from ainsights._delivery.spool.spool import Spool

BATCH = 64
"""Items that are encoded, and written to the spool together, before the first of them is sent."""

LINGER = 0.02
"""Seconds that the first item of a batch waits for others, so that a busy process is not woken for each."""

LOOK_EVERY = 1.0
"""Seconds between two looks for events that other processes left in the spool."""

_encoding = capture_internal_errors("encoding an event")


class Encoder(Protocol):
    """Turns an item into the body to send, or None if there is nothing to send."""

    def __call__(self, item: Any) -> bytes | None:
        """Return the body of ``item``."""


class Intake:
    """Where events come from: items that are put, and what the spool has.

    Args:
        tally: counts what is held.
        backlog: gets the encoded events.
        changed: guards the backlog; notified of each batch.
    """

    def __init__(self, tally: Counters, backlog: Backlog, changed: threading.Condition) -> None:
        self.hurry = threading.Event()
        """Set while somebody waits: nothing lingers then."""
        self.closing = False
        self._queue: queue.SimpleQueue[tuple[Any, int] | Flush | None] = queue.SimpleQueue()
        self.put = self._queue.put
        """Queue an item with its size, a Flush, or None to wake who waits. Never blocks; safe in a finaliser."""
        self._tally = tally
        self._backlog = backlog
        self._changed = changed
        self._spool: Spool | None = None
        self._next_look = 0.0

    def equip(self, encode: Encoder, settings: Settings) -> None:
        """Set how items are encoded and where events are kept; again when the settings change."""
        self._encode = encode
        self._most_events = settings.max_queue_events // 2
        self._most_bytes = settings.max_queue_bytes // 2
        if settings.spool_dir == (self._spool and self._spool.directory):
            return
        before, self._spool = self._spool, None
        if settings.spool_dir is not None:
            from ainsights._delivery.spool.spool import Spool  # noqa: PLC0415  SQLite takes its time to load

            self._spool = Spool(settings.spool_dir, settings.spool_max_bytes)
        if before is not None:
            before.close()

    def take(self, wait: float) -> None:
        """Wait ``wait`` seconds for new items, and encode and keep a batch of them."""
        found = self._take_over()
        try:
            first = self._queue.get(timeout=wait) if wait and not found else self._queue.get_nowait()
        except queue.Empty:
            return
        if first is not None:
            self.hurry.wait(LINGER)
        batch: list[Job] = []
        try:
            self._accept(first, batch)
            with contextlib.suppress(queue.Empty):
                for _ in range(BATCH - 1):
                    self._accept(self._queue.get_nowait(), batch)
        finally:
            self._store(batch)

    def more_on_disk(self) -> bool:
        """Tell whether the spool has events that no process has claimed."""
        return self._spool is not None and self._spool.has_unclaimed()

    @property
    def on_disk(self) -> int:
        """Events in the spool that are not delivered."""
        return self._spool.count if self._spool is not None else 0

    def strike(self, job: Job, decision: Decision) -> None:
        """Take an event out of the spool that the endpoint has; one that it refused becomes a dead letter."""
        if self._spool is None or job.number is None:
            return
        if decision.disposition is Disposition.DELIVERED:
            self._spool.acknowledge(job.number)
        elif decision.disposition is Disposition.REJECTED:
            self._spool.reject(job.number, decision.reason)

    def close(self) -> None:
        """Leave to the spool what was not delivered, also what is not even encoded yet; without one it is lost."""
        if self._spool is not None:
            self.hurry.set()
            while not self._queue.empty():
                self.take(0.0)
        with self._changed:
            left = self._backlog.jobs
        if self._spool is not None:
            there = self._spool.release([job.number for job in left if job.number is not None])
            kept = [job for job in left if job.number in there]
            self._tally.add(events=-len(kept), bytes=-sum(len(job.body) for job in kept))
            self._spool.close()
        _tell_left([*left, *self._unseen()], "time ran out before the event was delivered")

    def _unseen(self) -> Iterator[Any]:
        with contextlib.suppress(queue.Empty):
            while True:
                entry = self._queue.get_nowait()
                if isinstance(entry, tuple):
                    yield entry[0]

    def forget(self) -> None:
        """Leave everything to the parent: this is its fork."""
        if self._spool is not None:
            self._spool.reset_after_fork()

    def _accept(self, entry: tuple[Any, int] | Flush | None, batch: list[Job]) -> None:
        if isinstance(entry, Flush):
            self._store(batch)
            with self._changed:
                self._backlog.await_all(entry)
        elif entry is not None:
            job = self._encode_one(*entry)
            if job is not None:
                batch.append(job)

    def _encode_one(self, item: Any, size: int) -> Job | None:
        body, became = None, "dropped_failed"
        with _encoding:
            try:
                body, became = self._encode(item), "filtered"
            except EventDropped as withheld:
                became = f"dropped_{withheld.reason}"
                log_rate_limited("error", became, "%s", withheld)
        receipt: Receipt | None = getattr(item, "receipt", None)
        if body is not None:
            self._tally.add(bytes=len(body) - size)
            return Job(body, receipt=receipt)
        self._tally.add(events=-1, bytes=-size, **{became: 1})
        if receipt is not None:
            receipt.dropped(f"the event was {became.replace('_', ': ', 1)}")
        return None

    def _store(self, batch: list[Job]) -> None:
        """Hand encoded events on, through the spool where there is one; empties ``batch``."""
        if not batch:
            return
        if self._spool is not None:
            for job, number in zip(batch, self._spool.add([job.body for job in batch]), strict=True):
                job.number = number
            self._tally.add(dropped_dead_letter=self._spool.evicted())
        self._add(batch)
        batch.clear()
        if self._spool is not None:
            self._spill(self._spool)

    def _add(self, jobs: Iterable[Job]) -> None:
        with self._changed:
            for job in jobs:
                self._backlog.add(job)
                self._changed.notify()

    def _spill(self, spool: Spool) -> None:
        """Keep memory for what is to come: leave to the spool what would fill half of the bounds."""
        if self._tally["events"] <= self._most_events and self._tally["bytes"] <= self._most_bytes:
            return
        with self._changed:
            spilled = self._backlog.spill(keep=BATCH)
        there = spool.release([job.number for job in spilled if job.number is not None])
        self._add(job for job in spilled if job.number not in there)
        spilled = [job for job in spilled if job.number in there]
        self._tally.add(events=-len(spilled), bytes=-sum(len(job.body) for job in spilled))
        _tell_left(spilled, "the event waits in the spool")

    def _take_over(self) -> bool:
        """Claim events from the spool, while little else is to be done and the endpoint takes it."""
        spool, now = self._spool, time.monotonic()
        if spool is None or self.closing or (now < self._next_look and not self.hurry.is_set()):
            return False
        found = spool.claim(BATCH) if self._backlog.is_low(BATCH) else []
        self._next_look = now if len(found) == BATCH else now + LOOK_EVERY
        if found:
            self._tally.add(events=len(found), bytes=sum(len(body) for _, body in found))
            self._add(Job(body, number) for number, body in found)
        else:
            spool.maintain()
        return bool(found)


def _tell_left(those: Iterable[Any], why: str) -> None:
    for each in those:
        receipt: Receipt | None = getattr(each, "receipt", None)
        if receipt is not None:
            receipt.left(why)
