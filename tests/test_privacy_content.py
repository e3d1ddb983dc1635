from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from support.models import COMPLETION

from ainsights._config import load
from ainsights._model import Insight
from ainsights._privacy.policy import PrivacyPolicy

USAGE = {
    "prompt_tokens": 1,
    "completion_tokens": 2,
    "total_tokens": 3,
    "completion_tokens_details": {"reasoning_tokens": 1},
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "send", "arguments": '{"to": "Ann"}'}}
CUSTOM = {"id": "call_2", "type": "custom", "custom": {"name": "run", "input": "secret"}}


def outlined(content: str = "metadata", **fields: Any) -> dict[str, Any]:
    made = Insight(**{"response": COMPLETION, "messages": "hi"} | fields)
    encoded = PrivacyPolicy(load({}))(made, content)
    assert encoded is not None
    body: dict[str, Any] = json.loads(encoded)
    return body


def response(message: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    answer = {"role": "assistant", "content": "secret text"} | (message or {})
    choice = {"index": 0, "finish_reason": "stop", "logprobs": {"content": [], "refusal": None}, "message": answer}
    return COMPLETION | {"choices": [choice], "usage": USAGE} | more


def test_response_keeps_its_numbers_and_names_and_is_still_a_completion() -> None:
    calls = {"tool_calls": [CALL], "reasoning_content": "secret", "refusal": None}
    left = outlined(response=response(calls, system_fingerprint="fp", service_tier="default", citations=["secret"]))
    ChatCompletion.model_validate(left["response"])
    assert left["response"] == {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "system_fingerprint": "fp",
        "service_tier": "default",
        "usage": USAGE,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "ainsights.chars": len("secret text" + "secret"),
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "send", "arguments": "", "ainsights.chars": 13},
                        },
                    ],
                },
            }
        ],
    }


def test_call_of_a_custom_tool_keeps_its_name_and_size() -> None:
    message = outlined(response=response({"tool_calls": [CUSTOM]}))["response"]["choices"][0]["message"]
    custom = {"name": "run", "input": "", "ainsights.chars": 6}
    assert message["tool_calls"] == [{"id": "call_2", "type": "custom", "custom": custom}]


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("hello", {"content": None, "ainsights.chars": 5}),
        ({"role": "user", "content": "hello"}, {"role": "user", "content": None, "ainsights.chars": 5}),
        ({"role": "user", "name": "Ann", "content": "hi"}, {"role": "user", "content": None, "ainsights.chars": 5}),
        (
            {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "x", "y": {"z": "abc"}}, "s"]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "ainsights.chars": 2},
                    {"type": "other", "ainsights.chars": 4},
                    {"type": "other", "ainsights.chars": 1},
                ],
                "ainsights.chars": 0,
            },
        ),
        (
            {"role": "tool", "tool_call_id": "call_1", "name": "send", "content": "done"},
            {"role": "tool", "tool_call_id": "call_1", "name": "send", "content": None, "ainsights.chars": 4},
        ),
        (
            {"role": "assistant", "function_call": {"name": "send", "arguments": "{}"}},
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "send", "arguments": "", "ainsights.chars": 2},
                "ainsights.chars": 0,
            },
        ),
    ],
)
def test_message_keeps_its_role_its_size_and_the_names_of_tools(message: Any, left: dict[str, Any]) -> None:
    assert outlined(messages=[message])["messages"] == [left]
    assert outlined(template=[message])["template"] == [left]


def test_template_and_inputs_leave_their_size_or_nothing() -> None:
    left = outlined(messages=None, template="Dear {name}", inputs={"name": "Ann"})
    assert (left["messages"], left["inputs"]) == (None, {})
    assert left["template"] == [{"content": None, "ainsights.chars": 11}]
    Insight.model_validate(left)


def test_args_keep_numbers_switches_and_names() -> None:
    schema = {"type": "object", "properties": {"secret": {"type": "string"}}}
    left = outlined(
        args={
            "model": "m",
            "temperature": 0.5,
            "stream": True,
            "logprobs": True,
            "modalities": ["text"],
            "stream_options": {"include_usage": True},
            "tools": [{"type": "function", "function": {"name": "f", "description": "secret", "parameters": schema}}],
            "functions": [{"name": "g", "description": "secret"}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "response_format": {"type": "json_schema", "json_schema": {"name": "secret", "schema": schema}},
            "stop": ["secret"],
            "prediction": {"type": "content", "content": "secret"},
            "logit_bias": {"50256": 1},
            "user": "secret",
            "metadata": {"a": "secret"},
            "top_k": "secret",
            "secret": 1,
        }
    )["args"]
    assert left == {
        "model": "m",
        "temperature": 0.5,
        "stream": True,
        "logprobs": True,
        "modalities": ["text"],
        "stream_options": {"include_usage": True},
        "tools": [{"type": "function", "function": {"name": "f", "ainsights.chars": 18}}],
        "functions": [{"name": "g"}],
        "tool_choice": {"type": "function", "function": {"name": "f", "ainsights.chars": 0}},
        "response_format": {"type": "json_schema"},
    }


@pytest.mark.parametrize(("choice", "left"), [("auto", "auto"), ("secret", None)])
def test_tool_choice_is_kept_if_it_is_a_word_of_the_api(choice: str, left: str | None) -> None:
    assert outlined(args={"tool_choice": choice})["args"] == {"tool_choice": left}


def test_error_keeps_its_type_and_code() -> None:
    error = {"type": "rate", "code": "limit", "status": 429, "message": "secret", "body": {"error": {"message": "abc"}}}
    left = outlined(response={**COMPLETION, "choices": [], "error": error}, meta={"ainsights.error_type": "rate"})
    ChatCompletion.model_validate(left["response"])
    assert left["response"]["error"] == {"type": "rate", "code": "limit", "status": 429, "ainsights.chars": 9}
    assert left["meta"] == {"ainsights.error_type": "rate"}


def test_error_type_that_is_free_text_becomes_other() -> None:
    error = {"type": "a secret text", "code": None}
    left = outlined(
        response={**COMPLETION, "choices": [], "error": error}, meta={"ainsights.error_type": "a secret text"}
    )
    assert "secret" not in json.dumps(left)
    assert left["meta"] == {"ainsights.error_type": "other"}


def test_user_and_feature_are_kept() -> None:
    left = outlined(user_id="ann", meta={"feature": "search", "ainsights.status": "ok"})
    assert (left["user_id"], left["meta"]) == ("ann", {"feature": "search", "ainsights.status": "ok"})


def test_full_content_is_sent_as_it_is() -> None:
    assert outlined("full", messages="hello")["messages"] == "hello"


@pytest.mark.parametrize(
    ("setting", "call", "messages"),
    [
        ("full", None, "hello"),
        ("full", "metadata", [{"content": None, "ainsights.chars": 5}]),
        ("metadata", None, [{"content": None, "ainsights.chars": 5}]),
        ("metadata", "full", "hello"),
        ("full", "none", None),
        ("none", None, None),
    ],
)
def test_level_of_the_call_goes_before_that_of_the_settings(setting: str, call: str | None, messages: Any) -> None:
    body = PrivacyPolicy(load({}, content=setting))(Insight(response=COMPLETION, messages="hello"), call)
    assert (json.loads(body)["messages"] if body else None) == messages


MARK = "Ma rk"

NAMES = st.sampled_from(
    """content refusal text audio data function function_call tool_calls custom arguments input type message choices
    usage error body code status tools functions response_format tool_choice stop logprobs stream_options
    annotations x""".split()  # noqa: SIM905  the same
)
TREES = st.recursive(
    st.one_of(st.just(MARK), st.integers(), st.none(), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(NAMES, st.just(MARK)), inner, max_size=4),
    ),
)
OBJECTS = st.dictionaries(NAMES, TREES, max_size=6)


@settings(deadline=None)
@example({}, [{"role": [MARK], "content": [{"type": [MARK]}]}], {}, {})
@given(OBJECTS, st.one_of(st.just(MARK), st.lists(OBJECTS, max_size=2)), OBJECTS, OBJECTS)
def test_no_text_of_any_field_passes(response: Any, messages: Any, inputs: Any, args: Any) -> None:
    made = Insight.model_construct(
        response=response, messages=messages, template=messages, inputs=inputs, args=args, user_id=None, meta={}
    )
    body = PrivacyPolicy(load({}))(made, "metadata")
    assert body is not None
    assert MARK.encode() not in body
    Insight.model_validate_json(body)
