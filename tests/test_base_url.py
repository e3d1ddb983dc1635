from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.endpoints import running_endpoint

import ainsights
from ainsights._base_url import is_loopback, normalize_base_url
from ainsights._config import HOSTED, load
from ainsights.errors import ConfigurationError

UNUSABLE = {
    "space in the path": ("https://host/a b", "its path has ' '"),
    "umlaut in the path": ("https://host/bücher", "its path has 'ü'"),
    "control character": ("https://host/\x07", r"its path has '\\x07'"),
    "broken percent-encoding": ("https://host/%zz", "its path has '%'"),
    "line break": ("https://host/a\r\nX-Header: 1", "a tab or a line break"),
    "line break in the host": ("https://ho\nst/", "a tab or a line break"),
    "empty label": ("https://a..b", "its host is not a host name"),
    "long label": (f"https://{'x' * 64}.example", "its host is not a host name"),
    "long name": (f"https://{'x.' * 127}example", "its host is not a host name"),
    "space in the host": ("https://ho st", "its host is not a host name"),
    "percent in the host": ("https://ho%73t", "its host is not a host name"),
    "symbol that IDNA refuses": ("https://☃.example", "its host is not an international name"),
    "long international label": (f"https://{'ü' * 60}.example", "its host is not an international name"),
    "open bracket": ("http://[::1", "its host is not a host name or an address"),
    "no IPv6 address": ("http://[::g]/", "its host is not a host name or an address"),
    "port 0": ("https://host:0", "its port is not a number from 1 to 65535"),
    "port too high": ("https://host:65536", "its port is not a number from 1 to 65535"),
    "no port": ("https://host:port", "its port is not a number from 1 to 65535"),
    "no scheme": ("host.example", "not an http:// or https:// URL"),
    "no host": ("https:///insights", "not an http:// or https:// URL"),
    "query": ("https://host?", "credentials, a query or a fragment"),
    "fragment": ("https://host/#", "credentials, a query or a fragment"),
    "credentials": ("https://@host", "credentials, a query or a fragment"),
}


@pytest.mark.parametrize(("url", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_url_that_cannot_be_used_is_refused_at_start_up(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"(?s)base_url=.* is wrong \(.*{reason}.*\). It takes an https://"):
        ainsights.Insights(base_url=url)


def test_program_ends_with_the_variable_that_is_wrong() -> None:
    environ = os.environ | {"AINSIGHTS_BASE_URL": "https://a..b", "AINSIGHTS_API_KEY": "key"}
    program = "import ainsights; ainsights.instrument()"
    ran = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "ConfigurationError: AINSIGHTS_BASE_URL='https://a..b' is wrong" in ran.stderr
    assert "UnicodeError" not in ran.stderr


@pytest.mark.parametrize(
    ("url", "wire"),
    [
        ("https://bücher.example/ainsights/", "https://xn--bcher-kva.example/ainsights"),
        ("https://BÜCHER.example", "https://xn--bcher-kva.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://例え。テスト", "https://xn--r8jz45g.xn--zckzah"),
        ("HTTPS://Host.Example:8443/", "https://host.example:8443"),
        ("https://host/base/", "https://host/base"),
        ("https://host/a%20b/~c;d=e", "https://host/a%20b/~c;d=e"),
        ("http://[0:0:0:0:0:0:0:1]:80", "http://[::1]:80"),
        (" https://my_service. ", "https://my_service."),
        (HOSTED, HOSTED),
    ],
)
def test_url_is_kept_as_it_goes_over_the_wire(url: str, wire: str) -> None:
    assert load({}, base_url=url).base_url == wire


@given(st.text(max_size=30), st.text(max_size=30))
def test_each_accepted_url_fits_a_request_line_and_a_host_header(host: str, path: str) -> None:
    try:
        url = normalize_base_url(f"https://{host}/{path}")
    except ValueError:
        return
    assert url.isascii()
    assert url.isprintable()
    assert " " not in url
    assert normalize_base_url(url) == url
    url.split("/")[2].encode("idna")


def test_percent_encoded_path_reaches_the_endpoint() -> None:
    with running_endpoint() as endpoint, ainsights.Insights(base_url=f"{endpoint.url}/a%20b/") as insights:
        insights.capture(response={"model": "m", "choices": []}, messages="hi")
        assert insights.flush(20)
    assert endpoint.paths == ["/a%20b/insight"]


def test_credentials_in_the_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load({"AINSIGHTS_BASE_URL": "https://ann:hunter2@host"})
    assert "hunter2" not in str(caught.value)


def test_unencrypted_host_is_refused_unless_allowed() -> None:
    with pytest.raises(ConfigurationError, match="AINSIGHTS_ALLOW_INSECURE"):
        load({"AINSIGHTS_BASE_URL": "http://insights.example"})
    allowed = load({"AINSIGHTS_BASE_URL": "http://insights.example", "AINSIGHTS_ALLOW_INSECURE": "1"})
    assert allowed.base_url == "http://insights.example"


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.8.9.1", "::1"])
def test_loopback_is_known_by_its_form(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example.com", "10.0.0.1", "128.0.0.1", "example.com", "", "::2"])
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)
