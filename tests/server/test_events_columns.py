from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from ainsights.server.events import Event, build_event

UUID7 = "0190a5d3-7a00-7abc-8def-0123456789ab"
UUID7_TIME = 0x0190A5D37A00 * 1000
RECEIVED = 1_750_000_000.25


def response(**changes: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Paris."}}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o",
        "choices": [choice],
        "usage": usage,
    } | changes


def event(event_id: str = "an-id", **changes: Any) -> Event:
    insight = {
        "response": response(),
        "messages": [{"role": "user", "content": "Capital of France?"}],
        "template": None,
        "inputs": {},
        "args": {},
        "user_id": None,
        "meta": {},
    }
    return build_event(7, event_id, RECEIVED, json.dumps(insight | changes).encode())


def meta(**values: Any) -> dict[str, Any]:
    return {f"ainsights.{name}": value for name, value in values.items()}


def response_with(message: dict[str, Any], **choice: Any) -> dict[str, Any]:
    return response(choices=[{"index": 0, "finish_reason": "stop", "message": message} | choice])


CALLS = {
    "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
        {"id": "2", "type": "custom", "custom": {"name": "shell", "input": "ls"}},
        {"id": "3", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
    ]
}


@pytest.mark.parametrize(
    ("column", "expected", "changes"),
    [
        ("model", "gpt-4o", {}),
        ("model", "asked", {"response": {}, "args": {"model": "asked"}}),
        ("api", "responses", {"meta": meta(api="responses")}),
        ("api", None, {}),
        ("user", "Ann", {"user_id": "Ann"}),
        ("user", "Ann", {"args": {"safety_identifier": "Ann", "user": "Bob"}}),
        ("user", "Bob", {"args": {"user": "Bob"}}),
        ("user", "Cid", {"args": {"extra_body": {"requesty": {"user_id": "Cid"}}}}),
        ("user", "Cid", {"args": {"requesty": {"user_id": "Cid"}}}),
        ("status", "closed_early", {"meta": meta(status="closed_early")}),
        ("status", "ok", {}),
        ("status", "error", {"response": {"choices": [], "error": {"type": "rate_limit"}}}),
        ("status", None, {"response": {}}),
        ("error", "RateLimitError", {"meta": meta(error_type="RateLimitError")}),
        ("error", "rate_limit", {"response": {"error": {"type": "rate_limit"}}}),
        ("error", "429", {"response": {"error": {"code": 429}}}),
        ("error", None, {}),
        ("finish", "stop", {}),
        ("finish", "length", {"response": response_with({}, finish_reason="length")}),
        ("release", "1.2", {"meta": {"release": 1.2}}),
        ("host", "api.openai.com", {"meta": meta(base_url="https://api.openai.com/v1")}),
        ("host", "localhost:8080", {"meta": meta(base_url="http://me:secret@localhost:8080/v1")}),
        ("host", None, {"meta": meta(base_url="http://[broken")}),
        ("stream", True, {"meta": meta(stream=True)}),
        ("stream", True, {"args": {"stream": True}}),
        ("stream", None, {}),
        ("latency", 812.5, {"meta": meta(latency_ms=812.5)}),
        ("latency", None, {"meta": meta(latency_ms=-1)}),
        ("latency", None, {"meta": meta(latency_ms="812")}),
        ("ttft", 90.0, {"meta": meta(ttft_ms=90)}),
        ("tokens_per_second", 400.0, {"meta": meta(latency_ms=500)}),
        ("tokens_per_second", None, {"meta": meta(latency_ms=0)}),
        ("tokens", 1200, {}),
        ("tokens", 12, {"response": {"usage": {"input_tokens": 10, "output_tokens": 2}}}),
        ("prompt_tokens", 1000, {}),
        ("prompt_tokens", None, {"response": {"usage": {"prompt_tokens": True}}}),
        ("prompt_tokens", None, {"response": {"usage": {"prompt_tokens": 10**30}}}),
        ("completion_tokens", 200, {}),
        ("cached_tokens", 5, {"response": {"usage": {"prompt_tokens_details": {"cached_tokens": 5}}}}),
        ("cached_tokens", 5, {"response": {"usage": {"prompt_cache_hit_tokens": 5}}}),
        ("cached_tokens", None, {}),
        ("reasoning_tokens", 6, {"response": {"usage": {"completion_tokens_details": {"reasoning_tokens": 6}}}}),
        ("tool", ["shell", "weather"], {"response": response_with(CALLS)}),
        ("tool", ["old"], {"response": response_with({"function_call": {"name": "old", "arguments": "{}"}})}),
        ("tool", ["computer", "roll", "weather", "web_search"], {"response": {"output": [
            {"type": "web_search_call", "action": {"type": "search", "query": "x"}}, {"type": "computer_call"},
            {"type": "mcp_call", "name": "roll"}, {"type": "message"}, {"type": 3}, "x",
        ], **response_with({"tool_calls": CALLS["tool_calls"][:1]})}}),
        ("conversation", "conv_1", {"meta": meta(conversation_id="conv_1")}),
        ("conversation", "mine", {"meta": {"session_id": "mine"} | meta(conversation_id="conv_1")}),
        ("conversation", "conv_1", {"args": {"conversation": {"id": "conv_1"}}}),
        ("conversation", "conv_1", {"args": {"conversation": "conv_1"}}),
        ("input", ["city", "name"], {"template": "Hi {name} of {city}", "inputs": {"name": "Ann", "city": "Rome"}}),
        ("url", ["https://a.example/x?y=1", "https://b.example"], {
            "messages": "See https://b.example.", "response": response_with({"content": "[Here](https://a.example/x?y=1)!"}),
        }),
        ("tag", ["blue", "red"], {"meta": {"tags": ["red", "blue", "red", 3]}}),
        ("tag", ["red"], {"args": {"extra_body": {"requesty": {"tags": ["red"]}}}}),
        ("question", "Capital of France?", {}),
        ("question", "last", {"messages": ["first", "last"]}),
        ("question", "a\nb", {"messages": [{"role": "user", "content": [
            {"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"},
        ]}]}),
        ("question", "Hi Ann {place}", {"messages": None, "template": "Hi {name} {place}", "inputs": {"name": "Ann"}}),
        ("question", "", {"messages": [{"role": "system", "content": "x"}]}),
        ("answer", "Paris.", {}),
        ("answer", "No.", {"response": response_with({"content": None, "refusal": "No."})}),
        ("answer", "", {"response": response_with(CALLS)}),
    ],
)  # fmt: skip
def test_a_column_is_filled_from_the_body(column: str, expected: object, changes: dict[str, Any]) -> None:
    assert getattr(event(**changes), column) == expected


def test_a_response_can_be_continued_by_its_id_alone() -> None:
    first = event(response=response(id="resp_1"), meta=meta(api="responses"))
    second = event(response=response(id="resp_2"), meta=meta(api="responses", previous_response_id="resp_1"))
    of_curl = event(response=response(id="resp_3"), args={"previous_response_id": "resp_1"})
    assert first.reply == second.previous == of_curl.previous
    assert first.reply not in (None, second.reply)
    assert (second.prefixes, second.turn) == ([], None)
    assert event(response=response(id="chatcmpl-1"), meta=meta(api="chat")).reply is None


def test_meta_holds_every_scalar_but_those_with_columns() -> None:
    found = event(
        meta={"team": "a", "n": 3, "x": 0.5, "on": True, "none": None, "list": [1], "deep": {"er": {"key": "v"}}}
        | meta(latency_ms=3, retries=2, sdk="ainsights/1"),
        args={"metadata": {"team": "b", "job": "nightly"}},
    ).meta
    assert found == {
        "team": "a",
        "n": "3",
        "x": "0.5",
        "on": "true",
        "deep.er.key": "v",
        "job": "nightly",
        "ainsights.retries": "2",
        "ainsights.sdk": "ainsights/1",
    }


@pytest.mark.parametrize(
    ("event_id", "stated", "expected"),
    [
        (
            "an-id",
            "2025-06-01T12:00:00.123456Z",
            datetime(2025, 6, 1, 12, 0, 0, 123456, timezone.utc).timestamp() * 1e6,
        ),
        ("an-id", "2025-06-01T12:00:00+02:00", datetime(2025, 6, 1, 10, tzinfo=timezone.utc).timestamp() * 1e6),
        (UUID7, "2025-06-01T12:00:00Z", datetime(2025, 6, 1, 12, tzinfo=timezone.utc).timestamp() * 1e6),
        (UUID7, "2025-06-01T12:00:00", UUID7_TIME),
        (UUID7, None, UUID7_TIME),
        ("an-id", None, RECEIVED * 1e6),
        ("an-id", "1900-01-01T00:00:00Z", RECEIVED * 1e6),
        ("0190a5d3-7a00-4abc-8def-0123456789ab", None, RECEIVED * 1e6),
    ],
)
def test_the_time_is_that_of_meta_else_of_the_id_else_of_receipt(
    event_id: str, stated: str | None, expected: float
) -> None:
    assert event(event_id, meta=meta(timestamp=stated) if stated else {}).time == round(expected)


def test_a_template_is_known_by_its_content() -> None:
    first, again, other = (event(template=template).template for template in ("Hi {name}", "Hi {name}", "Bye {name}"))
    assert first
    assert first == again != other


def test_a_question_is_the_same_whatever_its_case_spaces_and_punctuation() -> None:
    first, again, other = (
        event(messages=text).question_hash for text in ("How are you?", " how  ARE you", "Who are you?")
    )
    assert first == again != other


@pytest.mark.parametrize("key", ["conversation_id", "session_id", "thread_id", "trace_id"])
def test_meta_names_the_conversation(key: str) -> None:
    assert event(meta={key: "c1", "zzz": "x"}).conversation == "c1"


def test_the_first_key_that_is_there_names_the_conversation() -> None:
    assert event(meta={"trace_id": "t", "session_id": "s"}).conversation == "s"


def test_the_keys_that_name_a_conversation_are_configurable() -> None:
    body = json.dumps({"response": {}, "meta": {"chat": 12, "session_id": "s"}}).encode()
    assert build_event(1, "x", 0, body, conversation_keys=("chat",)).conversation == "12"


def test_a_request_of_curl_has_every_column_of_its_body() -> None:
    found = event(
        messages="What is https://example.com?",
        args={"model": "gpt-4o", "stream": True, "user": "Ann", "metadata": {"session_id": "s1", "release": "9"}},
    )
    known = {name: value for name, value in found._asdict().items() if value not in (None, [])}
    expected = {
        "seq": 7,
        "id": "an-id",
        "time": round(RECEIVED * 1e6),
        "model": "gpt-4o",
        "user": "Ann",
        "status": "ok",
        "finish": "stop",
        "release": "9",
        "conversation": "s1",
        "stream": True,
        "tokens": 1200,
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "url": ["https://example.com"],
        "meta": {"session_id": "s1", "release": "9"},
        "question": "What is https://example.com?",
        "answer": "Paris.",
    }
    derived = {"turn", "cost", "cost_source", "size", "messages", "question_hash", "is_dated"}
    assert {name: value for name, value in known.items() if name not in derived} == expected
    assert derived <= set(known)
