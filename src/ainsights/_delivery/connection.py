"""Opens connections within one deadline over all steps: name lookup, each address, proxy, TLS."""

from __future__ import annotations

import contextlib
import io
import socket
import time
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

from ainsights._delivery.descriptors import new_socket
from ainsights._delivery.endpoint import ProxyError
from ainsights._delivery.name_lookup import look_up

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from ainsights._delivery.endpoint import Endpoint, Proxy


class Deadline:
    """The moment by which a request has to be answered, whatever its steps are.

    Args:
        seconds: from each :meth:`restart`, and from now.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.restart()

    def restart(self, limit: float | None = None) -> None:
        """Start again, with the next request; ``limit``: the seconds that it has, if they are fewer."""
        self._granted = self._seconds if limit is None else min(limit, self._seconds)
        self._at = time.monotonic() + self._granted

    def remaining(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: none are.
        """
        remaining = self._at - time.monotonic()
        if remaining <= 0:
            raise TimeoutError(f"no complete answer within {self._granted:g} s")
        return remaining


def open_connection(endpoint: Endpoint, deadline: Deadline) -> socket.socket:
    """Return a socket that is connected to ``endpoint``, directly or through a proxy that speaks plain HTTP.

    Raises:
        ProxyError: the proxy cannot be reached, or refuses.
        OSError: the endpoint cannot be reached; a TimeoutError if it took too long.
    """
    proxy = endpoint.proxy
    sock = connect(endpoint.host, endpoint.port, deadline) if proxy is None else connect_to_proxy(proxy, deadline)
    try:
        if endpoint.tls is None:
            return sock
        if proxy is not None:
            _tunnel(sock, endpoint, proxy, deadline)
        return start_tls(sock, endpoint.tls, endpoint.host, deadline)
    except BaseException:
        sock.close()
        raise


def connect_to_proxy(proxy: Proxy, deadline: Deadline) -> socket.socket:
    """Return a socket that is connected to ``proxy``.

    Raises:
        ProxyError: it cannot be reached.
    """
    with _errors_of(proxy):
        return connect(proxy.host, proxy.port, deadline)


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Return a socket that is connected to the first address that answers; each gets its share of the time."""
    addresses = look_up(host, port, deadline.remaining())
    failure: OSError = OSError(f"{host} has no address")
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        try:
            sock = new_socket(family, kind, protocol)
        except OSError as error:  # for example, this machine has no IPv6
            failure = error
            continue
        try:
            sock.settimeout(deadline.remaining() / (len(addresses) - index))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    deadline.remaining()
    raise failure


def start_tls(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline) -> socket.socket:
    """Return the socket of a TLS connection over ``sock``, which it takes over."""
    sock.settimeout(deadline.remaining())
    return context.wrap_socket(sock, server_hostname=host)


def send_all(sock: socket.socket, data: bytes, deadline: Deadline) -> None:
    """Send ``data``. A TLS socket's own ``sendall`` restarts its timeout with each record."""
    view = memoryview(data)
    while view:
        sock.settimeout(deadline.remaining())
        view = view[sock.send(view) :]


class DeadlineSocketReader(io.RawIOBase):
    """Reads from a socket with one deadline over all reads, so that an answer that trickles in ends too.

    Args:
        sock: where to read; it is not closed.
        beginning: what was read of it before.
        deadline: of the whole answer.
    """

    def __init__(self, sock: socket.socket, beginning: bytes, deadline: Deadline) -> None:
        self._sock = sock
        self._beginning = beginning
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what ``http.client`` reads from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Note that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into ``buffer``."""
        if self._beginning:
            count = min(len(buffer), len(self._beginning))
            buffer[:count], self._beginning = self._beginning[:count], self._beginning[count:]
            return count
        self._sock.settimeout(self._deadline.remaining())
        return self._sock.recv_into(buffer)


def _tunnel(sock: socket.socket, endpoint: Endpoint, proxy: Proxy, deadline: Deadline) -> None:
    fields = {"Host": endpoint.address} | proxy.authorization
    lines = [f"CONNECT {endpoint.address} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    with _errors_of(proxy):
        send_all(sock, "\r\n".join([*lines, "", ""]).encode("latin-1"), deadline)
        stream: Any = DeadlineSocketReader(sock, b"", deadline)
        with contextlib.closing(HTTPResponse(stream, method="CONNECT")) as response:
            response.begin()
            if response.status // 100 != 2:  # noqa: PLR2004  success, whatever kind
                raise ProxyError(proxy, f"it answers {response.status} {response.reason} to CONNECT {endpoint.address}")


@contextlib.contextmanager
def _errors_of(proxy: Proxy) -> Iterator[None]:
    """Name the proxy in what it raises."""
    try:
        yield
    except ProxyError:
        raise
    except (OSError, HTTPException) as error:
        raise ProxyError(proxy, f"{type(error).__name__}: {error}") from error
