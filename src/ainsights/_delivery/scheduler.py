"""Backlog: the encoded events. Which may be sent now, which have to wait, and who waits for them.

No threads and no I/O: its owner holds a lock, and passes in the time, of one monotonic clock, in seconds.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from typing import TYPE_CHECKING

from ainsights._delivery.circuit_breaker import CircuitBreaker
from ainsights._delivery.retry import Disposition, back_off

if TYPE_CHECKING:
    from ainsights._delivery.receipt import Receipt
    from ainsights._delivery.retry import Decision
    from ainsights._delivery.spool.spool import SpoolRow


class Job:
    """An event on its way: its body and how often it was tried."""

    __slots__ = ("admitted", "attempts", "body", "number", "receipt")

    def __init__(self, body: bytes, number: SpoolRow | None = None, receipt: Receipt | None = None) -> None:
        self.body = body
        self.number = number
        """Its row in the spool; None if it is in memory only."""
        self.receipt = receipt
        """Who waits to hear what becomes of it."""
        self.attempts = 0
        self.admitted = 0.0
        """When it was last allowed to be sent."""


class Flush:
    """Somebody waits until all that was put before now is done with."""

    def __init__(self) -> None:
        self.jobs: set[Job] = set()
        self.done = threading.Event()


class Backlog:
    """The events between their encoding and their end."""

    def __init__(self) -> None:
        self._in_flight: set[Job] = set()
        self._breaker = CircuitBreaker()
        self._ready: deque[Job] = deque()
        self._delayed: list[tuple[float, int, Job]] = []
        self._order = itertools.count()
        self._jobs: set[Job] = set()
        self._flushes: list[Flush] = []

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return len(self._in_flight)

    @property
    def trouble(self) -> Decision | None:
        """Why all events wait; None if they do not."""
        return self._breaker.reason

    @property
    def held(self) -> int:
        """Events that wait for somebody to put the key or the URL right."""
        return len(self._jobs) if self.trouble is not None and self.trouble.disposition is Disposition.HELD else 0

    @property
    def sendable(self) -> int:
        """Events that another worker could send now."""
        return len(self._ready) if self.trouble is None else 0

    def is_low(self, few: int) -> bool:
        """Tell whether fewer than so many events are here, and the endpoint takes them."""
        return self.trouble is None and len(self._jobs) < few

    def add(self, job: Job) -> None:
        """Take a new event."""
        self._jobs.add(job)
        self._ready.append(job)

    def admit(self, now: float, patience: float) -> Job | None:
        """Return an event to be sent now, if one may be; while all wait, one probes and has ``patience`` seconds."""
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heapq.heappop(self._delayed)[2])
        if not self._ready or not self._breaker.allow_request(now):
            return None
        self._breaker.on_request(now, patience)
        job = self._ready.popleft()
        job.admitted = now
        self._in_flight.add(job)
        return job

    def due(self) -> float:
        """Return when something may be sent that may not be now."""
        if self._ready:
            return self._breaker.retry_at
        return max(self._delayed[0][0], self._breaker.retry_at) if self._delayed else float("inf")

    def finished(self, job: Job) -> bool:
        """Note that the endpoint took the event, or refused it for good. True if that ends the waiting of all."""
        waited = self.trouble is not None
        self._breaker.on_success(job.admitted)
        self._in_flight.discard(job)
        self._forget(job)
        return waited and self.trouble is None

    def failed(self, job: Job, decision: Decision, now: float, jitter: float) -> None:
        """Note that the event is to be tried again: with all others at the gate, or when its own time has come."""
        self._in_flight.discard(job)
        job.attempts += 1
        self._breaker.on_failure(decision, job.admitted, now, jitter)
        if self.trouble is not None:
            self._ready.appendleft(job)
        else:
            heapq.heappush(self._delayed, (now + back_off(job.attempts, jitter), next(self._order), job))

    def spill(self, keep: int) -> list[Job]:
        """Forget events that the spool has, but for the ``keep`` that are next, and return them."""
        later = [self._ready.pop() for _ in range(len(self._ready) - keep)]
        later.reverse()
        self._ready.extend(job for job in later if job.number is None)
        spilled = [job for job in later if job.number is not None]
        for job in spilled:
            self._forget(job)
        return spilled

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All events."""
        return tuple(self._jobs)

    def returned(self, job: Job) -> None:
        """Take an event back of which it is not known what became of it, unless that was noted."""
        if job in self._in_flight:
            self._in_flight.discard(job)
            self._ready.appendleft(job)

    def await_all(self, flush: Flush) -> None:
        """Tell ``flush`` when every event that is here now is done with."""
        flush.jobs = set(self._jobs)
        self._flushes.append(flush)
        self._settle(flush)

    def hurry(self, now: float) -> None:
        """Try everything once more without further waiting, where that can help."""
        self._breaker.expedite(now)
        self._ready.extend(job for _, _, job in self._delayed)
        self._delayed.clear()

    def retarget(self) -> None:
        """Forget what the endpoint said: it is another one now, or another key."""
        self._breaker = CircuitBreaker()

    def _forget(self, job: Job) -> None:
        self._jobs.discard(job)
        for flush in tuple(self._flushes):
            flush.jobs.discard(job)
            self._settle(flush)

    def _settle(self, flush: Flush) -> None:
        if not flush.jobs:
            self._flushes.remove(flush)
            flush.done.set()
