"""What touches the insides of openai, but for :mod:`.websocket`: five private attributes of ``openai._base_client``.

``request`` brackets a call, ``_build_request`` returns what is sent, ``_process_response`` is handed what came back.
Every form of a call passes through them once, whatever the user holds: a client, a bound method, a raw response.
Where another library keeps ``request`` from being reached, ``_process_response`` alone makes the event; where
``_process_response`` is not reached, ``request`` takes what the call returned.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from contextvars import ContextVar
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

import wrapt

from ainsights._instrumentation import websocket
from ainsights._instrumentation.exchange import Exchange, content_of
from ainsights._instrumentation.hook import Hook
from ainsights._instrumentation.routes import RESPONSES, find_route
from ainsights._instrumentation.stream import watch
from ainsights._internal_errors import capture_internal_errors
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from ainsights._instrumentation.routes import Route

MODULE = "openai._base_client"


class CallRecorder(Protocol):
    """Decides whether a call is captured, and takes what was captured."""

    def begin(self, client: Any, route: Route, *, in_background: bool = False) -> Exchange | None:
        """Return the exchange that records this call, or None if it is not to be captured.

        Args:
            client: the openai client that makes the call.
            route: of the call.
            in_background: whether it creates a response that later calls look up. If it is not to be captured, these
                are not either, so that it has an exchange too, a muted one.
        """


class Skipped(Enum):
    """Stands for the exchange of a call that is not to be captured."""

    CALL = "call"


_recorder: CallRecorder | None = None
_current: ContextVar[Exchange | Skipped | None] = ContextVar("ainsights.exchange", default=None)
"""The exchange of the call that is under way here, if one is."""

_beginning = capture_internal_errors("recording a call")
_requesting = capture_internal_errors("recording a request")
_responding = capture_internal_errors("recording a response")
_failing = capture_internal_errors("recording a failure")


# What brackets a call


def _begin(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exchange | Skipped | None:
    try:
        options = args[1] if len(args) > 1 else kwargs["options"]
        if _recorder is not None and (route := find_route(options.url, options.method)) is not None:
            in_background = route is RESPONSES and _is_in_background(
                options.json_data, getattr(options, "extra_json", None), getattr(options, "content", None)
            )
            return _recorder.begin(client, route, in_background=in_background) or Skipped.CALL
    except Exception as error:
        if not _beginning.caught(error):
            raise
    return None


def _is_in_background(*bodies: Any) -> bool:
    return any(
        (body.__class__ is dict and body.get("background") is True)
        or (body.__class__ is bytes and b'"background"' in body)
        for body in bodies
    )


def _fail(exchange: Exchange | Skipped | None, error: BaseException) -> None:
    with _failing:
        if isinstance(exchange, Exchange):
            exchange.on_error(error)


def _sync_request(original: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(original)
    def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        if request not in hook.active:
            return original(self, *args, **kwargs)
        exchange, before = _begin(self, args, kwargs), _current.get()
        _current.set(exchange)
        try:
            result = original(self, *args, **kwargs)
            if isinstance(exchange, Exchange) and exchange.status_code is None:
                _take_result(exchange, result)
            return result  # noqa: TRY300  an else would add nothing
        except BaseException as error:
            _fail(exchange, error)
            raise
        finally:
            _current.set(before)  # reset(token) would raise where a coroutine is moved to another context

    return request


def _async_request(original: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(original)
    async def request(self: Any, *args: Any, **kwargs: Any) -> Any:
        if request not in hook.active:
            return await original(self, *args, **kwargs)
        exchange, before = _begin(self, args, kwargs), _current.get()
        _current.set(exchange)
        try:
            result = await original(self, *args, **kwargs)
            if isinstance(exchange, Exchange) and exchange.status_code is None:
                _take_result(exchange, result)
            return result  # noqa: TRY300  an else would add nothing
        except BaseException as error:
            _fail(exchange, error)
            raise
        finally:
            _current.set(before)

    return request


def _take_result(exchange: Exchange, result: Any) -> None:
    """Record what the user gets: all there is to see where ``_process_response`` was not reached."""
    with _responding:
        removed = [str(hook) for hook in _not_installed() if hook.wrapper is not None]
        if removed:
            log_rate_limited("warning", "lost hooks", _LOST, ", ".join(removed))
        response = getattr(result, "http_response", None) or getattr(result, "response", None)
        if response is not None:
            _record(exchange, None, response, 0)
        else:
            exchange.on_result(result)


# What is sent and what comes back


def _build_request(original: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(original)
    def build_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        request = original(self, *args, **kwargs)
        exchange = _current.get()
        if isinstance(exchange, Exchange) and build_request in hook.active:
            try:
                exchange.on_request(request)
            except Exception as error:
                if not _requesting.caught(error):
                    raise
        return request

    return build_request


def _sync_process_response(original: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(original)
    def process_response(self: Any, *args: Any, **kwargs: Any) -> Any:
        if process_response in hook.active:
            _see_response(self, kwargs)
        return original(self, *args, **kwargs)

    return process_response


def _async_process_response(original: Callable[..., Any], hook: Hook) -> Callable[..., Any]:
    @functools.wraps(original)
    async def process_response(self: Any, *args: Any, **kwargs: Any) -> Any:
        if process_response in hook.active:
            _see_response(self, kwargs)
        return await original(self, *args, **kwargs)

    return process_response


def _see_response(client: Any, arguments: dict[str, Any]) -> None:
    exchange = _current.get()
    if exchange is Skipped.CALL:
        return
    try:
        _record(exchange, client, arguments["response"], arguments.get("retries_taken", 0))
    except Exception as error:
        if not _responding.caught(error):
            raise


def _record(exchange: Exchange | None, client: Any, response: Any, retries: int) -> None:
    if exchange is None:
        exchange = _begin_late(client, response, retries)
        if exchange is None:
            return
    elif not exchange.attempts:  # _build_request was not reached
        exchange.on_request(response.request)
    exchange.on_response(response)
    if response.is_closed:
        exchange.on_body(response)
    else:
        watch(response, exchange)


def _begin_late(client: Any, response: Any, retries: int) -> Exchange | None:
    """Make the exchange of a call whose beginning we did not see."""
    request = response.request
    route = find_route(request.url.path, request.method) if _recorder is not None else None
    if _recorder is None or route is None:
        return None
    in_background = route is RESPONSES and _is_in_background(content_of(request))
    exchange = _recorder.begin(client, route, in_background=in_background)
    if exchange is not None:
        exchange.attempts = retries
        exchange.on_request(request)
        with contextlib.suppress(RuntimeError):  # known only of a response that was read over a real connection
            exchange.backdate(response.elapsed.total_seconds())
    return exchange


# Installing and removing the hooks

HOOKS = (
    Hook("SyncAPIClient", "request", _sync_request),
    Hook("AsyncAPIClient", "request", _async_request),
    Hook("BaseClient", "_build_request", _build_request),
    Hook("SyncAPIClient", "_process_response", _sync_process_response),
    Hook("AsyncAPIClient", "_process_response", _async_process_response),
)

_awaits_import = False


def install(recorder: CallRecorder) -> None:
    """Show every chat completion from now on to ``recorder``; openai may be imported already, later, or never.

    Hooks that another library has removed since are reinstalled.
    """
    global _recorder, _awaits_import  # noqa: PLW0603  a process has one openai, so one set of patches
    _recorder = recorder
    websocket.install(recorder)
    if not _awaits_import:
        _awaits_import = True
        wrapt.register_post_import_hook(_install_hooks, MODULE)
    elif MODULE in sys.modules:
        _install_hooks(sys.modules[MODULE])


def uninstall() -> None:
    """Put openai back as it was. Streams that are open keep their exchange and end well."""
    global _recorder  # noqa: PLW0603
    _recorder = None
    websocket.uninstall()
    module = sys.modules.get(MODULE)
    if module is not None:
        for hook in HOOKS:
            hook.remove(module)


def lost_hooks() -> list[str]:
    """Return the hooks that should be installed and are not: another library removed them, or openai lacks them."""
    return [str(hook) for hook in _not_installed()]


def _not_installed() -> list[Hook]:
    module = sys.modules.get(MODULE)
    if _recorder is None or module is None:
        return []
    return [hook for hook in HOOKS if not hook.is_installed(module)]


def _install_hooks(module: ModuleType) -> None:
    if _recorder is None:
        return
    with capture_internal_errors("patching openai"):
        missing = [str(hook) for hook in HOOKS if not hook.install(module)]
        if missing:
            log_rate_limited("error", "missing hooks", _MISSING, ", ".join(missing))


_MISSING = (
    "this openai has no %s: chat completions are captured in part or not at all. "
    "Please update ainsights, or pin openai to a version that it knows."
)
_LOST = (
    "another library has removed our hook from %s: chat completions are captured by what they return, without request "
    "ids. Call ainsights.instrument() again to reinstall it."
)
