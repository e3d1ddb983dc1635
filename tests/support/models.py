"""A model API in memory, over whichever httpx this openai talks through; and capture without delivery."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import openai

from ainsights._context.scope import current
from ainsights._instrumentation import patch
from ainsights._instrumentation.exchange import Exchange
from ainsights._instrumentation.open_streams import OpenStreams
from ainsights._processing.attributes import Defaults
from ainsights._processing.decoder import decode
from ainsights._processing.pending import PendingResponses

if int(openai.__version__.partition(".")[0]) >= 3:
    import httpx2 as http
else:
    import httpx as http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ainsights._instrumentation.routes import Route
    from ainsights._model import Insight

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
COMPLETION: dict[str, Any] = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1",
    "choices": [
        {"index": 0, "finish_reason": "stop", "logprobs": None, "message": {"role": "assistant", "content": "abc"}}
    ],
}


def event(**delta: Any) -> bytes:
    """Return one server-sent event of a stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    chunk = COMPLETION | {"object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
EVENTS = [event(role="assistant", content="a"), event(content="b"), event(content="c"), DONE]


class Body(http.SyncByteStream, http.AsyncByteStream):
    """A response's bytes, piece by piece; a piece that is an exception is raised. Counts how often it is closed."""

    def __init__(self, *pieces: bytes | BaseException) -> None:
        self.pieces = pieces
        self.pulled = 0
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.pulled += 1
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.pulled += 1
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


def completed(_request: Any) -> Any:
    return http.Response(200, json=COMPLETION, headers={"x-request-id": "r1"})


def streaming(*pieces: bytes | BaseException) -> Callable[[Any], Any]:
    def answer(_request: Any) -> Any:
        return http.Response(200, headers={"content-type": "text/event-stream"}, stream=Body(*pieces))

    return answer


def client(answer: Callable[[Any], Any] = completed, **options: Any) -> openai.OpenAI:
    transport = http.MockTransport(answer)
    return openai.OpenAI(
        api_key="sk-secret", **{"max_retries": 0, "http_client": http.Client(transport=transport), **options}
    )


def async_client(answer: Callable[[Any], Any] = completed, **options: Any) -> openai.AsyncOpenAI:
    transport = http.MockTransport(answer)
    return openai.AsyncOpenAI(
        api_key="sk-secret", **{"max_retries": 0, "http_client": http.AsyncClient(transport=transport), **options}
    )


def _decoded(exchange: Exchange) -> Insight:
    return decode(exchange, Defaults("sdk"), "id")


class Captured(list[dict[str, Any]]):
    """The bodies of the events, in the order in which they were made."""

    def __init__(self) -> None:
        super().__init__()
        self._open_streams = OpenStreams(2**26)
        self._pending = PendingResponses(self._take, self._open_streams, 2**26)

    def report_pending(self) -> None:
        """Do what the end of the process does."""
        self._pending.close()

    def begin(self, _client: Any, route: Route, *, in_background: bool = False) -> Exchange | None:
        context = current.get()
        is_muted = context is not None and not context.captured
        if route.api is None or (is_muted and not in_background):
            return None
        exchange = Exchange(self._take, context, self._open_streams, route)
        exchange.is_muted = is_muted
        return exchange

    def _take(self, exchange: Exchange) -> None:
        if exchange.route.api == "responses":
            resolved = self._pending.resolve(exchange, _decoded)
            if resolved is not None:
                self.append(json.loads(resolved[1].encode()))
        else:
            self.append(json.loads(_decoded(exchange).encode()))

    @property
    def statuses(self) -> list[str]:
        return [body["meta"]["ainsights.status"] for body in self]

    @property
    def contents(self) -> list[str | None]:
        """The text of the assistant in each event, as far as it arrived."""
        choices = [body["response"]["choices"] for body in self]
        return [each[0]["message"]["content"] if each else None for each in choices]


@contextmanager
def capturing() -> Iterator[Captured]:
    """Capture what openai does in the block."""
    captured = Captured()
    patch.install(captured)
    try:
        yield captured
    finally:
        patch.uninstall()
