"""The server as an ASGI application: records requests, sends planned responses.

A response is planned as a value, :class:`~ainsights.mock_openai.responses.PlannedResponse`; only this module waits,
sends and breaks connections. It needs :class:`~ainsights.mock_openai.connection.Connection` under it.
"""

from __future__ import annotations

import asyncio
import hashlib
from itertools import count
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from ainsights.mock_openai import other_endpoints
from ainsights.mock_openai.call import Call
from ainsights.mock_openai.chat import Chat
from ainsights.mock_openai.connection import STATE
from ainsights.mock_openai.request_log import RecordedRequest, RequestLog
from ainsights.mock_openai.responses import ConnectionEnd, PlannedResponse, error_response, json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ainsights.mock_openai.connection import Connection

_BODY = "body"
_UNRECORDED = ("/mock/requests", "/health")


def create_app(requests: RequestLog) -> ASGIApp:
    """Return the server as an ASGI application that records in ``requests`` what it receives."""
    chat = Chat()

    def received(call: Call) -> PlannedResponse:
        if call.method == "DELETE":
            requests.clear()
            chat.forget()
        return json_response(
            {"total": requests.total, "requests": [request.as_json() for request in requests]}, call.key
        )

    routes = [
        _route("/v1/chat/completions", chat, "POST"),
        _route("/openai/deployments/{deployment}/chat/completions", chat, "POST"),
        _route("/v1/chat/completions", other_endpoints.stored_list, "GET"),
        _route("/v1/chat/completions/{id}", other_endpoints.stored, "GET", "POST", "DELETE"),
        _route("/v1/chat/completions/{id}/messages", other_endpoints.stored_messages, "GET"),
        _route("/v1/models", other_endpoints.models, "GET"),
        _route("/v1/embeddings", other_endpoints.embeddings, "POST"),
        _route("/openai/deployments/{deployment}/embeddings", other_endpoints.embeddings, "POST"),
        _route("/health", other_endpoints.health, "GET"),
        _route("/mock/requests", received, "GET", "DELETE"),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_problem, Exception: _failed})
    app.router.redirect_slashes = False
    return _Recorder(app, requests)


class _Recorder:
    """Reads each body, whole, and records the request before the response."""

    def __init__(self, app: ASGIApp, requests: RequestLog) -> None:
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


def _received(scope: Scope, connection: Connection, body: bytes) -> RecordedRequest:
    return RecordedRequest(
        method=scope["method"],
        path=scope["raw_path"].decode("ascii"),
        query=scope["query_string"].decode("ascii"),
        headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in connection.received_headers),
        body=body,
        connection=connection.number,
    )


class _Endpoint:
    """Plans the response, and sends it."""

    def __init__(self, plan: Callable[[Call], PlannedResponse]) -> None:
        self._plan = plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = scope["state"][_BODY]
        key = hashlib.blake2b(body, digest_size=12).hexdigest()
        response = self._plan(Call(scope["method"], scope["path_params"], scope["headers"], body, key))
        if response.delay and await _gone(receive, response.delay):
            return
        if response.status is not None:
            await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
            await _send_body(response, scope["state"][STATE], receive, send)
        if response.ending is ConnectionEnd.CUT:
            connection: Connection = scope["state"][STATE]
            connection.reset() if response.status is None else connection.close()
        if response.ending is not ConnectionEnd.COMPLETE:
            await _gone(receive)


async def _send_body(response: PlannedResponse, connection: Connection, receive: Receive, send: Send) -> None:
    is_whole = response.ending is ConnectionEnd.COMPLETE
    pieces = response.writes or ((b"",) if is_whole else ())
    left = len(pieces)
    for piece in pieces:
        left -= 1
        if connection.is_closing:  # uvicorn learns it from the loop, and complains of responses that end before
            await _gone(receive)
            return
        await send({"type": "http.response.body", "body": piece, "more_body": left > 0 or not is_whole})
        if response.pace and left and await _gone(receive, response.pace):
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


def _route(path: str, plan: Callable[[Call], PlannedResponse], *methods: str) -> Route:
    return Route(path, _Endpoint(plan), methods=methods)


async def _http_problem(request: Request, error: Any) -> Response:
    return _response(error_response(error.status_code, f"Invalid URL ({request.method} {request.url.path})"))


async def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _response(error_response(500, f"The mock server failed: {type(error).__name__}"))


def _response(planned: PlannedResponse) -> Response:
    headers = {name.decode(): value.decode() for name, value in planned.headers}
    return Response(b"".join(planned.writes), planned.status or 500, headers)
