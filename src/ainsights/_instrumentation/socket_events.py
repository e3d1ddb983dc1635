"""What happens on a WebSocket, recorded in its lanes: nothing of it reaches the user's call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights._internal_errors import capture_internal_errors

if TYPE_CHECKING:
    from ainsights._instrumentation.exchange import Exchange
    from ainsights._instrumentation.lanes import Lanes, Uncaptured

_sending = capture_internal_errors("recording a message that is sent")
_receiving = capture_internal_errors("recording a message that came")
_ending = capture_internal_errors("recording the end of a WebSocket")


def before_send(lanes: Lanes, message: Any) -> Exchange | Uncaptured | None:
    """Record a message that is about to be sent."""
    with _sending:
        return lanes.before_send(message)
    return None


def not_sent(lanes: Lanes, exchange: Exchange | Uncaptured | None, error: BaseException | None = None) -> None:
    """Record that a message was not sent: it waits in a queue, or ``error`` kept it back."""
    with _sending:
        if exchange is not None:
            lanes.withdraw(exchange)
        if error is not None:
            lanes.on_error(error)


def received(lanes: Lanes, message: Any) -> None:
    """Record a message that came."""
    try:
        lanes.on_message(message)
    except Exception as error:
        if not _receiving.caught(error):
            raise


def dropped(lanes: Lanes, error: BaseException) -> None:
    """Record the exception that came instead of a message."""
    with _ending:
        lanes.on_error(error)


def closed(lanes: Lanes) -> None:
    """Record that the program closes the socket."""
    with _ending:
        lanes.end_all("closed")
