"""The server as an ASGI application: records requests, sends planned responses.

A response is planned as a value, :class:`~ainsights.mock_openai.plan.PlannedResponse`; only this module waits,
sends and breaks connections. It needs :class:`~ainsights.mock_openai.connection.Connection` under it.
"""

from __future__ import annotations

import hashlib
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from ainsights.mock_openai import other_endpoints
from ainsights.mock_openai.call import Call
from ainsights.mock_openai.chat import answer_chat, answer_text, check_chat, check_text
from ainsights.mock_openai.connection import STATE, gone
from ainsights.mock_openai.plan import ConnectionEnd, PlannedResponse, error_response, json_response
from ainsights.mock_openai.responses.endpoint import ResponsesApi
from ainsights.mock_openai.responses.websocket import ResponsesWebSocket
from ainsights.mock_openai.scripted import Scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ainsights.mock_openai.connection import Connection
    from ainsights.mock_openai.request_log import RequestLog

_BODY = "body"
_UNRECORDED = ("/mock/requests", "/health")


def create_app(requests: RequestLog) -> ASGIApp:
    """Return the server as an ASGI application that records in ``requests`` what it receives."""
    chat, text, responses = Scripted(answer_chat, check_chat), Scripted(answer_text, check_text), ResponsesApi()

    def received(call: Call) -> PlannedResponse:
        if call.method == "DELETE":
            requests.clear()
            for stateful in (chat, text, responses):
                stateful.forget()
        return json_response(
            {"total": requests.total, "requests": [request.as_json() for request in requests]}, call.key
        )

    routes = [
        _route("/v1/chat/completions", chat, "POST"),
        _route("/openai/deployments/{deployment}/chat/completions", chat, "POST"),
        _route("/v1/chat/completions", other_endpoints.stored_list, "GET"),
        _route("/v1/chat/completions/{id}", other_endpoints.stored, "GET", "POST", "DELETE"),
        _route("/v1/chat/completions/{id}/messages", other_endpoints.stored_messages, "GET"),
        _route("/v1/completions", text, "POST"),
        _route("/openai/deployments/{deployment}/completions", text, "POST"),
        *_responses_routes(responses, requests),
        _route("/v1/models", other_endpoints.models, "GET"),
        _route("/v1/embeddings", other_endpoints.embeddings, "POST"),
        _route("/openai/deployments/{deployment}/embeddings", other_endpoints.embeddings, "POST"),
        _route("/health", other_endpoints.health, "GET"),
        _route("/mock/requests", received, "GET", "DELETE"),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_problem, Exception: _failed})
    app.router.redirect_slashes = False
    return _Recorder(app, requests)


def _responses_routes(api: ResponsesApi, requests: RequestLog) -> Iterator[BaseRoute]:
    for prefix in ("/v1/responses", "/openai/responses", "/openai/v1/responses"):  # the latter two are Azure's
        yield _route(prefix, api.create, "POST")
        yield _route(f"{prefix}/compact", api.compact, "POST")
        yield _route(f"{prefix}/input_tokens", api.input_tokens, "POST")
        yield _route(f"{prefix}/{{id}}", api.one, "GET", "DELETE")
        yield _route(f"{prefix}/{{id}}/cancel", api.cancel, "POST")
        yield _route(f"{prefix}/{{id}}/input_items", api.input_items, "GET")
        yield WebSocketRoute(prefix, ResponsesWebSocket(api, requests))


class _Recorder:
    """Reads each body, whole, and records the request before the response."""

    def __init__(self, app: ASGIApp, requests: RequestLog) -> None:
        self._app = app
        self._requests = requests
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection = scope["state"][STATE]
        connection.number = connection.number or next(self._numbers)
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        pieces, more = [], True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            pieces.append(message["body"])
            more = message["more_body"]
        body = b"".join(pieces)
        if scope["path"] not in _UNRECORDED:
            self._requests.add(connection.recorded(scope, body))
        scope["state"][_BODY] = body
        await self._app(scope, receive, send)


class _Endpoint:
    """Plans the response, and sends it."""

    def __init__(self, plan: Callable[[Call], PlannedResponse]) -> None:
        self._plan = plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = scope["state"][_BODY]
        key = hashlib.blake2b(body, digest_size=12).hexdigest()
        query = dict(parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True))
        response = self._plan(Call(scope["method"], scope["path_params"], query, scope["headers"], body, key))
        if response.delay and await gone(receive, response.delay):
            return
        if response.status is not None:
            await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
            await _send_body(response, scope["state"][STATE], receive, send)
        if response.ending is ConnectionEnd.CUT:
            connection: Connection = scope["state"][STATE]
            connection.reset() if response.status is None else connection.close()
        if response.ending is not ConnectionEnd.COMPLETE:
            await gone(receive)


async def _send_body(response: PlannedResponse, connection: Connection, receive: Receive, send: Send) -> None:
    is_whole = response.ending is ConnectionEnd.COMPLETE
    pieces = response.writes or ((b"",) if is_whole else ())
    left = len(pieces)
    for piece in pieces:
        left -= 1
        if connection.is_closing:  # uvicorn learns it from the loop, and complains of responses that end before
            await gone(receive)
            return
        await send({"type": "http.response.body", "body": piece, "more_body": left > 0 or not is_whole})
        if response.pace and left and await gone(receive, response.pace):
            return


def _route(path: str, plan: Callable[[Call], PlannedResponse], *methods: str) -> Route:
    return Route(path, _Endpoint(plan), methods=methods)


async def _http_problem(request: Request, error: Any) -> Response:
    return _response(error_response(error.status_code, f"Invalid URL ({request.method} {request.url.path})"))


async def _failed(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _response(error_response(500, f"The mock server failed: {type(error).__name__}"))


def _response(planned: PlannedResponse) -> Response:
    headers = {name.decode(): value.decode() for name, value in planned.headers}
    return Response(b"".join(planned.writes), planned.status or 500, headers)
