"""Requests to the mock model API, with openai's client and without it."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import openai
from openai.lib.streaming.chat import _completions

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion

    from ainsights import mock_openai

ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Ünïcode, 好?"}]}
BROKEN = (openai.APIConnectionError, httpx.RemoteProtocolError)
"""A connection that ends too early. Before openai 3, the HTTP client's own error where it happens within a stream."""
TIMED_OUT = (openai.APITimeoutError, httpx.ReadTimeout)

IS_OLD = tuple(map(int, openai.__version__.split(".")[:2])) < (1, 109)


def create_params(directive: str, **more: Any) -> dict[str, Any]:
    return ASK | {"model": f"mock:{directive}"} | more


def new_state() -> Any:
    """Return the client's own assembler, which has been public and without arguments only since openai 1.60."""
    return _completions.ChatCompletionStreamState(input_tools=openai.NOT_GIVEN, response_format=openai.NOT_GIVEN)


def tool_call_types(completion: ChatCompletion) -> list[str]:
    return [call.type for choice in completion.choices for call in choice.message.tool_calls or []]


class RawResponse:
    """A response as sent on the wire, requested without the client."""

    def __init__(self, server: mock_openai.Server, body: Any, path: str = "/v1/chat/completions", **how: Any) -> None:
        url = urlsplit(server.url)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
        try:
            method = how.pop("method", "POST")
            sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, sent, how)
            answer = connection.getresponse()
            self.status, self.headers, self.body = answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    @property
    def json(self) -> Any:
        return json.loads(self.body)
