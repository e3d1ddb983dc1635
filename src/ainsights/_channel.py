"""Channel: the way of a client's events, across changes of its settings.

After a change of settings new events go to a new destination. The earlier one delivers its own in the background.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from ainsights import _lifecycle
from ainsights._destination import Destination
from ainsights._internal_errors import capture_internal_errors

if TYPE_CHECKING:
    from ainsights._config import Settings
    from ainsights._delivery.counters import Counters
    from ainsights._delivery.pipeline import Pipeline
    from ainsights._delivery.receipt import Receipt
    from ainsights._instrumentation.exchange import Exchange
    from ainsights._processing.manual import Record
    from ainsights._processing.pending import PendingResponses

FORK_PATIENCE = 0.02
"""Seconds that a fork waits for the threads to leave. Idle ones do at once."""

CHECK_EVERY = 0.1
"""Seconds between two checks whether an earlier destination has delivered everything."""

GRACE = 1.0
"""Seconds that an earlier destination is kept, for threads that were about to put something there."""

UNCAPTURED = "uncaptured: "
"""What the names of counters begin with that count calls which are not captured, by their routes."""

_draining = capture_internal_errors("draining after a change of settings")


class Channel:
    """The destination of now, and the earlier ones that still have events to deliver.

    A channel belongs to one process. The child of a fork gets a new one: what began before is its parent's to report.
    """

    def __init__(self, settings: Settings, pending: PendingResponses) -> None:
        self._pending = pending
        self._current = Destination(settings, pending)
        self._earlier: dict[Destination, float] = {}
        """With the moment from which nobody puts anything there."""
        self._counters: list[Counters] = [self._current.counters]
        self._lock = threading.Lock()
        self._drainer: threading.Thread | None = None
        self._stop = threading.Event()
        self._abandoned = False

    @property
    def has_worker(self) -> bool:
        """Whether there is nothing to open: what each call of the user's looks at."""
        pipeline = self._current.pipeline
        return pipeline is not None and bool(pipeline.workers)

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._stop.is_set()

    @property
    def pipelines(self) -> list[Pipeline]:
        """The pipelines that work now; the current one comes first."""
        found = [destination.loaded() for destination in (self._current, *self._earlier)]
        return [pipeline for pipeline in found if pipeline is not None]

    def counts(self) -> Counter[str]:
        """Return the counters of all destinations that there were, exact."""
        total: Counter[str] = Counter()
        for counters in self._counters:
            total.update(counters.snapshot())
        return total

    def count_uncaptured(self, route: str) -> None:
        """Count a call that was seen and is not captured."""
        self._current.counters.add(**{UNCAPTURED + route: 1})

    def open(self) -> None:
        """See to it that there is a worker, or will soon be. Not to be called from a finaliser."""
        self._current.open()

    @property
    def events(self) -> int:
        """Events that are held in memory."""
        return sum(destination.events for destination in self._destinations())

    def put(self, item: Exchange | Record, receipt: Receipt | None = None) -> bool:
        """Queue ``item``; ``receipt`` reports its outcome. False if dropped. Never blocks; safe in a finaliser."""
        if self._abandoned:
            return False
        return self._current.put(item, receipt)

    def change(self, settings: Settings) -> None:
        """Work by ``settings`` from now on. Waits for nobody: what is queued is delivered in the background.

        It goes where it was to go when it was captured. Only what that endpoint refuses, for a wrong key or URL, goes
        by the new settings.
        """
        before = self._current
        if before.is_refused or not before.is_started:
            before.change(settings)
            return
        destination = Destination(settings, self._pending)
        destination.open()  # a call that began before ends there, maybe where no thread may be started
        self._counters.append(destination.counters)
        with self._lock:
            self._earlier[before] = time.monotonic() + GRACE
            self._current = destination
        self._start_draining()

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is delivered, or refused for good. False if that took too long."""
        deadline = time.monotonic() + timeout
        done = [each.flush(max(deadline - time.monotonic(), 0.0)) for each in self._destinations()]
        return all(done)

    def begin_close(self, timeout: float) -> None:
        """Start to deliver what is queued, for a close that follows within ``timeout`` seconds. Does not wait."""
        for destination in self._destinations():
            destination.begin_close(timeout)

    def close(self, timeout: float) -> int:
        """Deliver what can be delivered in time, end the threads, and return how many events are lost."""
        deadline = time.monotonic() + timeout
        self._stop.set()
        self.begin_close(timeout)
        return sum(each.close(max(deadline - time.monotonic(), 0.0)) for each in self._destinations())

    # What earlier destinations have left to do

    def _start_draining(self) -> None:
        with self._lock:
            if not self._earlier or self._drainer is not None:
                return
            self._drainer = threading.Thread(target=self._drain, name="ainsights-drain", daemon=True)
            try:
                self._drainer.start()
            except RuntimeError:  # the interpreter ends; close() is next
                self._drainer = None

    def _drain(self) -> None:
        while not self._stop.wait(CHECK_EVERY):
            for destination, unused_from in tuple(self._earlier.items()):
                with _draining:
                    self._drain_one(destination, unused_from)
            with self._lock:
                if not self._earlier:
                    self._drainer = None
                    return
        with self._lock:
            self._drainer = None

    def _drain_one(self, destination: Destination, unused_from: float) -> None:
        destination.open()
        if destination.is_refused and destination.settings is not self._current.settings:
            destination.change(self._current.settings)
        elif not destination.events and time.monotonic() > unused_from:
            destination.close(0.0)
            with self._lock:
                del self._earlier[destination]

    # Forks

    def before_fork(self) -> None:
        """Let the threads leave: idle ones do at once, busy ones may stay."""
        self._stop.set()
        for destination in self._destinations():
            destination.before_fork(FORK_PATIENCE)
        drainer = self._drainer
        if drainer is not None and _lifecycle.are_threads():
            drainer.join(FORK_PATIENCE)

    def after_fork_in_parent(self) -> None:
        """Let the threads come back."""
        self._stop.clear()
        for destination in self._destinations():
            destination.after_fork_in_parent()
        self._start_draining()

    def after_fork_in_child(self) -> None:
        """Leave everything to the parent."""
        self._abandoned = True
        for destination in self._destinations():
            destination.after_fork_in_child()

    def _destinations(self) -> tuple[Destination, ...]:
        return (*tuple(self._earlier), self._current)
