"""The connections of ``responses.connect()``: the lanes of each, and what one call of a connection sends."""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from ainsights._instrumentation.lanes import Lanes
from ainsights._instrumentation.socket_events import before_send, not_sent
from ainsights._internal_errors import capture_internal_errors

if TYPE_CHECKING:
    from ainsights._instrumentation.exchange import Exchange
    from ainsights._instrumentation.lanes import Uncaptured
    from ainsights._instrumentation.routes import Route

_watching = capture_internal_errors("watching a WebSocket")


class Recorder(Protocol):
    """Decides whether a call is captured."""

    def begin(self, client: Any, route: Route) -> Exchange | None:
        """Return the exchange that records this call, or None if it is not to be captured."""


class Connections:
    """Those of the process.

    Attributes:
        recorder: decides what is captured; None: nothing is.
    """

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self._clients: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        """The openai client of each socket."""
        self._lanes: weakref.WeakKeyDictionary[Any, Lanes] = weakref.WeakKeyDictionary()

    def begin(self, client: Any, route: Route) -> Exchange | None:
        """Return the exchange that records a call of ``client``, or None if it is not to be captured."""
        return self.recorder.begin(client, route) if self.recorder is not None else None

    def new_lanes(self, client: Any) -> Lanes:
        """Return lanes for what ``client`` sends."""
        return Lanes(functools.partial(self.begin, client), getattr(client, "base_url", None))

    def add_socket(self, socket: Any, client: Any) -> None:
        """Note whose socket it is."""
        self._clients[socket] = client

    def lanes_of(self, connection: Any) -> Lanes | None:
        """Return the lanes of a connection; None after a failure of ours."""
        with _watching:
            lanes = self._lanes.get(connection)
            if lanes is None:
                client = self._clients.get(connection._connection)  # noqa: SLF001  openai's
                lanes = self._lanes[connection] = self.new_lanes(client)
                lanes.watch(connection)
            return lanes
        return None


connections = Connections()


class Sending:
    """What one call sends: the message that it was given, or those that waited in the queue."""

    __slots__ = ("_begun", "_connection", "_lanes")

    def __init__(self, connection: Any, messages: list[Any], *, is_queue: bool) -> None:
        self._connection = connection
        self._begun: list[tuple[Any, Exchange | Uncaptured]] = []
        lanes = self._lanes = connections.lanes_of(connection)
        if lanes is None:
            return
        for message in messages:
            if is_queue and message is lanes.sending:
                continue
            exchange = before_send(lanes, message)
            if exchange is not None:
                self._begun.append((message, exchange))
        if not is_queue:
            lanes.sending = messages[0]

    def ended(self, error: BaseException | None = None) -> None:
        """Take back what was not sent: all that still waits in the queue, or the one message that ``error`` stopped."""
        lanes = self._lanes
        if lanes is None:
            return
        if lanes.sending is not None and self._begun and lanes.sending is self._begun[0][0]:
            lanes.sending = None
        if not self._begun and error is None:
            return
        waiting = queued(self._connection)
        for message, exchange in self._begun:
            if error is not None or any(each is message for each in waiting):
                not_sent(lanes, exchange)
        if error is not None:
            not_sent(lanes, None, error)


def queued(connection: Any) -> list[Any]:
    """Return the messages that wait to be sent."""
    with _watching:
        queue = connection._send_queue  # noqa: SLF001  openai's
        return [entry[0] for entry in queue._queue] if queue else []  # noqa: SLF001  openai's
    return []
