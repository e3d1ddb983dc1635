"""Running the local endpoint: in the main thread for the command line, or in a thread beside other work."""

from __future__ import annotations

import errno
import ipaddress
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import uvicorn

from ainsights._listen import listen, url_of
from ainsights.errors import ConfigurationError
from ainsights.server import keys
from ainsights.server.app import MAX_BODY_BYTES, create_app
from ainsights.server.store import SQLiteStore

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

GRACE_SECONDS = 5
"""How long the end waits for requests that are under way."""

IDLE_SECONDS = 75
"""How long a connection without requests is kept: longer than clients do, so that theirs is the end that closes."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run the endpoint.

    Attributes:
        database: the SQLite file; made if it is not there.
        host: the address to listen on.
        port: 0 takes a free one.
        api_key: None takes the one that is kept beside the database, or makes one.
        max_body_bytes: a larger body is answered 413; None means 16 MiB.
    """

    database: Path
    host: str = "127.0.0.1"
    port: int = 0
    api_key: str | None = None
    max_body_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A local Insights endpoint that accepts connections."""

    url: str
    api_key: str
    database: Path


class _Parts(NamedTuple):
    endpoint: Endpoint
    server: uvicorn.Server
    listener: socket.socket


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``, as far as its name tells."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(options: Options, announce: Callable[[Endpoint], None]) -> None:
    """Run the endpoint in the main thread until SIGINT or SIGTERM. ``announce`` is called once it listens.

    Raises:
        ConfigurationError: address, database or key cannot be used.
        KeyboardInterrupt: a signal ended it; SIGTERM too, if its handler raises this as that of SIGINT does.
    """
    with _prepared(options) as parts:
        announce(parts.endpoint)
        parts.server.run(sockets=[parts.listener])


@contextmanager
def running(options: Options) -> Iterator[Endpoint]:
    """Run the endpoint in a thread for the length of the ``with`` block; by default on a free loopback port.

    Yields:
        the endpoint, which accepts connections.

    Raises:
        ConfigurationError: address, database or key cannot be used.
    """
    with _prepared(options) as parts:
        thread = threading.Thread(
            target=parts.server.run, kwargs={"sockets": [parts.listener]}, name="ainsights-server", daemon=True
        )
        thread.start()
        try:
            yield parts.endpoint
        finally:
            parts.server.should_exit = True
            thread.join()


@contextmanager
def _prepared(options: Options) -> Iterator[_Parts]:
    given = None if options.api_key is None else keys.checked(options.api_key)
    with _listener(options.host, options.port) as listener, SQLiteStore(options.database) as store:
        key = given or keys.kept(options.database)
        config = uvicorn.Config(
            create_app(store, key, options.max_body_bytes or MAX_BODY_BYTES),
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        yield _Parts(Endpoint(url_of(listener), key, options.database), uvicorn.Server(config), listener)


def _listener(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"port {port}: in use on {host}; give another, or 0 for a free one"
            raise ConfigurationError(message) from error
        raise ConfigurationError(f"address {host}, port {port}: {error.strerror or error}") from error
