"""Looks up host names within a deadline.

The system's lookup can neither be interrupted nor given a timeout. So it runs on a thread of its own, one for each name
at a time: who waits for it waits as long as they like, and a lookup that hangs is not started a second time.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from ainsights import _lifecycle

Address = tuple[Any, ...]
"""An entry of ``socket.getaddrinfo``."""

_running: dict[tuple[int, str, int], _Lookup] = {}
"""By process, host and port. There is no lock that a fork could leave locked: ``setdefault`` and ``pop`` are atomic."""

_last_known: dict[tuple[str, int], list[Address]] = {}
"""By host and port, for the end of the interpreter, where no lookup can run on a thread."""


class _Lookup:
    def __init__(self, key: tuple[int, str, int]) -> None:
        self._key = key
        self._done = threading.Event()
        self._addresses: list[Address] = []
        self._error: OSError | None = None

    def run(self) -> None:
        _, host, port = self._key
        try:
            self._addresses = _last_known[host, port] = _resolve(host, port)
        except OSError as error:
            self._error = error
        except UnicodeError as error:
            self._error = socket.gaierror(socket.EAI_NONAME, f"{host!r} is not a host name: {error}")
        finally:
            self._finish(self._addresses)

    def start(self) -> None:
        """Run on a thread. Where none can be started, at the end of the interpreter, the last known addresses serve."""
        if not _lifecycle.are_threads():
            self.run()
            return
        try:
            threading.Thread(target=self.run, name="ainsights-lookup", daemon=True).start()
        except RuntimeError:
            _, host, port = self._key
            if (host, port) in _last_known:
                self._finish(_last_known[host, port])
            else:
                self.run()

    def _finish(self, addresses: list[Address]) -> None:
        self._addresses = addresses
        _running.pop(self._key, None)
        self._done.set()

    def result(self, timeout: float) -> list[Address]:
        if not self._done.wait(timeout):
            raise TimeoutError(f"the host name {self._key[1]} was not resolved in time")
        if self._error is not None:
            raise type(self._error)(*self._error.args)  # several threads may wait, each needs its own
        return self._addresses


def look_up(host: str, port: int, timeout: float) -> list[Address]:
    """Return the addresses of ``host``.

    Args:
        host: a name or an address.
        port: the port to connect to.
        timeout: seconds.

    Raises:
        socket.gaierror: there is no such host.
        TimeoutError: the lookup took too long; it goes on, and who asks next waits for the same one.
    """
    try:
        return _resolve(host, port, socket.AI_NUMERICHOST)  # an address needs no lookup
    except (socket.gaierror, UnicodeError):
        key = (os.getpid(), host, port)
    lookup = _Lookup(key)
    running = _running.setdefault(key, lookup)
    if running is lookup:
        lookup.start()
    return running.result(timeout)


def _resolve(host: str, port: int, flags: int = 0) -> list[Address]:
    return list(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags))
