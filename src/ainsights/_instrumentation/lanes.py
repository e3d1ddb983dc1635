"""Lanes: the exchanges on one WebSocket of the Responses API.

Messages of the server belong to the response that was created last, and end with it. A client that sends several
requests at a time names a lane in each, its ``stream_id``, which the server repeats.
"""

from __future__ import annotations

import functools
import re
import sys
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from ainsights._instrumentation.routes import WEBSOCKET
from ainsights._instrumentation.tail import CHUNK_OVERHEAD
from ainsights._internal_errors import capture_internal_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._instrumentation.exchange import Ending, Exchange
    from ainsights._instrumentation.routes import Route

_CREATE = re.compile(r'"type"\s*:\s*"response\.(create|steer)"')
_CREATE_BYTES = re.compile(_CREATE.pattern.encode())
_TYPE = re.compile(rb'\s*\{\s*"type"\s*:\s*"([a-z_.]+)"')
_STREAM_ID = re.compile(rb'"stream_id"\s*:\s*"([^"\\]*)"')
_TERMINAL = frozenset(
    [b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled", b"error"]
)
_CREATED = b"response.created"
_SWITCHED = 101
"""The status of HTTP of a WebSocket."""
_LOST = frozenset(["ConnectionClosed", "ConnectionClosedError", "ConnectionClosedOK", "EOFError"])
"""The names of the exceptions by which a socket reports that it was dropped; others, as a timeout, leave it usable."""

_ending = capture_internal_errors("recording the end of a WebSocket")


class Uncaptured:
    """Stands for the exchange of a request that is not to be captured, whose answer takes its turn all the same."""


class _Lane:
    """What was sent and is not created yet, and the exchange whose response is under way."""

    __slots__ = ("current", "is_busy", "note", "room", "steers", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Exchange | Uncaptured] = deque()
        self.steers: deque[Any] = deque()
        """Messages that steered a response: what follows goes on from one of them, without a request of its own."""
        self.current: Exchange | None = None
        self.is_busy = False
        """Whether a response is under way, captured or not."""
        self.room = 0
        self.note: Callable[[bytes], object] = _ignore


class Lanes:
    """What goes on over one socket.

    Args:
        begin: returns the exchange that records a call by a route, or None if it is not to be captured.
        base_url: of the client, if it is known.
    """

    def __init__(self, begin: Callable[[Route], Exchange | None], base_url: Any) -> None:
        self._begin = begin
        self._base_url = base_url
        self._lanes: dict[bytes | None, _Lane] = {None: _Lane()}
        self._finalizer: weakref.ref[Any] | None = None
        self.sending: Any = None
        """The message that the program is about to send, which may have to wait in a queue first."""

    def watch(self, socket: Any) -> None:
        """End all exchanges when ``socket`` is collected, which nobody closed."""
        self._finalizer = weakref.ref(socket, functools.partial(_collected, self))
        _watched.add(self)  # a reference that is collected itself calls nobody

    # What is sent

    def before_send(self, message: Any) -> Exchange | Uncaptured | None:
        """Record a message that is about to be sent, and return its exchange if it asks for a response."""
        found = (_CREATE if isinstance(message, str) else _CREATE_BYTES).search(message)
        if found is None:
            return None
        data = message.encode() if isinstance(message, str) else bytes(message)
        lane = self._lane(data, known=False)
        if found[1] in {"steer", b"steer"}:
            lane.steers.append(data)
            return None
        exchange = self._exchange(data) or Uncaptured()
        lane.waiting.append(exchange)
        return exchange

    def withdraw(self, exchange: Exchange | Uncaptured) -> None:
        """Forget an exchange whose message was not sent."""
        for lane in self._lanes.values():
            if exchange in lane.waiting:
                lane.waiting.remove(exchange)
                if not isinstance(exchange, Uncaptured):
                    exchange.attempts = 0  # so that it ends without an event
                    exchange.end("closed")

    def _exchange(self, data: bytes) -> Exchange | None:
        exchange = self._begin(WEBSOCKET)
        if exchange is not None:
            exchange.attempts = 1
            exchange.request_body = data
            exchange.status_code = _SWITCHED
            exchange.url = None if self._base_url is None else f"{self._base_url}responses"
            exchange.on_open()
        return exchange

    # What comes

    def on_message(self, message: Any) -> None:
        """Record a message that came."""
        data = message.encode() if isinstance(message, str) else message
        kind = _type_of(data)
        lane = self._lane(data, known=True)
        if kind == _CREATED or (not lane.is_busy and lane.waiting):
            self._start(lane)
        exchange = lane.current
        if kind in _TERMINAL:
            lane.is_busy, lane.current = False, None
        if exchange is None:
            return
        lane.room -= len(data) + CHUNK_OVERHEAD
        if lane.room < 0:
            self._make_room(lane, exchange, -lane.room)
        lane.note(data)
        if kind in _TERMINAL:
            exchange.end("complete")

    def _start(self, lane: _Lane) -> None:
        before = lane.current
        if before is not None:
            before.end("complete")
        following: Exchange | Uncaptured | None = None
        if lane.waiting:
            following = lane.waiting.popleft()
        elif lane.steers:
            following = self._exchange(lane.steers.popleft())
        lane.current = None if isinstance(following, Uncaptured) else following
        lane.is_busy, lane.room = True, 0

    def _make_room(self, lane: _Lane, exchange: Exchange, missing: int) -> None:
        left = exchange.reserve(missing)
        if left is not None and exchange.chunks is not None:
            lane.note, lane.room = exchange.chunks.append, left
        else:
            lane.note, lane.room = _ignore if exchange.tail is None else exchange.tail.append, sys.maxsize

    def _lane(self, data: bytes, *, known: bool) -> _Lane:
        """Return the lane of a message; most programs have one, and their messages are not searched for its name."""
        if known and len(self._lanes) == 1:
            return self._lanes[None]
        found = _STREAM_ID.search(data) if b'"stream_id"' in data else None
        name = found[1] if found is not None else None
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane()
        return lane

    # Ends

    def on_error(self, error: BaseException) -> None:
        """End all exchanges, if ``error`` means that the socket was dropped."""
        if type(error).__name__ not in _LOST and not isinstance(error, (OSError, EOFError)):
            return
        if isinstance(error, TimeoutError):
            return
        for exchange in self._taken():
            exchange.on_stream_end(error)

    def end_all(self, ending: Ending) -> None:
        """End all exchanges."""
        for exchange in self._taken():
            exchange.end(ending)

    def _taken(self) -> list[Exchange]:
        taken: list[Exchange] = []
        for lane in tuple(self._lanes.values()):
            open_ones = [lane.current, *lane.waiting]
            taken += [each for each in open_ones if each is not None and not isinstance(each, Uncaptured)]
            lane.is_busy, lane.current = False, None
            lane.waiting.clear()
        return taken


_watched: set[Lanes] = set()


def _collected(lanes: Lanes, _socket: object) -> None:
    _watched.discard(lanes)
    with _ending:
        lanes.end_all("collected")


def _type_of(data: bytes) -> bytes:
    """Return the type of a message: what it begins with, in the form in which the API sends it."""
    found = _TYPE.match(data)
    if found is not None:
        return found[1]
    try:
        value = from_json(data)
    except ValueError:
        return b""
    return str(value.get("type")).encode() if isinstance(value, dict) else b""


def _ignore(_message: bytes) -> None:
    """Keep nothing."""
