from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from support.endpoints import Endpoint, Handler, running_endpoint

from ainsights._delivery.http_sender import _plain_answer, senders
from ainsights._delivery.retry import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = b'{"meta": {"ainsights.event_id": "1"}}'


def send(url: str, body: bytes = BODY, timeout: float = 5) -> Answer:
    sender = senders(url, "key", timeout)()
    try:
        return sender.send(body)
    finally:
        sender.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-length:2\r\nX: y\r\n\r\nhi",
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: folded\r\n line\r\n\r\nhi",
    ],
)
def test_answer_is_read_in_every_valid_encoding(sent: bytes) -> None:
    with running_endpoint(lambda handler: handler.raw(sent)) as endpoint:
        assert send(endpoint.url) == Answer(200, "hi")


@pytest.mark.parametrize("piece", [1, 3, 17, 40])
def test_answer_may_come_in_pieces(piece: int) -> None:
    sent = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 7\r\n\r\nbusy"

    def in_pieces(handler: Handler) -> bool:
        for start in range(0, len(sent), piece):
            handler.connection.sendall(sent[start : start + piece])
            handler.endpoint.released.wait(0.002)
        return False

    with running_endpoint(in_pieces) as endpoint:
        assert send(endpoint.url) == Answer(503, "busy", "7")


@given(st.binary(max_size=200))
def test_plain_parser_takes_no_bytes_that_are_not_plain(noise: bytes) -> None:
    assert _plain_answer(noise) is None or noise.startswith(b"HTTP/1.1 ")


def test_answer_that_is_too_long_is_cut_and_the_connection_replaced() -> None:
    with running_endpoint(lambda handler: handler.answer(200, b"x" * 100_000)) as endpoint:
        sender = senders(endpoint.url, "key", 5)()
        for _ in range(3):
            answer = sender.send(BODY)
            assert answer.status == 200
            assert set(answer.body) == {"x"}
        sender.close()
        assert endpoint.connections == 3


@pytest.mark.parametrize("size", [0, 10, 65_536, 5_000_000])
def test_body_arrives_whole(size: int) -> None:
    body = b'{"meta": {"ainsights.event_id": "%s"}}' % (b"x" * size)
    with running_endpoint() as endpoint:
        assert send(endpoint.url, body).status == 200
        assert list(endpoint.times_stored) == ["x" * size]


@pytest.mark.parametrize(
    "sent",
    [b"", b"\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", b"\xff" * 70_000],
)
def test_garbage_is_an_error_that_is_retried(sent: bytes) -> None:
    with (
        running_endpoint(lambda handler: handler.raw(sent)) as endpoint,
        pytest.raises((http.client.HTTPException, OSError)),
    ):
        send(endpoint.url)


def test_answer_in_drops_ends_with_the_timeout() -> None:
    with (
        running_endpoint(lambda handler: handler.drip(b"HTTP/1.1 200 OK\r\n" * 100, 0.02)) as endpoint,
        pytest.raises(TimeoutError),
    ):
        send(endpoint.url, timeout=0.3)


def test_host_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(socket.gaierror):
        send("http://name.invalid")


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def https(authority: trustme.CA) -> Iterator[Endpoint]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with running_endpoint(tls=context) as endpoint:
        yield endpoint


def test_certificate_that_is_trusted_is_taken(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with https(authority) as endpoint:
        assert send(f"https://localhost:{endpoint.port}").status == 200
        assert len(endpoint.stored) == 1


def test_certificate_that_is_not_trusted_is_an_error(authority: trustme.CA) -> None:
    with https(authority) as endpoint:
        with pytest.raises(ssl.SSLCertVerificationError):
            send(f"https://localhost:{endpoint.port}")
        assert endpoint.stored == []


def test_plain_endpoint_behind_https_is_an_error() -> None:
    with running_endpoint() as endpoint, pytest.raises(OSError):  # noqa: PT011  its text is OpenSSL's
        send(f"https://localhost:{endpoint.port}")


# Keys


def test_two_endpoints_do_not_mix_their_keys() -> None:
    seen: dict[str, Any] = {}
    with running_endpoint() as one, running_endpoint() as two:
        for endpoint, key in ((one, "first"), (two, "second")):
            sender = senders(endpoint.url, key, 5)()
            sender.send(BODY)
            sender.close()
            seen[key] = [headers["Authorization"] for headers in endpoint.headers]
    assert seen == {"first": ["Bearer first"], "second": ["Bearer second"]}


def test_key_that_the_endpoint_repeats_is_masked() -> None:
    def repeating(handler: Handler) -> None:
        handler.answer(400, handler.headers["Authorization"].encode())

    with running_endpoint(repeating) as endpoint, closing(senders(endpoint.url, "key-of-ours", 5)()) as sender:
        assert sender.send(b"{}").body == "Bearer [api_key]"
