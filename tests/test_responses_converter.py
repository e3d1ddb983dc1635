"""A response becomes a ChatCompletion that validates, and can be built again from it: whatever the API may send."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

pytest.importorskip("openai.types.responses", reason="this openai has no Responses API")

from openai.types.responses import Response, ResponseOutputItem
from support.from_types import EXTRAS, JSON, TEXT, members, model, values
from support.inverse import response_of

from ainsights._processing.completion import complete, required_fields
from ainsights._processing.responses.accumulator import accumulate, of_response
from ainsights._processing.responses.converter import to_completion

ITEMS = {str(kind.model_fields["type"].annotation): kind for kind in members(ResponseOutputItem)}
UNKNOWN = st.builds(lambda fields, kind: fields | {"type": kind}, EXTRAS, st.sampled_from(["new_call", "hologram"]))
MALFORMED = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call"])},
    optional=dict.fromkeys(("content", "summary", "arguments", "call_id", "name", "input", "role"), JSON),
)


def without_encrypted(item: Any) -> Any:
    encrypted = item.get("encrypted_content") if isinstance(item, dict) else None
    return item if encrypted is None else item | {"encrypted_content": f"[encrypted, {len(encrypted)} characters]"}


def checked(response: dict[str, Any]) -> dict[str, Any]:
    """Return the completion of ``response``, which validates, and from which the response comes out again."""
    before = json.dumps(response)
    completion = of_response(response).completion
    expected = response | {"output": list(map(without_encrypted, response["output"]))}
    assert response_of(json.loads(json.dumps(completion))) == expected
    complete(completion, required_fields(model="m", created=0), is_cut=True)
    ChatCompletion.model_validate(completion)
    assert json.dumps(response) == before
    return completion


def a_response(*output: Any, **fields: Any) -> dict[str, Any]:
    known = {"id": "resp_1", "object": "response", "created_at": 1700000000, "model": "gpt-5", "status": "completed"}
    return known | {"error": None, "incomplete_details": None, "output": list(output)} | fields


def message(*texts: str, **fields: Any) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": parts} | fields


@pytest.mark.parametrize("kind", ITEMS.values(), ids=ITEMS)
@given(data=st.data())
def test_items_of_each_type_can_be_built_again(kind: Any, data: st.DataObject) -> None:
    checked(a_response(*data.draw(st.lists(model(kind), min_size=1, max_size=3))))


@given(st.lists(values(ResponseOutputItem) | UNKNOWN | MALFORMED | JSON, max_size=6))
def test_items_of_all_types_together_can_be_built_again(items: list[Any]) -> None:
    checked(a_response(*items))


@given(model(Response))
def test_whole_response_can_be_built_again(response: dict[str, Any]) -> None:
    checked(response)


@given(st.dictionaries(st.sampled_from(["choices", "created", "outline", "original", "usage", "x"]) | TEXT, JSON))
def test_fields_of_any_name_can_be_built_again(fields: dict[str, Any]) -> None:
    if fields.keys().isdisjoint({"id", "model", "created_at", "output"}):
        checked(a_response(message("a")) | fields)


@given(st.lists(values(ResponseOutputItem) | UNKNOWN, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_items_of_all_types_that_a_stream_brings_can_be_built_again(items: list[Any], random: Any) -> None:
    done = [{"type": "response.output_item.done", "output_index": at, "item": item} for at, item in enumerate(items)]
    random.shuffle(done)
    last = {"type": "response.completed", "response": a_response() | {"output": None}}
    body = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in [*done, last])
    made = accumulate(body)
    assert response_of(made.completion) == a_response(*map(without_encrypted, items))
    assert (made.done, made.status) == (True, "ok")


def test_texts_of_all_messages_become_one_content() -> None:
    completion = checked(a_response(message("Hello", ", "), message("world")))
    assert completion["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello, world"},
        "finish_reason": "stop",
        "logprobs": None,
    }


@pytest.mark.skipif(not hasattr(openai.types.chat, "ChatCompletionMessageCustomToolCall"), reason="no custom tools")
def test_calls_of_functions_and_custom_tools_become_tool_calls_with_their_call_ids() -> None:
    function = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'}
    custom = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "sh", "input": "ls"}
    choice = checked(a_response(function, custom))["choices"][0]
    assert choice["message"]["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "call_2", "type": "custom", "custom": {"name": "sh", "input": "ls"}},
    ]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)


def test_summaries_and_texts_of_reasoning_become_reasoning_content() -> None:
    summary = [{"type": "summary_text", "text": text} for text in ("First", "Then")]
    thoughts = [{"type": "reasoning_text", "text": "So"}]
    item = {"type": "reasoning", "id": "rs_1", "summary": summary, "content": thoughts, "encrypted_content": "gAAA" * 9}
    completion = checked(a_response(item, message("Yes")))
    assert completion["choices"][0]["message"]["reasoning_content"] == "First\n\nThen\n\nSo"
    assert completion["outline"][0]["encrypted_content"] == "[encrypted, 36 characters]"
    assert "gAAA" not in json.dumps(completion)


def test_refusal_is_that_of_the_message() -> None:
    part = {"type": "refusal", "refusal": "I can't."}
    assert checked(a_response(message(content=[part])))["choices"][0]["message"]["refusal"] == "I can't."


def test_cited_urls_are_annotations_whose_positions_are_those_in_the_content() -> None:
    cited = {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 2}
    part = {
        "type": "output_text",
        "text": "no",
        "annotations": [{"type": "file_path", "file_id": "f", "index": 0}, cited],
    }
    completion = checked(a_response(message("yes "), message(content=[part])))
    assert completion["choices"][0]["message"]["annotations"] == [
        {"type": "url_citation", "url_citation": {"url": "https://a", "title": "A", "start_index": 4, "end_index": 6}}
    ]


def test_items_without_an_equivalent_are_kept_in_output_alone() -> None:
    search = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    }
    completion = checked(a_response(search, message("found")))
    assert completion["output"] == [search]
    assert "output" not in checked(a_response(message("found")))


def test_usage_has_the_names_of_completions() -> None:
    usage = {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 12,
    }
    assert checked(a_response(message("a"), usage=usage))["usage"] == {
        "prompt_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "completion_tokens": 5,
        "completion_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 12,
    }


@pytest.mark.parametrize(
    ("status", "reason", "finish"),
    [
        ("completed", None, "stop"),
        ("incomplete", "max_output_tokens", "length"),
        ("incomplete", "content_filter", "content_filter"),
        ("incomplete", "steered", None),
        ("failed", None, None),
        ("cancelled", None, None),
        ("in_progress", None, None),
    ],
)
def test_finish_reason_comes_from_the_status(status: str, reason: str | None, finish: str | None) -> None:
    details = {"reason": reason} if reason else None
    completion = to_completion(a_response(message("a"), status=status, incomplete_details=details))
    assert completion["choices"][0]["finish_reason"] == finish
    assert (completion["status"], completion["incomplete_details"]) == (status, details)


def test_response_without_output_that_is_not_complete_has_no_choice() -> None:
    assert checked(a_response(status="queued"))["choices"] == []
    assert checked(a_response(status="failed", error={"code": "server_error", "message": "no"}))["choices"] == []


@pytest.mark.parametrize(
    ("status", "event_status"),
    [
        ("completed", "ok"),
        ("incomplete", "ok"),
        ("failed", "error"),
        ("cancelled", "cancelled"),
        ("queued", "abandoned"),
        (None, "ok"),
    ],
)
def test_status_of_the_event_comes_from_that_of_the_response(status: str | None, event_status: str) -> None:
    assert of_response(a_response(status=status)).status == event_status


@given(JSON | st.dictionaries(TEXT, JSON))
def test_usage_of_any_form_does_not_fail(usage: Any) -> None:
    checked(a_response(message("a"), usage=usage))
