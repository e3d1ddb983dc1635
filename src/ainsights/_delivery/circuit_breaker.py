"""CircuitBreaker: stops all requests while the endpoint fails, and lets one at a time probe whether it works again.

Pure: its owner holds a lock, and passes the time of one monotonic clock, in seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ainsights._delivery.retry import Disposition, back_off

if TYPE_CHECKING:
    from ainsights._delivery.retry import Decision

LEAST_JITTER = 0.1
"""A probe always waits for this share of its back-off: all events wait for it, so none is in a hurry."""


class CircuitBreaker:
    """``closed``: requests pass. ``open``: none does until ``retry_at``. ``half_open``: one probe is under way.

    A probe that never reports back is given up after a while, and the next one may go out.
    """

    FAILURE_THRESHOLD = 3
    """Requests in a row that may fail, each for a reason of its own, before the breaker opens."""

    def __init__(self) -> None:
        self.state: Literal["closed", "open", "half_open"] = "closed"
        self.reason: Decision | None = None
        """Why the breaker is not closed."""
        self.retry_at = 0.0
        """When the next request is allowed."""
        self._opened_at = 0.0
        self._failed_probes = 0
        self._failures_in_a_row = 0

    def allow_request(self, now: float) -> bool:
        """Return whether a request may be sent now."""
        return now >= self.retry_at

    def on_request(self, now: float, timeout: float) -> None:
        """Note that an allowed request is sent, whose outcome is known after ``timeout`` seconds at the latest."""
        if self.state != "closed":
            self.state = "half_open"
            self.retry_at = now + timeout

    def on_success(self, sent_at: float) -> None:
        """Close, unless the request was sent before the endpoint began to refuse everything."""
        self._failures_in_a_row = 0
        if self.reason is None or not self.reason.affects_all or sent_at >= self._opened_at:
            self.state = "closed"
            self.reason = None
            self.retry_at = 0.0
            self._failed_probes = 0

    def on_failure(self, decision: Decision, sent_at: float, now: float, jitter: float) -> None:
        """Open if ``decision`` affects all events, or failures repeat. Requests that fail together count as one."""
        self._failures_in_a_row += 1
        isolated = not decision.affects_all and self._failures_in_a_row < self.FAILURE_THRESHOLD
        if self.state == "closed" and isolated:
            return
        if self.state == "closed" or sent_at >= self._opened_at:
            self._failed_probes += 1
            self._opened_at = now
            asked, delay = decision.wait, back_off(self._failed_probes, max(jitter, LEAST_JITTER))
            self.retry_at = now + (delay if asked is None else asked)
            self.state = "open"
        elif decision.wait is not None:
            self.retry_at = max(self.retry_at, now + decision.wait)
        self.reason = decision

    def expedite(self, now: float) -> None:
        """Allow a probe at once, unless the endpoint named a time itself, or a setting has to be corrected first."""
        if self.reason is not None and self.reason.wait is None and self.reason.disposition is Disposition.RETRY:
            self.retry_at = now
