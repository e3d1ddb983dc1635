from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessage, ParsedChatCompletion
from pydantic import BaseModel
from support.endpoints import running_endpoint
from support.models import COMPLETION, MESSAGES, client
from support.polling import PATIENCE

import ainsights
from ainsights import (
    ConfigurationError,
    Insights,
    Template,
)

if TYPE_CHECKING:
    from ainsights.testing import Captured


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
    body = captured_by(insights, **given, meta={"a": 1, "ainsights.sdk": "mine"})
    meta = body.pop("meta")
    assert body == given | {"response": COMPLETION}
    assert (meta["a"], meta["ainsights.sdk"], meta["ainsights.status"]) == (1, "mine", "ok")
    assert len(meta["ainsights.event_id"]) == 36
    assert None not in meta.values()


def test_completion_is_recorded_as_the_api_returned_it(insights: Captured) -> None:
    odd = COMPLETION | {"citations": ["a"], "service_tier": None}
    assert captured_by(insights, response=ChatCompletion.model_validate(odd))["response"] == odd


def test_what_parse_adds_is_not_recorded(insights: Captured) -> None:
    class Person(BaseModel):
        name: str

    message = {"role": "assistant", "content": '{"name": "Ann"}', "parsed": Person(name="Ann")}
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}", "parsed_arguments": {}}}
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": message | {"tool_calls": [call]}}
    body = captured_by(
        insights, response=ParsedChatCompletion[Person].model_validate(COMPLETION | {"choices": [choice]})
    )
    message = body["response"]["choices"][0]["message"]
    assert "parsed" not in message
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


@pytest.mark.parametrize(
    ("messages", "body"),
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
def test_messages_are_texts_dicts_or_models(insights: Captured, messages: Any, body: Any) -> None:
    assert captured_by(insights, messages=messages)["messages"] == body


def test_messages_may_be_missing_where_template_and_inputs_are_given(insights: Captured) -> None:
    body = captured_by(insights, messages=None, template=Template("Hi {name}"), inputs={"name": "Ann"})
    assert (body["messages"], body["inputs"]) == (None, {"name": "Ann"})
    assert body["template"] == "Hi {name}"


def test_messages_of_a_template_bring_template_and_inputs(insights: Captured) -> None:
    body = captured_by(insights, messages=Template("Hi {name}").format(name="Ann"))
    assert body["inputs"] == {"name": "Ann"}


def test_context_applies_and_explicit_arguments_override_it(insights: Captured) -> None:
    with ainsights.context(user_id="outer", meta={"a": 1, "b": 1}):
        first = captured_by(insights, meta={"b": 2})
        second = captured_by(insights, user_id="inner")
    assert (first["user_id"], second["user_id"]) == ("outer", "inner")
    assert first["meta"].items() >= {"a": 1, "b": 2}.items()


def test_user_of_the_arguments_is_recorded(insights: Captured) -> None:
    assert captured_by(insights, args={"user": "ann", "messages": "not these"})["user_id"] == "ann"
    assert insights[0].args == {"user": "ann"}


def test_what_is_changed_later_is_not_recorded(insights: Captured) -> None:
    with running_endpoint() as endpoint, Insights(base_url=endpoint.url, api_key="key") as own:
        messages: list[Any] = [{"role": "user", "content": "before"}]
        own.capture(response=COMPLETION, messages=messages)
        messages[0]["content"] = "after"
        assert own.flush(PATIENCE)
    assert endpoint.stored[0]["messages"] == [{"role": "user", "content": "before"}]
    assert insights == []  # one's own is one's own, also in a test


CIRCULAR: dict[str, Any] = {}
CIRCULAR["itself"] = CIRCULAR


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"response": None}, "response=... is missing. It takes a ChatCompletion, a Response, or a dict"),
        ({"response": "text"}, "response=... is a str. It takes a ChatCompletion"),
        ({"response": iter([])}, "a stream is not a completion"),
        ({"messages": None}, "messages=... is missing. Give it, or a template and its inputs"),
        ({"args": [1]}, "args=... is a list. It takes a mapping"),
        ({"args": CIRCULAR}, "the arguments cannot be made JSON: they hold themselves"),
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
    with running_endpoint() as endpoint:
        monkeypatch.setenv("AINSIGHTS_BASE_URL", endpoint.url)
        ainsights.capture(response=COMPLETION, messages="hi")
        client().chat.completions.create(model="m", messages=MESSAGES)
        assert ainsights.flush(PATIENCE)
        assert ainsights.stats().delivered == 1
        assert ainsights.shutdown(PATIENCE)
    assert [body["messages"] for body in endpoint.stored] == ["hi"]
