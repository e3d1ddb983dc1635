"""One ``PUT /insight`` over a kept-alive connection.

On the standard library alone: it costs the host process the least (see CONTRIBUTING, "Measured"), and an import of
httpx behind the user's back would race with openai 3.x, which looks on each call whether httpx is loaded.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import http.client
import io
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ainsights._base_url import is_loopback
from ainsights._delivery.retry import Answer
from ainsights._logging import mask_secrets, register_secret
from ainsights._version import __version__

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from typing_extensions import Self

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

    @functools.cache
    def route() -> Route:  # on the thread that sends: reading certificates takes its time
        return Route.to(base_url)

    headers = {"Content-Type": "application/json", "User-Agent": f"ainsights/{__version__}"}
    if api_key:
        register_secret(api_key)
        headers["Authorization"] = f"Bearer {api_key}"
    return lambda: HttpSender(route(), headers, timeout)


@dataclass(frozen=True)
class Route:
    """Where a connection leads, and what stands between."""

    url: SplitResult
    proxy: SplitResult | None = field(repr=False)  # it may have a password
    tls: ssl.SSLContext | None

    @classmethod
    def to(cls, base_url: str) -> Self:
        """Return the route by the proxies and certificates that the environment names."""
        url = urlsplit(base_url)
        return cls(url, _proxy(url), _tls() if url.scheme == "https" else None)

    @property
    def target(self) -> str:
        """What the request line names: the path, or the whole URL where a proxy has to know."""
        path = f"{self.url.path}/insight"
        return f"http://{self.url.netloc}{path}" if self.proxy and not self.tls else path

    @property
    def headers(self) -> dict[str, str]:
        """What the first one to read the request needs beyond its fields."""
        return {"Host": self.url.netloc} | (self._authorization if not self.tls else {})

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """Return a connection that is yet to be opened."""
        host, port = self.url.hostname or "", self.url.port
        if self.proxy is None:
            if self.tls is None:
                return http.client.HTTPConnection(host, port, timeout)
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=self.tls)
        if self.proxy.scheme != "http":
            raise OSError(
                f"a proxy by {self.proxy.scheme}:// is not supported, only by http://; or set NO_PROXY={host}"
            )
        if self.tls is None:
            return http.client.HTTPConnection(self.proxy.hostname or "", self.proxy.port, timeout)
        tunnel = http.client.HTTPSConnection(
            self.proxy.hostname or "", self.proxy.port, timeout=timeout, context=self.tls
        )
        tunnel.set_tunnel(host, port or http.client.HTTPS_PORT, self._authorization)
        return tunnel

    @property
    def _authorization(self) -> dict[str, str]:
        if self.proxy is None or self.proxy.username is None:
            return {}
        account = f"{unquote(self.proxy.username)}:{unquote(self.proxy.password or '')}"
        return {"Proxy-Authorization": f"Basic {base64.b64encode(account.encode()).decode()}"}


def _proxy(url: SplitResult) -> SplitResult | None:
    host, proxies = url.hostname or "", getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or is_loopback(host) or proxy_bypass(host):
        return None
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")


def _tls() -> ssl.SSLContext:
    """Trust the system's certificates, or those that SSL_CERT_FILE names, and Mozilla's where they are installed."""
    import ssl  # noqa: PLC0415  only https needs it

    context = ssl.create_default_context()
    with contextlib.suppress(ImportError):
        import certifi  # noqa: PLC0415  httpx brings it

        context.load_verify_locations(certifi.where())
    return context


class HttpSender:
    """A connection of one's own, opened at the first event and again whenever it was lost."""

    def __init__(self, route: Route, headers: dict[str, str], timeout: float) -> None:
        lines = [f"PUT {route.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in (route.headers | headers).items()]
        self._head = "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")
        self._timeout = timeout
        self._deadline = 0.0
        self._connection = route.connection(timeout)

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
            return self._send_anew(body)
        except BaseException:
            self.close()
            raise

    def _send_anew(self, body: bytes) -> Answer:
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
        answer = _plain_answer(arrived) or self._any_answer(sock, arrived)
        return answer._replace(body=mask_secrets(answer.body))

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
