"""The only module that touches the insides of openai: five private attributes of ``openai._base_client``.

``request`` brackets a call, ``_build_request`` returns what is sent, ``_process_response`` is handed what came back.
Every form of a call passes through them once, whatever the user holds: a client, a bound method, a raw response.
Where another library keeps ``request`` from being reached, ``_process_response`` alone makes the event.
"""

from __future__ import annotations

import inspect
import sys
import time
import weakref
from contextvars import ContextVar
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import wrapt

from ainsights._contain import contained, say
from ainsights._exchange import Exchange, content_of, is_cancellation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import FrameType, ModuleType

    Proxy = wrapt.ObjectProxy[Any]
else:
    Proxy = wrapt.ObjectProxy  # generic to type checkers only, before wrapt 2

MODULE = "openai._base_client"
PATH = "/chat/completions"


class Capturer(Protocol):
    """Who decides whether a call is captured, and takes what was."""

    def begin(self, client: Any) -> Exchange | None:
        """Return the exchange to note this call in, or None if it is not to be captured."""


class Skipped(Enum):
    """Stands for the exchange of a call that is not to be captured."""

    CALL = "call"


_capturer: Capturer | None = None
_current: ContextVar[Exchange | Skipped | None] = ContextVar("ainsights.exchange", default=None)
"""The exchange of the call that is under way here, if one is."""

_beginning = contained("noting a call")
_requesting = contained("noting a request")
_responding = contained("noting a response")
_failing = contained("noting a failure")
_ending = contained("noting the end of a stream")


# What brackets a call


def _begin(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exchange | Skipped | None:
    with _beginning:
        options = args[1] if len(args) > 1 else kwargs["options"]
        if _capturer is not None and _is_chat(options.url, options.method):
            return _capturer.begin(client) or Skipped.CALL
    return None


def _is_chat(url: str, method: str) -> bool:
    return (url.endswith(PATH) or url.split("?", 1)[0].rstrip("/").endswith(PATH)) and method.lower() == "post"


def _fail(exchange: Exchange | Skipped | None, error: BaseException) -> None:
    with _failing:
        if isinstance(exchange, Exchange):
            exchange.failed(error)


def _request(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    exchange = _begin(client, args, kwargs)
    before = _current.get()
    _current.set(exchange)
    try:
        return wrapped(*args, **kwargs)
    except BaseException as error:
        _fail(exchange, error)
        raise
    finally:
        _current.set(before)  # not reset(token), which raises where a coroutine is moved to another context


async def _async_request(
    wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    exchange = _begin(client, args, kwargs)
    before = _current.get()
    _current.set(exchange)
    try:
        return await wrapped(*args, **kwargs)
    except BaseException as error:
        _fail(exchange, error)
        raise
    finally:
        _current.set(before)  # not reset(token), which raises where a coroutine is moved to another context


_async_request.__qualname__ = "AsyncAPIClient.request"  # the name that Python gives in "coroutine … was never awaited"


# What is sent and what comes back


def _build_request(wrapped: Callable[..., Any], _client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    request = wrapped(*args, **kwargs)
    exchange = _current.get()
    if isinstance(exchange, Exchange):
        with _requesting:
            exchange.sent(request)
    return request


def _process_response(wrapped: Callable[..., Any], client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    exchange = _current.get()
    if exchange is not Skipped.CALL:
        with _responding:
            _note(exchange, client, kwargs["response"], kwargs.get("retries_taken", 0))
    return wrapped(*args, **kwargs)


def _note(exchange: Exchange | None, client: Any, response: Any, retries: int) -> None:
    if exchange is None:
        exchange = _begin_late(client, response, retries)
        if exchange is None:
            return
    elif not exchange.attempts:  # _build_request is not there to tell
        exchange.sent(response.request)
    exchange.answered(response)
    if response.is_closed:
        exchange.read(content_of(response))
        return
    chunks = exchange.opened()
    response.stream = _Stream(response.stream, exchange, chunks)
    exchange.collected = weakref.ref(response, partial(_collected, exchange))


def _begin_late(client: Any, response: Any, retries: int) -> Exchange | None:
    """Make the exchange of a call whose beginning we did not see."""
    request = response.request
    if _capturer is None or not _is_chat(request.url.path, request.method):
        return None
    exchange = _capturer.begin(client)
    if exchange is not None:
        exchange.attempts = retries
        exchange.sent(request)
        if response.is_closed:
            exchange.began(response.elapsed.total_seconds())
    return exchange


def _collected(exchange: Exchange, _response: object) -> None:
    with _ending:
        exchange.end("collected")


class _Stream(Proxy):
    """The response's byte stream, noting each piece as the user pulls it; in everything else the stream itself."""

    def __init__(self, stream: Any, exchange: Exchange, chunks: list[bytes]) -> None:
        super().__init__(stream)
        self._self_exchange = exchange
        self._self_chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return _noting(self.__wrapped__, self._self_exchange, self._self_chunks)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _AsyncNoting(self.__wrapped__.__aiter__(), self._self_exchange, self._self_chunks)

    def close(self) -> None:
        _close(self._self_exchange)
        self.__wrapped__.close()

    async def aclose(self) -> None:
        _close(self._self_exchange)
        await self.__wrapped__.aclose()


def _noting(stream: Any, exchange: Exchange, chunks: list[bytes]) -> Iterator[bytes]:
    note = chunks.append
    try:
        for chunk in stream:
            if not chunks:
                _first(exchange)
            note(chunk)
            yield chunk
    except BaseException as error:
        _stop(exchange, error)
        raise
    _stop(exchange, StopIteration())


class _AsyncNoting(Proxy):
    """The iterator of an async byte stream. A proxy, since httpx2 closes it only if it is an AsyncGenerator."""

    def __init__(self, iterator: Any, exchange: Exchange, chunks: list[bytes]) -> None:
        super().__init__(iterator)
        self._self_next = iterator.__anext__
        self._self_exchange = exchange
        self._self_chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk: bytes = await self._self_next()
        except BaseException as error:
            _stop(self._self_exchange, error)
            raise
        chunks = self._self_chunks
        if not chunks:
            _first(self._self_exchange)
        chunks.append(chunk)
        return chunk


def _first(exchange: Exchange) -> None:
    exchange.first_byte = time.perf_counter()


def _stop(exchange: Exchange, error: BaseException) -> None:
    with _ending:
        exchange.stopped(error)


def _close(exchange: Exchange) -> None:
    with _ending:
        handled = sys.exc_info()[1]
        if is_cancellation(handled):
            exchange.end("cancelled")
        elif isinstance(handled, GeneratorExit) and _is_generator(sys._getframe(3)):  # noqa: SLF001
            exchange.end("collected")
        else:
            exchange.end("closed")


def _is_generator(caller: FrameType) -> bool:
    """Tell whether the response is closed by a generator that is being finalised, and not by the user's own call."""
    return bool(caller.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))


# Putting the patches in place, and taking them away


class Seam:
    """One attribute of ``openai._base_client`` that we wrap, and the wrapper that we put there."""

    def __init__(self, owner: str, name: str, wrapper: Callable[..., Any]) -> None:
        self.owner = owner
        self.name = name
        self.wrapper = wrapper
        self.handle: Any = None

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"

    def apply(self, module: ModuleType) -> bool:
        """Wrap the attribute, unless our wrapper is still there. False if this openai has no such attribute."""
        owner = getattr(module, self.owner, None)
        if not callable(getattr(owner, self.name, None)):
            return False
        if self.handle is None:
            self.handle = wrapt.wrap_function_wrapper(module, str(self), self.wrapper)
        return True

    def remove(self, module: ModuleType) -> None:
        """Take our wrapper out of the chain. One that is buried in a stranger's closure stays, and does nothing."""
        if self.handle is None:
            return
        owner = getattr(module, self.owner)
        outermost = vars(owner).get(self.name)
        if outermost is self.handle:
            setattr(owner, self.name, self.handle.__wrapped__)
            self.handle = None
            return
        while isinstance(outermost, wrapt.ObjectProxy):
            if outermost.__wrapped__ is self.handle:
                outermost.__wrapped__ = self.handle.__wrapped__
                self.handle = None
                return
            outermost = outermost.__wrapped__


SEAMS = (
    Seam("SyncAPIClient", "request", _request),
    Seam("AsyncAPIClient", "request", _async_request),
    Seam("BaseClient", "_build_request", _build_request),
    Seam("SyncAPIClient", "_process_response", _process_response),
    Seam("AsyncAPIClient", "_process_response", _process_response),
)

_hooked = False


def install(capturer: Capturer) -> None:
    """Show every chat completion from now on to ``capturer``; openai may be imported already, later, or never."""
    global _capturer, _hooked  # noqa: PLW0603  a process has one openai, so one set of patches
    _capturer = capturer
    if not _hooked:
        _hooked = True
        wrapt.register_post_import_hook(_apply, MODULE)
    elif MODULE in sys.modules:
        _apply(sys.modules[MODULE])


def uninstall() -> None:
    """Put openai back as it was. Streams that are open keep their exchange and end well."""
    global _capturer  # noqa: PLW0603
    _capturer = None
    module = sys.modules.get(MODULE)
    if module is not None:
        for seam in SEAMS:
            seam.remove(module)


def _apply(module: ModuleType) -> None:
    if _capturer is None:
        return
    with contained("patching openai"):
        missing = [str(seam) for seam in SEAMS if not seam.apply(module)]
        if missing:
            say("error", "missing seams", _MISSING, ", ".join(missing))


_MISSING = (
    "this openai has no %s: chat completions are captured in part or not at all. "
    "Please update ainsights, or pin openai to a version that it knows."
)
