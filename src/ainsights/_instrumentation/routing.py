"""Router: whose a call is, by the client that makes it. Each call belongs to one, so that it is one event."""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ainsights._instrumentation import patch as _patch
from ainsights._instrumentation.patch import CallRecorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._instrumentation.exchange import Exchange
    from ainsights._processing.manual import Record

Client = TypeVar("Client")

OWN = "_ainsights"
"""The attribute by which a client names its own capturer."""
COPYING = ("copy", "with_options")
"""The methods by which a client makes another."""


class Recorder(CallRecorder, Protocol):
    """Takes what is captured and what is handed over by hand."""

    def submit(self, record: Record) -> None:
        """Take ``record``."""


recording_override: Recorder | None = None
"""Takes all calls while a test looks at what is captured."""

_default: CallRecorder | None = None
"""Takes the calls of all clients that have no capturer of their own."""

_class_recorder: Callable[[], CallRecorder] | None = None
_classes: tuple[type, ...] = ()
"""What takes the calls of clients of these classes, and makes itself when there is one."""

_watched: weakref.WeakSet[Any] = weakref.WeakSet()
"""The clients that have a capturer of their own."""


class _Router:
    def begin(self, client: Any) -> Exchange | None:
        """Ask the one whose call it is; see :class:`CallRecorder`."""
        capturer: CallRecorder | None = recording_override
        if capturer is None:
            capturer = client.__dict__.get(OWN, _default)
        if capturer is None and _class_recorder is not None and isinstance(client, _classes):
            capturer = _class_recorder()
        return capturer.begin(client) if capturer is not None else None


_router = _Router()


def set_default(capturer: CallRecorder) -> None:
    """Show ``capturer`` the calls of all clients from now on."""
    global _default  # noqa: PLW0603  a process has one openai, so one router
    _default = capturer
    _patch.install(_router)


def set_for_classes(classes: tuple[type, ...], capturer: Callable[[], CallRecorder]) -> None:
    """Show ``capturer()`` the calls of clients of these classes from now on."""
    global _class_recorder, _classes
    _class_recorder, _classes = capturer, classes
    _patch.install(_router)


def set_for_client(client: Client, capturer: CallRecorder) -> Client:
    """Show ``capturer`` the calls of ``client``, and of the copies that it makes of itself, and nobody else."""
    own = vars(client)
    own[OWN] = capturer
    for name in COPYING:
        own[name] = _keeping(getattr(type(client), name).__get__(client), capturer)
    _watched.add(client)
    _patch.install(_router)
    return client


def _keeping(copy: Callable[..., Any], capturer: CallRecorder) -> Callable[..., Any]:
    @functools.wraps(copy)
    def copy_that_keeps(*args: Any, **kwargs: Any) -> Any:
        return set_for_client(copy(*args, **kwargs), capturer)

    return copy_that_keeps


def release_clients(capturer: CallRecorder) -> None:
    """Give the clients of ``capturer`` back as they were."""
    for client in tuple(_watched):
        if client.__dict__.get(OWN) is capturer:
            for name in (OWN, *COPYING):
                client.__dict__.pop(name, None)
            _watched.discard(client)
    _leave_if_idle()


def override(capturer: Recorder | None) -> None:
    """Show ``capturer`` all calls, whosever they are; None: no longer."""
    global recording_override  # noqa: PLW0603  the same
    recording_override = capturer
    if capturer is not None:
        _patch.install(_router)
    _leave_if_idle()


def release() -> None:
    """Restore openai, but for clients that have a capturer of their own."""
    global _default, _class_recorder, _classes
    _default, _class_recorder, _classes = None, None, ()
    _leave_if_idle()


def _leave_if_idle() -> None:
    if recording_override is None and _default is None and _class_recorder is None and not _watched:
        _patch.uninstall()
