"""Keeps our file descriptors out of the numbers that the user's are taken from.

A number is reused as soon as it is free. When one thread of the user's program closes a connection that another reads
from (a stop button), the reader may still use the number: OpenSSL keeps it. If a socket of ours had that number by
then, the reader would wait on it, until its own timeout, and a write would go to our file. So a socket gets a high
number before it is connected. SQLite opens its files itself: low numbers are taken for that moment, by descriptors that
behave as closed ones do where the system has them (``O_PATH``).

What is open for a moment only is not moved: certificates while they are read, the sockets of a name lookup.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING

try:
    import fcntl
    import resource
except ImportError:  # Windows: sockets are not file descriptors there
    fcntl = resource = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

HIGHEST_FLOOR = 8192
"""Where our numbers begin at most: the kernel's table of descriptors grows with the highest number."""

MOST_RESERVED = 512
"""Numbers that are taken at most while SQLite opens files; what the user opens meanwhile still fits into select()."""

_reserved: set[int] = set()
_lock = threading.Lock()


def move_high(descriptor: int) -> int:
    """Move ``descriptor`` to a high number and return it; the same one where that is not possible."""
    if fcntl is None:
        return descriptor
    try:
        high: int = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, min(_limit() * 3 // 4, HIGHEST_FLOOR))
    except OSError:  # no number is free there
        return descriptor
    os.close(descriptor)
    return high


def new_socket(family: int, kind: int, protocol: int) -> socket.socket:
    """Return a socket with a high number. Before it is connected no reader waits on it, whatever number it has."""
    made = socket.socket(family, kind, protocol)
    if fcntl is None:
        return made
    return socket.socket(family, kind, protocol, fileno=move_high(made.detach()))


@contextlib.contextmanager
def low_numbers_reserved() -> Iterator[None]:
    """Take the low numbers for the length of the block, so that what it opens gets high ones."""
    if fcntl is None:
        yield
        return
    with _lock:
        try:
            _reserve(min(_limit() // 2, MOST_RESERVED))
            yield
        finally:
            _release()


def reset_after_fork() -> None:
    """Release what another thread had reserved, in the child of a fork."""
    global _lock  # noqa: PLW0603  a process has one table of descriptors
    _lock = threading.Lock()
    _release()


def _reserve(floor: int) -> None:
    with contextlib.suppress(OSError):  # no number is free: the next call will fail and report it
        number = os.open(os.sep, getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC)
        _reserved.add(number)
        while number < floor:
            number = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 0)
            _reserved.add(number)


def _release() -> None:
    while _reserved:
        with contextlib.suppress(OSError):
            os.close(_reserved.pop())


def _limit() -> int:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return HIGHEST_FLOOR * 2 if soft == resource.RLIM_INFINITY else int(soft)
