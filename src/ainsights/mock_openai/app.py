"""The server as an ASGI application: records what comes, sends what was decided.

An answer is decided as a value, :class:`~ainsights.mock_openai.answer.Answer`; only this module waits, sends and breaks
connections. It needs :class:`~ainsights.mock_openai.connection.Connection` under it.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from ainsights.mock_openai import others
from ainsights.mock_openai.answer import Answer, Ending, of_json, refusal
from ainsights.mock_openai.chat import Chat
from ainsights.mock_openai.connection import STATE
from ainsights.mock_openai.requests import Received, Requests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ainsights.mock_openai.connection import Connection

_BODY = "body"
_UNRECORDED = ("/mock/requests", "/health")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, for whoever decides on its answer.

    Attributes:
        method: of HTTP.
        path_params: from the path.
        headers: names in lower case.
        body: whole.
        key: made of the body; ids are made of it.
    """

    method: str
    path_params: dict[str, str]
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    key: str


def create_app(requests: Requests) -> ASGIApp:
    """Return the server as an ASGI application that notes in ``requests`` what it receives."""
    chat = Chat()

    def received(call: Call) -> Answer:
        if call.method == "DELETE":
            requests.clear()
            chat.forget()
        return of_json({"total": requests.total, "requests": [request.as_json() for request in requests]}, call.key)

    routes = [
        _route("/v1/chat/completions", chat, "POST"),
        _route("/openai/deployments/{deployment}/chat/completions", chat, "POST"),
        _route("/v1/chat/completions", others.stored_list, "GET"),
        _route("/v1/chat/completions/{id}", others.stored, "GET", "POST", "DELETE"),
        _route("/v1/chat/completions/{id}/messages", others.stored_messages, "GET"),
        _route("/v1/models", others.models, "GET"),
        _route("/v1/embeddings", others.embeddings, "POST"),
        _route("/openai/deployments/{deployment}/embeddings", others.embeddings, "POST"),
        _route("/health", others.health, "GET"),
        _route("/mock/requests", received, "GET", "DELETE"),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_problem, Exception: _failed})
    app.router.redirect_slashes = False
    return _Recorder(app, requests)


class _Recorder:
    """Reads each body, whole, and notes the request, before anything is answered."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app = app
        self._requests = requests
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces, more = [], True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            pieces.append(message["body"])
            more = message["more_body"]
        body = b"".join(pieces)
        connection: Connection = scope["state"][STATE]
        connection.number = connection.number or next(self._numbers)
        if scope["path"] not in _UNRECORDED:
            self._requests.add(_received(scope, connection, body))
        scope["state"][_BODY] = body
        await self._app(scope, receive, send)


def _received(scope: Scope, connection: Connection, body: bytes) -> Received:
    return Received(
        method=scope["method"],
        path=scope["raw_path"].decode("ascii"),
        query=scope["query_string"].decode("ascii"),
        headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in connection.received_headers),
        body=body,
        connection=connection.number,
    )


class _Endpoint:
    """Asks for the answer, and sends it."""

    def __init__(self, decide: Callable[[Call], Answer]) -> None:
        self._decide = decide

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = scope["state"][_BODY]
        key = hashlib.blake2b(body, digest_size=12).hexdigest()
        answer = self._decide(Call(scope["method"], scope["path_params"], scope["headers"], body, key))
        if answer.delay and await _gone(receive, answer.delay):
            return
        if answer.status is not None:
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            await _send_body(answer, scope["state"][STATE], receive, send)
        if answer.ending is Ending.CUT:
            connection: Connection = scope["state"][STATE]
            connection.reset() if answer.status is None else connection.close()
        if answer.ending is not Ending.WHOLE:
            await _gone(receive)


async def _send_body(answer: Answer, connection: Connection, receive: Receive, send: Send) -> None:
    is_whole = answer.ending is Ending.WHOLE
    pieces = answer.writes or ((b"",) if is_whole else ())
    left = len(pieces)
    for piece in pieces:
        left -= 1
        if connection.is_closing:  # uvicorn learns it from the loop, and complains of answers that end before
            await _gone(receive)
            return
        await send({"type": "http.response.body", "body": piece, "more_body": left > 0 or not is_whole})
        if answer.pace and left and await _gone(receive, answer.pace):
            return


async def _gone(receive: Receive, within: float | None = None) -> bool:
    """Wait until the client has gone, or for ``within`` seconds; return whether it has gone."""
    try:
        await asyncio.wait_for(_disconnected(receive), within)
    except asyncio.TimeoutError:
        return False
    return True


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _route(path: str, decide: Callable[[Call], Answer], *methods: str) -> Route:
    return Route(path, _Endpoint(decide), methods=methods)


async def _http_problem(request: Request, error: Any) -> Response:
    return _response(refusal(error.status_code, f"Invalid URL ({request.method} {request.url.path})"))


async def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _response(refusal(500, f"The mock server failed: {type(error).__name__}"))


def _response(answer: Answer) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(b"".join(answer.writes), answer.status or 500, headers)
