"""Running the local endpoint: in the main thread for the command line, or in a thread beside other work."""

from __future__ import annotations

import dataclasses
import errno
import secrets
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import uvicorn

from ainsights._base_url import is_loopback
from ainsights._listen import listen, url_of
from ainsights._logging import log_rate_limited
from ainsights.errors import ConfigurationError
from ainsights.server import backends
from ainsights.server.api import Service
from ainsights.server.app import MAX_BODY_BYTES, create_app
from ainsights.server.connections import Guard, max_connections, missing, protocol
from ainsights.server.keys import Authorization, check_key
from ainsights.server.options import Endpoint, Options
from ainsights.server.pages import Explorer, Site
from ainsights.server.pages.sessions import Sessions

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from ainsights.server.app import Application
    from ainsights.server.backends import Backend
    from ainsights.server.store import Store

__all__ = ["Endpoint", "Options", "is_loopback", "running", "serve"]

GRACE_SECONDS = 5
"""How long the end waits for requests that are under way."""

OWNER = "owner"
"""Who opens the printed link: whoever started the endpoint. The access log has this name."""

IDLE_SECONDS = 75
"""How long a connection without requests is kept: longer than clients do, so that theirs is the end that closes."""


SWITCH_SECONDS = 0.0003
"""How long a thread keeps the interpreter from others that wait for it.

A request waits for it several times; with Python's 5 ms, while the index is busy, 99% took up to 45 ms, and now 15 ms.
"""


class _Parts(NamedTuple):
    endpoint: Endpoint
    server: uvicorn.Server
    listener: socket.socket
    store: Store


def serve(options: Options, announce: Callable[[Endpoint], None]) -> str | None:
    """Run the endpoint in the main thread until SIGINT or SIGTERM.

    The first start makes a key that has every role, unless one is given.

    Args:
        options: how.
        announce: is called once it listens; the endpoint has a key if one was given or made just now.

    Returns:
        what happened to events that were answered 200 and are not on disk any more; None if all are.

    Raises:
        ConfigurationError: address, database or key cannot be used.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    absent = missing()
    if absent:
        message = "%s cannot be imported: the endpoint falls back to slower modules, and takes fewer requests a second."
        log_rate_limited("warning", "fallback", message, " and ".join(absent))
    store: Store | None = None
    with suppress(KeyboardInterrupt), _prepared(options) as parts:
        store = parts.store
        announce(parts.endpoint)
        parts.server.run(sockets=[parts.listener])
    return store.lost if store else None


@contextmanager
def running(options: Options) -> Iterator[Endpoint]:
    """Run the endpoint in a thread for the length of the ``with`` block; by default on a free loopback port.

    Without a key in ``options`` it has a new one each time, which is kept nowhere.

    Yields:
        the endpoint, which accepts connections.

    Raises:
        ConfigurationError: address, database or key cannot be used.
    """
    if options.api_key is None:
        options = dataclasses.replace(options, api_key=secrets.token_urlsafe(32))
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
    single = None if options.api_key is None else check_key(options.api_key)
    with (
        _listener(options.host, options.port) as listener,
        backends.opened(options) as backend,
        Service(backend.store, backend.engine) as service,
    ):
        first = backend.keys.first() if single is None else None
        guard, authorization = Guard(max_connections()), Authorization(backend.keys, single)
        explorer = _explorer(options, backend, service, authorization)
        max_body_bytes = options.max_body_bytes or MAX_BODY_BYTES
        app = create_app(service, authorization, max_body_bytes, guard, explorer, paths=options.paths)
        url = url_of(listener)
        link = f"{url}/login?token={explorer.site.sessions.link(OWNER, 'admin')}"
        endpoint = Endpoint(url, single or first or "", options.database, link, backend.store.name)
        yield _Parts(endpoint, _Server(_config(app, guard), service), listener, backend.store)


def _config(app: Application, guard: Guard) -> uvicorn.Config:
    absent = missing()
    return uvicorn.Config(
        app,
        loop="asyncio" if "uvloop" in absent else "uvloop",
        http=protocol(guard, in_c="httptools" not in absent),
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="critical",  # of the server itself; its connections have a log of their own
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _explorer(options: Options, backend: Backend, service: Service, authorization: Authorization) -> Explorer:
    sessions = Sessions(backend.session_secret)
    store, engine, views = backend.store, backend.engine, backend.views
    site = Site(store, engine, authorization, sessions, views, options.limits, is_sample=options.is_sample)
    return Explorer(site, service, options.allowed_hosts)


class _Server(uvicorn.Server):
    """Ends streams, which have no end of their own, before it waits for the requests that are under way."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._service.stopping.set()
        await super().shutdown(sockets)


def _listener(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"port {port}: in use on {host}; give another, or 0 for a free one"
            raise ConfigurationError(message) from error
        raise ConfigurationError(f"address {host}, port {port}: {error.strerror or error}") from error
