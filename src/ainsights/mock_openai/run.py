"""Running the server: on a thread of this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.config import WS_PROTOCOLS

from ainsights._listen import listen, url_of
from ainsights.mock_openai.app import create_app
from ainsights.mock_openai.connection import Connection
from ainsights.mock_openai.request_log import RequestLog

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

GRACE_SECONDS = 0.3
"""How long the end waits for answers that are under way. Those that hang by their script never end by themselves."""

IDLE_SECONDS = 75
"""How long a connection without requests is kept: longer than clients do, so that theirs is the end that closes."""

_WEBSOCKETS = "websockets-sansio"
"""What serves WebSockets, where the package ``websockets`` is there, which openai's clients need for them too."""


@dataclass(frozen=True, slots=True)
class Server:
    """A mock server on a thread of this process.

    Attributes:
        url: ``http://127.0.0.1:PORT``; Azure's clients take it as their endpoint.
        requests: what it received.
    """

    url: str
    requests: RequestLog
    _server: uvicorn.Server
    _thread: threading.Thread

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"{self.url}/v1"

    def stop(self) -> None:
        """Stop within a second, also while requests hang; they end with a broken connection. Twice is harmless."""
        self._server.should_exit = True
        self._thread.join()


@contextmanager
def serving(host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """Run a server on a thread for the length of the ``with`` block.

    Args:
        host: the address to listen on.
        port: 0 takes a free one.

    Yields:
        the server, which accepts connections.

    Raises:
        OSError: the address cannot be used.
    """
    requests = RequestLog()
    with closing(listen(host, port)) as listener:
        core = _server(requests)
        thread = threading.Thread(target=lambda: core.run([listener]), name="ainsights-mock-openai", daemon=True)
        server = Server(url_of(listener), requests, core, thread)
        thread.start()
        try:
            yield server
        finally:
            server.stop()


def serve(host: str, port: int, announce: Callable[[str], None]) -> None:
    """Run a server in the main thread until SIGINT or SIGTERM. ``announce`` gets its base URL once it listens.

    Raises:
        OSError: the address cannot be used.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with suppress(KeyboardInterrupt), closing(listen(host, port)) as listener:
            announce(f"{url_of(listener)}/v1")
            _server(RequestLog()).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, before)


class _Server(uvicorn.Server):
    """Breaks what still hangs when its grace is over; uvicorn would wait for it, or cancel and complain."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._break)
        await super().shutdown(sockets)

    def _break(self) -> None:
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()


def _server(requests: RequestLog) -> _Server:
    options: dict[str, Any] = {
        "http": Connection,
        "loop": "asyncio",
        "lifespan": "off",
        "ws": _WEBSOCKETS if find_spec("websockets") and _WEBSOCKETS in WS_PROTOCOLS else "none",
        "access_log": False,
        "log_config": None,
        "log_level": "warning",
        "proxy_headers": False,
        "server_header": False,
        "date_header": False,
        "timeout_keep_alive": IDLE_SECONDS,
    }
    return _Server(uvicorn.Config(create_app(requests), **options))
