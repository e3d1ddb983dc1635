"""Counters: numbers that any thread may add to at any moment."""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict, deque
from typing import TYPE_CHECKING

from ainsights import _lifecycle

if TYPE_CHECKING:
    from collections.abc import Mapping


LOST_AT_THE_END = ("dropped_exit", "dropped_closed")
"""The counters of events that were left when time ran out, or that came later."""


class Counters:
    """Named counters. ``add`` waits for no lock, so it is safe inside a finaliser.

    An addition is put into a deque, which is atomic. Whoever gets the lock applies all additions, and looks again after
    releasing it: an addition that came while the lock was held is applied by its holder.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._pending: deque[Mapping[str, int] | int] = deque()
        self._lock = threading.Lock()
        self._lost = 0
        _all.add(self)

    def add(self, **counts: int) -> None:
        """Add to the counters named."""
        self._pending.append(counts)
        self._apply_pending()

    def add_captured(self, size: int) -> None:
        """Count an event of ``size`` bytes that was captured and is held: what each call of the user's does."""
        self._pending.append(size)
        self._apply_pending()

    def current(self, name: str) -> int:
        """Return a counter, exact, without waiting for a lock."""
        self._apply_pending()
        if not self._pending:
            return self._counts[name]
        # another thread is applying them, or this one is, further up its stack; at most one addition counts for neither
        return self._counts[name] + sum(_part(added, name) for added in self._pending.copy())

    def snapshot(self) -> dict[str, int]:
        """Return all counters, exact. Waits for the lock: not for a finaliser."""
        with self._lock:
            self._apply()
            counts = dict(self._counts)
        self._apply_pending()
        return counts

    def newly_lost(self) -> int:
        """Return how many events were lost by the end of delivery since the last call."""
        counts = self.snapshot()
        lost = sum(counts.get(name, 0) for name in LOST_AT_THE_END)
        newly, self._lost = lost - self._lost, lost
        return newly

    def _apply_pending(self) -> None:
        while self._pending and self._lock.acquire(blocking=False):
            try:
                self._apply()
            finally:
                self._lock.release()

    def _apply(self) -> None:
        counts = self._counts
        while self._pending:
            added = self._pending.popleft()
            if isinstance(added, int):
                counts["captured"] += 1
                counts["bytes"] += added
                continue
            for name, count in added.items():
                counts[name] += count


_all: weakref.WeakSet[Counters] = weakref.WeakSet()


def _renew_locks() -> None:
    """Forget, in the child of a fork, the locks that the parent's threads held: the child has no such thread."""
    for counters in tuple(_all):
        counters._lock = threading.Lock()  # noqa: SLF001  the same module


_lifecycle.after_fork_in_child(_renew_locks)


def _part(added: Mapping[str, int] | int, name: str) -> int:
    if isinstance(added, int):
        return {"captured": 1, "bytes": added}.get(name, 0)
    return added.get(name, 0)
