"""The log lines of ainsights: logger ``ainsights``, at most one line a minute of each kind."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from typing import Literal

logger = logging.getLogger("ainsights")

LOG_EVERY = 60.0
"""Seconds between two log lines of the same kind."""

_last_logged: dict[str, float] = {}
_suppressed: Counter[str] = Counter()
_lock = threading.Lock()


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
    """Allow the next line of every kind; in the child of a fork too, where another thread may have held the lock."""
    global _lock  # noqa: PLW0603  a process has one log
    _lock = threading.Lock()
    _last_logged.clear()
    _suppressed.clear()


_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
