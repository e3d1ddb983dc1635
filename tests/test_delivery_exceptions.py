"""What the user's code raises on our threads, SystemExit and KeyboardInterrupt included, costs its own event only."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import running_endpoint
from support.models import COMPLETION
from support.polling import PATIENCE

import ainsights
import ainsights.testing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.endpoints import Endpoint

    from ainsights._model import Insight


class GreenletExit(BaseException):
    """As gevent's: an exception that is no Exception."""


RAISED = [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), GreenletExit(), ValueError("mine")]
each_exception = pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


def raising_once(error: BaseException, otherwise: Any = None) -> Callable[[Any], Any]:
    errors = iter([error])

    def function(value: Any) -> Any:
        for each in errors:
            raise each
        return value if otherwise is None else otherwise

    return function


def assert_one_dropped_and_one_delivered(endpoint: Endpoint, reason: str, **settings: Any) -> None:
    with ainsights.Insights(base_url=endpoint.url, api_key="key", **settings) as insights:
        insights.capture(response=COMPLETION, messages="first")
        assert insights.flush(PATIENCE)
        assert len(endpoint.stored) == 0
        insights.capture(response=COMPLETION, messages="second")
        assert insights.flush(PATIENCE)
        stats = insights.stats()
    assert [body["messages"] for body in endpoint.stored] == ["second"]
    assert (stats.captured, stats.delivered, stats.queued_events, stats.queued_bytes) == (2, 1, 0, 0)
    assert stats.dropped == {reason: 1}


@each_exception
def test_exception_of_before_send_drops_its_event_alone(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    assert_one_dropped_and_one_delivered(endpoint, "before_send", before_send=raising_once(error))
    assert f"before_send raised {type(error).__name__}" in caplog.text
    assert "worker thread" not in caplog.text


@each_exception
def test_exception_of_a_redaction_function_drops_its_event_alone(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    assert_one_dropped_and_one_delivered(endpoint, "redact", redact=raising_once(error))
    assert "worker thread" not in caplog.text


@each_exception
def test_exception_of_a_callback_of_the_answer_loses_no_event(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    monkeypatch.setattr("ainsights._internal_errors.raising", False)
    with ainsights.AInsights.new_client(api_key="key", base_url=endpoint.url) as insights:
        insights.capture(response=COMPLETION, messages="first").add_done_callback(raising_once(error))
        assert insights.capture(response=COMPLETION, messages="second").result(PATIENCE).status_code == 200
        assert endpoint.wait_for(lambda: len(endpoint.stored) == 2)
    assert len(endpoint.times_stored) == 2
    assert set(endpoint.times_stored.values()) == {1}
    assert "worker thread" not in caplog.text


@each_exception
def test_exception_of_a_log_handler_loses_no_event(endpoint: Endpoint, error: BaseException) -> None:
    class Raising(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            raise error

    handler = Raising()
    logging.getLogger("ainsights").addHandler(handler)
    endpoint.behave = lambda handler: handler.answer(500 if handler.number == 1 else 200)  # which is logged
    try:
        with ainsights.Insights(base_url=endpoint.url, api_key="key") as insights:
            insights.capture(response=COMPLETION, messages="first")
            assert insights.flush(PATIENCE)
            assert (insights.stats().delivered, insights.stats().queued_events) == (1, 0)
    finally:
        logging.getLogger("ainsights").removeHandler(handler)
    assert (endpoint.requests, len(endpoint.stored)) == (2, 1)


def test_ctrl_c_while_a_test_captures_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ainsights._internal_errors.raising", False)

    def interrupted(_insight: Insight) -> Insight:
        raise KeyboardInterrupt

    with ainsights.testing.capture(before_send=interrupted), pytest.raises(KeyboardInterrupt):
        ainsights.capture(response=COMPLETION, messages="hi")
