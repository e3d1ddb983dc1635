"""The request of a response as messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from support.from_types import JSON, TEXT, members, model
from support.from_types import values as values_of

from ainsights._processing.responses.request import to_messages

try:
    from openai.types.responses import ResponseInputItem
except ImportError:
    pytest.skip("this openai has no types of input items", allow_module_level=True)

from hypothesis import strategies as st

ITEMS = {str(kind.model_fields["type"].annotation): kind for kind in members(ResponseInputItem)}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_text_is_one_message_of_the_user() -> None:
    assert to_messages(None, "hi") == [user("hi")]


def test_instructions_come_first_as_a_system_message() -> None:
    assert to_messages("Be brief.", "hi") == [{"role": "system", "content": "Be brief."}, user("hi")]


def test_request_without_an_input_has_the_instructions_alone() -> None:
    assert to_messages("Be brief.", None) == [{"role": "system", "content": "Be brief."}]
    assert to_messages(None, None) == []


def test_given_messages_are_recorded_unchanged() -> None:
    given = [{"role": "developer", "content": "d"}, user("u"), {"role": "assistant", "content": "a", "phase": "final"}]
    assert to_messages(None, given) == given


PARTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "text": ({"type": "input_text", "text": "t"}, {"type": "text", "text": "t"}),
    "text of the assistant": (
        {"type": "output_text", "text": "t", "annotations": []},
        {"type": "text", "text": "t", "annotations": []},
    ),
    "image": (
        {"type": "input_image", "image_url": "https://a", "detail": "low"},
        {"type": "image_url", "image_url": {"url": "https://a", "detail": "low"}},
    ),
    "image by its file": ({"type": "input_image", "file_id": "f1"}, {"type": "input_image", "file_id": "f1"}),
    "file": (
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:"},
        {"type": "file", "file": {"file_data": "data:", "filename": "a.pdf"}},
    ),
    "file by its URL": (
        {"type": "input_file", "file_url": "https://f"},
        {"type": "input_file", "file_url": "https://f"},
    ),
    "audio": (
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
    ),
    "refusal": ({"type": "refusal", "refusal": "no"}, {"type": "refusal", "refusal": "no"}),
    "unknown": ({"type": "hologram", "x": 1}, {"type": "hologram", "x": 1}),
}


@pytest.mark.parametrize(("part", "made"), PARTS.values(), ids=PARTS)
def test_parts_are_those_of_a_chat(part: dict[str, Any], made: dict[str, Any]) -> None:
    assert to_messages(None, [{"type": "message", **user([part])}]) == [user([made])]


def test_calls_that_follow_one_another_are_one_message_and_outputs_are_one_each() -> None:
    given = [
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "sh", "input": "ls"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "a"}]},
        {"type": "function_call", "call_id": "c3", "name": "f", "arguments": "{}"},
    ]
    function = {"name": "f", "arguments": "{}"}
    first = {"id": "c1", "type": "function", "function": function, "item_id": "fc_1", "status": "completed"}
    assert to_messages(None, given) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [first, {"id": "c2", "type": "custom", "custom": {"name": "sh", "input": "ls"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "a"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c3", "type": "function", "function": function}],
        },
    ]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "item_reference", "id": "msg_1"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "hologram"},
    ],
)
def test_other_items_are_unchanged(item: dict[str, Any]) -> None:
    assert to_messages(None, [item]) == [item]


@pytest.mark.parametrize("kind", ITEMS.values(), ids=ITEMS)
@given(data=st.data())
def test_items_of_each_type_become_messages(kind: Any, data: st.DataObject) -> None:
    made = to_messages(None, [data.draw(model(kind))])
    assert len(made) == 1
    assert isinstance(made[0], dict)


@given(JSON | st.lists(JSON | st.dictionaries(TEXT | st.sampled_from(["type", "role", "content"]), JSON)))
def test_input_of_any_form_does_not_fail(given: Any) -> None:
    assert all(isinstance(message, dict) for message in to_messages(None, given))


@given(st.lists(values_of(ResponseInputItem), max_size=4))
def test_no_item_is_lost(items: list[Any]) -> None:
    made = to_messages(None, items)
    assert sum(len(message.get("tool_calls", ["one"])) for message in made) == len(items)
