"""Counters: counters that any thread may add to at any moment, and Stats, the picture that users get of them."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Counters:
    """Named counters. ``add`` takes no lock that it could wait for, so it is safe inside a finaliser.

    Whoever gets the lock folds what all have added; who doesn't leaves its addition to the next.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._added: deque[Mapping[str, int] | int] = deque()
        self._lock = threading.Lock()

    def add(self, **counts: int) -> None:
        """Add to the counters named."""
        self._note(counts)

    def took(self, size: int) -> None:
        """Count an event of ``size`` bytes that was captured and is held: what each call of the user's does."""
        self._note(size)

    def _note(self, added: Mapping[str, int] | int) -> None:
        self._added.append(added)
        if self._lock.acquire(blocking=False):
            try:
                self._fold()
            finally:
                self._lock.release()

    def __getitem__(self, name: str) -> int:
        return self._counts[name]

    def snapshot(self) -> dict[str, int]:
        """Return all counters, exact."""
        with self._lock:
            self._fold()
            return dict(self._counts)

    def _fold(self) -> None:
        counts = self._counts
        while self._added:
            added = self._added.popleft()
            if isinstance(added, int):
                counts["captured"] += 1
                counts["events"] += 1
                counts["bytes"] += added
                continue
            for name, count in added.items():
                counts[name] += count
