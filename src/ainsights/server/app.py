"""The endpoint as one ASGI application: ingestion on its own short way, everything else by FastAPI."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import Match

from ainsights._base_url import DEFAULT_PATH
from ainsights._logging import log_rate_limited
from ainsights._version import __version__
from ainsights.errors import ConfigurationError
from ainsights.server import error_handlers, problems
from ainsights.server.api import add_routes
from ainsights.server.ingest import IngestRoute, openapi
from ainsights.server.keys import Role
from ainsights.server.keys.dependency import KeyDependency
from ainsights.server.problems import Problem
from ainsights.server.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ainsights.server.api import Service
    from ainsights.server.connections import Guard
    from ainsights.server.keys import Authorization
    from ainsights.server.pages import Explorer
    from ainsights.server.store import Store

MAX_BODY_BYTES = 16 * 2**20
"""Twice what the client sends at the most by default."""


class Application:
    """Passes each request to ingestion, to the Explorer's pages, or to FastAPI."""

    def __init__(
        self,
        paths: Sequence[str],
        ingest: IngestRoute,
        api: FastAPI,
        explorer: Explorer | None = None,
        guard: Guard | None = None,
    ) -> None:
        self.api = api
        self._paths = frozenset(map(unquote, paths))
        self._explorer = explorer
        self._ingest = ingest
        self._guard = guard

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Handle one request."""
        try:
            if scope["type"] == "http" and scope["path"] in self._paths:
                await self._ingest(scope, receive, send)
            else:
                await self._api(scope, receive, send)
        except asyncio.CancelledError:  # the server ends, and doesn't wait any longer
            if self._guard:
                self._guard.stopping = True
            await Problem(503, "the endpoint is shutting down", close=True).send(send)

    async def _api(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        started = False

        async def noting_send(message: Any) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if self._explorer and scope["type"] == "http" and self._explorer.serves(scope["path"]):
                await self._explorer(scope, receive, noting_send)
            else:
                await self.api(scope, receive, noting_send)
        except asyncio.CancelledError:
            if not started:
                raise
            if self._guard:
                self._guard.stopping = True
        except Exception as error:
            cause = error if isinstance(error, StoreError) else error.__cause__
            if not started or not isinstance(cause, StoreError):
                raise
            # the connection is closed within the answer, so that the client knows that it is not whole
            log_rate_limited("error", "answer cut off", "An answer is cut off: %s", cause)


def create_app(  # noqa: PLR0913  what it is put together from
    service: Service,
    authorization: Authorization,
    max_body_bytes: int = MAX_BODY_BYTES,
    guard: Guard | None = None,
    explorer: Explorer | None = None,
    *,
    paths: Sequence[str] = (DEFAULT_PATH,),
) -> Application:
    """Return the endpoint as an ASGI application. Store and index are open while it serves; the caller owns them.

    Args:
        service: store, index, and the threads that read them.
        authorization: who may do what.
        max_body_bytes: a larger body is answered 413.
        guard: learns that the server is ending.
        explorer: the pages; None: there are none.
        paths: where insights are taken.

    Raises:
        ConfigurationError: one of the paths has something else already.
    """
    api = FastAPI(
        title="ainsights: local Insights endpoint",
        version=__version__,
        openapi_url=None,  # served below, with a key
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    store = service.store
    reader, admin = (KeyDependency(authorization, role, store.log_access) for role in (Role.READ, Role.ADMIN))
    add_routes(api, service, reader, admin)
    _add_health(api, store)
    error_handlers.install(api, authorization, paths)

    @api.get("/openapi.json", dependencies=[Depends(reader)], include_in_schema=False)
    def document() -> dict[str, Any]:
        return _document(api, reader, paths)

    _check_paths(paths, api, explorer)
    return Application(paths, IngestRoute(store, authorization, max_body_bytes), api, explorer, guard)


def _check_paths(paths: Sequence[str], api: FastAPI, explorer: Explorer | None) -> None:
    for path in paths:
        scope = {"type": "http", "method": "PUT", "path": unquote(path), "root_path": "", "headers": []}
        is_route = any(route.matches(scope)[0] is not Match.NONE for route in api.routes)
        if is_route or (explorer is not None and explorer.serves(unquote(path))):
            raise ConfigurationError(
                f"path {path}: the endpoint has something else there; give another, such as /voice"
            )


def _add_health(api: FastAPI, store: Store) -> None:
    @api.get("/health", responses=problems.documented(503))
    async def health() -> dict[str, str]:
        """Whether insights can be stored. Needs no key."""
        if store.problem is not None:
            raise Problem(503, "insights cannot be stored at the moment; the endpoint's log has the reason")
        return {"status": "ok"}


def _document(api: FastAPI, reader: KeyDependency, paths: Sequence[str]) -> dict[str, Any]:
    if api.openapi_schema is None:
        document = get_openapi(title=api.title, version=api.version, routes=api.routes)
        openapi.describe(document, [{reader.scheme_name: []}], paths)
        api.openapi_schema = document
    return api.openapi_schema
