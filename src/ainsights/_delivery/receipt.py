"""Receipt: tells somebody who waits what became of their event."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING

from ainsights._delivery.retry import Answer, Disposition
from ainsights.errors import DeliveryError, RetryableError

if TYPE_CHECKING:
    from ainsights._delivery.retry import Decision


class Receipt:
    """The first word counts: an answer, or why there is none. Whether the future was cancelled matters to nobody."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: Future[Answer] = Future()

    def judged(self, decision: Decision, outcome: Answer | Exception) -> None:
        """Resolve the future with the endpoint's answer; not while the event is still tried."""
        if decision.disposition is not Disposition.RETRY and isinstance(outcome, Answer):
            with contextlib.suppress(InvalidStateError):
                self.future.set_result(outcome)

    def dropped(self, why: str) -> None:
        """Tell that the event will never be sent."""
        self._fail(DeliveryError(why))

    def left(self, why: str) -> None:
        """Tell that the event was not delivered while this process looked after it."""
        self._fail(RetryableError(why))

    def _fail(self, error: DeliveryError) -> None:
        with contextlib.suppress(InvalidStateError):
            self.future.set_exception(error)
