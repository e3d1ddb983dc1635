"""Exchange: one HTTP call to a model API as seen on the wire. It ends once.

The user's thread only keeps references here; ``_processing`` decodes them on the background thread.
An exchange holds no reference to the response, so that a response nobody finished can be collected and reported.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ainsights._instrumentation.routes import CHAT
from ainsights._instrumentation.tail import CHUNK_OVERHEAD, Tail

if TYPE_CHECKING:
    import weakref
    from collections.abc import Callable

    from ainsights._context.scope import Context
    from ainsights._instrumentation.open_streams import OpenStreams
    from ainsights._instrumentation.routes import Route

Ending = Literal["complete", "closed", "error", "cancelled", "collected"]
"""How the bytes stopped: at their end, by a close, by an exception, by a cancellation, or by nobody's doing."""

_CANCELLATIONS = frozenset({"CancelledError", "Cancelled"})  # asyncio's and trio's, without importing either

FIRST_BLOCK, LARGEST_BLOCK = 8 * 1024, 128 * 1024
"""Bytes that a stream reserves at a time: four times as many each time, so that it seldom has to ask."""

LONGEST_TAIL = 16 * 1024
"""Bytes that are kept of a stream's end once there is no room for more of it."""


class Request(Protocol):
    """What we use of ``httpx.Request`` and ``httpx2.Request``."""

    url: Any
    content: bytes


class Response(Protocol):
    """What we use of ``httpx.Response`` and ``httpx2.Response``."""

    status_code: int
    headers: Any
    content: bytes
    stream: Any


class Failure:
    """What is kept of an exception: no traceback, so none of the user's frames are held."""

    __slots__ = ("message", "type")

    def __init__(self, error: BaseException) -> None:
        self.type = type(error).__name__
        self.message = str(error)


class Exchange:
    """One HTTP exchange, from before its request is built until its last byte was handed to the user."""

    # Defaults of the class, so that making one costs the user's thread little

    attempts = 0
    url: Any = None
    request_body: bytes | None = None
    status_code: int | None = None
    headers: Any = None
    body: bytes | None = None
    chunks: list[bytes] | None = None
    tail: Tail | None = None
    """The end of a stream that has no room for all of its body; ``chunks`` then has its beginning."""
    first_byte: float | None = None
    finished: float | None = None
    ending: Ending | None = None
    failure: Failure | None = None
    finalizer: weakref.ref[Any] | None = None
    is_muted = False
    """Whether nothing of it may be reported: it is seen so that later calls about the same response are not either."""
    overdue: str | None = None
    """The id of the response that it created, once that is to be reported though it has not reached its end."""
    _reserved = 0

    def __init__(
        self,
        sink: Callable[[Exchange], object],
        context: Context | None,
        open_streams: OpenStreams,
        route: Route = CHAT,
    ) -> None:
        self.began_at = time.time()
        self.started = time.perf_counter()
        self.context = context
        self.open_streams = open_streams
        self.route = route
        self._sink = sink
        self._ended: list[None] = [None]

    def backdate(self, seconds_ago: float) -> None:
        """Correct the beginning of a call that we first saw ``seconds_ago`` after it."""
        self.began_at -= seconds_ago
        self.started -= seconds_ago

    def on_request(self, request: Request) -> None:
        """Record a request that is about to be sent. The last one counts; how many there were gives the retries."""
        self.attempts += 1
        self.url = request.url
        self.request_body = content_of(request)

    def on_response(self, response: Response) -> None:
        """Record the status and the headers of the response; the latter are read for their request id and encoding."""
        self.status_code = response.status_code
        self.headers = response.headers

    def on_body(self, response: Response) -> None:
        """Record a response that was read whole, or closed without being read."""
        self.body = content_of(response)
        self.end("closed" if self.body is None else "complete")

    def on_result(self, result: Any) -> None:
        """Record what was made of a response that we could not see."""
        from pydantic_core import to_json  # noqa: PLC0415  openai has loaded it by now

        self.status_code = 200
        dump = getattr(result, "model_dump_json", None)
        text = dump(exclude_unset=True, warnings=False) if dump else to_json(result, fallback=str).decode()
        self.body = text.encode()
        self.end("complete")

    def on_open(self) -> list[bytes]:
        """Record that the body is still to come, and return the list that takes its chunks."""
        chunks: list[bytes] = []
        self.chunks = chunks
        self.open_streams.add(self)
        return chunks

    def reserve(self, missing: int) -> int | None:
        """Reserve memory for ``missing`` bytes of the body, and return how many more there are; None if there is none.

        The first call marks the first chunk. Once there is no room, ``tail`` takes all later chunks.
        """
        if self.first_byte is None:
            self.first_byte = time.perf_counter()
        reserved = self._reserved
        block = max(missing, min(4 * reserved or FIRST_BLOCK, LARGEST_BLOCK))
        if self.ending is not None or self.chunks is None:
            return None
        for size in (block, missing):
            if self.open_streams.reserve(size, reserved):
                self._reserved = reserved + size
                return size - missing
        self.tail = Tail(self.chunks, LONGEST_TAIL)
        return None

    def on_error(self, error: BaseException) -> None:
        """Record the exception that ended the call, unless the response had been handed over before it."""
        if not self._ended or self.chunks is not None:
            return
        request, response = getattr(error, "request", None), getattr(error, "response", None)
        if request is not None and not self.attempts:
            self.on_request(request)
        if response is not None:
            self.on_response(response)
            self.body = content_of(response)
        self.failure = Failure(error)
        self.end(_ending_of(error))

    def on_stream_end(self, error: BaseException) -> None:
        """Record the exception that came instead of the next piece; the end of the iteration is one too."""
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            self.end("complete")
        elif not isinstance(error, GeneratorExit):  # somebody closes the iterator: the response's close() knows why
            if self._ended:
                self.failure = Failure(error)
            self.end(_ending_of(error))

    def end(self, ending: Ending) -> None:
        """End the exchange and hand it on. The first caller wins; safe inside a garbage-collector finaliser."""
        try:
            self._ended.pop()
        except IndexError:
            return
        self.finished = time.perf_counter()
        self.ending = ending
        self.finalizer = None
        if self.chunks is not None:
            self.open_streams.discard(self)
            self.open_streams.release(self._reserved)
        if self.attempts:
            self._sink(self)

    @property
    def size(self) -> int:
        """The bytes that are held: of the request, and of what arrived of the response."""
        held = len(self.request_body or b"")
        if self.body is not None:
            held += len(self.body)
        elif self.chunks is not None:
            held += sum(map(len, self.chunks)) + CHUNK_OVERHEAD * len(self.chunks)
            if self.tail is not None:
                held += self.tail.size
        return held


def content_of(message: Request | Response) -> bytes | None:
    """Return the whole body if it is at hand; reads nothing. httpx and httpx2 raise each their own error if not."""
    try:
        return message.content
    except RuntimeError:
        return None


def _ending_of(error: BaseException) -> Ending:
    return "cancelled" if type(error).__name__ in _CANCELLATIONS else "error"
