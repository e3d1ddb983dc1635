"""The Explorer as an ASGI application: who may see what, which page answers, and what a browser may do with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from ainsights._logging import log_rate_limited
from ainsights.server.pages import guard, login, static
from ainsights.server.pages.links import Links
from ainsights.server.pages.live_stream import LiveStreams
from ainsights.server.pages.routes import ACTIONS, LONG, SECTIONS, find_handler
from ainsights.server.pages.sessions import COOKIE, Session
from ainsights.server.pages.site import KEPT, OWN, Visit, shell
from ainsights.server.pages.view import render
from ainsights.server.problems import Problem
from ainsights.server.query import Query, QueryError, parse_params
from ainsights.server.query.engine import IndexUnavailableError
from ainsights.server.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from ainsights.server.api import Service
    from ainsights.server.pages.site import Site

    Send = Callable[[Any], Awaitable[None]]
    Receive = Callable[[], Awaitable[Any]]

MAX_FORM_BYTES = 64 * 1024
MAX_LOGGED = 1000
LOGIN = "/ui/login"
NO_STORE = "no-store"


class Explorer:
    """Serves every path of :func:`Explorer.serves`.

    Args:
        site: the services that answer the pages.
        service: the threads that answer, and when the server begins to end: live updates stop then.
        allowed_hosts: host names, beside addresses and ``localhost``, under which browsers may reach the pages.
    """

    def __init__(self, site: Site, service: Service, allowed_hosts: Collection[str] = ()) -> None:
        self.site = site
        self._service = service
        self._allowed_hosts = allowed_hosts
        self._streams = LiveStreams(site, service)

    @staticmethod
    def serves(path: str) -> bool:
        """Return whether ``path`` is one of ours."""
        return path in ("/", "/ui", "/login") or path.startswith("/ui/")

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        response = await self._answer(request)
        for name, value in guard.HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", NO_STORE)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        refused = self._refuse(request)
        path = request.url.path
        if refused:
            return refused
        if path.startswith(static.PREFIX):
            return static.answer(path)
        if path in ("/", "/ui"):
            return RedirectResponse("/ui/", 307)
        if path in ("/login", LOGIN):
            return await self._login(request)
        session = self._session(request)
        if session:
            return await self._page(request, session)
        wanted = path + (f"?{request.url.query}" if request.url.query else "")
        return login.form(HTTPStatus.UNAUTHORIZED, wanted if request.method == "GET" else "/ui/")

    def _refuse(self, request: Request) -> Response | None:
        """Return the answer to a request that no page of ours sent a browser to."""
        if not guard.is_known_host(request.headers.get("host"), self._allowed_hosts):
            return _plain(421, "unknown host name: start the endpoint with --allowed-host NAME to use this one")
        if request.method not in ("GET", "HEAD", "POST"):
            return _plain(405, "the pages take GET and POST")
        if not guard.is_same_origin(request.method, request.headers):
            return _plain(403, "the request does not come from a page of this endpoint")
        return None

    async def _login(self, request: Request) -> Response:
        params = dict(request.query_params)
        if request.method == "POST":
            address = request.client.host if request.client else ""
            return login.with_key(self.site, await _form(request), address, is_https=request.url.scheme == "https")
        if "token" in params:
            return login.with_link(self.site, params["token"], is_https=request.url.scheme == "https")
        return login.form()

    def _session(self, request: Request) -> Session | None:
        session = self.site.sessions.read(request.cookies.get(COOKIE))
        if session is None or not session.digest:
            return session
        return session if self.site.authorization.find(session.digest) else None

    async def _page(self, request: Request, session: Session) -> Response:
        visit, error = _visit(self.site, request, session)
        if error is not None:
            return _wrong_query(visit, error, request.query_params.get("q", ""))
        if visit.path == "/ui/stream":
            return self._streams.response(visit.query.filter)
        handler = find_handler(visit.path, ACTIONS if request.method == "POST" else None)
        if handler is None:
            return visit.page("message.html", 404, heading="No such page", text="Nothing is at this address.")
        if request.method == "POST":
            visit = _with_form(visit, await _form(request))
        self.site.store.log_access(session.key, f"{request.method} {visit.path}", request.url.query[:MAX_LOGGED])
        try:
            work = self._service.task if handler in LONG else self._service.query
            return await work(_call, handler, visit)
        except Problem as problem:
            return visit.page("message.html", problem.status, heading="Too busy", text=str(problem))
        except Exception as failure:  # noqa: BLE001  the visitor gets a page, the log the reason
            log_rate_limited("error", "page", "A page failed: %r", failure, error=failure)
            return visit.page("message.html", 500, heading="An error inside the endpoint", text="Its log has more.")


def _call(handler: Callable[[Visit], Response], visit: Visit) -> Response:
    """Answer, on a thread of its own, also where the engine or the store cannot."""
    try:
        return handler(visit)
    except QueryError as error:
        return _wrong_query(visit, error, None)
    except Problem as problem:
        return visit.page("message.html", problem.status, heading=f"{problem.status}", text=str(problem))
    except StoreError as error:
        return visit.page("message.html", 503, heading="The store failed this time", text=str(error))
    except IndexUnavailableError as error:
        response = visit.page("unavailable.html", 503, status=visit.engine.status(), text=str(error))
        response.headers["Refresh"] = "2"
        return response


def _wrong_query(visit: Visit, error: QueryError, text: str | None) -> Response:
    context = shell(visit, text, str(error))
    return HTMLResponse(render("message.html", **context, heading="The filter cannot be read", text=""), 422)


def _visit(site: Site, request: Request, session: Session) -> tuple[Visit, QueryError | None]:
    path = request.scope["path"]
    prefix, item = _split(path)
    own, asked = _parameters(parse_qsl(request.url.query, keep_blank_values=True))
    error, query = None, Query()
    try:
        query = parse_params(asked)
    except QueryError as wrong:
        error = wrong
    kept = {name: own[name] for name in KEPT if own.get(name)}
    links = Links(request.url.path, query, kept)
    section = SECTIONS.get(prefix, prefix)
    origin = f"{request.url.scheme}://{request.url.netloc}"
    visit = Visit(site, session, prefix, item, query, own, links, section, origin)
    return visit, error


def _split(path: str) -> tuple[str, str]:
    """Return the page, and the item that it is of: ``/ui/users/`` and ``ann``."""
    parts = path.split("/", 3)
    if len(parts) == 4 and parts[3]:  # noqa: PLR2004  /ui/NAME/ITEM
        return f"/ui/{parts[2]}/", parts[3]
    return path, ""


def _parameters(params: Sequence[tuple[str, str]]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Separate the page's own parameters from those of the query; an empty field of a form is left out."""
    own: dict[str, str] = {}
    asked: list[tuple[str, str]] = []
    lists: dict[str, list[str]] = {}
    for name, value in params:
        if name in OWN:
            own[name] = f"{own[name]},{value}" if name == "columns" and name in own else value
        elif name in ("show", "by"):
            lists.setdefault(name, []).extend([value] if value else [])
        elif value:
            asked.append((name, value))
    return own, [*asked, *((name, ", ".join(values)) for name, values in lists.items() if values)]


def _with_form(visit: Visit, form: Mapping[str, str]) -> Visit:
    return Visit(**{**visit.__dict__, "form": form})


async def _form(request: Request) -> dict[str, str]:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_FORM_BYTES:
            return {}
    return dict(parse_qsl(content.decode(errors="replace"), keep_blank_values=True))


def _plain(status: int, text: str) -> Response:
    return PlainTextResponse(f"{text}\n", status)
