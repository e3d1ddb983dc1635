"""``timeout`` is one deadline over all that a request does: name lookup, addresses, proxy, TLS, sending, the answer."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from support.endpoints import Handler, running_endpoint
from support.proxies import Proxy, Socks5, serving

from ainsights._delivery.connection import Deadline, connect
from ainsights._delivery.endpoint import ProxyError
from ainsights._delivery.http_sender import senders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BODY = b'{"meta": {"ainsights.event_id": "1"}}'
TIMEOUT = 1.0
BOUND = 2.5 * TIMEOUT
"""Seconds within which a deadline counts as kept on a busy machine; a step that restarted it would take longer."""


def send(url: str, body: bytes = BODY, timeout: float = TIMEOUT) -> int:
    with closing(senders(url, "key", timeout)()) as sender:
        return sender.send(body).status


@contextmanager
def in_time() -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises((TimeoutError, ProxyError)):
        yield
    assert time.monotonic() - began < BOUND


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve each connection on a thread, until it ends by itself or the block does."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def guarded(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            serve(client)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                accepted.append(client)
                threading.Thread(target=guarded, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in accepted:
            each.close()


class Lookup:
    """Stands for the system's lookup of names: hangs, or answers with the addresses given."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.addresses = addresses
        self.released = threading.Event()
        self.names: list[str] = []
        self.original = socket.getaddrinfo

    def __call__(self, host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        flags = args[3] if len(args) > 3 else 0
        if flags & socket.AI_NUMERICHOST:
            return self.original(host, port, *args, **kwargs)
        self.names.append(host)
        if not self.addresses:
            self.released.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "released")
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", each) for each in self.addresses]


@pytest.fixture
def hanging_lookup(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lookup]:
    lookup = Lookup()
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    yield lookup
    lookup.released.set()
    for thread in threading.enumerate():
        if thread.name == "ainsights-lookup":
            thread.join()


def test_lookup_of_a_name_that_hangs_ends_with_the_timeout(hanging_lookup: Lookup) -> None:
    with in_time():
        send("http://name.example")
    assert hanging_lookup.names == ["name.example"]


def test_lookup_that_hangs_is_not_started_a_second_time(hanging_lookup: Lookup) -> None:
    before = threading.active_count()
    for _ in range(4):
        with in_time():
            send("http://name.example", timeout=0.1)
    assert hanging_lookup.names == ["name.example"]
    assert threading.active_count() == before + 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_lookup_that_hangs_in_the_parent_does_not_keep_a_child_waiting(hanging_lookup: Lookup) -> None:
    with in_time():
        send("http://name.example", timeout=0.1)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        hanging_lookup.addresses = (("127.0.0.1", 1),)
        try:
            send("http://name.example", timeout=10)
        except ConnectionRefusedError:
            os.write(writing, b"refused")
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"refused"
    os.waitpid(child, 0)


def test_name_that_was_looked_up_before_is_known_where_no_thread_can_be_started(
    hanging_lookup: Lookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        hanging_lookup.addresses = (listener.getsockname(),)
        connect("known.example", 80, Deadline(5)).close()
        hanging_lookup.addresses = ()
        monkeypatch.setattr(threading.Thread, "start", refuse)
        connect("known.example", 80, Deadline(5)).close()
    assert hanging_lookup.names == ["known.example"]


def test_address_needs_no_lookup(hanging_lookup: Lookup) -> None:
    with running_endpoint() as endpoint:
        assert send(endpoint.url) == 200
    assert hanging_lookup.names == []


@contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """Yield an address that never answers: its queue is full, so that the system drops whoever asks."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(16):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.1)
            try:
                waiting.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            pytest.skip("this system answers although the queue is full")
        yield listener.getsockname()


def test_addresses_that_do_not_answer_share_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    with black_hole() as dead:
        monkeypatch.setattr(socket, "getaddrinfo", Lookup(dead, dead, dead, dead))
        with in_time():
            send("http://name.example")


def test_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_endpoint() as endpoint, black_hole() as dead:
        monkeypatch.setattr(socket, "getaddrinfo", Lookup(dead, ("127.0.0.1", endpoint.port)))
        assert send("http://name.example") == 200


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_server_that_never_shakes_hands_ends_with_the_timeout(tls: ssl.SSLContext) -> None:
    del tls
    released = threading.Event()
    with server(lambda _: released.wait(30) and None) as port, in_time():
        send(f"https://127.0.0.1:{port}")
    released.set()


def test_server_that_reads_record_by_record_ends_with_the_timeout(tls: ssl.SSLContext) -> None:
    released = threading.Event()

    def read_slowly(client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        with tls.wrap_socket(client, server_side=True) as secured:
            while secured.recv(16384) and not released.wait(TIMEOUT / 4):
                pass

    with server(read_slowly) as port, in_time():
        send(f"https://127.0.0.1:{port}", b"x" * 20_000_000)
    released.set()


def test_answer_over_tls_in_drops_ends_with_the_timeout(tls: ssl.SSLContext) -> None:
    def drip(handler: Handler) -> bool:
        return handler.drip(b"HTTP/1.1 200 OK\r\n" * 100, TIMEOUT / 8)

    with running_endpoint(drip, tls=tls) as endpoint, in_time():
        send(f"https://127.0.0.1:{endpoint.port}")


# Proxies


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_answers_in_drops_ends_with_the_timeout(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    released = threading.Event()

    def drip(client: socket.socket) -> None:
        with tls.wrap_socket(client, server_side=True) if scheme == "https" else client as endpoint:
            endpoint.recv(65536)
            for byte in b"HTTP/1.1 200 Connected\r\n" * 100:
                endpoint.sendall(bytes([byte]))
                if released.wait(TIMEOUT / 4):
                    return

    with server(drip) as port:
        monkeypatch.setenv("https_proxy", f"{scheme}://127.0.0.1:{port}")
        with in_time():
            send("https://insights.example")
    released.set()


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
def test_endpoint_that_hangs_through_a_proxy_ends_with_the_timeout(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, authority: trustme.CA, scheme: str
) -> None:
    pytest.importorskip("socksio")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("insights.example").configure_cert(context)
    with running_endpoint(Handler.hang, tls=context) as endpoint:
        proxy = (
            Socks5(endpoint.port) if scheme == "socks5" else Proxy(endpoint.port, tls if scheme == "https" else None)
        )
        with serving(proxy), in_time():
            monkeypatch.setenv("https_proxy", f"{scheme}://{proxy.address}")
            send("https://insights.example")
        assert endpoint.requests == 1
