"""OpenStreams: the streams of one client that have not ended, and the memory that their bodies may hold together."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from ainsights._internal_errors import capture_internal_errors

if TYPE_CHECKING:
    from ainsights._instrumentation.exchange import Exchange

_ending = capture_internal_errors("ending a stream at exit")


class OpenStreams:
    """The streams of one client that have not ended.

    Args:
        max_bytes: bytes that their bodies may hold together; one stream may hold half of them.
    """

    def __init__(self, max_bytes: int) -> None:
        self._exchanges: set[Exchange] = set()
        self._max_bytes = max_bytes
        self._reserved = 0
        self._changes: deque[int] = deque()
        self._lock = threading.Lock()
        self.add = self._exchanges.add
        self.discard = self._exchanges.discard

    def resize(self, max_bytes: int) -> None:
        """Change the bound, for what is reserved from now on."""
        self._max_bytes = max_bytes

    def reserve(self, size: int, held: int) -> bool:
        """Reserve ``size`` more bytes for a stream that has ``held``; false if there is no room. Never blocks."""
        if held + size > self._max_bytes // 2:
            return False
        self._fold()
        if self._reserved + size > self._max_bytes:
            return False
        self._changes.append(size)
        return True

    def release(self, size: int) -> None:
        """Give back what was reserved. Takes no lock: a stream may end inside the garbage collector."""
        self._changes.append(-size)

    def _fold(self) -> None:
        if self._lock.acquire(blocking=False):  # another thread may hold it, in the child of a fork for ever
            try:
                while self._changes:
                    self._reserved += self._changes.popleft()
            finally:
                self._lock.release()

    def exchanges(self) -> tuple[Exchange, ...]:
        """Return those that are open."""
        return tuple(self._exchanges)

    def end_all(self) -> None:
        """End the streams that are open, with what has arrived: nobody will read them to their end."""
        for exchange in self.exchanges():
            with _ending:
                exchange.end("collected")
