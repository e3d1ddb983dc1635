"""The byte stream of a response that is yet to be read: records each chunk as the user pulls it, and how it stops.

Nothing is pulled that the user does not pull, and everything else about the stream is the stream's own.
"""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import wrapt

from ainsights._instrumentation.tail import CHUNK_OVERHEAD
from ainsights._internal_errors import capture_internal_errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import FrameType

    from ainsights._instrumentation.exchange import Exchange

    Proxy = wrapt.ObjectProxy[Any]
else:
    Proxy = wrapt.ObjectProxy  # generic to type checkers only, before wrapt 2

_chunking = capture_internal_errors("recording a chunk")
_ending = capture_internal_errors("recording the end of a stream")


def watch(response: Any, exchange: Exchange) -> None:
    """Record in ``exchange`` what is read of ``response``, and end it when the reading ends or cannot go on."""
    chunks = exchange.on_open()
    response.stream = _Stream(response.stream, exchange, chunks)
    exchange.finalizer = weakref.ref(response, functools.partial(_collected, exchange))


def _collected(exchange: Exchange, _response: object) -> None:
    with _ending:
        exchange.end("collected")


class _Stream(Proxy):
    """The response's byte stream, which records each chunk as the user pulls it; in all else the stream itself."""

    def __init__(self, stream: Any, exchange: Exchange, chunks: list[bytes]) -> None:
        super().__init__(stream)
        self._self_exchange = exchange
        self._self_chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return _recording(self.__wrapped__, self._self_exchange, self._self_chunks)

    def __aiter__(self) -> AsyncIterator[bytes]:
        iterator = self.__wrapped__.__aiter__()
        recorder = _AsyncGeneratorRecorder if isinstance(iterator, AsyncGenerator) else _AsyncRecorder
        return recorder(iterator, self._self_exchange, self._self_chunks)

    def close(self) -> None:
        _close(self._self_exchange)
        self.__wrapped__.close()

    async def aclose(self) -> None:
        _close(self._self_exchange)
        await self.__wrapped__.aclose()


def _recording(stream: Any, exchange: Exchange, chunks: list[bytes]) -> Iterator[bytes]:
    note: Callable[[bytes], object] = chunks.append
    room, overhead = 0, CHUNK_OVERHEAD
    try:
        for chunk in stream:
            room -= len(chunk) + overhead
            if room < 0:
                note, room = _make_room(exchange, chunks, -room)
            note(chunk)
            yield chunk
    except BaseException as error:
        _stop(exchange, error)
        raise
    _stop(exchange, StopIteration())


class _AsyncRecorder:
    """The iterator of an async byte stream. No generator: an abandoned one would be the loop's to finalise."""

    __slots__ = ("_chunks", "_exchange", "_iterator", "_next", "_note", "_room")

    def __init__(self, iterator: Any, exchange: Exchange, chunks: list[bytes]) -> None:
        self._iterator = iterator
        self._next = iterator.__anext__
        self._exchange = exchange
        self._chunks = chunks
        self._note: Callable[[bytes], object] = chunks.append
        self._room = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk: bytes = await self._next()
        except BaseException as error:
            _stop(self._exchange, error)
            raise
        self._room -= len(chunk) + CHUNK_OVERHEAD
        if self._room < 0:
            self._note, self._room = _make_room(self._exchange, self._chunks, -self._room)
        self._note(chunk)
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iterator, name)


class _AsyncGeneratorRecorder(_AsyncRecorder):
    """The same where the stream's iterator is a generator: httpx2 closes only what is one."""

    __slots__ = ()

    def asend(self, value: Any) -> Any:
        return self._iterator.asend(value)

    def athrow(self, *args: Any) -> Any:
        return self._iterator.athrow(*args)

    def aclose(self) -> Any:
        return self._iterator.aclose()


def _make_room(exchange: Exchange, chunks: list[bytes], missing: int) -> tuple[Callable[[bytes], object], int]:
    """Return what takes chunks from now on, and for how many bytes; called for the first chunk too."""
    with _chunking:
        left = exchange.reserve(missing)
        if left is not None:
            return chunks.append, left
        if exchange.tail is not None:
            return exchange.tail.append, sys.maxsize
    return _ignore, sys.maxsize


def _ignore(_chunk: bytes) -> None:
    """Keep nothing of a stream after an error of ours."""


def _stop(exchange: Exchange, error: BaseException) -> None:
    with _ending:
        exchange.on_stream_end(error)


def _close(exchange: Exchange) -> None:
    with _ending:
        error, closer = sys.exc_info()[1], sys._getframe(3)  # noqa: SLF001  who called the response's close()
        if error is None or not _passed_through(error, closer):
            exchange.end("closed")
        elif isinstance(error, GeneratorExit):
            exchange.end("collected")
        else:
            exchange.on_stream_end(error)


def _passed_through(error: BaseException, closer: FrameType) -> bool:
    """Return whether the response is closed by a generator that ``error`` ends, and not by the user's own call.

    The traceback must show it: the exception at hand may as well be one that the user handles around all this.
    """
    if not closer.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_frame is not closer:
        trace = trace.tb_next
    return trace is not None
