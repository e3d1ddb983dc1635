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
    Fate,
    Gate,
    Verdict,
    back_off,
    judge,
    retry_after,
)

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
BUSY = Verdict(Fate.RETRY, "503", concerns_all=True)


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        *[(status, Fate.DELIVERED) for status in (200, 201, 202, 204)],
        *[(status, Fate.HELD) for status in (301, 302, 307, 308, 401, 403, 404)],
        *[(status, Fate.REJECTED) for status in (400, 405, 409, 410, 413, 415, 418, 422, 451)],
        *[(status, Fate.RETRY) for status in (408, 425, 429, 500, 502, 503, 504, 520, 599)],
    ],
)
def test_status_decides_fate(status: int, fate: Fate) -> None:
    assert judge(Answer(status), NOW).fate is fate


@pytest.mark.parametrize("status", [401, 403, 404, 429, 503])
def test_some_answers_concern_all_events(status: int) -> None:
    assert judge(Answer(status), NOW).concerns_all


@pytest.mark.parametrize("status", [400, 422, 500, 502])
def test_other_answers_concern_one_event(status: int) -> None:
    assert not judge(Answer(status), NOW).concerns_all


@pytest.mark.parametrize(
    ("error", "concerns_all"),
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
def test_exception_is_tried_again(error: Exception, *, concerns_all: bool) -> None:
    verdict = judge(error, NOW)
    assert verdict.fate is Fate.RETRY
    assert verdict.concerns_all is concerns_all
    assert type(error).__name__ in verdict.reason


@pytest.mark.parametrize(("status", "hint"), [(401, "AINSIGHTS_API_KEY"), (404, "AINSIGHTS_BASE_URL")])
def test_held_says_what_to_check(status: int, hint: str) -> None:
    assert hint in judge(Answer(status, "nope"), NOW).reason


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
def test_back_off_is_bounded(failures: int, chance: float) -> None:
    assert 0 <= back_off(failures, chance) <= LONGEST_DELAY


def test_back_off_doubles() -> None:
    assert [back_off(n, 1) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 16, 30]


def test_gate_admits_until_all_are_concerned() -> None:
    gate = Gate()
    assert gate.admits(0)
    gate.failed(Verdict(Fate.RETRY, "500"), began=0, now=1, chance=1)
    assert gate.admits(1)
    gate.failed(BUSY, began=0, now=1, chance=1)
    assert not gate.admits(1)


def test_gate_closes_after_several_failures_in_a_row() -> None:
    gate = Gate()
    for _ in range(Gate.PATIENCE):
        assert gate.admits(1)
        gate.failed(Verdict(Fate.RETRY, "500"), began=0, now=1, chance=1)
    assert not gate.admits(1)


def test_gate_waits_as_long_as_the_endpoint_asks() -> None:
    gate = Gate()
    gate.failed(Verdict(Fate.RETRY, "429", wait=7, concerns_all=True), began=0, now=10, chance=1)
    gate.hurry(10)
    assert not gate.admits(16.9)
    assert gate.admits(17)


def test_gate_lets_one_probe_through_at_a_time() -> None:
    gate = Gate()
    gate.failed(BUSY, began=0, now=0, chance=1)
    assert gate.admits(0.5)
    gate.probing(0.5, patience=10)
    assert not gate.admits(10)
    assert gate.admits(10.5)


def test_gate_takes_requests_that_failed_together_for_one_failure() -> None:
    gate = Gate()
    for _ in range(50):
        gate.failed(BUSY, began=0, now=1, chance=1)
    assert gate.opens_at == 1.5


def test_gate_waits_longer_with_each_probe_that_fails() -> None:
    gate, waits, now = Gate(), [], 0.0
    for _ in range(4):
        gate.failed(BUSY, began=now, now=now, chance=1)
        waits.append(gate.opens_at - now)
        now = gate.opens_at
    assert waits == [0.5, 1, 2, 4]


def test_gate_opens_with_a_success() -> None:
    gate = Gate()
    gate.failed(BUSY, began=0, now=0, chance=1)
    gate.succeeded(began=0.1)
    assert gate.admits(0)


def test_gate_stays_closed_when_a_request_succeeds_that_went_out_before() -> None:
    gate = Gate()
    gate.failed(Verdict(Fate.RETRY, "429", wait=2, concerns_all=True), began=0, now=1, chance=1)
    gate.succeeded(began=0.9)
    assert not gate.admits(2.9)
    assert gate.admits(3)


def test_haste_does_not_help_where_somebody_must_act() -> None:
    gate = Gate()
    gate.failed(Verdict(Fate.HELD, "401", concerns_all=True), began=0, now=0, chance=1)
    gate.hurry(0)
    assert not gate.admits(0.1)
