"""One ``PUT`` of an insight through a proxy that the plain sender cannot talk to: by https:// or SOCKS.

On httpcore, the transport of httpx: it knows these proxies, and takes the connections that we open ourselves, with one
deadline and high descriptors. httpx itself is not imported (see :mod:`ainsights._delivery.http_sender`).
"""

from __future__ import annotations

import http.client
import select
import ssl
from typing import TYPE_CHECKING, Any, TypeVar

import httpcore

from ainsights._delivery.connection import Deadline, connect_to_proxy, send_all, start_tls
from ainsights._delivery.endpoint import ProxyError, tls_context
from ainsights._delivery.retry import Answer
from ainsights._logging import mask_secrets

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from ainsights._delivery.endpoint import Endpoint, Proxy

LONGEST_BODY = 4096
"""Bytes of an answer's body that are read; more of it is of no use, and the connection is then closed."""

_RECORD = 16384

T = TypeVar("T")


class ProxySender:
    """See :class:`ainsights._delivery.http_sender.Sender`.

    Args:
        endpoint: with a proxy.
        headers: of each request.
        timeout: the seconds that a whole request may take.

    Raises:
        ProxyError: SOCKS needs a package that is not installed.
    """

    def __init__(self, endpoint: Endpoint, headers: dict[str, str], timeout: float) -> None:
        if endpoint.proxy is None:
            raise ValueError("there is no proxy")
        self._proxy = endpoint.proxy
        self._url = f"{endpoint.url.geturl()}{endpoint.path}"
        self._headers = [("Host", endpoint.url.netloc), *headers.items()]
        self._deadline = Deadline(timeout)
        self._network = _Network(self._proxy, self._deadline)
        self._pool = _pool(endpoint, self._network)

    def send(self, body: bytes, time_limit: float | None = None) -> Answer:
        """Put ``body`` and return the answer. A kept connection that was closed meanwhile is replaced once."""
        self._deadline.restart(time_limit)
        kept = bool(self._pool.connections)
        try:
            return self._send(body)
        except (OSError, http.client.HTTPException) as error:  # the latter is httpcore's word for a closed connection
            if not kept or isinstance(error, (TimeoutError, ProxyError)):
                raise
        return self._send(body)

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()
        self._network.close()

    def _send(self, body: bytes) -> Answer:
        try:
            return self._exchange(body)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) or not isinstance(error, Exception):
                raise
            text = f"{type(error).__name__}: {error}"
            if isinstance(error, (httpcore.NetworkError, httpcore.ProtocolError)):
                raise http.client.HTTPException(text) from error
            raise ProxyError(self._proxy, text) from error  # httpcore's or, where it speaks no SOCKS, socksio's

    def _exchange(self, body: bytes) -> Answer:
        headers = [*self._headers, ("Content-Length", str(len(body)))]
        with self._pool.stream("PUT", self._url, headers=headers, content=body) as response:
            arrived = b""
            for chunk in response.iter_stream():
                arrived += chunk
                if len(arrived) >= LONGEST_BODY:
                    break
            fields = {name.lower(): value for name, value in response.headers}
            retry_after = fields.get(b"retry-after")
            text = arrived[:LONGEST_BODY].decode(errors="replace")
            return Answer(response.status, mask_secrets(text), retry_after.decode("latin-1") if retry_after else None)


def _pool(endpoint: Endpoint, network: httpcore.NetworkBackend) -> httpcore.ConnectionPool:
    proxy = endpoint.proxy
    if proxy is None:
        raise ValueError("there is no proxy")
    scheme = "https" if proxy.scheme == "https" else "socks5"  # which socks5h is too: the proxy looks up the name
    url = httpcore.URL(scheme=scheme, host=proxy.host, port=proxy.port, target=b"/")
    account = None if proxy.username is None else (proxy.username.encode(), proxy.password.encode())
    options: dict[str, Any] = {"proxy_auth": account, "ssl_context": endpoint.tls, "max_connections": 1}
    options |= {"keepalive_expiry": None, "network_backend": network}
    if proxy.scheme == "https":
        return httpcore.HTTPProxy(url, proxy_ssl_context=tls_context(), **options)
    try:
        return httpcore.SOCKSProxy(url, **options)
    except RuntimeError:  # httpcore's word for a package that is missing
        reason = "SOCKS needs the package socksio: pip install 'httpx[socks]'"
        raise ProxyError(proxy, reason) from None


class _Network(httpcore.NetworkBackend):
    """Opens the connections of a pool: all of them lead to the proxy."""

    def __init__(self, proxy: Proxy, deadline: Deadline) -> None:
        self._proxy = proxy
        self._deadline = deadline
        self._stream: _Stream | None = None

    def connect_tcp(self, *_args: Any, **_kwargs: Any) -> httpcore.NetworkStream:
        self._stream = _Stream(connect_to_proxy(self._proxy, self._deadline), self._deadline)
        return self._stream

    def close(self) -> None:
        """Close what the pool left open, as it does where the greeting of SOCKS fails."""
        if self._stream is not None:
            self._stream.close()


class _Stream(httpcore.NetworkStream):
    """A socket, with our deadline in place of the timeouts of single steps."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        self._sock.settimeout(self._deadline.remaining())
        return self._sock.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        send_all(self._sock, buffer, self._deadline)

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        del timeout
        try:
            if isinstance(self._sock, ssl.SSLSocket):
                return _NestedTLS(self, ssl_context, server_hostname)
            return _Stream(start_tls(self._sock, ssl_context, server_hostname or "", self._deadline), self._deadline)
        except BaseException:
            self.close()
            raise

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return _is_readable(self._sock)
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        return self._sock if info == "socket" else None


class _NestedTLS(httpcore.NetworkStream):
    """TLS to the endpoint inside the TLS to the proxy, which a socket cannot do twice."""

    def __init__(self, outer: _Stream, context: ssl.SSLContext, host: str | None) -> None:
        self._outer = outer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._do(self._tls.do_handshake)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        try:
            return self._do(lambda: self._tls.read(max_bytes))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        view = memoryview(buffer)
        while view:
            part = view[:_RECORD]
            view = view[self._do(lambda part=part: self._tls.write(part)) :]  # type: ignore[misc]

    def close(self) -> None:
        self._outer.close()

    def get_extra_info(self, info: str) -> Any:
        return self._tls if info == "ssl_object" else self._outer.get_extra_info(info)

    def _do(self, step: Callable[[], T]) -> T:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:  # noqa: PERF203  that is how TLS asks for more
                self._flush()
                arrived = self._outer.read(_RECORD)
                if arrived:
                    self._incoming.write(arrived)
                else:
                    self._incoming.write_eof()
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._outer.write(self._outgoing.read())


def _is_readable(sock: socket.socket) -> bool:
    """Return whether an idle connection has something to read, which can only be its end."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
