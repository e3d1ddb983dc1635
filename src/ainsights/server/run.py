"""Running the local endpoint: in the main thread for the command line, or in a thread beside other work."""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import secrets
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import uvicorn

from ainsights._listen import listen, url_of
from ainsights._logging import log_rate_limited
from ainsights.errors import ConfigurationError
from ainsights.server import files
from ainsights.server.api import Service
from ainsights.server.app import MAX_BODY_BYTES, create_app
from ainsights.server.connections import Guard, max_connections, missing, protocol
from ainsights.server.embedded import EmbeddedEngine
from ainsights.server.index import Index, IndexOptions
from ainsights.server.keys import Authorization, KeyFile, check_key
from ainsights.server.pages import Explorer, Site
from ainsights.server.pages.saved_views import SavedViews
from ainsights.server.pages.sessions import Sessions
from ainsights.server.store import Limits, SQLiteStore

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

GRACE_SECONDS = 5
"""How long the end waits for requests that are under way."""

START_SECONDS = 2.0
"""How long the start waits for the index; a large one that is built anew goes on while the endpoint serves."""

UNLIMITED = Limits()

OWNER = "owner"
"""Who opens the printed link: whoever started the endpoint. The access log has this name."""

IDLE_SECONDS = 75
"""How long a connection without requests is kept: longer than clients do, so that theirs is the end that closes."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run the endpoint.

    Attributes:
        database: the SQLite file; made if it is not there.
        host: the address to listen on.
        port: 0 takes a free one.
        api_key: one that has every role, beside those of the key file; None: only those.
        max_body_bytes: a larger body is answered 413; None means 16 MiB.
        limits: how long and how much is kept.
        audit_key_file: where the key of the hash chain is kept; None: beside the database.
        allowed_hosts: host names under which browsers may reach the pages, beside addresses and ``localhost``.
        is_sample: whether what is stored is a generated sample, as the pages say then.
        on_index_progress: called while the index is built anew, with the done part, 0 to 1, on any thread.
    """

    database: Path
    host: str = "127.0.0.1"
    port: int = 0
    api_key: str | None = None
    max_body_bytes: int | None = None
    limits: Limits = UNLIMITED
    audit_key_file: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    is_sample: bool = False
    on_index_progress: Callable[[float], None] | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A local Insights endpoint that accepts connections.

    Attributes:
        url: where.
        api_key: one that has every role; empty where none is known, since only hashes are kept.
        database: the SQLite file.
        explorer: a link to the pages that signs a browser in, once, within ten minutes.
    """

    url: str
    api_key: str
    database: Path
    explorer: str = ""


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
    absent = missing()
    if absent:
        message = "%s cannot be imported: the endpoint falls back to slower modules, and takes fewer requests a second."
        log_rate_limited("warning", "fallback", message, " and ".join(absent))
    store = _store(options)
    with suppress(KeyboardInterrupt), _prepared(options, store) as parts:
        announce(parts.endpoint)
        parts.server.run(sockets=[parts.listener])
    return store.lost


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
    with _prepared(options, _store(options)) as parts:
        thread = threading.Thread(
            target=parts.server.run, kwargs={"sockets": [parts.listener]}, name="ainsights-server", daemon=True
        )
        thread.start()
        try:
            yield parts.endpoint
        finally:
            parts.server.should_exit = True
            thread.join()


def _store(options: Options) -> SQLiteStore:
    return SQLiteStore(options.database, options.limits, options.audit_key_file)


@contextmanager
def _prepared(options: Options, store: SQLiteStore) -> Iterator[_Parts]:
    single = None if options.api_key is None else check_key(options.api_key)
    key_file = KeyFile(options.database)
    with _listener(options.host, options.port) as listener, store, _service(options, store) as service:
        first = key_file.first() if single is None else None
        guard, authorization = Guard(max_connections()), Authorization(key_file, single)
        explorer = _explorer(options, service, authorization)
        absent = missing()
        config = uvicorn.Config(
            create_app(service, authorization, options.max_body_bytes or MAX_BODY_BYTES, guard, explorer),
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
        url = url_of(listener)
        link = f"{url}/login?token={explorer.site.sessions.link(OWNER, 'admin')}"
        endpoint = Endpoint(url, single or first or "", options.database, link)
        yield _Parts(endpoint, _Server(config, service), listener)


def _explorer(options: Options, service: Service, authorization: Authorization) -> Explorer:
    sessions = Sessions(secrets.token_bytes(32))
    views = SavedViews(options.database)
    store, engine = service.store, service.engine
    site = Site(store, engine, authorization, sessions, views, options.limits, is_sample=options.is_sample)
    return Explorer(site, service, options.allowed_hosts)


@contextmanager
def _service(options: Options, store: SQLiteStore) -> Iterator[Service]:
    directory = store.path.with_suffix(".index")
    files.check_our_directory(directory, "index directory")
    index = Index(store, directory, IndexOptions(progress=options.on_index_progress))
    with index, Service(store, index, EmbeddedEngine(index, store), store.path.absolute().parent) as service:
        index.wait(START_SECONDS)
        yield service


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
