from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ainsights.server.pages import guard, sessions
from ainsights.server.pages.sessions import Sessions


def test_cookie_gives_back_key_and_role() -> None:
    session = Sessions(b"secret").read(Sessions(b"secret").issue("dashboards", "read"))
    assert session is not None
    assert (session.key, session.role) == ("dashboards", "read")


def test_cookie_with_another_role_is_refused() -> None:
    content, _, signature = Sessions(b"secret").issue("dashboards", "read").rpartition(".")
    changed = json.loads(base64.urlsafe_b64decode(content)) | {"role": "admin"}
    forged = base64.urlsafe_b64encode(json.dumps(changed).encode()).decode()
    assert Sessions(b"secret").read(f"{forged}.{signature}") is None


def test_cookie_of_another_secret_is_refused() -> None:
    assert Sessions(b"secret").read(Sessions(b"other").issue("a", "admin")) is None


def test_expired_cookie_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Sessions(b"secret")
    cookie = ours.issue("a", "read")
    later = sessions.time.time() + sessions.SESSION_SECONDS + 1
    monkeypatch.setattr(sessions.time, "time", lambda: later)
    assert ours.read(cookie) is None


@given(st.text() | st.none())
def test_anything_else_is_not_a_session(cookie: str | None) -> None:
    assert Sessions(b"secret").read(cookie) is None


def test_link_works_once() -> None:
    ours = Sessions(b"secret")
    token = ours.link("owner", "admin")
    cookie = ours.redeem(token)
    session = ours.read(cookie)
    assert session is not None
    assert session.role == "admin"
    assert ours.redeem(token) is None


def test_link_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Sessions(b"secret")
    token = ours.link("owner", "admin")
    later = sessions.time.time() + sessions.LINK_SECONDS + 1
    monkeypatch.setattr(sessions.time, "time", lambda: later)
    assert ours.redeem(token) is None


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:8383", True),
        ("127.0.0.1:8383", True),
        ("[::1]:8383", True),
        ("192.168.1.7", True),
        ("Insights.Corp.Example:443", True),
        ("evil.example", False),
        ("evil.example:8383", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        (None, False),
        ("[::1", False),
        ("user@localhost", False),
    ],
)
def test_host_of_an_attacker_is_refused(host: str | None, known: bool) -> None:  # noqa: FBT001  a table
    assert guard.is_known_host(host, ["insights.corp.example"]) is known


@pytest.mark.parametrize(
    ("method", "headers", "same"),
    [
        ("GET", {}, True),
        ("POST", {"host": "localhost:1", "origin": "http://localhost:1"}, True),
        ("POST", {"host": "localhost:1", "origin": "http://localhost:1", "sec-fetch-site": "same-origin"}, True),
        ("POST", {"host": "localhost:1", "sec-fetch-site": "same-origin"}, True),
        ("POST", {"host": "localhost:1", "origin": "http://evil.example"}, False),
        ("POST", {"host": "localhost:1", "origin": "null"}, False),
        ("POST", {"host": "localhost:1", "origin": "http://localhost:2"}, False),
        ("DELETE", {"host": "localhost:1", "sec-fetch-site": "cross-site"}, False),
        ("POST", {"host": "localhost:1", "sec-fetch-site": "same-site", "origin": "http://localhost:1"}, False),
        ("POST", {"host": "localhost:1"}, False),
    ],
)
def test_change_comes_from_our_own_pages_only(method: str, headers: dict[str, str], same: bool) -> None:  # noqa: FBT001
    assert guard.is_same_origin(method, headers) is same


def test_pages_load_and_run_nothing_inline() -> None:
    assert "unsafe" not in guard.HEADERS["Content-Security-Policy"]
