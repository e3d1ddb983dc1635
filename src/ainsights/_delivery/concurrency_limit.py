"""ConcurrencyLimit: how many workers are useful."""

from __future__ import annotations

FEW = 4
"""Workers where requests are fast: threads that mostly compute get in each other's way under one interpreter lock."""

SLOW = 0.005
"""Seconds of the fastest request of the last ones, from which on workers spend their time waiting for the network."""

WINDOW = 5.0
"""Seconds after which the fastest request is measured again."""


class ConcurrencyLimit:
    """A few workers for a fast endpoint, as many as the settings allow for a slow one.

    The fastest of the last requests decides, since slower ones may have waited for this process itself. Measured
    (``benchmarks/faultbench``, ``benchmarks/background.py``): with 4 workers at all times the row "burst, 100 ms"
    falls from 500 events a second to 39; with all of them at all times an event costs a third more CPU.
    """

    def __init__(self) -> None:
        self.most = 1
        """By the settings."""
        self._first_started_at: float | None = None
        self._fastest = [float("inf"), float("inf")]
        self._window_began = 0.0

    def on_start(self, now: float) -> None:
        """Note that a request begins."""
        self._first_started_at = self._first_started_at or now

    def on_end(self, now: float, seconds: float) -> None:
        """Note what a request took. Called by all workers without a lock: a lost update does no harm."""
        self._fastest[0] = min(self._fastest[0], seconds)
        if now - self._window_began > WINDOW:
            self._fastest, self._window_began = [seconds, self._fastest[0]], now

    def useful(self, now: float) -> int:
        """Return how many workers are useful."""
        fastest = min(self._fastest)
        if fastest == float("inf"):  # no request has ended; the first one shows by itself that it is slow
            waiting = self._first_started_at is not None and now - self._first_started_at > 2 * SLOW
            return min(self.most, FEW if waiting else 2)
        return self.most if fastest > SLOW else min(self.most, FEW)
