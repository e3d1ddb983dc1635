from __future__ import annotations

import html
import json
import logging
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from support.endpoints import Handler, running_endpoint
from support.models import COMPLETION

from ainsights import Insights
from ainsights._cli import main
from ainsights._delivery.spool.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "rq-Marker/aa+bb==&Marker"
HOSTILE = "no \x1b[2J\x1b]0;owned\x07 \x9b1m \u202edetrever\u2066 \u200b\x00 model"
SEEN = r"no \x1b[2J\x1b]0;owned\x07 \x9b1m \u202edetrever\u2066 \u200b\x00 model"


def as_json(text: str) -> str:
    return json.dumps(text)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": as_json,
    "JSON that escapes slashes": lambda text: as_json(text).replace("/", r"\/"),
    "JSON that escapes for HTML": lambda text: as_json(text).replace("/", r"\u002F").replace("&", r"\u0026"),
    "JSON in JSON": lambda text: as_json(as_json(text).replace("/", r"\/")),
    "URL": quote,
    "URL without slashes": lambda text: quote(text, safe=""),
    "form, twice": lambda text: quote_plus(quote_plus(text)),
    "lower-case URL": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%3D", "%3d"),
    "HTML": html.escape,
    "HTML by numbers": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "HTML by hexadecimal numbers": lambda text: "".join(f"&#x{ord(each):X};" for each in text),
    "HTML in JSON": lambda text: as_json(html.escape(html.escape(text))).replace("/", r"\/"),
    "repr of bytes": lambda text: repr(text.encode()),
}


def deliver_one(url: str, caplog: pytest.LogCaptureFixture, *, times: int = 1, **settings: Any) -> str:
    """Deliver events one after the other, and return all that was logged and is in ``stats()``."""
    with caplog.at_level(logging.DEBUG), Insights(base_url=url, exit_timeout=10, **settings) as insights:
        for _ in range(times):
            insights.capture(response=COMPLETION, messages="hi")
            assert insights.flush(20)
        stats = insights.stats()
    return caplog.text + repr(stats)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_key_that_an_answer_repeats_is_masked(spelling: str, caplog: pytest.LogCaptureFixture) -> None:
    def repeat(handler: Handler) -> bool:
        return handler.answer(400, SPELLINGS[spelling](f"{handler.headers['Authorization']}.").encode())

    with running_endpoint(repeat) as endpoint:
        shown = deliver_one(endpoint.url, caplog, api_key=KEY)
    assert "400" in shown
    assert shown.count("[api_key]") == 2
    assert "Marker" not in shown
    assert "M&#97;" not in shown


@pytest.mark.parametrize("length", [9, 12, 20, 23])
def test_beginning_of_a_key_is_masked_where_an_answer_ends(length: int, caplog: pytest.LogCaptureFixture) -> None:
    with running_endpoint(lambda handler: handler.answer(400, f"wrong key: {KEY[:length]}".encode())) as endpoint:
        shown = deliver_one(endpoint.url, caplog, api_key=KEY)
    assert "wrong key: [api_key]" in shown


def test_log_quotes_the_detail_of_a_problem_document(caplog: pytest.LogCaptureFixture) -> None:
    problem = {"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "this key was revoked"}
    with running_endpoint(lambda handler: handler.answer(400, json.dumps(problem).encode())) as endpoint:
        shown = deliver_one(endpoint.url, caplog)
    assert "400 this key was revoked" in shown
    assert "about:blank" not in shown


def test_word_that_a_key_begins_with_is_not_masked(caplog: pytest.LogCaptureFixture) -> None:
    key = "ainsights_cVxEjo-z5VIGcZBJWqBm"
    with running_endpoint(lambda handler: handler.answer(400, b"unknown key ainsights.retries")) as endpoint:
        shown = deliver_one(endpoint.url, caplog, api_key=key)
    assert "unknown key ainsights.retries" in shown


def test_key_with_a_prefix_is_masked_where_an_answer_cuts_it(caplog: pytest.LogCaptureFixture) -> None:
    with running_endpoint(lambda handler: handler.answer(400, b"wrong key: ainsights_cVxE")) as endpoint:
        shown = deliver_one(endpoint.url, caplog, api_key="ainsights_cVxEjo-z5VIGcZBJWqBm")
    assert "wrong key: [api_key]" in shown


def test_key_that_garbage_repeats_is_masked_on_a_second_connection_too(caplog: pytest.LogCaptureFixture) -> None:
    def behave(handler: Handler) -> bool:
        if handler.number == 2:  # on the kept connection, which is closed without an answer
            handler.close_connection = True
            return False
        if handler.number == 3:
            return handler.raw(f"garbage {handler.headers['Authorization']}\r\n\r\n".encode())
        return handler.answer(200)

    with running_endpoint(behave) as endpoint:
        shown = deliver_one(endpoint.url, caplog, times=2, api_key=KEY)
        assert endpoint.requests == 4
    assert "garbage Bearer [api_key]" in shown
    assert "Marker" not in shown


def test_short_key_is_masked_where_it_follows_its_scheme(caplog: pytest.LogCaptureFixture) -> None:
    with running_endpoint(lambda handler: handler.answer(400, b"the key in 'Bearer key' is no key")) as endpoint:
        shown = deliver_one(endpoint.url, caplog, api_key="key")
    assert "the key in 'Bearer [api_key]' is no key" in shown


def test_key_is_masked_in_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with running_endpoint() as endpoint:
        deliver_one(endpoint.url, caplog, api_key=KEY)
        logger = logging.getLogger("ainsights")
        try:
            int(f"Bearer {KEY}")
        except ValueError:
            logger.exception("sending failed")
    assert "invalid literal for int() with base 10: 'Bearer [api_key]'" in caplog.text
    assert "Traceback" in caplog.text
    assert "Marker/" not in caplog.text


@pytest.mark.parametrize("status", [400, 401])
def test_terminal_escapes_of_an_answer_are_escaped(status: int, caplog: pytest.LogCaptureFixture) -> None:
    behave = lambda handler: handler.answer(status, HOSTILE.encode())  # noqa: E731
    with running_endpoint(behave) as endpoint, Insights(base_url=endpoint.url, exit_timeout=0.1) as insights:
        insights.capture(response=COMPLETION, messages="hi")
        assert endpoint.wait_for(lambda: endpoint.requests > 0)
    last_error = insights.stats().last_error
    assert last_error is not None
    assert SEEN in last_error
    assert SEEN in caplog.text
    assert "\x1b" not in caplog.text


def test_terminal_escapes_of_garbage_are_escaped(caplog: pytest.LogCaptureFixture) -> None:
    def behave(handler: Handler) -> bool:
        return handler.raw(b"\x1b[2Jgarbage\r\n\r\n") if handler.number == 1 else handler.answer(200)

    with running_endpoint(behave) as endpoint:
        shown = deliver_one(endpoint.url, caplog)
    assert r"\x1b[2Jgarbage" in shown
    assert "\x1b" not in shown


def test_terminal_escapes_are_escaped_in_the_status_of_a_spool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = Spool(tmp_path, 2**20)
    spool.add([b"{}"])
    spool.close()
    with sqlite3.connect(tmp_path / "spool.db") as connection:  # as an earlier version, or another program, wrote it
        connection.execute("UPDATE event SET reason = ?", (HOSTILE,))
    connection.close()
    assert main(["spool", "status", "--dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert SEEN in out
    assert "\x1b" not in out


def test_terminal_escapes_are_escaped_in_the_findings_of_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_endpoint(lambda handler: handler.answer(400, HOSTILE.encode())) as endpoint:
        monkeypatch.setenv("AINSIGHTS_BASE_URL", endpoint.url)
        monkeypatch.setenv("AINSIGHTS_API_KEY", KEY)
        assert main(["doctor", "--send"]) == 1
    out = capsys.readouterr().out
    assert SEEN in out
    assert "\x1b" not in out
