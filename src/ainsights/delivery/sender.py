"""One ``PUT /insight`` over a kept-alive connection.

The standard library's client costs the host process the least (see CONTRIBUTING, "Measured"). Where a proxy stands
between, httpx takes over: it knows every kind of proxy.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import time
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ainsights._settings import is_loopback
from ainsights._version import __version__
from ainsights.delivery.retry import Answer

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable
    from urllib.parse import SplitResult

ONE_PACKET = 65536
"""Bytes of a body up to which copying it behind its headers costs less than a second call."""

LONGEST_BODY = 4096
"""Bytes of an answer's body that are read; more of it is of no use, and the connection is then closed."""


class Sender(Protocol):
    """Sends one event at a time. Not to be shared between threads."""

    def send(self, body: bytes) -> Answer:
        """Put ``body`` and return the answer.

        Raises:
            OSError: no connection, or none any more; a TimeoutError if it took too long.
            http.client.HTTPException: what came back is not HTTP.
        """

    def close(self) -> None:
        """Close the connection."""


def senders(base_url: str, api_key: str | None, timeout: float) -> Callable[[], Sender]:
    """Return what makes a sender for each thread that needs one.

    Args:
        base_url: of the endpoint, without ``/insight``.
        api_key: the bearer token; None sends no Authorization header.
        timeout: the seconds that a whole request may take.
    """
    parts = urlsplit(base_url)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"ainsights/{__version__}",
    } | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
    if _is_proxied(parts.scheme, parts.hostname or ""):
        return lambda: ProxiedSender(f"{base_url}/insight", headers, timeout)
    tls = _tls() if parts.scheme == "https" else None
    return lambda: DirectSender(parts, headers, timeout, tls)


def _is_proxied(scheme: str, host: str) -> bool:
    proxies = getproxies()
    return bool(proxies.get(scheme) or proxies.get("all")) and not is_loopback(host) and not proxy_bypass(host)


def _tls() -> ssl.SSLContext:
    import httpx  # noqa: PLC0415  for its certificates: only https needs it

    return httpx.create_ssl_context()


class DirectSender:
    """A connection of one's own, opened at the first event and again whenever it was lost."""

    def __init__(self, url: SplitResult, headers: dict[str, str], timeout: float, tls: ssl.SSLContext | None) -> None:
        host, port = url.hostname or "", url.port
        lines = [f"PUT {url.path}/insight HTTP/1.1", f"Host: {url.netloc}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")
        self._timeout = timeout
        self._deadline = 0.0
        if tls is None:
            self._connection = http.client.HTTPConnection(host, port, timeout)
        else:
            self._connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)

    def send(self, body: bytes) -> Answer:
        """See :class:`Sender`. A kept connection that the endpoint has closed meanwhile is replaced once."""
        self._deadline = time.monotonic() + self._timeout
        kept = self._connection.sock is not None
        try:
            return self._send(body)
        except (http.client.RemoteDisconnected, ConnectionError):
            self.close()
            if not kept:
                raise
        except BaseException:
            self.close()
            raise
        try:
            return self._send(body)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See :class:`Sender`."""
        self._connection.close()

    def _send(self, body: bytes) -> Answer:
        connection = self._connection
        if connection.sock is None:
            connection.timeout = self._remaining()
            connection.connect()
        sock = connection.sock
        sock.settimeout(self._remaining())
        head = b"%s%d\r\n\r\n" % (self._head, len(body))
        if len(body) <= ONE_PACKET:
            sock.sendall(head + body)
        else:
            sock.sendall(head)
            sock.sendall(body)
        sock.settimeout(self._remaining())
        arrived = sock.recv(LONGEST_BODY)
        return _plain_answer(arrived) or self._any_answer(sock, arrived)

    def _any_answer(self, sock: socket.socket, arrived: bytes) -> Answer:
        """Read an answer in whatever form HTTP allows; ``arrived`` is its beginning."""
        stream: Any = _Until(sock, arrived, self._remaining)
        with contextlib.closing(http.client.HTTPResponse(stream, method="PUT")) as response:
            response.begin()
            said = response.read(LONGEST_BODY)
            if response.length and len(said) < LONGEST_BODY:
                raise http.client.IncompleteRead(said, response.length)
            if response.will_close or not response.isclosed():
                self.close()
            return Answer(response.status, said.decode(errors="replace"), response.getheader("Retry-After"))

    def _remaining(self) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError(f"no whole answer within {self._timeout:g} s")
        return remaining


def _plain_answer(arrived: bytes) -> Answer | None:
    """Return the answer if it is one that arrived whole, of known length, on a connection that stays; else None.

    It is what endpoints answer nearly always, and the standard library's parser takes more time than all the rest.
    """
    head, end, body = arrived.partition(b"\r\n\r\n")
    first, _, fields = head.partition(b"\r\n")
    length = _LENGTH.findall(fields)
    if not end or length != [b"%d" % len(body)] or _UNUSUAL.search(fields) or not _STATUS.fullmatch(first):
        return None
    return Answer(int(first[9:12]), body.decode(errors="replace"))


_STATUS = re.compile(rb"HTTP/1\.1 [2-5][0-9]{2}(?: [^\r\n]*)?")
_LENGTH = re.compile(rb"(?im)^content-length: *([0-9]+) *\r?$")
_UNUSUAL = re.compile(rb"(?im)^(?:transfer-encoding|connection|retry-after|content-encoding) *:|^[ \t]")


class _Until(io.RawIOBase):
    """Reads from a socket with one deadline over all reads, so that an answer in drops ends too."""

    def __init__(self, sock: socket.socket, arrived: bytes, remaining: Callable[[], float]) -> None:
        self._sock = sock
        self._arrived = arrived
        self._raw = sock.makefile("rb", buffering=0)
        self._remaining = remaining

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._arrived:
            count = min(len(buffer), len(self._arrived))
            buffer[:count], self._arrived = self._arrived[:count], self._arrived[count:]
            return count
        self._sock.settimeout(self._remaining())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class ProxiedSender:
    """The same through a proxy that the environment names."""

    def __init__(self, url: str, headers: dict[str, str], timeout: float) -> None:
        import httpx  # noqa: PLC0415  only where there is a proxy

        self._errors = httpx.HTTPError
        self._url = url
        self._client = httpx.Client(headers=headers, timeout=timeout, follow_redirects=False)

    def send(self, body: bytes) -> Answer:
        """See :class:`Sender`."""
        try:
            response = self._client.put(self._url, content=body)
        except self._errors as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        return Answer(response.status_code, response.text[:LONGEST_BODY], response.headers.get("Retry-After"))

    def close(self) -> None:
        """See :class:`Sender`."""
        self._client.close()
