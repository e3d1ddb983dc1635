"""ConcurrencyLimit: how many workers are useful."""

from __future__ import annotations


class ConcurrencyLimit:
    """How many workers are of use: a request's latency over its own CPU time, and few where the process is busy.

    The latency is the lowest of the last seconds, since what exceeds it may be waiting for one another; or the mean,
    while the process is calm, so that this can't be. It would still rise with the workers that it
    calls for where the interpreter lock is short; so a busy process gets few of them.
    """

    WINDOW = 5.0
    CALM, BUSY = 0.5, 0.8
    """The shares of a core below and above which the process counts as calm and as busy."""
    FEW = 4

    def __init__(self) -> None:
        self.most = 1
        """By the settings."""
        self._lowest = [float("inf"), float("inf")]
        self._mean = 0.0
        self._cpu = 0.0
        self._busy = 0.0
        self._since = (0.0, 0.0)
        self._turned_at = 0.0
        self._first_at = 0.0

    def on_start(self, now: float) -> None:
        """Note that a request begins; of the first one nothing else may be known for long."""
        self._first_at = self._first_at or now

    def on_end(self, latency: float, cpu: float, now: float, process_cpu: float) -> None:
        """Note what a request took. Called by all workers without a lock: a lost update does no harm."""
        self._lowest[0] = min(self._lowest[0], latency)
        self._mean = self._mean + (latency - self._mean) * 0.1 if self._mean else latency
        self._cpu = self._cpu + (cpu - self._cpu) * 0.1 if self._cpu else cpu
        if now - self._turned_at > self.WINDOW:
            self._lowest, self._turned_at = [latency, self._lowest[0]], now
        wall = now - self._since[0]
        if wall > 0.01:  # noqa: PLR2004  seconds: shorter spans tell nothing
            self._busy, self._since = (process_cpu - self._since[1]) / wall, (now, process_cpu)

    def useful(self, now: float) -> int:
        """Return how many workers are of use."""
        if not self._cpu:
            return min(self.most, self.FEW if self._first_at and now - self._first_at > 0.01 else 2)  # noqa: PLR2004
        latency = self._mean if self._busy < self.CALM else min(self._lowest)
        several = int(latency / self._cpu)
        return min(self.most, max(2, min(several, self.FEW) if self._busy > self.BUSY else several))
