"""Which events are too old or too many, oldest first, and which free pages go back to the file system."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ainsights.server.store.ledger import Ledger

BY = "retention"
DAY = 86_400.0

SLACK = 0.02
"""The part of the file that may be free: it is used again by what is stored next."""

LEAST_SLACK = 256 * 1024


class Limits(NamedTuple):
    """What is kept. None sets no limit."""

    keep_days: float | None = None
    max_bytes: int | None = None


class Pace:
    """How much one step does, so that it takes about as long as ingestion may wait."""

    def __init__(self, least: int, most: int) -> None:
        self.amount = least
        self._least = least
        self._most = most

    def record_duration(self, seconds: float) -> None:
        """Do more next time, or less."""
        if seconds > SLOW:
            self.amount = max(self._least, self.amount // 2)
        elif seconds < QUICK:
            self.amount = min(self._most, self.amount * 2)


QUICK = 0.005
SLOW = 0.015
"""Seconds of a step; a put waits for one at the most."""


def remove_some(ledger: Ledger, limits: Limits, at_most: int) -> list[int]:
    """Remove up to ``at_most`` of the events that are beyond ``limits``; return their numbers."""
    total, free = ledger.sizes()
    excess = total - free - (limits.max_bytes - _tolerance(limits.max_bytes)) if limits.max_bytes is not None else 0.0
    before = time.time() - limits.keep_days * DAY if limits.keep_days is not None else float("-inf")
    due: list[int] = []
    reason = f"older than {limits.keep_days:g} days" if limits.keep_days is not None else ""
    for seq, received_at, size in ledger.oldest(at_most):
        if received_at >= before:
            if excess <= 0:
                break
            reason = f"beyond {limits.max_bytes} bytes"
        due.append(seq)
        excess -= size
    return ledger.remove(due, BY, reason, erase=False) if due else []


def release_pages(ledger: Ledger, pages: int) -> bool:
    """Return up to ``pages`` free pages to the file system; False if there are too few to be worth it."""
    total, free = ledger.sizes()
    if free <= _tolerance(total):
        return False
    ledger.vacuum(pages)
    return True


def _tolerance(total: float) -> float:
    return max(LEAST_SLACK, total * SLACK)
