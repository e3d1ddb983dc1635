from __future__ import annotations

import http.client
import socket
import ssl
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ainsights._delivery.retry import (
    LONGEST_DELAY,
    LONGEST_RETRY_AFTER,
    Answer,
    Disposition,
    back_off,
    classify,
    retry_after,
)

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("status", "disposition"),
    [
        *[(status, Disposition.DELIVERED) for status in (200, 201, 202, 204)],
        *[(status, Disposition.HELD) for status in (301, 302, 307, 308, 401, 403, 404, 405)],
        *[(status, Disposition.REJECTED) for status in (400, 409, 410, 413, 415, 418, 422, 451)],
        *[(status, Disposition.RETRY) for status in (408, 425, 429, 500, 502, 503, 504, 520, 599)],
    ],
)
def test_status_decides_the_disposition(status: int, disposition: Disposition) -> None:
    assert classify(Answer(status), NOW).disposition is disposition


@pytest.mark.parametrize("status", [401, 403, 404, 405, 429, 503])
def test_answer_about_the_endpoint_holds_all_events(status: int) -> None:
    assert classify(Answer(status), NOW).affects_all


@pytest.mark.parametrize("status", [400, 422, 500, 502])
def test_answer_about_an_event_affects_that_event_only(status: int) -> None:
    assert not classify(Answer(status), NOW).affects_all


@pytest.mark.parametrize(
    ("error", "affects_all"),
    [
        (ConnectionRefusedError(), True),
        (ConnectionResetError(), True),
        (socket.gaierror(), True),
        (ssl.SSLError(), True),
        (OSError("no route"), True),
        (TimeoutError(), False),
        (http.client.BadStatusLine("garbage"), False),
        (http.client.IncompleteRead(b""), False),
        (ValueError("odd"), False),
    ],
)
def test_exception_is_retried(error: Exception, *, affects_all: bool) -> None:
    decision = classify(error, NOW)
    assert decision.disposition is Disposition.RETRY
    assert decision.affects_all is affects_all
    assert type(error).__name__ in decision.reason


@pytest.mark.parametrize(("status", "hint"), [(401, "AINSIGHTS_API_KEY"), (404, "AINSIGHTS_BASE_URL")])
def test_held_error_names_what_to_check(status: int, hint: str) -> None:
    assert hint in classify(Answer(status, "nope"), NOW).reason


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("2", 2),
        ("0.5", 0.5),
        ("0", 0),
        ("-3", 0),
        ("999999999", LONGEST_RETRY_AFTER),
        ("1e400", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        (format_datetime(NOW + timedelta(seconds=30)), 30),
        (format_datetime(NOW - timedelta(days=30)), 0),
        (format_datetime(NOW + timedelta(days=30000)), LONGEST_RETRY_AFTER),
        ("Thu, 01 Jan 2026 00:00:10", 10),
        ("Wed, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@given(st.text())
def test_retry_after_survives_any_text(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_back_off_is_bounded(failures: int, jitter: float) -> None:
    assert 0 <= back_off(failures, jitter) <= LONGEST_DELAY


def test_back_off_doubles() -> None:
    assert [back_off(n, 1) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 16, 30]
