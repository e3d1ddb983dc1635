"""Pipeline: the bounded queue and the threads behind it.

``put`` notes an item and returns; a few worker threads, started one at a time as a backlog grows, do all the rest.
Each of them either takes new items and encodes them, one thread at a time, or sends what is encoded.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ainsights._delivery.event_queue import Intake
from ainsights._delivery.retry import Disposition, classify
from ainsights._delivery.scheduler import Backlog, Flush, Job
from ainsights._delivery.worker_pool import Crew, are_threads
from ainsights._logging import log_rate_limited
from ainsights._random import generator

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._config import Settings
    from ainsights._delivery.counters import Counters
    from ainsights._delivery.event_queue import Encoder
    from ainsights._delivery.http_sender import Sender
    from ainsights._delivery.retry import Answer, Decision


GRACE = 1.0
"""Seconds at the most that the end waits for a batch that is being encoded, on top of its deadline."""


class Pipeline:
    """The queue, its bounds and its workers. Threads start with the first item and end with :meth:`close`."""

    def __init__(self, tally: Counters) -> None:
        self._tally = tally
        self._changed = threading.Condition(threading.Lock())
        self._backlog = Backlog()
        self._intake = Intake(tally, self._backlog, self._changed)
        self._taking = False
        self._closed = False
        self._crew = Crew(self._next, self._deliver, lambda: self._backlog.sendable)
        self.workers = self._crew.threads
        """The threads that run now. Each call of the user's looks whether there is one."""
        self.last_error: str | None = None
        self.last_delivery: float | None = None

    def equip(self, encode: Encoder, connect: Callable[[], Sender], settings: Settings) -> None:
        """Set how events are encoded, where they go and how much is held; again when the settings change."""
        self._max_events = settings.max_queue_events
        self._max_bytes = settings.max_queue_bytes
        self._timeout = settings.timeout
        self._intake.equip(encode, settings)
        self._crew.equip(connect, settings.concurrency)
        with self._changed:
            self._backlog.retarget()
            self._changed.notify_all()

    # On the user's thread

    def put(self, item: Any, size: int) -> bool:
        """Queue ``item``, which holds ``size`` bytes. False if it was dropped. Never blocks; safe in a finaliser."""
        tally = self._tally
        if self._closed:
            tally.add(captured=1, dropped_closed=1)
            return False
        if tally["events"] >= self._max_events or tally["bytes"] + size > self._max_bytes:
            tally.add(captured=1, dropped_full=1)
            return False
        tally.took(size)
        self._intake.put((item, size))
        return True

    def start(self) -> None:
        """See to it that there is a worker. Cheap if there is; not to be called from a finaliser."""
        if not self.workers and not self._closed:
            self._crew.begin()

    @property
    def state(self) -> str:
        """How the pipeline is, in a few words."""
        if self._closed:
            return "stopped"
        decision = self._backlog.trouble
        if decision is not None:
            return f"{'held' if decision.disposition is Disposition.HELD else 'retrying'}: {decision.reason}"
        return "running" if self.workers else "idle"

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._backlog.in_flight

    @property
    def held(self) -> int:
        """Events that wait for somebody to put the key or the URL right."""
        return self._backlog.held

    def pause(self, patience: float) -> None:
        """Let the workers leave: idle ones do at once, a busy one stays if ``patience`` seconds do not suffice.

        A process that forks without other threads is not warned of them, by Python 3.12 and later. Greenlets are none,
        and none may run between a fork and the moment when its parent watches for the child's end.
        """
        if not are_threads():
            return
        with self._changed:
            self._crew.paused = True
            self._changed.notify_all()
        self._intake.put(None)
        self._crew.join(patience)

    def resume(self) -> None:
        """Undo :meth:`pause`; workers come back at once if there is work left, else with the next item."""
        paused, self._crew.paused = self._crew.paused, False
        if paused and self._tally["events"]:
            self.start()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is delivered, or refused for good. False if that took too long."""
        deadline = time.monotonic() + timeout
        self._make_haste()
        self.start()
        try:
            more = True
            while more:
                more = self._intake.more_on_disk()  # before, so that what is claimed meanwhile is waited for too
                if not self._flush_once(deadline):
                    return False
            return True
        finally:
            self._intake.hurry.clear()

    def _flush_once(self, deadline: float) -> bool:
        flush = Flush()
        self._intake.put(flush)
        if self.workers:
            return flush.done.wait(max(deadline - time.monotonic(), 0.0))
        # no thread can be started, as at the end of the interpreter: do the work here
        self._crew.work_until(lambda: flush.done.is_set() or time.monotonic() >= deadline)
        return flush.done.is_set()

    def close(self, timeout: float) -> int:
        """Deliver what can be delivered within ``timeout`` seconds, end the workers, and return how much is lost."""
        deadline = time.monotonic() + timeout
        already, self._closed = self._closed, True
        if already:
            return 0
        if self._tally["events"] and not self.held:
            self.flush(timeout)
        with self._changed:
            self._crew.stopped = self._intake.closing = True
            self._changed.notify_all()
        self._intake.put(None)
        self._crew.join(max(deadline - time.monotonic(), 0.0))
        with self._changed:  # a batch that is being encoded is not to be lost; no other one begins
            self._changed.wait_for(lambda: not self._taking, GRACE)
            self._taking = True
        self._intake.close()
        return self._tally.snapshot().get("events", 0)

    def forget(self) -> None:
        """Leave everything to the parent: this is its fork."""
        self._intake.forget()

    def _make_haste(self) -> None:
        self._intake.hurry.set()
        with self._changed:
            self._backlog.hurry(time.monotonic())
            self._changed.notify_all()
        self._intake.put(None)

    # On the workers' threads

    def _next(self, wait: float) -> Job | None:
        """Return a job that may be sent now, taking and encoding new items as needed; None: after ``wait``, or stop."""
        until = time.monotonic() + wait
        while True:
            with self._changed:
                if self._crew.leaving:
                    return None
                job = self._backlog.admit(time.monotonic(), self._timeout)
                if job is not None:
                    return job
                remaining = min(until, self._backlog.due()) - time.monotonic()
                if remaining <= 0 and time.monotonic() >= until:
                    return None
                if self._taking:
                    self._changed.wait(max(remaining, 0.0))
                    continue
                self._taking = True
            try:
                self._intake.take(max(remaining, 0.0))
            finally:
                with self._changed:
                    self._taking = False
                    self._changed.notify(len(self.workers) + 1 if self._closed else 1)

    def _deliver(self, sender: Sender, job: Job) -> None:
        """Send ``job`` and see to what its answer means."""
        try:
            outcome = _outcome(sender, job)
            decision = classify(outcome, datetime.now(timezone.utc))
            self._intake.strike(job, decision)
            with self._changed:
                self._settle(job, decision)
            if job.receipt is not None:
                job.receipt.judged(decision, outcome)
        finally:
            with self._changed:
                self._backlog.returned(job)

    def _settle(self, job: Job, decision: Decision) -> None:
        if decision.disposition in (Disposition.DELIVERED, Disposition.REJECTED):
            self._tally.add(events=-1, bytes=-len(job.body), **{decision.disposition.value: 1})
            if self._backlog.finished(job):
                self._changed.notify_all()
                log_rate_limited("info", "resumed", "the Insights endpoint takes events again")
        else:
            if decision.disposition is Disposition.RETRY:
                self._tally.add(retried=1)
            self._backlog.failed(job, decision, time.monotonic(), generator.random())
            self._changed.notify()
        if decision.disposition is Disposition.DELIVERED:
            self.last_delivery = time.time()
        else:
            self.last_error = decision.reason
            _complain(decision)

    @property
    def spooled(self) -> int:
        """Events on disk that are not delivered."""
        return self._intake.on_disk


def _outcome(sender: Sender, job: Job) -> Answer | Exception:
    try:
        return sender.send(job.body)
    except Exception as error:  # noqa: BLE001  whatever it is, it is the outcome
        return error


_RETRYING = "an event did not reach the Insights endpoint and is tried again: %s. If this goes on, %s"


def _complain(decision: Decision) -> None:
    if decision.disposition is Disposition.REJECTED:
        log_rate_limited("error", "rejected", "the Insights endpoint rejected an event: %s", decision.reason)
    elif decision.disposition is Disposition.HELD:
        log_rate_limited(
            "error", "held", "the Insights endpoint refuses all events, sending is held: %s", decision.reason
        )
    else:
        log_rate_limited("warning", "retrying", _RETRYING, decision.reason, decision.remedy)
