"""Proxies on loopback that forward everything to one port, and record the requests that they receive."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


class Proxy(socketserver.ThreadingTCPServer):
    """An HTTP proxy, over TLS or not.

    Args:
        target: the port that everything is led to.
        tls: with it, clients connect to the proxy over TLS.
        answer: the status line of the answer to CONNECT.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: int, tls: ssl.SSLContext | None = None, answer: bytes = b"200 Connected") -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target = target
        self.tls = tls
        self.answer = answer
        self.requests: list[bytes] = []
        self.address = f"127.0.0.1:{self.server_address[1]}"

    def get_request(self) -> tuple[socket.socket, object]:
        client, address = super().get_request()
        return (client if self.tls is None else self.tls.wrap_socket(client, server_side=True)), address

    def admit(self, client: socket.socket, server: socket.socket) -> bool:
        """Read the request and answer it; return whether bytes are forwarded from now on."""
        head = _until(client, b"\r\n\r\n")
        self.requests.append(head)
        if head.startswith(b"CONNECT"):
            client.sendall(b"HTTP/1.1 " + self.answer + b"\r\nContent-Length: 0\r\n\r\n")
            return self.answer.startswith(b"200")
        method, url, rest = head.split(b" ", 2)
        server.sendall(b" ".join([method, b"/" + url.split(b"/", 3)[3], rest]))
        return True

    def handle_error(self, *_args: object) -> None:
        pass


class Socks5(Proxy):
    """A SOCKS 5 proxy (RFC 1928, with names; RFC 1929, if there is an account).

    Args:
        target: as above.
        account: user name and password; None: there is none.
    """

    def __init__(self, target: int, account: tuple[bytes, bytes] | None = None) -> None:
        super().__init__(target)
        self.account = account

    def admit(self, client: socket.socket, server: socket.socket) -> bool:
        del server
        _, count = _exactly(client, 2)
        methods = _exactly(client, count)
        wanted = 2 if self.account else 0
        client.sendall(bytes([5, wanted if wanted in methods else 255]))
        if wanted not in methods or not self._log_in(client):
            return False
        _, _, _, kind = _exactly(client, 4)
        assert kind == 3, "a name is sent, and is resolved by the proxy"
        name = _exactly(client, _exactly(client, 1)[0])
        (port,) = struct.unpack(">H", _exactly(client, 2))
        self.requests.append(b"%s:%d" % (name, port))
        client.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        return True

    def _log_in(self, client: socket.socket) -> bool:
        if self.account is None:
            return True
        _exactly(client, 1)
        name = _exactly(client, _exactly(client, 1)[0])
        password = _exactly(client, _exactly(client, 1)[0])
        right = (name, password) == self.account
        client.sendall(bytes([1, 0 if right else 1]))
        return right


class _Connection(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.server.target)) as server:
            if self.server.admit(self.request, server):
                back = threading.Thread(target=_carry, args=(server, self.request), daemon=True)
                back.start()
                _carry(self.request, server)
                back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += sock.recv(count - len(data)) or _ended()
    return data


def _until(sock: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        data += sock.recv(1) or _ended()
    return data


def _ended() -> bytes:
    raise ConnectionError("the client has gone")


@contextmanager
def serving(proxy: Proxy) -> Iterator[Proxy]:
    """Run a proxy for the length of the block."""
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
