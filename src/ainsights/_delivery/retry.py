"""What an answer means, and how long to wait. Pure: no clock, no chance, no I/O of its own."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import NamedTuple

LONGEST_ANSWER = 200
"""Characters of an answer's body that are quoted in a log line."""

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
LONGEST_RETRY_AFTER = 3600.0
"""Seconds. A server that asks for more is asked again after that."""


class Fate(Enum):
    """What becomes of an event."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    HELD = "held"
    RETRY = "retry"


class Answer(NamedTuple):
    """What the endpoint said."""

    status: int
    body: str = ""
    """As far as it was read: its beginning."""
    retry_after: str | None = None

    @property
    def status_code(self) -> int:
        """The status, by the name that HTTP libraries give it."""
        return self.status


class Verdict(NamedTuple):
    """What becomes of the event, and of those behind it."""

    fate: Fate
    reason: str = ""
    wait: float | None = None
    """Seconds that the endpoint asks us to wait; None if it names none."""
    concerns_all: bool = False
    """The others would fare the same: the whole pipeline waits, not this event alone."""


_WORTH_RETRYING = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_UNTIL_MENDED = {
    HTTPStatus.UNAUTHORIZED: "check AINSIGHTS_API_KEY",
    HTTPStatus.FORBIDDEN: "check what the key in AINSIGHTS_API_KEY is allowed to do",
    HTTPStatus.NOT_FOUND: "check AINSIGHTS_BASE_URL",
}


def judge(outcome: Answer | Exception, now: datetime) -> Verdict:
    """Return what ``outcome``, an answer or the exception that came instead, means for its event."""
    if isinstance(outcome, Exception):
        return Verdict(
            Fate.RETRY, _describe(outcome), concerns_all=isinstance(outcome, OSError) and not _is_timeout(outcome)
        )
    status = outcome.status
    reason = _quote(outcome)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Verdict(Fate.DELIVERED)
    if status in _UNTIL_MENDED:
        return Verdict(Fate.HELD, f"{reason}: {_UNTIL_MENDED[HTTPStatus(status)]}", concerns_all=True)
    if status in _WORTH_RETRYING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = retry_after(outcome.retry_after, now)
        return Verdict(Fate.RETRY, reason, wait, concerns_all=status in _BUSY or wait is not None)
    if status >= HTTPStatus.BAD_REQUEST:
        return Verdict(Fate.REJECTED, reason)
    return Verdict(Fate.HELD, f"{reason}: redirects are not followed, check AINSIGHTS_BASE_URL", concerns_all=True)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, as a number or a date; None if it makes no sense."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or timezone.utc) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER) if math.isfinite(seconds) else None


def back_off(failures: int, chance: float) -> float:
    """Return the seconds to wait after so many failures in a row: exponential, with full jitter.

    Args:
        failures: how many there were, 1 or more.
        chance: a random number from 0 to 1.
    """
    return chance * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 16))


def _is_timeout(error: OSError) -> bool:
    return isinstance(error, TimeoutError)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _quote(answer: Answer) -> str:
    said = " ".join(answer.body.split())[:LONGEST_ANSWER]
    return f"{answer.status} {said}" if said else str(answer.status)


class Gate:
    """Lets the pipeline send, or holds all of it back and lets one event a time probe whether it may go on.

    Not thread-safe: its owner holds a lock. Times are those of one monotonic clock, in seconds.
    """

    PATIENCE = 3
    """So many events may fail in a row, each for itself, before all of them wait."""

    def __init__(self) -> None:
        self.verdict: Verdict | None = None
        """Why the gate is closed; None: it is open."""
        self.opens_at = 0.0
        self._closed_at = 0.0
        self._failures = 0
        self._in_a_row = 0

    def admits(self, now: float) -> bool:
        """Tell whether an event may be sent now."""
        return self.verdict is None or now >= self.opens_at

    def probing(self, now: float, patience: float) -> None:
        """Note that an event goes out to probe; no other one does before ``patience`` is over."""
        if self.verdict is not None:
            self.opens_at = now + patience

    def succeeded(self, began: float) -> None:
        """Note an answer that shows that the endpoint takes events; not one to a request from before it refused all."""
        self._in_a_row = 0
        if self.verdict is None or not self.verdict.concerns_all or began >= self._closed_at:
            self.verdict = None
            self._failures = 0

    def failed(self, verdict: Verdict, began: float, now: float, chance: float) -> None:
        """Note a request that ``began`` then and failed; of several in flight together, the first one counts."""
        self._in_a_row += 1
        if self.verdict is None and not verdict.concerns_all and self._in_a_row < self.PATIENCE:
            return
        if self.verdict is None or began >= self._closed_at:
            self._failures += 1
            self._closed_at = now
            wait = verdict.wait if verdict.wait is not None else back_off(self._failures, max(chance, 0.1))
            self.opens_at = now + wait
        elif verdict.wait is not None:
            self.opens_at = max(self.opens_at, now + verdict.wait)
        self.verdict = verdict

    def hurry(self, now: float) -> None:
        """Let an event probe at once, unless the endpoint itself named the time, or nothing is mended by trying."""
        if self.verdict is not None and self.verdict.wait is None and self.verdict.fate is Fate.RETRY:
            self.opens_at = now
