"""Receipt: reports the outcome of an event to whoever waits for it."""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING

from ainsights._internal_errors import capture_internal_errors
from ainsights.errors import DeliveryError, RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._delivery.retry import Answer

_reporting = capture_internal_errors("reporting an outcome")


class Receipt:
    """Sets a future, once: the first outcome counts."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: Future[Answer] = Future()

    def on_answer(self, answer: Answer) -> None:
        """The endpoint has the event, rejected it, or rejects all events; not while it is only busy."""
        _report(lambda: self.future.set_result(answer))

    def on_dropped(self, why: str) -> None:
        """The event will never be sent."""
        self._fail(DeliveryError(why))

    def on_left(self, why: str) -> None:
        """This process does not deliver the event any more."""
        self._fail(RetryableError(why))

    def _fail(self, error: DeliveryError) -> None:
        _report(lambda: self.future.set_exception(error))


def _report(set_future: Callable[[], None]) -> None:
    """Set a future, whose callbacks are the user's: they may raise whatever they like, SystemExit included."""
    try:
        set_future()
    except InvalidStateError:
        return  # there was an outcome before, or the user cancelled it
    except BaseException as error:
        if not _reporting.caught(error):
            raise
