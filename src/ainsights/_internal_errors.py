"""The one place where a failure of ours is kept from the user's program: counted, and logged now and then."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger("ainsights")

LOG_EVERY = 60.0
"""Seconds between two log lines of the same kind."""

failures: Counter[str] = Counter()
"""How often each step of ours has failed in this process, by its name."""

raising = False
"""Set by the tests: a contained failure is counted and then raised, so that none goes unnoticed there."""

_last_logged: dict[str, float] = {}
_suppressed: Counter[str] = Counter()
_lock = threading.Lock()


class capture_internal_errors:  # noqa: N801  it reads as a word: with capture_internal_errors("noting a request")
    """A block of ours whose exceptions must not reach the user's program.

    It has no state of its own: make one for a step and enter it as often as needed, also within itself.
    KeyboardInterrupt and its like are not ours and pass.
    """

    __slots__ = ("step",)

    def __init__(self, step: str) -> None:
        self.step = step

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, Exception) and self.caught(error)

    def caught(self, error: Exception) -> bool:
        """Count and log ``error``; false if it has to be raised after all.

        For the few blocks that every call of the user's goes through, where ``try`` costs nothing and ``with`` does.
        """
        failures[self.step] += 1
        log_rate_limited(
            "error", f"failed: {self.step}", "%s failed, the user's call is not affected", self.step, error=error
        )
        return not raising


def log_rate_limited(
    level: Literal["info", "warning", "error"],
    kind: str,
    message: str,
    *args: object,
    error: BaseException | None = None,
) -> None:
    """Log ``message`` unless a line of this ``kind`` was logged less than a minute ago.

    May be called on any thread at any moment, a garbage-collector finaliser included, so it never waits for its lock.
    """
    if not _lock.acquire(blocking=False):
        return
    try:
        now = time.monotonic()
        if now - _last_logged.get(kind, -LOG_EVERY) < LOG_EVERY:
            _suppressed[kind] += 1
            return
        _last_logged[kind] = now
        more = _suppressed.pop(kind, 0)
    finally:
        _lock.release()
    if more:
        message, args = message + " (and %d more like it)", (*args, more)
    with contextlib.suppress(Exception):  # a log handler of the user's that raises would do so in their call
        logger.log(_LEVELS[level], message, *args, exc_info=error)


def reset_rate_limits() -> None:
    """Start the count of the minute anew, for the next line of every kind."""
    _last_logged.clear()
    _suppressed.clear()


_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
