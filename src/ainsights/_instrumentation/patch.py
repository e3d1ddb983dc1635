"""The only module that touches the insides of openai: five private attributes of ``openai._base_client``.

``request`` brackets a call, ``_build_request`` returns what is sent, ``_process_response`` is handed what came back.
Every form of a call passes through them once, whatever the user holds: a client, a bound method, a raw response.
Where another library keeps ``request`` from being reached, ``_process_response`` alone makes the event.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

import wrapt

from ainsights._instrumentation.exchange import Exchange
from ainsights._instrumentation.stream import watch
from ainsights._internal_errors import capture_internal_errors
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

MODULE = "openai._base_client"
PATH = "/chat/completions"


class CallRecorder(Protocol):
    """Who decides whether a call is captured, and takes what was."""

    def begin(self, client: Any) -> Exchange | None:
        """Return the exchange to note this call in, or None if it is not to be captured."""


class Skipped(Enum):
    """Stands for the exchange of a call that is not to be captured."""

    CALL = "call"


_PROXY = getattr(wrapt, "BaseObjectProxy", wrapt.ObjectProxy)
"""What all wrappers of wrapt's are; by its second major version another class than in the first."""

_recorder: CallRecorder | None = None
_current: ContextVar[Exchange | Skipped | None] = ContextVar("ainsights.exchange", default=None)
"""The exchange of the call that is under way here, if one is."""

_sees_responses = True
"""Whether this openai has ``_process_response``."""

_beginning = capture_internal_errors("noting a call")
_requesting = capture_internal_errors("noting a request")
_responding = capture_internal_errors("noting a response")
_failing = capture_internal_errors("noting a failure")


# What brackets a call


def _begin(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exchange | Skipped | None:
    try:
        options = args[1] if len(args) > 1 else kwargs["options"]
        if _recorder is not None and _is_chat(options.url, options.method):
            return _recorder.begin(client) or Skipped.CALL
    except Exception as error:
        if not _beginning.caught(error):
            raise
    return None


def _is_chat(url: str, method: str) -> bool:
    if not url.endswith(PATH) and not url.split("?", 1)[0].rstrip("/").endswith(PATH):
        return False
    return method == "post" or method.lower() == "post"


def _fail(exchange: Exchange | Skipped | None, error: BaseException) -> None:
    with _failing:
        if isinstance(exchange, Exchange):
            exchange.failed(error)


def _sync_request(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange, before = _begin(self, args, kwargs), _current.get()
        _current.set(exchange)
        try:
            result = original(self, *args, **kwargs)
            return result if _sees_responses else _returned(exchange, result)
        except BaseException as error:
            _fail(exchange, error)
            raise
        finally:
            _current.set(before)  # reset(token) would raise where a coroutine is moved to another context

    return request


def _async_request(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange, before = _begin(self, args, kwargs), _current.get()
        _current.set(exchange)
        try:
            result = await original(self, *args, **kwargs)
            return result if _sees_responses else _returned(exchange, result)
        except BaseException as error:
            _fail(exchange, error)
            raise
        finally:
            _current.set(before)

    return request


# What is sent and what comes back


def _build_request(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def build_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = original(self, *args, **kwargs)
        exchange = _current.get()
        if isinstance(exchange, Exchange):
            try:
                exchange.on_request(request)
            except Exception as error:
                if not _requesting.caught(error):
                    raise
        return request

    return build_request


def _process_response(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def process_response(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = _current.get()
        if exchange is not Skipped.CALL:
            try:
                _note(exchange, self, kwargs["response"], kwargs.get("retries_taken", 0))
            except Exception as error:
                if not _responding.caught(error):
                    raise
        return original(self, *args, **kwargs)

    return process_response


def _note(exchange: Exchange | None, client: Any, response: Any, retries: int) -> None:
    if exchange is None:
        exchange = _begin_late(client, response, retries)
        if exchange is None:
            return
    elif not exchange.attempts:  # _build_request is not there to tell
        exchange.on_request(response.request)
    exchange.on_response(response)
    if response.is_closed:
        exchange.read(response)
    else:
        watch(response, exchange)


def _returned(exchange: Exchange | Skipped | None, result: Any) -> Any:
    """Note, and return, what the user gets: all there is to see where ``_process_response`` is missing."""
    with _responding:
        if isinstance(exchange, Exchange) and exchange.status_code is None:
            response = getattr(result, "http_response", None) or getattr(result, "response", None)
            if response is not None:
                _note(exchange, None, response, 0)
            else:
                exchange.parsed(result)
    return result


def _begin_late(client: Any, response: Any, retries: int) -> Exchange | None:
    """Make the exchange of a call whose beginning we did not see."""
    request = response.request
    if _recorder is None or not _is_chat(request.url.path, request.method):
        return None
    exchange = _recorder.begin(client)
    if exchange is not None:
        exchange.attempts = retries
        exchange.on_request(request)
        with contextlib.suppress(RuntimeError):  # known only of a response that was read over a real connection
            exchange.backdate(response.elapsed.total_seconds())
    return exchange


# Putting the patches in place, and taking them away


class Seam:
    """One attribute of ``openai._base_client`` that we wrap: in a plain function, as openai's own is one.

    Made for it by ``wrap``, it costs a call 0.5 us; a ``wrapt.FunctionWrapper``, which is a descriptor, 4 us.
    """

    def __init__(self, owner: str, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self.owner = owner
        self.name = name
        self.wrap = wrap
        self.original: Any = None
        self._ours: Callable[..., Any] | None = None
        self._patched: Any = None

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"

    def apply(self, module: ModuleType) -> bool:
        """Wrap the attribute, unless our wrapper is still there. False if this openai has no such attribute."""
        owner = getattr(module, self.owner, None)
        found = getattr(owner, self.name, None)
        if not callable(found):
            return False
        outermost = inspect.getattr_static(owner, self.name)
        if self._ours is None or self._patched is not owner or outermost is self.original:
            # for the first time, or after a reload, or where a stranger who buried it has gone
            self._patched, self.original, self._ours = owner, outermost, self.wrap(found)
            setattr(owner, self.name, self._ours)
        return True

    def is_outermost(self, module: ModuleType) -> bool:
        """Tell whether the attribute is our wrapper, with no other one around it."""
        return self._ours is not None and vars(getattr(module, self.owner)).get(self.name) is self._ours

    def remove(self, module: ModuleType) -> None:
        """Take our wrapper out of the chain. One that is buried in a stranger's closure stays, and does nothing."""
        if self._ours is None:
            return
        owner = getattr(module, self.owner)
        outermost = inspect.getattr_static(owner, self.name)  # itself: looked up, a wrapt wrapper makes another
        if outermost is self._ours:
            setattr(owner, self.name, self.original)
            self._ours = None
        while isinstance(outermost, _PROXY):
            if outermost.__wrapped__ is self._ours:
                outermost.__wrapped__ = self.original
                self._ours = None
            outermost = outermost.__wrapped__


SEAMS = (
    Seam("SyncAPIClient", "request", _sync_request),
    Seam("AsyncAPIClient", "request", _async_request),
    Seam("BaseClient", "_build_request", _build_request),
    Seam("SyncAPIClient", "_process_response", _process_response),
    Seam("AsyncAPIClient", "_process_response", _process_response),
)

_hooked = False


def install(capturer: CallRecorder) -> None:
    """Show every chat completion from now on to ``capturer``; openai may be imported already, later, or never."""
    global _recorder, _hooked  # noqa: PLW0603  a process has one openai, so one set of patches
    _recorder = capturer
    if not _hooked:
        _hooked = True
        wrapt.register_post_import_hook(_apply, MODULE)
    elif MODULE in sys.modules:
        _apply(sys.modules[MODULE])


def uninstall() -> None:
    """Put openai back as it was. Streams that are open keep their exchange and end well."""
    global _recorder  # noqa: PLW0603
    _recorder = None
    module = sys.modules.get(MODULE)
    if module is not None:
        for seam in SEAMS:
            seam.remove(module)


def _apply(module: ModuleType) -> None:
    global _sees_responses  # noqa: PLW0603  it is the one openai's
    if _recorder is None:
        return
    with capture_internal_errors("patching openai"):
        missing = [seam for seam in SEAMS if not seam.apply(module)]
        _sees_responses = not any(seam.wrap is _process_response for seam in missing)
        if missing:
            log_rate_limited("error", "missing seams", _MISSING, ", ".join(map(str, missing)))


_MISSING = (
    "this openai has no %s: chat completions are captured in part or not at all. "
    "Please update ainsights, or pin openai to a version that it knows."
)
