"""Routing: which client of ainsights captures a call, by the openai client that makes it; each call is one event."""

from __future__ import annotations

import functools
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ainsights import _lifecycle
from ainsights._instrumentation import patch
from ainsights._instrumentation.patch import CallRecorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._instrumentation.exchange import Exchange
    from ainsights._instrumentation.routes import Route
    from ainsights._processing.manual import Record

Client = TypeVar("Client")

OWN = "_ainsights"
"""The attribute of an openai client that holds its own recorder."""
_NO_FIELDS: dict[str, Any] = {}
COPYING = ("copy", "with_options")
"""The methods by which an openai client makes another."""


class Recorder(CallRecorder, Protocol):
    """Takes captured calls, and records made by hand."""

    def submit(self, record: Record) -> None:
        """Take ``record``."""


class Router:
    """Finds the recorder of each call: an override first, then the client's own, the default, that of its class."""

    def __init__(self) -> None:
        self.override: Recorder | None = None
        """Takes all calls, while a test looks at what is captured."""
        self._default: CallRecorder | None = None
        self._class_recorder: Callable[[], CallRecorder] | None = None
        self._classes: tuple[type, ...] = ()
        self._watched: weakref.WeakSet[Any] = weakref.WeakSet()
        """The clients that have a recorder of their own."""
        self._reset_lock()
        _lifecycle.after_fork_in_child(self._reset_lock)

    def _reset_lock(self) -> None:
        self._lock = threading.RLock()  # so that of two threads one cannot uninstall what the other installs

    def begin(self, client: Any, route: Route, *, in_background: bool = False) -> Exchange | None:
        """Ask the recorder whose call it is; see :class:`CallRecorder`."""
        recorder: CallRecorder | None = self.override
        if recorder is None:
            recorder = getattr(client, "__dict__", _NO_FIELDS).get(OWN, self._default)
        if recorder is None and self._class_recorder is not None and isinstance(client, self._classes):
            recorder = self._class_recorder()
        return recorder.begin(client, route, in_background=in_background) if recorder is not None else None

    def set_default(self, recorder: CallRecorder) -> None:
        """Let ``recorder`` take the calls of all clients that have no other one."""
        with self._lock:
            self._default = recorder
            patch.install(self)

    def set_for_classes(self, classes: tuple[type, ...], recorder: Callable[[], CallRecorder]) -> None:
        """Let ``recorder()`` take the calls of clients of these classes; it is called when there is one."""
        with self._lock:
            self._class_recorder, self._classes = recorder, classes
            patch.install(self)

    def set_for_client(self, client: Client, recorder: CallRecorder) -> Client:
        """Let ``recorder`` alone take the calls of ``client``, and of the copies that it makes of itself."""
        own = vars(client)
        own[OWN] = recorder
        for name in COPYING:
            own[name] = self._keeping(getattr(type(client), name).__get__(client), recorder)
        with self._lock:
            self._watched.add(client)
            patch.install(self)
        return client

    def _keeping(self, copy: Callable[..., Any], recorder: CallRecorder) -> Callable[..., Any]:
        @functools.wraps(copy)
        def copy_that_keeps(*args: Any, **kwargs: Any) -> Any:
            return self.set_for_client(copy(*args, **kwargs), recorder)

        return copy_that_keeps

    def set_override(self, recorder: Recorder | None) -> None:
        """Let ``recorder`` take all calls, whoever makes them; None ends that."""
        with self._lock:
            self.override = recorder
            if recorder is not None:
                patch.install(self)
            self._uninstall_if_idle()

    def release_clients(self, recorder: CallRecorder) -> None:
        """Give the clients of ``recorder`` back as they were."""
        with self._lock:
            for client in tuple(self._watched):
                if client.__dict__.get(OWN) is recorder:
                    for name in (OWN, *COPYING):
                        client.__dict__.pop(name, None)
                    self._watched.discard(client)
            self._uninstall_if_idle()

    def release(self) -> None:
        """Restore openai, but for clients that have a recorder of their own."""
        with self._lock:
            self._default, self._class_recorder, self._classes = None, None, ()
            self._uninstall_if_idle()

    def _uninstall_if_idle(self) -> None:
        if self.override is None and self._default is None and self._class_recorder is None and not self._watched:
            patch.uninstall()


router = Router()
"""The router of this process: it has one openai, whose patches call one router."""
