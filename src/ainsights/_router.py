"""Router: whose a call is, by the client that makes it. Each call belongs to one, so that it is one event."""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ainsights import _patch
from ainsights._patch import Capturer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights._by_hand import Record
    from ainsights._exchange import Exchange

Client = TypeVar("Client")

OWN = "_ainsights"
"""The attribute by which a client names its own capturer."""
COPYING = ("copy", "with_options")
"""The methods by which a client makes another."""


class Taker(Capturer, Protocol):
    """Takes what is captured and what is handed over by hand."""

    def hand_over(self, record: Record) -> None:
        """Take ``record``."""


instead: Taker | None = None
"""Takes all calls while a test looks at what is captured."""

_everything: Capturer | None = None
"""Takes the calls of all clients that have no capturer of their own."""

_some: Callable[[], Capturer] | None = None
_some_classes: tuple[type, ...] = ()
"""What takes the calls of clients of these classes, and makes itself when there is one."""

_watched: weakref.WeakSet[Any] = weakref.WeakSet()
"""The clients that have a capturer of their own."""


class _Router:
    def begin(self, client: Any) -> Exchange | None:
        """Ask the one whose call it is; see :class:`Capturer`."""
        capturer: Capturer | None = instead
        if capturer is None:
            capturer = client.__dict__.get(OWN, _everything)
        if capturer is None and _some is not None and isinstance(client, _some_classes):
            capturer = _some()
        return capturer.begin(client) if capturer is not None else None


_router = _Router()


def capture_everything(capturer: Capturer) -> None:
    """Show ``capturer`` the calls of all clients from now on."""
    global _everything  # noqa: PLW0603  a process has one openai, so one router
    _everything = capturer
    _patch.install(_router)


def capture_some(classes: tuple[type, ...], capturer: Callable[[], Capturer]) -> None:
    """Show ``capturer()`` the calls of clients of these classes from now on."""
    global _some, _some_classes
    _some, _some_classes = capturer, classes
    _patch.install(_router)


def capture_client(client: Client, capturer: Capturer) -> Client:
    """Show ``capturer`` the calls of ``client``, and of the copies that it makes of itself, and nobody else."""
    own = vars(client)
    own[OWN] = capturer
    for name in COPYING:
        own[name] = _keeping(getattr(type(client), name).__get__(client), capturer)
    _watched.add(client)
    _patch.install(_router)
    return client


def _keeping(copy: Callable[..., Any], capturer: Capturer) -> Callable[..., Any]:
    @functools.wraps(copy)
    def copy_that_keeps(*args: Any, **kwargs: Any) -> Any:
        return capture_client(copy(*args, **kwargs), capturer)

    return copy_that_keeps


def release_clients(capturer: Capturer) -> None:
    """Give the clients of ``capturer`` back as they were."""
    for client in tuple(_watched):
        if client.__dict__.get(OWN) is capturer:
            for name in (OWN, *COPYING):
                client.__dict__.pop(name, None)
            _watched.discard(client)
    _leave_if_idle()


def capture_instead(capturer: Taker | None) -> None:
    """Show ``capturer`` all calls, whosever they are; None: no longer."""
    global instead  # noqa: PLW0603  the same
    instead = capturer
    if capturer is not None:
        _patch.install(_router)
    _leave_if_idle()


def release() -> None:
    """Restore openai, but for clients that have a capturer of their own."""
    global _everything, _some, _some_classes
    _everything, _some, _some_classes = None, None, ()
    _leave_if_idle()


def _leave_if_idle() -> None:
    if instead is None and _everything is None and _some is None and not _watched:
        _patch.uninstall()
