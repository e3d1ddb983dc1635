"""Tail: the last bytes of a body that there is no room for."""

from __future__ import annotations

from collections import deque

CHUNK_OVERHEAD = 41
"""Bytes that CPython needs for a bytes object beyond its content, and for the list slot that holds it."""


class Tail:
    """The end of a body of which only the beginning and the end are kept.

    Args:
        head: the chunks so far; its last ones move here, so that head and tail together need no more than it did.
        longest: bytes to keep; half of what ``head`` has at the most.
    """

    def __init__(self, head: list[bytes], longest: int) -> None:
        self.skipped = 0
        """Bytes that are gone between head and tail."""
        self.size = 0
        self.chunks: deque[bytes] = deque()
        self._longest = min(longest, sum(map(_cost, head)) // 2)
        while head and self.size + _cost(head[-1]) <= self._longest:
            self.chunks.appendleft(head.pop())
            self.size += _cost(self.chunks[0])

    def append(self, chunk: bytes) -> None:
        """Keep ``chunk``, and as much of what came before it as there is room for."""
        excess = min(_cost(chunk) - self._longest, len(chunk))
        if excess > 0:
            self.skipped += excess
            chunk = chunk[excess:]
        if chunk:
            self.chunks.append(chunk)
            self.size += _cost(chunk)
        while self.size > self._longest:
            gone = self.chunks.popleft()
            self.size -= _cost(gone)
            self.skipped += len(gone)


def _cost(chunk: bytes) -> int:
    return len(chunk) + CHUNK_OVERHEAD
