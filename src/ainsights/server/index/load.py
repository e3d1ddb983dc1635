"""Leaving ingestion its share of the machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ainsights.server.index.columns import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable

BUSY = 200
"""Events of one batch from which on ingestion counts as busy: some 2,000 a second."""

FULL = 1000
"""Events of one batch from which on the index falls behind, and takes at most half of the time."""

CALM_SECONDS = 2.0


class Load:
    """How the index's thread and the queries behave while many events arrive.

    Then queries run on one processor instead of two, which leaves the other to ingestion, and take twice as long at the
    most.
    """

    def __init__(self, use_threads: Callable[[int], None]) -> None:
        self._use_threads = use_threads
        self._busy_at: float | None = None
        self._began = time.monotonic()

    def pause(self, events: int) -> float:
        """Return how long to rest after a batch of so many events."""
        now = time.monotonic()
        took, self._began = now - self._began, now
        if events >= BUSY:
            if self._busy_at is None:
                self._use_threads(1)
            self._busy_at = now
        if events < FULL:
            return 0.0
        self._began += took
        return took

    def idle(self) -> None:
        """Note that all is indexed."""
        if self._busy_at is not None and time.monotonic() - self._busy_at > CALM_SECONDS:
            self._use_threads(THREADS)
            self._busy_at = None

    def patience(self, seconds: float | None) -> float | None:
        """Return how long to wait for an event: not for ever while queries are held back."""
        self._began = time.monotonic()
        if self._busy_at is None:
            return seconds
        return CALM_SECONDS if seconds is None else min(seconds, CALM_SECONDS)
