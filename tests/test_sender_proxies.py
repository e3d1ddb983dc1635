"""Insights through proxies of each kind, and what is reported where one does not work."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import httpcore
import pytest
import respx
import trustme
from support.endpoints import Endpoint, Handler, free_port, running_endpoint
from support.proxies import Proxy, Socks5, serving

import ainsights
from ainsights._delivery.endpoint import Endpoint as Destination
from ainsights._delivery.endpoint import ProxyError
from ainsights._delivery.http_sender import senders
from ainsights._delivery.retry import Answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = b'{"meta": {"ainsights.event_id": "1"}}'
ACCOUNT = "ann:pass%20word@"
HELLO = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("insights.example", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def environ(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.fixture
def endpoint(certificate: ssl.SSLContext) -> Iterator[Endpoint]:
    with running_endpoint(tls=certificate) as endpoint:
        yield endpoint


def send(url: str, times: int = 1, timeout: float = 10) -> list[Answer]:
    with closing(senders(url, "key-of-ours", timeout)()) as sender:
        return [sender.send(BODY) for _ in range(times)]


def only_request(proxy: Proxy) -> bytes:
    """Return the one request that the proxy received, however many events were sent."""
    (head,) = proxy.requests
    assert b"key-of-ours" not in head
    return head


# Each kind


@pytest.mark.parametrize("account", ["", ACCOUNT], ids=["no account", "account"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_http_proxy_is_asked_to_tunnel_to_an_https_endpoint(
    endpoint: Endpoint, environ: pytest.MonkeyPatch, certificate: ssl.SSLContext, scheme: str, account: str
) -> None:
    with serving(Proxy(endpoint.port, certificate if scheme == "https" else None)) as proxy:
        environ.setenv("https_proxy", f"{scheme}://{account}{proxy.address}")
        assert [answer.status for answer in send("https://insights.example", times=2)] == [200, 200]
    head = only_request(proxy)
    assert head.startswith(b"CONNECT insights.example:443 HTTP/1.1\r\n")
    assert (b"Proxy-Authorization: Basic YW5uOnBhc3Mgd29yZA==" in head) == bool(account)
    assert len(endpoint.stored) == 2


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("account", ["", ACCOUNT], ids=["no account", "account"])
def test_socks_proxy_is_asked_for_the_name_of_an_https_endpoint(
    endpoint: Endpoint, environ: pytest.MonkeyPatch, scheme: str, account: str
) -> None:
    pytest.importorskip("socksio")
    with serving(Socks5(endpoint.port, (b"ann", b"pass word") if account else None)) as proxy:
        environ.setenv("ALL_PROXY", f"{scheme}://{account}{proxy.address}")
        assert [answer.status for answer in send("https://insights.example/base", times=2)] == [200, 200]
    assert only_request(proxy) == b"insights.example:443"
    assert endpoint.paths == ["/base/insight"] * 2


def test_http_proxy_is_given_the_whole_url_of_an_http_endpoint(environ: pytest.MonkeyPatch) -> None:
    with running_endpoint() as endpoint, serving(Proxy(endpoint.port)) as proxy:
        environ.setenv("http_proxy", f"http://{proxy.address}")
        assert send("http://insights.example/base")[0].status == 200
        assert endpoint.paths == ["/base/insight"]
    assert proxy.requests[0].startswith(
        b"PUT http://insights.example/base/insight HTTP/1.1\r\nHost: insights.example\r\n"
    )


def test_https_proxy_leads_to_an_http_endpoint(environ: pytest.MonkeyPatch, certificate: ssl.SSLContext) -> None:
    with running_endpoint() as endpoint, serving(Proxy(endpoint.port, certificate)) as proxy:
        environ.setenv("http_proxy", f"https://{proxy.address}")
        assert send("http://insights.example")[0].status == 200


def test_socks_proxy_leads_to_an_http_endpoint(environ: pytest.MonkeyPatch) -> None:
    pytest.importorskip("socksio")
    with running_endpoint() as endpoint, serving(Socks5(endpoint.port)) as proxy:
        environ.setenv("http_proxy", f"socks5://{proxy.address}")
        assert send("http://insights.example")[0].status == 200
    assert only_request(proxy) == b"insights.example:80"


@pytest.mark.parametrize("scheme", ["https", "socks5"])
def test_large_body_and_long_answer_pass_through(
    environ: pytest.MonkeyPatch, certificate: ssl.SSLContext, scheme: str
) -> None:
    pytest.importorskip("socksio")
    body = b'{"meta": {"ainsights.event_id": "%s"}}' % (b"x" * 3_000_000)
    with running_endpoint(lambda handler: handler.answer(200, b"y" * 100_000), tls=certificate) as endpoint:
        proxy = Proxy(endpoint.port, certificate) if scheme == "https" else Socks5(endpoint.port)
        with serving(proxy):
            environ.setenv("https_proxy", f"{scheme}://{proxy.address}")
            with closing(senders("https://insights.example", None, 20)()) as sender:
                assert {len(sender.send(body).body) for _ in range(2)} == {4096}
        assert list(endpoint.times_stored.values()) == [2]


def test_connection_through_a_proxy_that_was_closed_meanwhile_is_replaced(
    environ: pytest.MonkeyPatch, certificate: ssl.SSLContext
) -> None:
    def answer_and_close(handler: Handler) -> bool:
        handler.close_connection = True
        return handler.answer(200)

    with (
        running_endpoint(answer_and_close, tls=certificate) as endpoint,
        serving(Proxy(endpoint.port, certificate)) as proxy,
    ):
        environ.setenv("https_proxy", f"https://{proxy.address}")
        assert [answer.status for answer in send("https://insights.example", times=3)] == [200] * 3


# Which


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://proxy.example", "proxy.example:80"),
        ("proxy.example", "proxy.example:80"),
        ("proxy.example:3128", "proxy.example:3128"),
        ("https://proxy.example/", "proxy.example:443"),
        ("socks5://proxy.example", "proxy.example:1080"),
        ("http://[::1]", "[::1]:80"),
    ],
)
def test_proxy_without_a_port_has_that_of_its_scheme(environ: pytest.MonkeyPatch, url: str, address: str) -> None:
    environ.setenv("HTTPS_PROXY", url)
    proxy = Destination.of("https://insights.example").proxy
    assert proxy is not None
    assert str(proxy) == f"the proxy {address} (HTTPS_PROXY)"
    assert httpcore.URL(url if "://" in url else f"http://{url}").origin.port == proxy.port


def test_loopback_is_reached_without_the_proxy(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("http_proxy", "http://name.invalid:1")
    with running_endpoint() as endpoint:
        assert send(endpoint.url)[0].status == 200


@pytest.mark.parametrize("excluded", ["insights.example", "insights.example:8443", ".example"])
def test_host_in_no_proxy_is_reached_without_the_proxy(environ: pytest.MonkeyPatch, excluded: str) -> None:
    environ.setenv("https_proxy", "http://127.0.0.1:1")
    environ.setenv("no_proxy", excluded)
    assert Destination.of("https://insights.example:8443").proxy is None


# What does not work


def test_proxy_that_refuses_is_named_in_the_log_with_its_variable(
    environ: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"127.0.0.1:{free_port()}"
    environ.setenv("HTTPS_PROXY", f"http://ann:secret-of-ann@{address}")
    with ainsights.Insights(base_url="https://insights.example", api_key="key", exit_timeout=0) as insights:
        insights.capture(response=HELLO, messages="hi")
        insights.flush(0.5)
        error = insights.stats().last_error
    (line,) = [record.getMessage() for record in caplog.records if "did not reach" in record.getMessage()]
    assert f"the proxy {address} (HTTPS_PROXY): ConnectionRefusedError" in line
    assert "check HTTPS_PROXY" in line
    assert "NO_PROXY" in line
    assert "BASE_URL" not in line
    assert address in str(error)
    assert "secret-of-ann" not in caplog.text + str(error)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("socks4://127.0.0.1:1", "socks4:// is not supported, only http://, https://, socks5://, socks5h://"),
        ("http://127.0.0.1:many", "its port is not a number"),
        ("http://", "it names no host"),
    ],
)
def test_proxy_that_cannot_be_used_is_named_by_its_variable(
    environ: pytest.MonkeyPatch, url: str, complaint: str
) -> None:
    environ.setenv("ALL_PROXY", url)
    with pytest.raises(ProxyError, match=f"the proxy that ALL_PROXY names: {complaint}"):
        send("https://insights.example")


def test_proxy_that_asks_for_an_account_is_named(endpoint: Endpoint, environ: pytest.MonkeyPatch) -> None:
    with serving(Proxy(endpoint.port, answer=b"407 Who are you?")) as proxy:
        environ.setenv("https_proxy", f"http://{proxy.address}")
        with pytest.raises(ProxyError, match=r"\(https_proxy\): it answers 407 Who are you\? to CONNECT"):
            send("https://insights.example")


def test_https_proxy_that_refuses_is_named(
    endpoint: Endpoint, environ: pytest.MonkeyPatch, certificate: ssl.SSLContext
) -> None:
    with serving(Proxy(endpoint.port, certificate, answer=b"403 Not there")) as proxy:
        environ.setenv("https_proxy", f"https://{proxy.address}")
        with pytest.raises(ProxyError, match=r"\(https_proxy\): ProxyError: 403 Not there"):
            send("https://insights.example")


def test_socks_proxy_that_does_not_accept_the_account_is_named(endpoint: Endpoint, environ: pytest.MonkeyPatch) -> None:
    pytest.importorskip("socksio")
    with serving(Socks5(endpoint.port, (b"ann", b"another"))) as proxy:
        environ.setenv("https_proxy", f"socks5://{ACCOUNT}{proxy.address}")
        with pytest.raises(ProxyError, match=r"\(https_proxy\): "):
            send("https://insights.example")


def test_socks_without_its_package_names_what_to_install_and_loads_no_httpx() -> None:
    program = """
import sys
sys.modules["socksio"] = None
from ainsights._delivery.http_sender import senders
try:
    senders("https://insights.example", "key", 5)()
except OSError as error:
    print(error)
print("httpx" in sys.modules)
"""
    environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environ["HTTPS_PROXY"] = "socks5://127.0.0.1:1"
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [
        "the proxy 127.0.0.1:1 (HTTPS_PROXY): SOCKS needs the package socksio: pip install 'httpx[socks]'",
        "False",
    ]


def test_doctor_names_the_variable_of_a_proxy_that_refuses(environ: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}"
    environ.setenv("HTTPS_PROXY", f"http://{address}")
    found = diagnose("https://insights.example")
    assert (found["level"], found["details"]["proxy"]) == ("problem", address)
    assert f"the proxy {address} (HTTPS_PROXY)" in found["message"]
    assert found["remedy"].startswith("check HTTPS_PROXY")


def test_doctor_does_not_claim_more_of_a_socks_proxy_than_that_it_is_reachable(
    endpoint: Endpoint, environ: pytest.MonkeyPatch
) -> None:
    with serving(Socks5(endpoint.port)) as proxy:
        environ.setenv("HTTPS_PROXY", f"socks5://{proxy.address}")
        found = diagnose("https://insights.example")
    assert (found["level"], found["details"]["reachable"]) == ("ok", None)
    assert found["message"].startswith(f"the proxy {proxy.address} (HTTPS_PROXY) is reachable")


def diagnose(url: str) -> dict[str, object]:
    command = [sys.executable, "-m", "ainsights", "doctor", "--json"]
    environ = os.environ | {"AINSIGHTS_BASE_URL": url, "AINSIGHTS_API_KEY": "key-of-ours", "AINSIGHTS_TIMEOUT": "5"}
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    found: dict[str, object] = next(each for each in json.loads(ran.stdout)["findings"] if each["check"] == "endpoint")
    return found


# What httpcore answers and raises


@pytest.fixture
def proxied(environ: pytest.MonkeyPatch) -> Iterator[respx.MockRouter]:
    environ.setenv("HTTPS_PROXY", "https://proxy.example")
    with respx.mock(using="httpcore") as router:
        yield router


def test_answer_is_passed_on_with_its_retry_after(proxied: respx.MockRouter) -> None:
    route = proxied.put("https://insights.example/insight").respond(503, headers={"Retry-After": "7"}, text="busy")
    assert send("https://insights.example") == [Answer(503, "busy", "7")]
    request = route.calls.last.request
    assert request.headers["Authorization"] == "Bearer key-of-ours"
    assert request.headers["Content-Length"] == str(len(BODY))
    assert request.content == BODY


def test_key_that_the_answer_repeats_is_masked(proxied: respx.MockRouter) -> None:
    proxied.put("https://insights.example/insight").respond(400, text="no: key-of-ours")
    assert send("https://insights.example")[0].body == "no: [api_key]"


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (httpcore.ProxyError("407"), ProxyError),
        (httpcore.RemoteProtocolError("garbage"), http.client.HTTPException),
        (httpcore.ReadError("reset"), http.client.HTTPException),
        (TimeoutError("late"), TimeoutError),
    ],
    ids=str,
)
def test_error_of_httpcore_becomes_one_that_delivery_knows(
    proxied: respx.MockRouter, raised: Exception, becomes: type[Exception]
) -> None:
    proxied.put("https://insights.example/insight").mock(side_effect=raised)
    with pytest.raises(becomes):
        send("https://insights.example")
