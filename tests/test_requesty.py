"""The vendor SDK's interface: the future of the endpoint's answer, and the errors."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import Endpoint, Handler, free_port, running_endpoint
from support.models import COMPLETION
from support.polling import PATIENCE

import ainsights
from ainsights import (
    AInsights,
    AInsightsValueError,
    ConfigurationError,
    DeliveryError,
    HeldError,
    RejectedError,
    RetryableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


def test_future_is_the_answer_of_the_endpoint(endpoint: Endpoint) -> None:
    with AInsights.new_client(api_key="the-key", base_url=endpoint.url) as insights:
        answer = insights.capture(
            response=COMPLETION, messages="hi", args={"model": "m"}, meta={"a": 1}, user_id="ann"
        ).result(PATIENCE)
    assert (answer.status_code, answer.text, answer.json()) == (200, '{"success": true}', {"success": True})
    assert answer.raise_for_status() is answer
    (body,) = endpoint.stored
    assert (body["messages"], body["args"], body["user_id"], body["meta"]["a"]) == ("hi", {"model": "m"}, "ann", 1)
    assert endpoint.headers[0]["Authorization"] == "Bearer the-key"


@pytest.mark.parametrize(("status", "error"), [(422, RejectedError), (400, RejectedError), (401, HeldError)])
def test_answer_that_is_a_refusal_raises_when_asked_to(endpoint: Endpoint, status: int, error: type[Exception]) -> None:
    endpoint.behave = lambda handler: handler.answer(status, b"not so")
    with AInsights.new_client(api_key="k", base_url=endpoint.url, exit_timeout=0) as insights:
        future = insights.capture(response=COMPLETION, messages="hi")
        answer = future.result(PATIENCE)
    assert (answer.status_code, answer.text) == (status, "not so")
    with pytest.raises(error, match=f"{status} not so"):
        answer.raise_for_status()


def test_future_waits_while_the_event_is_retried(endpoint: Endpoint) -> None:
    endpoint.behave = lambda handler: handler.answer(500 if handler.number == 1 else 200)
    with AInsights.new_client(api_key="k", base_url=endpoint.url) as insights:
        assert insights.capture(response=COMPLETION, messages="hi").result(PATIENCE).status == 200
    assert endpoint.requests == 2


def test_future_of_what_was_not_delivered_before_the_close_raises() -> None:
    insights = AInsights.new_client(api_key="k", base_url=f"http://127.0.0.1:{free_port()}", exit_timeout=0)
    futures = [insights.capture(response=COMPLETION, messages="hi") for _ in range(300)]
    insights.close()
    for future in futures:
        with pytest.raises(RetryableError, match="time ran out"):
            future.result(PATIENCE)


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let other threads run between any two steps of one."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_close_while_delivery_is_loaded_counts_no_event_as_too_late() -> None:
    for _ in range(20):
        insights = ainsights.Insights(api_key="k", base_url=f"http://127.0.0.1:{free_port()}", exit_timeout=0)
        client = AInsights(insights=insights)
        futures = [client.capture(response=COMPLETION, messages="hi") for _ in range(100)]
        client.close()
        assert {type(future.exception(PATIENCE)) for future in futures} == {RetryableError}
        assert insights.stats().dropped == {"exit": 100}


def test_future_of_what_the_spool_keeps_raises(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    insights = AInsights.new_client(api_key="k", base_url=url, exit_timeout=0, spool_dir=tmp_path)
    future = insights.capture(response=COMPLETION, messages="hi")
    insights.close()
    with pytest.raises(RetryableError):
        future.result(PATIENCE)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"enabled": False}, "AINSIGHTS_ENABLED is false"),
        ({"sample_rate": 0}, "AINSIGHTS_SAMPLE_RATE"),
        ({"max_queue_bytes": 4096}, "the queue is full"),
        ({"before_send": lambda _insight: None}, "filtered"),
        ({"before_send": lambda _insight: 1}, "dropped: before_send"),
    ],
)
def test_future_of_what_will_not_be_sent_raises_why(endpoint: Endpoint, settings: dict[str, Any], why: str) -> None:
    with AInsights.new_client(api_key="k", base_url=endpoint.url, **settings) as insights:
        future = insights.capture(response=COMPLETION, messages="hi" * 4096)
        with pytest.raises(DeliveryError, match=why):
            future.result(PATIENCE)
    assert endpoint.requests == 0


def test_cancelling_a_future_keeps_nothing_from_being_sent(endpoint: Endpoint) -> None:
    hold = threading.Event()

    def answer(handler: Handler) -> bool:
        assert hold.wait(PATIENCE)
        return handler.answer(200)

    endpoint.behave = answer
    with AInsights.new_client(api_key="k", base_url=endpoint.url) as insights:
        future = insights.capture(response=COMPLETION, messages="hi")
        assert future.cancel()
        hold.set()
        assert insights.capture(response=COMPLETION, messages="more").result(PATIENCE).status == 200
    with pytest.raises(CancelledError):
        future.result(0)
    assert sorted(body["messages"] for body in endpoint.stored) == ["hi", "more"]


def test_closing_twice_is_harmless_and_captures_no_more(endpoint: Endpoint) -> None:
    insights = AInsights.new_client(api_key="k", base_url=endpoint.url)
    assert insights.capture(response=COMPLETION, messages="hi").result(PATIENCE)
    insights.close()
    insights.close()
    with pytest.raises(DeliveryError, match="closed"):
        insights.capture(response=COMPLETION, messages="late").result(PATIENCE)
    insights.close()
    assert len(endpoint.stored) == 1


def test_wrong_arguments_are_named() -> None:
    with (
        AInsights.new_client(api_key="k", base_url="http://localhost:1") as insights,
        pytest.raises(AInsightsValueError, match="messages"),
    ):
        insights.capture(response=COMPLETION)
    with pytest.raises(ConfigurationError, match=r"base_url='ftp://x' is wrong"):
        AInsights.new_client(api_key="k", base_url="ftp://x")


def test_template_of_the_context_replaces_the_messages(endpoint: Endpoint) -> None:
    with (
        AInsights.new_client(api_key="k", base_url=endpoint.url) as insights,
        ainsights.context(template="Hi", inputs={"a": 1}),
    ):
        insights.capture(response=COMPLETION)
    assert [(body["template"], body["inputs"]) for body in endpoint.stored] == [("Hi", {"a": 1})]
