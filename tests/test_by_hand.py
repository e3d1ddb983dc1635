from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessage, ParsedChatCompletion
from pydantic import BaseModel
from support.endpoints import Endpoint, Handler, endpoint, free_port
from support.models import COMPLETION, MESSAGES, client

import ainsights
from ainsights import (
    AInsights,
    ConfigurationError,
    DeliveryError,
    HeldError,
    Insights,
    RejectedError,
    RetryableError,
    Template,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ainsights.testing import Captured

PATIENCE = 20.0


def captured_by(insights: Captured, **arguments: Any) -> dict[str, Any]:
    ainsights.capture(**({"response": COMPLETION, "messages": "hi"} | arguments))
    return insights[-1].model_dump()


# What is captured


def test_all_seven_keys_are_as_given(insights: Captured) -> None:
    given = {
        "messages": MESSAGES,
        "template": "Hi {name}",
        "inputs": {"name": "Ann"},
        "args": {"model": "m", "temperature": 0.5},
        "user_id": "ann",
    }
    told = captured_by(insights, **given, meta={"a": 1, "ainsights.sdk": "mine"})
    meta = told.pop("meta")
    assert told == given | {"response": COMPLETION}
    assert (meta["a"], meta["ainsights.sdk"], meta["ainsights.status"]) == (1, "mine", "ok")
    assert len(meta["ainsights.event_id"]) == 36
    assert None not in meta.values()


def test_completion_is_told_as_the_api_returned_it(insights: Captured) -> None:
    odd = COMPLETION | {"citations": ["a"], "service_tier": None}
    assert captured_by(insights, response=ChatCompletion.model_validate(odd))["response"] == odd


def test_what_parse_adds_is_not_told(insights: Captured) -> None:
    class Person(BaseModel):
        name: str

    message = {"role": "assistant", "content": '{"name": "Ann"}', "parsed": Person(name="Ann")}
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}", "parsed_arguments": {}}}
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message | {"tool_calls": [call]}}
    told = captured_by(
        insights, response=ParsedChatCompletion[Person].model_validate(COMPLETION | {"choices": [choice]})
    )
    said = told["response"]["choices"][0]["message"]
    assert "parsed" not in said
    assert said["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ("hi", "hi"),
        (["a", "b"], ["a", "b"]),
        (MESSAGES, MESSAGES),
        (tuple(MESSAGES), MESSAGES),
        (
            [*MESSAGES, ChatCompletionMessage(role="assistant", content="yes")],
            [*MESSAGES, {"role": "assistant", "content": "yes"}],
        ),
    ],
)
def test_messages_are_texts_dicts_or_models(insights: Captured, messages: Any, told: Any) -> None:
    assert captured_by(insights, messages=messages)["messages"] == told


def test_messages_may_be_missing_where_template_and_inputs_are_given(insights: Captured) -> None:
    told = captured_by(insights, messages=None, template=Template("Hi {name}"), inputs={"name": "Ann"})
    assert (told["messages"], told["inputs"]) == (None, {"name": "Ann"})
    assert told["template"] == "Hi {name}"


def test_messages_of_a_template_bring_template_and_inputs(insights: Captured) -> None:
    told = captured_by(insights, messages=Template("Hi {name}").format(name="Ann"))
    assert told["inputs"] == {"name": "Ann"}


def test_context_holds_and_what_is_said_by_hand_goes_before_it(insights: Captured) -> None:
    with ainsights.context(user_id="outer", meta={"a": 1, "b": 1}):
        first = captured_by(insights, meta={"b": 2})
        second = captured_by(insights, user_id="inner")
    assert (first["user_id"], second["user_id"]) == ("outer", "inner")
    assert first["meta"].items() >= {"a": 1, "b": 2}.items()


def test_user_of_the_arguments_counts(insights: Captured) -> None:
    assert captured_by(insights, args={"user": "ann", "messages": "not these"})["user_id"] == "ann"
    assert insights[0].args == {"user": "ann"}


def test_what_is_changed_later_is_not_told(insights: Captured) -> None:
    with endpoint() as it, Insights(base_url=it.url, api_key="key") as own:
        messages: list[Any] = [{"role": "user", "content": "before"}]
        own.capture(response=COMPLETION, messages=messages)
        messages[0]["content"] = "after"
        assert own.flush(PATIENCE)
    assert it.stored[0]["messages"] == [{"role": "user", "content": "before"}]
    assert insights == []  # one's own is one's own, also in a test


CIRCULAR: dict[str, Any] = {}
CIRCULAR["itself"] = CIRCULAR


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"response": None}, "response=... is missing. It takes a ChatCompletion, or a dict"),
        ({"response": "text"}, "response=... is a str. It takes a ChatCompletion"),
        ({"response": iter([])}, "a stream is no completion"),
        ({"messages": None}, "messages=... is missing. Give it, or a template and its inputs"),
        ({"args": [1]}, "args=... is a list. It takes a mapping"),
        ({"args": CIRCULAR}, "what is to be captured cannot be made JSON"),
        ({"meta": 1}, "meta=... is a int"),
        ({"user_id": []}, "user_id=... is a list"),
        ({"inputs": "x"}, "inputs=... is a str"),
        ({"template": 7}, "template=... is a int"),
    ],
)
def test_wrong_argument_is_named(insights: Captured, arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        captured_by(insights, **arguments)
    assert problem in str(caught.value)
    assert insights == []


def test_capture_works_without_instrument(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint() as it:
        monkeypatch.setenv("AINSIGHTS_BASE_URL", it.url)
        ainsights.capture(response=COMPLETION, messages="hi")
        client().chat.completions.create(model="m", messages=MESSAGES)
        assert ainsights.flush(PATIENCE)
        assert ainsights.stats().delivered == 1
        assert ainsights.shutdown(PATIENCE)
    assert [body["messages"] for body in it.stored] == ["hi"]


# The vendor's face


@pytest.fixture
def it() -> Iterator[Endpoint]:
    with endpoint() as it:
        yield it


def test_future_is_the_answer_of_the_endpoint(it: Endpoint) -> None:
    with AInsights.new_client("the-key", it.url) as insights:
        answer = insights.capture(COMPLETION, "hi", {"model": "m"}, {"a": 1}, "ann").result(PATIENCE)
    assert (answer.status, answer.status_code, answer.body) == (200, 200, '{"success": true}')
    (body,) = it.stored
    assert (body["messages"], body["args"], body["user_id"], body["meta"]["a"]) == ("hi", {"model": "m"}, "ann", 1)
    assert it.headers[0]["Authorization"] == "Bearer the-key"


@pytest.mark.parametrize(("status", "error"), [(422, RejectedError), (400, RejectedError), (401, HeldError)])
def test_future_raises_what_the_endpoint_says(it: Endpoint, status: int, error: type[Exception]) -> None:
    it.behave = lambda handler: handler.answer(status, b"not so")
    with AInsights.new_client("k", it.url, exit_timeout=0) as insights:
        future = insights.capture(COMPLETION, "hi")
        with pytest.raises(error, match=f"{status} not so"):
            future.result(PATIENCE)


def test_future_waits_while_the_event_is_tried_again(it: Endpoint) -> None:
    it.behave = lambda handler: handler.answer(500 if handler.number == 1 else 200)
    with AInsights.new_client("k", it.url) as insights:
        assert insights.capture(COMPLETION, "hi").result(PATIENCE).status == 200
    assert it.requests == 2


def test_future_of_what_was_not_delivered_before_the_close_raises() -> None:
    insights = AInsights.new_client("k", f"http://127.0.0.1:{free_port()}", exit_timeout=0)
    futures = [insights.capture(COMPLETION, "hi") for _ in range(300)]
    insights.close()
    for future in futures:
        with pytest.raises(RetryableError, match="time ran out"):
            future.result(PATIENCE)


def test_future_of_what_the_spool_keeps_raises(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    insights = AInsights.new_client("k", url, exit_timeout=0, spool_dir=tmp_path)
    future = insights.capture(COMPLETION, "hi")
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
def test_future_of_what_will_not_be_sent_raises_why(it: Endpoint, settings: dict[str, Any], why: str) -> None:
    with AInsights.new_client("k", it.url, **settings) as insights:
        future = insights.capture(COMPLETION, "hi" * 4096)
        with pytest.raises(DeliveryError, match=why):
            future.result(PATIENCE)
    assert it.requests == 0


def test_cancelling_a_future_keeps_nothing_from_being_sent(it: Endpoint) -> None:
    hold = threading.Event()

    def answer(handler: Handler) -> bool:
        assert hold.wait(PATIENCE)
        return handler.answer(200)

    it.behave = answer
    with AInsights.new_client("k", it.url) as insights:
        future = insights.capture(COMPLETION, "hi")
        assert future.cancel()
        hold.set()
        assert insights.capture(COMPLETION, "more").result(PATIENCE).status == 200
    with pytest.raises(CancelledError):
        future.result(0)
    assert sorted(body["messages"] for body in it.stored) == ["hi", "more"]


def test_closing_twice_is_harmless_and_captures_no_more(it: Endpoint) -> None:
    insights = AInsights.new_client("k", it.url)
    assert insights.capture(COMPLETION, "hi").result(PATIENCE)
    insights.close()
    insights.close()
    with pytest.raises(DeliveryError, match="closed"):
        insights.capture(COMPLETION, "late").result(PATIENCE)
    assert len(it.stored) == 1


def test_wrong_arguments_of_the_vendor_s_face_are_named() -> None:
    with (
        AInsights.new_client("k", "http://localhost:1") as insights,
        pytest.raises(ConfigurationError, match="messages"),
    ):
        insights.capture(COMPLETION)
    with pytest.raises(ConfigurationError, match=r"base_url='ftp://x' is wrong"):
        AInsights.new_client("k", "ftp://x")
