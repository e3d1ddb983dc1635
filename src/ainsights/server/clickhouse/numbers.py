"""The numbers of events: in order of arrival over all replicas, and never twice. Pure.

A number has 53 bits: milliseconds since 2020 (41), the slot of the replica (7), a count (5). Replicas follow the clock
of the ClickHouse server, so that their numbers are comparable to some milliseconds.
"""

from __future__ import annotations

SLOT_BITS, COUNT_BITS = 7, 5
SLOTS = 1 << SLOT_BITS
LOW_BITS = SLOT_BITS + COUNT_BITS

START = 1_577_836_800_000
"""2020-01-01, in milliseconds since the epoch."""


def number_at(seconds: float) -> int:
    """Return the lowest number that an event can have that arrives at this time."""
    return max(0, int(seconds * 1000) - START) << LOW_BITS


class Numbers:
    """Gives numbers to the events of one replica. Used by one thread at a time.

    Attributes:
        last: the highest number given so far.
    """

    def __init__(self, slot: int) -> None:
        self._slot = slot
        self._millisecond = 0
        self._count = 0
        self.last = 0

    def take(self, count: int, now: float) -> list[int]:
        """Return the next ``count`` numbers for events that arrive at ``now``, in seconds since the epoch."""
        millisecond = max(0, int(now * 1000) - START)
        if millisecond > self._millisecond:
            self._millisecond, self._count = millisecond, 0
        numbers = [self._next() for _ in range(count)]
        self.last = numbers[-1] if numbers else self.last
        return numbers

    def _next(self) -> int:
        if self._count >> COUNT_BITS:
            self._millisecond, self._count = self._millisecond + 1, 0
        number = self._millisecond << LOW_BITS | self._slot << COUNT_BITS | self._count
        self._count += 1
        return number
