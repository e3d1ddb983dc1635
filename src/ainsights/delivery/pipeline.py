"""Pipeline: the bounded queue and the threads behind it.

``put`` notes an item and returns; a few worker threads, started one at a time as a backlog grows, do all the rest.
Each of them either takes new items and encodes them, one thread at a time, or sends what is encoded.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import queue
import random
import threading
import time
from collections import deque
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Protocol

from ainsights._contain import contained, say
from ainsights.delivery.retry import Fate, Gate, Verdict, back_off, judge
from ainsights.delivery.workers import Crew

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._settings import Settings
    from ainsights.delivery.retry import Answer
    from ainsights.delivery.sender import Sender
    from ainsights.delivery.tally import Tally

BATCH = 64
"""Items that are encoded before the first of them is sent."""

LINGER = 0.005
"""Seconds that the first item of a batch waits for others, so that a busy process is not woken for each."""

_encoding = contained("encoding an event")


class Encoder(Protocol):
    """Turns an item into the body to send, or None if there is nothing to send."""

    def __call__(self, item: Any) -> bytes | None:
        """Return the body of ``item``."""


class Job:
    """An event on its way: its body and how often it was tried."""

    __slots__ = ("attempts", "body")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.attempts = 0


class Flush:
    """Somebody waits for all that was put before now."""

    def __init__(self) -> None:
        self.jobs: set[Job] | None = None
        self.done = threading.Event()


class Pipeline:
    """The queue, its bounds and its workers. Threads start with the first item and end with :meth:`close`."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._intake: queue.SimpleQueue[tuple[Any, int] | Flush | None] = queue.SimpleQueue()
        self._changed = threading.Condition(threading.Lock())
        self._gate = Gate()
        self._ready: deque[Job] = deque()
        self._delayed: list[tuple[float, int, Job]] = []
        self._order = itertools.count()
        self._jobs: set[Job] = set()
        self._flushes: list[Flush] = []
        self._taking = False
        self._hurry = threading.Event()
        self._closed = False
        self._crew = Crew(self._next, self._deliver, self._waiting)
        self.workers = self._crew.threads
        """The threads that run now. Each call of the user's looks whether there is one."""
        self.in_flight = 0
        self.last_error: str | None = None
        self.last_delivery: float | None = None

    def equip(self, encode: Encoder, connect: Callable[[], Sender], settings: Settings) -> None:
        """Set how events are encoded, where they go and how much is held; again when the settings change."""
        self._encode = encode
        self._max_events = settings.max_queue_events
        self._max_bytes = settings.max_queue_bytes
        self._timeout = settings.timeout
        self._crew.equip(connect, settings.concurrency)
        with self._changed:
            self._gate = Gate()
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
        tally.add(captured=1, events=1, bytes=size)
        self._intake.put((item, size))
        return True

    def start(self) -> None:
        """See to it that there is a worker. Cheap if there is; not to be called from a finaliser."""
        if not self.workers and not self._closed:
            self._crew.grow()

    @property
    def state(self) -> str:
        """How the pipeline is, in a few words."""
        if self._closed:
            return "stopped"
        verdict = self._gate.verdict
        if verdict is not None:
            return f"{'held' if verdict.fate is Fate.HELD else 'retrying'}: {verdict.reason}"
        return "running" if self.workers else "idle"

    @property
    def held(self) -> int:
        """Events that wait for somebody to put the key or the URL right."""
        verdict = self._gate.verdict
        return len(self._jobs) if verdict is not None and verdict.fate is Fate.HELD else 0

    def pause(self, patience: float) -> None:
        """Let the workers leave: idle ones do at once, a busy one stays if ``patience`` seconds do not suffice.

        A process that forks without other threads is not warned of them, by Python 3.12 and later.
        """
        with self._changed:
            self._crew.paused = True
            self._changed.notify_all()
        self._intake.put(None)
        self._crew.join(patience)

    def resume(self) -> None:
        """Undo :meth:`pause`; workers come back at once if there is work left, else with the next item."""
        self._crew.paused = False
        if self._tally["events"]:
            self.start()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is delivered, or refused for good. False if that took too long."""
        flush = Flush()
        self._intake.put(flush)
        deadline = time.monotonic() + timeout
        self._make_haste()
        self.start()
        if self.workers:
            done = flush.done.wait(timeout)
        else:  # no thread can be started, as at the end of the interpreter: do the work here
            self._crew.work_until(lambda: flush.done.is_set() or time.monotonic() >= deadline)
            done = flush.done.is_set()
        self._hurry.clear()
        return done

    def close(self, timeout: float) -> int:
        """Deliver what can be delivered within ``timeout`` seconds, end the workers, and return what is left."""
        deadline = time.monotonic() + timeout
        already, self._closed = self._closed, True
        if not already and self._tally["events"] and not self.held:
            self.flush(timeout)
        with self._changed:
            self._crew.stopped = True
            self._changed.notify_all()
        self._intake.put(None)
        self._crew.join(max(deadline - time.monotonic(), 0.0))
        left = self._tally.snapshot().get("events", 0)
        return 0 if already else left

    def _make_haste(self) -> None:
        self._hurry.set()
        with self._changed:
            now = time.monotonic()
            self._gate.hurry(now)
            self._ready.extend(job for _, _, job in self._delayed)
            self._delayed.clear()
            self._changed.notify_all()
        self._intake.put(None)

    # On the workers' threads

    def _next(self, wait: float) -> Job | None:
        """Return a job that may be sent now, taking and encoding new items as needed; None: after ``wait``, or stop."""
        until = time.monotonic() + wait
        while True:
            with self._changed:
                job = self._admitted(time.monotonic())
                if job is not None or self._crew.leaving:
                    return job
                remaining = min(until, self._due()) - time.monotonic()
                if remaining <= 0 and time.monotonic() >= until:
                    return None
                if self._taking:
                    self._changed.wait(max(remaining, 0.0))
                    continue
                self._taking = True
            try:
                self._take(max(remaining, 0.0))
            finally:
                with self._changed:
                    self._taking = False
                    self._changed.notify()

    def _admitted(self, now: float) -> Job | None:
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])
        if self._crew.leaving or not self._ready or not self._gate.admits(now):
            return None
        self._gate.probing(now, self._timeout)
        self.in_flight += 1
        return self._ready.popleft()

    def _waiting(self) -> int:
        """Return how many jobs another worker could send now."""
        return len(self._ready) if self._gate.verdict is None else 0

    def _due(self) -> float:
        """Return when something can be sent that cannot be now."""
        if self._ready:
            return self._gate.opens_at
        return max(self._delayed[0][0], self._gate.opens_at) if self._delayed else float("inf")

    def _take(self, wait: float) -> None:
        """Wait for new items, and encode a batch of them."""
        try:
            first = self._intake.get(timeout=wait) if wait else self._intake.get_nowait()
        except queue.Empty:
            return
        if first is not None:
            self._hurry.wait(LINGER)
        self._accept(first)
        with contextlib.suppress(queue.Empty):
            for _ in range(BATCH - 1):
                self._accept(self._intake.get_nowait())

    def _accept(self, entry: tuple[Any, int] | Flush | None) -> None:
        if isinstance(entry, Flush):
            self._settle_later(entry)
        elif entry is not None:
            self._encode_one(*entry)

    def _encode_one(self, item: Any, size: int) -> None:
        body, failed = None, True
        with _encoding:
            body = self._encode(item)
            failed = False
        if body is None:
            self._tally.add(events=-1, bytes=-size, **({"dropped_failed": 1} if failed else {}))
            return
        self._tally.add(bytes=len(body) - size)
        job = Job(body)
        with self._changed:
            self._jobs.add(job)
            self._ready.append(job)
            self._changed.notify()

    def _settle_later(self, flush: Flush) -> None:
        with self._changed:
            flush.jobs = set(self._jobs)
            if flush.jobs:
                self._flushes.append(flush)
            else:
                flush.done.set()

    def _deliver(self, sender: Sender, job: Job) -> None:
        """Send ``job`` and see to what its answer means."""
        began = time.monotonic()
        outcome: Answer | Exception | None = None
        try:
            outcome = sender.send(job.body)
        except Exception as error:  # noqa: BLE001  whatever it is, it is the outcome
            outcome = error
        finally:
            with self._changed:
                self.in_flight -= 1
                if outcome is None:  # this thread is being killed
                    self._ready.appendleft(job)
                else:
                    self._settle(job, judge(outcome, datetime.now(timezone.utc)), began)

    def _settle(self, job: Job, verdict: Verdict, began: float) -> None:
        now = time.monotonic()
        job.attempts += 1
        if verdict.fate in (Fate.DELIVERED, Fate.REJECTED):
            was_closed = self._gate.verdict is not None
            self._gate.succeeded()
            self._tally.add(events=-1, bytes=-len(job.body), **{verdict.fate.value: 1})
            self._dispose(job)
            if was_closed:
                self._changed.notify_all()
                say("info", "resumed", "the Insights endpoint takes events again")
        else:
            self._gate.failed(verdict, began, now, random.random())  # noqa: S311  jitter, not a secret
            self._again(job, verdict, now)
        if verdict.fate is Fate.DELIVERED:
            self.last_delivery = time.time()
        else:
            self.last_error = verdict.reason
            _complain(verdict)

    def _again(self, job: Job, verdict: Verdict, now: float) -> None:
        """Put ``job`` back: to the head if all wait at the gate, else until its own time has come."""
        if verdict.fate is Fate.RETRY:
            self._tally.add(retried=1)
        if self._gate.verdict is not None:
            self._ready.appendleft(job)
        else:
            due = now + back_off(job.attempts, random.random())  # noqa: S311
            heapq.heappush(self._delayed, (due, next(self._order), job))
        self._changed.notify()

    def _dispose(self, job: Job) -> None:
        self._jobs.discard(job)
        for flush in list(self._flushes):
            if flush.jobs is not None:
                flush.jobs.discard(job)
            if not flush.jobs:
                self._flushes.remove(flush)
                flush.done.set()


def _complain(verdict: Verdict) -> None:
    if verdict.fate is Fate.REJECTED:
        say("error", "rejected", "the Insights endpoint rejected an event: %s", verdict.reason)
    elif verdict.fate is Fate.HELD:
        say("error", "held", "the Insights endpoint refuses all events, sending is held: %s", verdict.reason)
    else:
        say(
            "warning", "retrying", "an event did not reach the Insights endpoint and is tried again: %s", verdict.reason
        )
