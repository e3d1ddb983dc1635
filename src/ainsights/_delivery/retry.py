"""What an answer means for its event, and how long to wait before a retry. Pure: no clock, no random, no I/O."""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import Any, NamedTuple

from ainsights._logging import sanitize
from ainsights.errors import HeldError, RejectedError, RetryableError

LONGEST_ANSWER = 200
"""Characters of an answer's body that are quoted in a log line."""

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
LONGEST_RETRY_AFTER = 3600.0
"""Seconds. A server that asks for more is asked again after that."""


CHECK_NETWORK = "check the network and AINSIGHTS_BASE_URL"


class Disposition(Enum):
    """How an attempt to deliver an event ended."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    HELD = "held"
    RETRY = "retry"


_ERRORS = {
    Disposition.REJECTED: RejectedError,
    Disposition.HELD: HeldError,
    Disposition.RETRY: RetryableError,
}


class Answer(NamedTuple):
    """The answer of the endpoint."""

    status: int
    body: str = ""
    """Its beginning: no more of it is read."""
    retry_after: str | None = None

    @property
    def status_code(self) -> int:
        """The status, by the name that HTTP libraries give it."""
        return self.status

    @property
    def text(self) -> str:
        """The body, by the name that HTTP libraries give it."""
        return self.body

    def json(self) -> Any:
        """Return the body's JSON value.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)

    def raise_for_status(self) -> Answer:
        """Return the answer if the endpoint took the event.

        Raises:
            HeldError: the key or the URL is wrong. The event is sent again once that is put right.
            RejectedError: the endpoint refuses this event for good.
            RetryableError: the endpoint is busy. The event is sent again.
        """
        decision = classify(self, datetime.now(timezone.utc))
        if decision.disposition is Disposition.DELIVERED:
            return self
        raise _ERRORS[decision.disposition](decision.reason)


class Decision(NamedTuple):
    """What follows from an attempt, for its event and for the others."""

    disposition: Disposition
    reason: str = ""
    wait: float | None = None
    """Seconds that the endpoint asks us to wait; None if it does not ask."""
    remedy: str = CHECK_NETWORK
    """What to do about a retry that goes on."""
    affects_all: bool = False
    """Every other event would get the same answer: all of them wait, not this one alone."""


_RETRYABLE = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_HELD = {
    HTTPStatus.UNAUTHORIZED: "check AINSIGHTS_API_KEY",
    HTTPStatus.FORBIDDEN: "check what the key in AINSIGHTS_API_KEY is allowed to do",
    HTTPStatus.NOT_FOUND: "check AINSIGHTS_BASE_URL and AINSIGHTS_PATH",
    HTTPStatus.METHOD_NOT_ALLOWED: "check AINSIGHTS_BASE_URL and AINSIGHTS_PATH",
}


def classify(outcome: Answer | Exception, now: datetime) -> Decision:
    """Return what follows from ``outcome``: an answer, or the exception that was raised instead."""
    if isinstance(outcome, Exception):
        remedy = getattr(outcome, "remedy", CHECK_NETWORK)
        affects_all = isinstance(outcome, OSError) and not _is_timeout(outcome)
        return Decision(Disposition.RETRY, _describe(outcome), remedy=remedy, affects_all=affects_all)
    status = outcome.status
    reason = _quote(outcome)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Decision(Disposition.DELIVERED)
    if status in _HELD:
        return Decision(Disposition.HELD, f"{reason}: {_HELD[HTTPStatus(status)]}", affects_all=True)
    if status in _RETRYABLE or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = retry_after(outcome.retry_after, now)
        return Decision(Disposition.RETRY, reason, wait, affects_all=status in _BUSY or wait is not None)
    if status >= HTTPStatus.BAD_REQUEST:
        return Decision(Disposition.REJECTED, reason)
    return Decision(
        Disposition.HELD, f"{reason}: redirects are not followed, check AINSIGHTS_BASE_URL", affects_all=True
    )


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, as a number or a date; None if it is neither."""
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


def back_off(failures: int, jitter: float) -> float:
    """Return the seconds to wait after a number of failures in a row: exponential, with full jitter.

    Args:
        failures: 1 or more.
        jitter: a random number from 0 to 1.
    """
    return jitter * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 16))


def _is_timeout(error: OSError) -> bool:
    return isinstance(error, TimeoutError)


def _describe(error: Exception) -> str:
    text = sanitize(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _quote(answer: Answer) -> str:
    text = sanitize(" ".join(_detail(answer).split()))[:LONGEST_ANSWER]
    return f"{answer.status} {text}" if text else str(answer.status)


def _detail(answer: Answer) -> str:
    """Return the ``detail`` of a problem document (RFC 9457), and of any other body all of it."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return answer.body
    return detail if isinstance(detail, str) and detail else answer.body
