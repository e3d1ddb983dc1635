"""How far the index is behind the store."""

from __future__ import annotations

import threading
import time
from collections import deque

_RESOLUTION = 0.05
"""Seconds: commits that follow each other faster count as one."""


class LagMeter:
    """Notes when events were stored, until they are indexed. Any thread may use it."""

    def __init__(self) -> None:
        self._commits: deque[tuple[int, float]] = deque()
        self._lock = threading.Lock()

    def stored(self, seq: int) -> None:
        """Note that events up to ``seq`` were stored now."""
        now = time.monotonic()
        with self._lock:
            if self._commits and now - self._commits[-1][1] < _RESOLUTION:
                self._commits[-1] = (seq, self._commits[-1][1])
            else:
                self._commits.append((seq, now))

    def indexed(self, seq: int) -> None:
        """Note that events up to ``seq`` are indexed."""
        with self._lock:
            while self._commits and self._commits[0][0] <= seq:
                self._commits.popleft()

    @property
    def seconds(self) -> float:
        """For how long the first event that is not indexed yet has been stored; 0 if there is none."""
        with self._lock:
            return time.monotonic() - self._commits[0][1] if self._commits else 0.0
