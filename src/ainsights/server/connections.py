"""Bounds on connections: how many, how long for headers and bodies, how large the headers.

Uvicorn has a time limit for idle connections between requests, and no other. The protocols here note when bytes arrive;
once a second a sweep ends what has taken too long.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.importer import import_from_string

from ainsights._logging import log_rate_limited
from ainsights.server.problems import Problem

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER_SECONDS = 20.0
"""From the connection, or the first byte of a request, to the end of its headers."""

BODY_IDLE_SECONDS = 20.0
"""Between two parts of a body."""

BODY_SECONDS = 300.0
"""For a whole body."""

WRITE_SECONDS = 60.0
"""Until a client has taken something of an answer that waits for it."""

MAX_HEADER_BYTES = 64 * 1024
MAX_CONNECTIONS = 4096
SWEEP_SECONDS = 1.0

RESERVED_DESCRIPTORS = 30
"""What the rest of the process may need beside those that are open at the start: readers of the store."""


def max_connections() -> int:
    """Return how many connections there may be, so that file descriptors are left for the rest of the process."""
    if resource is None:
        return MAX_CONNECTIONS
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    used = 32
    with suppress(OSError):
        used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  only counted
    return max(4, min(MAX_CONNECTIONS, limit - used - RESERVED_DESCRIPTORS))


class Guard:
    """Keeps the connections of one server within bounds."""

    def __init__(self, limit: int) -> None:
        self.stopping = False
        self._limit = limit
        self._connections: set[Any] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def opened(self, connection: Any) -> None:
        """Take on a connection; end the one that has been idle longest if there are too many."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.set_exception_handler(_log_loop_error)
            self._loop.call_later(SWEEP_SECONDS, self._sweep)
        self._connections.add(connection)
        if len(self._connections) <= self._limit:
            return
        idle = [each for each in self._connections if each is not connection and not each.is_busy()]
        log_rate_limited("warning", "connections", "More than %d connections: idle ones are closed.", self._limit)
        if idle:
            min(idle, key=lambda each: each.last_data).end(None)
        else:
            connection.end(Problem(503, "too many connections", headers={"Retry-After": "1"}))

    def closed(self, connection: Any) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def _sweep(self) -> None:
        assert self._loop  # noqa: S101  it schedules this
        self._loop.call_later(SWEEP_SECONDS, self._sweep)
        now = time.monotonic()
        for connection in list(self._connections):
            connection.check(now)


class BoundedConnection:
    """Mixed into a protocol of uvicorn. Of that it reads `transport` and `cycle`: the latest request, if any."""

    guard: ClassVar[Guard]
    transport: Any
    cycle: Any
    logger: Any

    def connection_made(self, transport: Any) -> None:
        """Start the clock for the first headers."""
        super().connection_made(transport)  # type: ignore[misc]
        self.logger = _ConnectionLog(self.guard)
        self.last_data = self.request_since = time.monotonic()
        self.header_since: float | None = self.last_data
        self.header_bytes = 0
        self.unsent = 0
        self.unsent_since = self.last_data
        self.guard.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self.guard.closed(self)
        super().connection_lost(error)  # type: ignore[misc]

    def data_received(self, data: bytes) -> None:
        """Note when what arrived, and pass it on."""
        before, is_body = self.cycle, self._receives_body()
        self.last_data = time.monotonic()
        super().data_received(data)  # type: ignore[misc]
        if self.cycle is not before:
            self.header_since, self.header_bytes = None, 0
            self.request_since = self.last_data
        elif not is_body:
            self.header_since = self.header_since or self.last_data
            self.header_bytes += len(data)
            if self.header_bytes > MAX_HEADER_BYTES:
                self.end(Problem(431, f"the headers are larger than {MAX_HEADER_BYTES} bytes"))

    def send_400_response(self, message: str) -> None:
        """Answer what is not HTTP, as uvicorn does, with a problem document."""
        self.end(Problem(400, message))

    def is_busy(self) -> bool:
        """Whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def _receives_body(self) -> bool:
        """Whether what arrives is body; for uvicorn, so is the rest that follows an early answer."""
        return self.cycle is not None and bool(self.cycle.more_body)

    def check(self, now: float) -> None:
        """End the connection if it has taken too long for something."""
        if self._receives_body():
            if now - self.request_since > BODY_SECONDS or (self.is_busy() and now - self.last_data > BODY_IDLE_SECONDS):
                self.end(Problem(408, "the body took too long to arrive") if self.is_busy() else None)
        elif not self.is_busy() and self.header_since is not None and now - self.header_since > HEADER_SECONDS:
            self.end(Problem(408, "the headers took too long to arrive") if self.header_bytes else None)
        self._check_reader(now)

    def end(self, problem: Problem | None) -> None:
        """Close the connection, with an answer or without."""
        if self.transport.is_closing():
            return
        if problem and not (self.cycle is not None and self.is_busy() and self.cycle.response_started):
            self.transport.write(problem.raw())
        self.transport.close()

    def _check_reader(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self.unsent:
            self.unsent, self.unsent_since = unsent, now
        elif now - self.unsent_since > WRITE_SECONDS:
            self.transport.abort()


class _ConnectionLog:
    """What uvicorn's protocols log to: at most a line a minute of each kind, none about requests that the end cuts."""

    level = 30

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def warning(self, message: str, *args: object) -> None:
        log_rate_limited("warning", message, message, *args)

    def error(self, message: str, *args: object, exc_info: BaseException | None = None) -> None:
        if not self._guard.stopping:
            log_rate_limited("error", message, message.strip(), *args, error=exc_info)

    def log(self, *_: object) -> None:
        """Uvicorn's trace."""


def protocol(guard: Guard, *, in_c: bool) -> type[asyncio.Protocol]:
    """Return the class of the server's connections.

    Args:
        guard: what keeps them within bounds.
        in_c: whether HTTP is parsed by httptools, else by h11.
    """
    name = "httptools_impl.HttpToolsProtocol" if in_c else "h11_impl.H11Protocol"
    base = import_from_string(f"uvicorn.protocols.http.{name.replace('.', ':')}")
    return type("Connection", (BoundedConnection, base), {"guard": guard})


def missing(names: Iterable[str] = ("uvloop", "httptools")) -> list[str]:
    """Return which of the fast modules cannot be imported."""
    return [name for name in names if find_spec(name) is None]


def _log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    message = str(context.get("message", "error in the event loop"))
    log_rate_limited("error", f"loop {message}"[:80], "%s: %s", message, error)
