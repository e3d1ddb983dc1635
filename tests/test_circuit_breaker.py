from __future__ import annotations

from ainsights._delivery.circuit_breaker import CircuitBreaker
from ainsights._delivery.retry import Decision, Disposition

BUSY = Decision(Disposition.RETRY, "503", affects_all=True)
FAILED = Decision(Disposition.RETRY, "500")


def test_closed_breaker_allows_requests_until_a_failure_affects_all() -> None:
    breaker = CircuitBreaker()
    assert breaker.allow_request(0)
    breaker.on_failure(FAILED, sent_at=0, now=1, jitter=1)
    assert (breaker.state, breaker.allow_request(1)) == ("closed", True)
    breaker.on_failure(BUSY, sent_at=0, now=1, jitter=1)
    assert (breaker.state, breaker.allow_request(1)) == ("open", False)


def test_breaker_opens_after_several_failures_in_a_row() -> None:
    breaker = CircuitBreaker()
    for _ in range(CircuitBreaker.FAILURE_THRESHOLD):
        assert breaker.allow_request(1)
        breaker.on_failure(FAILED, sent_at=0, now=1, jitter=1)
    assert not breaker.allow_request(1)


def test_breaker_stays_closed_while_some_requests_succeed() -> None:
    breaker = CircuitBreaker()
    for _ in range(CircuitBreaker.FAILURE_THRESHOLD):
        breaker.on_failure(FAILED, sent_at=0, now=1, jitter=1)
        breaker.on_success(sent_at=1)
    assert breaker.state == "closed"


def test_open_breaker_waits_as_long_as_the_endpoint_asks() -> None:
    breaker = CircuitBreaker()
    breaker.on_failure(Decision(Disposition.RETRY, "429", wait=7, affects_all=True), sent_at=0, now=10, jitter=1)
    breaker.expedite(10)
    assert not breaker.allow_request(16.9)
    assert breaker.allow_request(17)


def test_half_open_breaker_allows_one_probe_at_a_time() -> None:
    breaker = CircuitBreaker()
    breaker.on_failure(BUSY, sent_at=0, now=0, jitter=1)
    assert breaker.allow_request(0.5)
    breaker.on_request(0.5, timeout=10)
    assert breaker.state == "half_open"
    assert not breaker.allow_request(10)
    assert breaker.allow_request(10.5)


def test_half_open_breaker_waits_for_its_probe_while_an_older_request_fails() -> None:
    breaker = CircuitBreaker()
    breaker.on_failure(BUSY, sent_at=0, now=1, jitter=1)
    breaker.on_request(2, timeout=10)
    breaker.on_failure(BUSY, sent_at=0, now=3, jitter=1)
    assert (breaker.state, breaker.retry_at) == ("half_open", 12)


def test_requests_that_fail_together_count_as_one_failure() -> None:
    breaker = CircuitBreaker()
    for _ in range(50):
        breaker.on_failure(BUSY, sent_at=0, now=1, jitter=1)
    assert breaker.retry_at == 1.5


def test_open_breaker_waits_longer_with_each_probe_that_fails() -> None:
    breaker, waits, now = CircuitBreaker(), [], 0.0
    for _ in range(4):
        breaker.on_failure(BUSY, sent_at=now, now=now, jitter=1)
        waits.append(breaker.retry_at - now)
        now = breaker.retry_at
    assert waits == [0.5, 1, 2, 4]


def test_success_closes_the_breaker() -> None:
    breaker = CircuitBreaker()
    breaker.on_failure(BUSY, sent_at=0, now=0, jitter=1)
    breaker.on_success(sent_at=0.1)
    assert (breaker.state, breaker.allow_request(0)) == ("closed", True)


def test_success_of_a_request_sent_before_the_endpoint_refused_all_leaves_the_breaker_open() -> None:
    breaker = CircuitBreaker()
    breaker.on_failure(Decision(Disposition.RETRY, "429", wait=2, affects_all=True), sent_at=0, now=1, jitter=1)
    breaker.on_success(sent_at=0.9)
    assert not breaker.allow_request(2.9)
    assert breaker.allow_request(3)


def test_flush_does_not_expedite_a_probe_where_a_setting_is_wrong() -> None:
    breaker = CircuitBreaker()
    breaker.on_failure(Decision(Disposition.HELD, "401", affects_all=True), sent_at=0, now=0, jitter=1)
    breaker.expedite(0)
    assert not breaker.allow_request(0.1)
