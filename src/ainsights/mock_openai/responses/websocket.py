"""The Responses API over a WebSocket: each ``response.create`` that comes is answered by the events of its response."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.mock_openai import sse
from ainsights.mock_openai.connection import STATE, gone
from ainsights.mock_openai.errors import error_body
from ainsights.mock_openai.plan import ConnectionEnd
from ainsights.mock_openai.request import InvalidRequestError, read_request
from ainsights.mock_openai.responses.endpoint import obfuscates
from ainsights.mock_openai.responses.events import stream_events
from ainsights.mock_openai.script import AT_ONCE
from ainsights.mock_openai.scripted import SCRIPT_HEADER, script_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from ainsights.mock_openai.connection import Connection
    from ainsights.mock_openai.request_log import RequestLog
    from ainsights.mock_openai.responses.endpoint import ResponsesApi
    from ainsights.mock_openai.script import Script


class PlannedMessages(NamedTuple):
    """What answers a message: other messages, how they are sent, and how the connection is then."""

    messages: list[bytes]
    ending: ConnectionEnd = ConnectionEnd.COMPLETE
    delay: float = 0.0
    pace: float = 0.0


class ResponsesWebSocket:
    """Serves WebSockets, as an ASGI application."""

    def __init__(self, api: ResponsesApi, requests: RequestLog) -> None:
        self._api = api
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until either end leaves."""
        connection: Connection = scope["state"][STATE]
        header = dict(scope["headers"]).get(SCRIPT_HEADER)
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            body = message.get("bytes") or (message.get("text") or "").encode()
            self._requests.add(connection.recorded(scope, body))
            planned = self._plan(body, None if header is None else header.decode(errors="replace"))
            if not await _sent(planned, receive, send):
                return
            if planned.ending is ConnectionEnd.CUT:
                connection.close()
            if planned.ending is not ConnectionEnd.COMPLETE:
                await gone(receive)
                return

    def _plan(self, body: bytes, header: str | None) -> PlannedMessages:
        """Return the answer to a message."""
        lane: dict[str, Any] = {}
        try:
            event = _read(body)
            lane = {"stream_id": event["stream_id"]} if event.get("stream_id") else {}
            if event.get("type") == "response.steer":
                return _planned([_steer_failed(event)], lane)
            request = self._request(event)
            return self._response(request, script_of(request, header), hashlib.blake2b(body, digest_size=12), lane)
        except InvalidRequestError as error:
            return _planned([_error(error.status, str(error), **error.details)], lane)

    def _request(self, event: dict[str, Any]) -> dict[str, Any]:
        if event.get("type") != "response.create":
            raise InvalidRequestError(f"Unknown type of event: {event.get('type')!r}.", "type", "unknown_event_type")
        body = {name: value for name, value in event.items() if name not in ("type", "stream_id")}
        request = read_request(json.dumps(body).encode()) | {"stream": True}
        if request.get("background"):
            raise InvalidRequestError("Background mode is not supported over a WebSocket.", "background")
        self._api.check(request)
        return request

    def _response(self, request: dict[str, Any], script: Script, key: Any, lane: dict[str, Any]) -> PlannedMessages:
        if script.reset or script.hang == AT_ONCE:
            return PlannedMessages([], ConnectionEnd.CUT if script.reset else ConnectionEnd.HANG, script.delay)
        if script.status:
            return _planned([_error(script.status)], lane)
        response = self._api.stored(script, request, key.hexdigest()).response
        events = sse.deviating_events(stream_events(response, script, obfuscate=obfuscates(request)), script)
        messages = [sse.encoded(_as_here(event) | lane) for event in events]
        after = script.hang if script.abort is None else script.abort
        ending = ConnectionEnd.COMPLETE
        if after is not None:
            messages, ending = messages[:after], ConnectionEnd.CUT if script.hang is None else ConnectionEnd.HANG
        return PlannedMessages(messages, ending, script.delay, script.pace)


async def _sent(planned: PlannedMessages, receive: Receive, send: Send) -> bool:
    """Send the messages; return whether the client is still there."""
    if planned.delay and await gone(receive, planned.delay):
        return False
    for number, message in enumerate(planned.messages):
        if number and planned.pace and await gone(receive, planned.pace):
            return False
        await send({"type": "websocket.send", "text": message.decode()})
    return True


def _planned(events: list[dict[str, Any]], lane: dict[str, Any]) -> PlannedMessages:
    return PlannedMessages([sse.encoded(event | lane) for event in events])


def _read(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidRequestError("We could not parse the JSON of your message.") from None
    if not isinstance(event, dict):
        raise InvalidRequestError("A message must be a JSON object.")
    return event


def _error(status: int, message: str | None = None, **details: str) -> dict[str, Any]:
    return {"type": "error", "status": status, **error_body(status, message, **details)}


def _as_here(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as a WebSocket has it: there, an error has its details in an object."""
    if event["type"] != "error":
        return event
    return _error(500, event["message"]) | {"sequence_number": event["sequence_number"]}


def _steer_failed(event: dict[str, Any]) -> dict[str, Any]:
    error = {
        "type": "invalid_request_error",
        "code": "steering_not_supported",
        "message": "The model does not support steering.",
    }
    steer = {name: event.get(name) for name in ("input", "previous_response_id")}
    return {"type": "response.steer.failed", "error": error, "steer": steer, "sequence_number": 0}
