"""EventDropped: an event that must not be sent, because a step that makes it fit to be sent failed."""

from __future__ import annotations

from typing import Literal


class EventDropped(Exception):  # noqa: N818  a verdict, like Held
    """The event is dropped.

    Its text goes to the log, so it names the place of the failure and never quotes the message, which may quote the
    event.
    """

    def __init__(self, reason: Literal["redact", "before_send", "too_large"], problem: str) -> None:
        super().__init__(f"{problem}: the event was dropped, not sent")
        self.reason = reason


def place_of(error: BaseException) -> str:
    """Return the type of ``error`` and the innermost line that raised it, without its message."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}{place}"
