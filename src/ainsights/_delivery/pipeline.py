"""Pipeline: queue -> ingestion (processor, store) -> scheduler -> workers -> sender -> settlement.

``put`` notes an event and returns. A few worker threads, started one at a time as events wait, do all the rest: one of
them at a time carries events from the queue to the scheduler, the others send.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ainsights._delivery.envelope import Envelope, FlushMarker
from ainsights._delivery.event_queue import EventQueue
from ainsights._delivery.ingestion import Ingestion
from ainsights._delivery.retry import Disposition, classify
from ainsights._delivery.scheduler import Scheduler
from ainsights._delivery.settlement import Settlement
from ainsights._delivery.store import MemoryStore, SpoolStore
from ainsights._delivery.worker_pool import WorkerPool, are_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._config import Settings
    from ainsights._delivery.counters import Counters
    from ainsights._delivery.http_sender import Sender
    from ainsights._delivery.ingestion import Processor
    from ainsights._delivery.retry import Answer
    from ainsights._delivery.store import Store

GRACE = 0.2
"""Seconds beyond its deadline that close() takes at most to put into the spool what is still in the queue."""


class Pipeline:
    """Delivers events to one endpoint. Threads start with the first event and end with :meth:`close`.

    Args:
        counters: count what happens to the events.
    """

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        """Count what happens to the events."""
        self._settlement = Settlement(counters)
        self._queue = EventQueue(self._settlement)
        self._scheduler = Scheduler()
        self._ingestion = Ingestion(self._queue, self._scheduler, self._settlement)
        self._pool = WorkerPool(self._next, self._deliver, self._scheduler.put_back, lambda: self._scheduler.sendable)
        self._stores: dict[Any, Store] = {None: MemoryStore()}
        self._store: Store = self._stores[None]
        self._closing: tuple[float, FlushMarker | None] | None = None
        self.put = self._queue.put
        """See :meth:`EventQueue.put`."""
        self.workers = self._pool.threads
        """The threads that run now. Each call of the user's looks whether there is one."""

    def configure(self, process: Processor, connect: Callable[[], Sender], settings: Settings) -> None:
        """Set how events are processed, where they go and how many are held; again when the settings change."""
        self._timeout = settings.timeout
        directory = settings.spool_dir
        if directory is not None and directory not in self._stores:
            self._stores[directory] = SpoolStore(directory, settings.spool_max_bytes, self.counters)
        self._store = self._stores[directory]
        self._queue.set_bounds(settings.max_queue_events, settings.max_queue_bytes)
        self._ingestion.configure(process, self._store, settings.max_queue_events, settings.max_queue_bytes)
        self._pool.configure(connect, settings.concurrency)
        self._scheduler.reset()
        self._queue.wake()

    def start(self) -> None:
        """Start a worker if there is none. Cheap if there is; not to be called from a finaliser."""
        if not self.workers and not self._queue.closed:
            self._pool.start()

    # What users see of it

    @property
    def state(self) -> str:
        """The state of delivery in a few words."""
        if self._queue.closed:
            return "stopped"
        reason = self._scheduler.blocked_by
        if reason is not None:
            return f"{'held' if reason.disposition is Disposition.HELD else 'retrying'}: {reason.reason}"
        return "running" if self.workers else "idle"

    @property
    def queued(self) -> int:
        """Events held: waiting, in flight, or to be sent again."""
        return len(self._settlement)

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._scheduler.in_flight

    @property
    def held(self) -> int:
        """Events that wait until somebody corrects the key or the URL."""
        return self._scheduler.held

    @property
    def spooled(self) -> int:
        """Events on disk that are not delivered."""
        return self._store.count

    @property
    def last_error(self) -> str | None:
        """Why a request last failed."""
        return self._settlement.last_error

    @property
    def last_delivery(self) -> float | None:
        """When an event was last delivered, in seconds since the epoch."""
        return self._settlement.last_delivery

    # Forks

    def pause(self, timeout: float) -> None:
        """Let the workers leave: idle ones do at once, a busy one stays if ``timeout`` seconds do not suffice.

        A process that forks without other threads is not warned of them, by Python 3.12 and later. Greenlets are none,
        and none may run between a fork and the moment when its parent watches for the child's end.
        """
        if are_threads():
            self._pool.pause()
            self._wake()
            self._pool.join(time.monotonic() + timeout)

    def resume(self) -> None:
        """Undo :meth:`pause`; workers come back at once if there is work left, else with the next event."""
        if self._pool.resume() and self.queued:
            self.start()

    def reset_after_fork(self) -> None:
        """Leave everything to the parent, in the child of a fork, which makes a pipeline of its own."""
        for store in self._stores.values():
            store.reset_after_fork()

    # Flush and close

    def flush(self, timeout: float) -> bool:
        """Wait until all events put before are delivered, or rejected for good. False if that takes too long."""
        if self._queue.closed:
            return not self.queued
        return self._await_flush(self._request_flush(), time.monotonic() + timeout)

    def begin_close(self, timeout: float) -> None:
        """Start to deliver what is queued and let the time of :meth:`close` run; several may do so at the same time."""
        self._begin_close(timeout)

    def close(self, timeout: float) -> int:
        """Deliver what can be delivered within ``timeout`` seconds, end the workers, and return how many are lost.

        Events that are put meanwhile are delivered too, as far as time allows, until those from before are. What is
        left at the deadline stays in the spool. Without one it is lost, as is what could not be processed in time.
        May be called again, to end earlier.
        """
        deadline, marker = self._begin_close(timeout)
        deadline = min(deadline, time.monotonic() + timeout)
        if marker is not None:
            self._await_flush(marker, deadline)
        self._queue.close()
        if self.queued and not self.held and time.monotonic() < deadline:
            self._await_flush(self._request_flush(), deadline)
        self._pool.stop()
        self._wake()
        self._pool.join(deadline)
        self._save(max(deadline, time.monotonic()) + GRACE)
        self._queue.drop_rest()
        self._settlement.close()
        self._scheduler.close()
        return self.counters.newly_lost()

    def _begin_close(self, timeout: float) -> tuple[float, FlushMarker | None]:
        if self._closing is None:
            flush = bool(self.queued) and not self.held
            self._closing = time.monotonic() + timeout, self._request_flush() if flush else None
        return self._closing

    def _request_flush(self) -> FlushMarker:
        marker = FlushMarker()
        self._queue.put_marker(marker)
        self._scheduler.expedite()
        self._pool.start()
        return marker

    def _await_flush(self, marker: FlushMarker, deadline: float) -> bool:
        try:
            while self._await(marker, deadline):
                if not marker.more_in_store:
                    return True
                marker = self._request_flush()
            return False
        finally:
            self._queue.flush_ended()

    def _await(self, marker: FlushMarker, deadline: float) -> bool:
        if self.workers:
            marker.done.wait(max(deadline - time.monotonic(), 0.0))
        else:  # no thread can be started, as at the end of the interpreter
            self._pool.run_on_this_thread(marker.done.is_set, deadline)
        return marker.done.is_set() and not marker.abandoned

    def _save(self, deadline: float) -> None:
        """Put what is in the queue into the store, and close it: on a thread, which does not keep us if it is late."""
        if not self._store.persistent:
            return
        saving = threading.Thread(target=self._drain, args=(deadline,), name="ainsights-close", daemon=True)
        try:
            saving.start()
        except RuntimeError:  # at the end of the interpreter
            self._drain(deadline)
        else:
            saving.join(max(deadline - time.monotonic(), 0.0))

    def _drain(self, deadline: float) -> None:
        self._ingestion.drain(deadline)
        for store in self._stores.values():
            store.release(self._settlement.held_by(store))  # what is not there any more is lost
            store.close()

    def _wake(self) -> None:
        self._scheduler.wake()
        self._queue.wake()

    # On the workers' threads

    def _next(self, wait: float) -> Envelope | None:
        """Return an event to send, carrying new ones to the scheduler as needed; None after ``wait`` seconds."""
        until = time.monotonic() + wait
        while not self._pool.leaving:
            found = self._scheduler.next_request(self._timeout)
            if isinstance(found, Envelope):
                return found
            now = time.monotonic()
            if now >= until:
                return None
            if self._ingestion.run(max(min(until, found) - now, 0.0)):
                self._scheduler.wake(1)  # another worker may carry the next ones
            else:
                self._scheduler.wait(until, unless=lambda: self._pool.leaving or not self._ingestion.busy)
        return None

    def _deliver(self, sender: Sender, envelope: Envelope) -> None:
        """Send an event and record the outcome."""
        outcome = _send(sender, envelope)
        decision = classify(outcome, datetime.now(timezone.utc))
        self._settlement.settle(envelope, decision, outcome)
        self._scheduler.on_outcome(envelope, decision)


def _send(sender: Sender, envelope: Envelope) -> Answer | Exception:
    try:
        return sender.send(envelope.body)
    except Exception as error:  # noqa: BLE001  whatever it is, it is the outcome
        return error
