"""The Responses API over WebSockets: each ``response.create`` that is sent is one exchange.

openai 3.54 and later have one method by which a connection sends, one by which it sends what had to wait in its queue,
one by which it receives and one by which it closes: these are wrapped. No frame of ours stands between openai and the
socket, so that warnings are attributed to where they were. Of earlier versions the sockets themselves are wrapped, as
they come out of the one method that makes them (:mod:`.sockets`). openai without such connections needs no hook; where
it has them and lacks a method, they are counted, and one log line reports that they are not captured.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import wrapt

from ainsights._instrumentation.connections import Sending, connections, queued
from ainsights._instrumentation.hook import Hook
from ainsights._instrumentation.routes import UNSEEN_WEBSOCKET
from ainsights._instrumentation.socket_events import closed, dropped, received
from ainsights._instrumentation.sockets import AsyncSocket, Socket
from ainsights._internal_errors import capture_internal_errors
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from ainsights._instrumentation.connections import Recorder

    Wrapper = Callable[..., Any]

MODULES = ("openai.resources.responses.responses", "openai.resources.beta.responses.responses")

_connecting = capture_internal_errors("watching a WebSocket")


# Where sockets are made


def _connected(hooks: HookSet, hook: Hook, socket: Any, manager: Any, kind: type[Socket]) -> Any:
    """Return the socket to use in place of ``socket``: itself, where what a connection does is seen."""
    with _connecting:
        client = getattr(manager, f"_{hook.owner}__client", None)
        if hooks.connection[0].wrapper is None:
            lanes = connections.new_lanes(client)
            made = kind(socket, lanes)
            lanes.watch(made)
            return made
        connections.add_socket(socket, client)
    return socket


def _sync_connect(hooks: HookSet, original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    def connect_ws(self: Any, *args: Any, **kwargs: Any) -> Any:
        socket = original(self, *args, **kwargs)
        return _connected(hooks, hook, socket, self, Socket) if connect_ws in hook.active else socket

    return connect_ws


def _async_connect(hooks: HookSet, original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    async def connect_ws(self: Any, *args: Any, **kwargs: Any) -> Any:
        socket = await original(self, *args, **kwargs)
        return _connected(hooks, hook, socket, self, AsyncSocket) if connect_ws in hook.active else socket

    return connect_ws


def _counted(original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        if connect in hook.active:
            with _connecting:
                connections.begin(getattr(self, "_client", None), UNSEEN_WEBSOCKET)
        return original(self, *args, **kwargs)

    return connect


# What a connection does


def _sync_send(original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    def send(self: Any, data: Any) -> Any:
        if send not in hook.active:
            return original(self, data)
        sending = Sending(self, [data], is_queue=False)
        try:
            result = original(self, data)
        except BaseException as error:
            sending.ended(error)
            raise
        sending.ended()
        return result

    return send


def _async_send(original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    async def send(self: Any, data: Any) -> Any:
        if send not in hook.active:
            return await original(self, data)
        sending = Sending(self, [data], is_queue=False)
        try:
            result = await original(self, data)
        except BaseException as error:
            sending.ended(error)
            raise
        sending.ended()
        return result

    return send


def _sync_flush(original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    def flush(self: Any, *args: Any, **kwargs: Any) -> Any:
        if flush not in hook.active:
            return original(self, *args, **kwargs)
        sending = Sending(self, queued(self), is_queue=True)
        try:
            return original(self, *args, **kwargs)
        finally:
            sending.ended()

    return flush


def _async_flush(original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    async def flush(self: Any, *args: Any, **kwargs: Any) -> Any:
        if flush not in hook.active:
            return await original(self, *args, **kwargs)
        sending = Sending(self, queued(self), is_queue=True)
        try:
            return await original(self, *args, **kwargs)
        finally:
            sending.ended()

    return flush


def _sync_receive(original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    def recv_bytes(self: Any) -> Any:
        lanes = connections.lanes_of(self) if recv_bytes in hook.active else None
        if lanes is None:
            return original(self)
        try:
            message = original(self)
        except BaseException as error:
            dropped(lanes, error)
            raise
        received(lanes, message)
        return message

    return recv_bytes


def _async_receive(original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    async def recv_bytes(self: Any) -> Any:
        lanes = connections.lanes_of(self) if recv_bytes in hook.active else None
        if lanes is None:
            return await original(self)
        try:
            message = await original(self)
        except BaseException as error:
            dropped(lanes, error)
            raise
        received(lanes, message)
        return message

    return recv_bytes


def _sync_close(original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        lanes = connections.lanes_of(self) if close in hook.active else None
        if lanes is not None:
            closed(lanes)
        return original(self, *args, **kwargs)

    return close


def _async_close(original: Wrapper, hook: Hook) -> Wrapper:
    @functools.wraps(original)
    async def close(self: Any, *args: Any, **kwargs: Any) -> Any:
        lanes = connections.lanes_of(self) if close in hook.active else None
        if lanes is not None:
            closed(lanes)
        return await original(self, *args, **kwargs)

    return close


# Installing and removing the hooks


class HookSet:
    """The hooks of one module that has connections.

    Args:
        module: its name.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.connect = (
            Hook("ResponsesConnectionManager", "_connect_ws", functools.partial(_sync_connect, self)),
            Hook("AsyncResponsesConnectionManager", "_connect_ws", functools.partial(_async_connect, self)),
        )
        self.connection = (
            Hook("ResponsesConnection", "_send", _sync_send),
            Hook("AsyncResponsesConnection", "_send", _async_send),
            Hook("ResponsesConnection", "_flush_send_queue", _sync_flush),
            Hook("AsyncResponsesConnection", "_flush_send_queue", _async_flush),
            Hook("ResponsesConnection", "recv_bytes", _sync_receive),
            Hook("AsyncResponsesConnection", "recv_bytes", _async_receive),
            Hook("ResponsesConnection", "close", _sync_close),
            Hook("AsyncResponsesConnection", "close", _async_close),
        )
        self.counting = (Hook("Responses", "connect", _counted), Hook("AsyncResponses", "connect", _counted))
        self._awaits_import = False

    def install_when_imported(self) -> None:
        """Install the hooks: now, or as soon as the module is there."""
        if not self._awaits_import:
            self._awaits_import = True
            wrapt.register_post_import_hook(self._install, self.module)
        elif self.module in sys.modules:
            self._install(sys.modules[self.module])

    def remove(self) -> None:
        """Put the module back as it was."""
        module = sys.modules.get(self.module)
        if module is not None:
            for hook in (*self.connect, *self.connection, *self.counting):
                hook.remove(module)

    def _install(self, module: ModuleType) -> None:
        if connections.recorder is None or not hasattr(module, self.connect[0].owner):
            return
        with capture_internal_errors("patching openai's WebSockets"):
            hooks: tuple[Hook, ...] = self.connect
            if hasattr(module.ResponsesConnection, self.connection[0].name):
                hooks = (*self.connect, *self.connection)
            missing = [str(hook) for hook in hooks if not hook.install(module)]
            if missing:
                self.remove()
                for hook in self.counting:
                    hook.install(module)
                log_rate_limited("warning", "missing WebSocket hooks", _MISSING, ", ".join(missing))


HOOKS = tuple(map(HookSet, MODULES))

_MISSING = "this openai has no %s: responses over WebSockets are not captured. Please update ainsights."


def install(recorder: Recorder) -> None:
    """Show what is sent over WebSockets from now on to ``recorder``."""
    connections.recorder = recorder
    for hooks in HOOKS:
        hooks.install_when_imported()


def uninstall() -> None:
    """Put openai back as it was."""
    connections.recorder = None
    for hooks in HOOKS:
        hooks.remove()
