"""Scheduler: the processed events. It decides which may be sent now, which wait, and which flush they hold up."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from ainsights._delivery.circuit_breaker import CircuitBreaker
from ainsights._delivery.retry import Disposition, back_off
from ainsights._logging import log_rate_limited
from ainsights._random import generator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ainsights._delivery.envelope import Envelope, FlushMarker
    from ainsights._delivery.retry import Decision
    from ainsights._delivery.store import Store


class Scheduler:
    """Events between their processing and their end. Workers wait here; times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._breaker = CircuitBreaker()
        self._events: set[Envelope] = set()
        self._ready: deque[Envelope] = deque()
        self._delayed: list[tuple[float, int, Envelope]] = []
        self._order = itertools.count()
        self._in_flight: set[Envelope] = set()
        self._markers: list[FlushMarker] = []

    # What can be seen from outside

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return len(self._in_flight)

    @property
    def blocked_by(self) -> Decision | None:
        """Why all events wait; None if they do not."""
        return self._breaker.reason

    @property
    def held(self) -> int:
        """Events that wait until somebody corrects the key or the URL."""
        reason = self.blocked_by
        return len(self._events) if reason is not None and reason.disposition is Disposition.HELD else 0

    @property
    def sendable(self) -> int:
        """Events that another worker could send now."""
        return len(self._ready) if self.blocked_by is None else 0

    def is_low(self, count: int) -> bool:
        """Return whether fewer than ``count`` events are here, and the endpoint takes them."""
        return self.blocked_by is None and len(self._events) < count

    # For the threads that bring events

    def add(self, envelopes: Sequence[Envelope]) -> None:
        """Take processed events."""
        with self._changed:
            self._events.update(envelopes)
            self._ready.extend(envelopes)
            self._changed.notify(len(envelopes))

    def await_all(self, marker: FlushMarker) -> None:
        """Mark ``marker`` as done when every event that is here now has left."""
        with self._changed:
            marker.pending = set(self._events)
            self._markers.append(marker)
            self._check(marker)

    def offload(self, store: Store, keep: int) -> list[Envelope]:
        """Let go of events that ``store`` has, except for the ``keep`` next ones, and return them."""
        with self._changed:
            later = [self._ready.pop() for _ in range(len(self._ready) - keep)]
            later.reverse()
            self._ready.extend(each for each in later if each.store is not store)
            offloaded = [each for each in later if each.store is store]
            self._remove(*offloaded)
            return offloaded

    def expedite(self) -> None:
        """Try everything once more without further delay, where that can help: somebody waits."""
        with self._changed:
            self._breaker.expedite(time.monotonic())
            self._ready.extend(each for _, _, each in self._delayed)
            self._delayed.clear()
            self._changed.notify_all()

    def reset(self) -> None:
        """Forget what the endpoint answered: it is another one now, or another key."""
        with self._changed:
            self._breaker = CircuitBreaker()
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of everybody who waits for a flush."""
        with self._changed:
            for marker in self._markers:
                marker.abandon()
            self._markers.clear()

    # For the workers

    def next_request(self, timeout: float) -> Envelope | float:
        """Return an event that is to be sent now, or the time when there may be one.

        Args:
            timeout: the seconds that the request may take.
        """
        with self._changed:
            now = time.monotonic()
            while self._delayed and self._delayed[0][0] <= now:
                self._ready.append(heapq.heappop(self._delayed)[2])
            if not self._ready or not self._breaker.allow_request(now):
                return self._next_time()
            self._breaker.on_request(now, timeout)
            envelope = self._ready.popleft()
            envelope.sent_at = now
            self._in_flight.add(envelope)
            return envelope

    def wait(self, until: float, unless: Callable[[], bool]) -> None:
        """Wait until there may be an event to send, or ``until``; not at all if ``unless()``, which wake() follows."""
        with self._changed:
            pause = min(until, self._next_time()) - time.monotonic()
            if pause > 0 and not unless():
                self._changed.wait(pause)

    def wake(self, count: int | None = None) -> None:
        """Let ``count`` of the waiting workers look again; all of them if None."""
        with self._changed:
            self._changed.notify_all() if count is None else self._changed.notify(count)

    def on_outcome(self, envelope: Envelope, decision: Decision) -> None:
        """Note the outcome of a request: the event has ended, or it is sent again later."""
        with self._changed:
            if decision.disposition in {Disposition.DELIVERED, Disposition.REJECTED}:
                self._finish(envelope)
            else:
                self._retry(envelope, decision)
            self._in_flight.discard(envelope)

    def put_back(self, envelope: Envelope) -> None:
        """Take an event back of which no outcome was noted; do nothing if one was."""
        with self._changed:
            if envelope in self._in_flight:
                self._in_flight.discard(envelope)
                self._ready.appendleft(envelope)

    def _next_time(self) -> float:
        if self._ready:
            return self._breaker.retry_at
        if self._delayed:
            return max(self._delayed[0][0], self._breaker.retry_at)
        return float("inf")

    def _finish(self, envelope: Envelope) -> None:
        blocked = self._breaker.reason is not None
        self._breaker.on_success(envelope.sent_at)
        self._remove(envelope)
        if blocked and self._breaker.reason is None:
            self._changed.notify_all()
            log_rate_limited("info", "resumed", "the Insights endpoint accepts events again")

    def _retry(self, envelope: Envelope, decision: Decision) -> None:
        now, jitter = time.monotonic(), generator.random()
        envelope.attempts += 1
        self._breaker.on_failure(decision, envelope.sent_at, now, jitter)
        if self._breaker.reason is not None:
            self._ready.appendleft(envelope)
        else:
            delay = back_off(envelope.attempts, jitter)
            heapq.heappush(self._delayed, (now + delay, next(self._order), envelope))
        self._changed.notify()

    def _remove(self, *envelopes: Envelope) -> None:
        self._events.difference_update(envelopes)
        for marker in tuple(self._markers):
            marker.pending.difference_update(envelopes)
            self._check(marker)

    def _check(self, marker: FlushMarker) -> None:
        if not marker.pending:
            self._markers.remove(marker)
            marker.done.set()
