"""Streams of responses: the last event is authoritative; a truncated one has what arrived, and nothing else."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from support.inverse import response_of
from support.responses import USAGE, call, events_of, message, reasoning, response, sse

from ainsights._processing.completion import complete, required_fields
from ainsights._processing.responses.accumulator import accumulate, of_response

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
TEXTS = st.lists(TEXT, min_size=1, max_size=2)
CITED = {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 1}
SEARCH = {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "q"}}
HAS_CUSTOM_TOOLS = hasattr(openai.types.chat, "ChatCompletionMessageCustomToolCall")
CUSTOM = "custom_tool_call" if HAS_CUSTOM_TOOLS else "tool_call_of_another_kind"
ITEMS = st.one_of(
    TEXTS.map(lambda texts: message(*texts)),
    TEXT.map(lambda text: message(content=[{"type": "refusal", "refusal": text}])),
    TEXT.map(lambda text: message(content=[{"type": "output_text", "text": text, "annotations": [CITED, CITED]}])),
    TEXTS.map(lambda texts: reasoning(*texts)),
    TEXTS.map(lambda texts: reasoning(content=texts)),
    TEXT.map(lambda text: call(json.dumps({"a": text}))),
    TEXT.map(lambda text: {"type": CUSTOM, "id": "c", "call_id": "x", "name": "n", "input": text}),
    TEXT.map(lambda text: {"type": "mcp_call", "id": "m", "name": "n", "server_label": "s", "arguments": text}),
    st.just(SEARCH),
)


def _numbered(items: list[dict[str, Any]]) -> dict[str, Any]:
    return response(*(item | {"id": f"{item['type']}_{at}"} for at, item in enumerate(items)))


RESPONSES = st.lists(ITEMS, min_size=1, max_size=4).map(_numbered)


def body_of(*events: dict[str, Any]) -> bytes:
    return b"".join(map(sse, events))


def is_part(part: Any, *wholes: Any) -> bool:
    """Return whether ``part`` is the beginning of one of ``wholes``: texts and lists as far as they came."""
    if isinstance(part, dict):
        found = [whole for whole in wholes if isinstance(whole, dict) and part.keys() <= whole.keys()]
        return bool(found) and all(is_part(item, *(each[key] for each in found)) for key, item in part.items())
    if isinstance(part, list):
        found = [whole for whole in wholes if isinstance(whole, list) and len(part) <= len(whole)]
        return bool(found) and all(
            is_part(item, *(each[position] for each in found)) for position, item in enumerate(part)
        )
    if isinstance(part, str):
        return any(isinstance(whole, str) and whole.startswith(part) for whole in wholes) or part == "in_progress"
    return part in wholes


def assert_part(body: bytes, whole: dict[str, Any]) -> None:
    made = accumulate(body)
    partial = response_of(made.completion)
    begun = events_of(whole)[0]["response"]
    if not made.done:
        assert is_part(partial["output"], whole["output"]), partial
        rest = {key: value for key, value in partial.items() if key not in {"output", "created_at", "object"}}
        assert is_part(rest, begun, whole)
    complete(made.completion, required_fields(model="m", created=0), is_cut=not made.done)
    ChatCompletion.model_validate(made.completion)


@given(RESPONSES)
def test_whole_stream_makes_what_the_response_makes(whole: dict[str, Any]) -> None:
    assert accumulate(body_of(*events_of(whole))).completion == of_response(whole).completion


@given(RESPONSES)
def test_other_events_make_the_same_as_the_last_one(whole: dict[str, Any]) -> None:
    *events, last = events_of(whole)
    without = last | {"response": last["response"] | {"output": None}}
    made = accumulate(body_of(*events, without))
    assert (made.completion, made.done, made.status) == (of_response(whole).completion, True, "ok")


@given(RESPONSES)
def test_items_that_are_done_are_whole_where_the_end_is_missing(whole: dict[str, Any]) -> None:
    *events, _ = events_of(whole)
    made = accumulate(body_of(*events))
    assert response_of(made.completion)["output"] == whole["output"]
    assert (made.done, made.completion["status"]) == (False, "in_progress")


@given(RESPONSES, st.data())
def test_stream_that_is_cut_anywhere_has_nothing_that_did_not_arrive(
    whole: dict[str, Any], data: st.DataObject
) -> None:
    body = body_of(*events_of(whole))
    assert_part(body[: data.draw(st.integers(0, len(body)))], whole)


def test_stream_that_is_cut_at_each_byte_has_nothing_that_did_not_arrive() -> None:
    whole = response(reasoning("Ü, hm"), message("Grüße 🙂", "!", at=1), call(at=2), SEARCH)
    body = body_of(*events_of(whole))
    for end in range(len(body)):
        assert_part(body[:end], whole)


@given(RESPONSES, st.data())
def test_parts_of_an_unfinished_item_are_those_received(whole: dict[str, Any], data: st.DataObject) -> None:
    events = [event for event in events_of(whole)[:-1] if not event["type"].endswith(".done")]
    made = accumulate(body_of(*events[: data.draw(st.integers(0, len(events)))]))
    assert is_part(response_of(made.completion)["output"], whole["output"])


@given(RESPONSES, st.randoms(use_true_random=False))
def test_events_of_several_items_may_be_mixed(whole: dict[str, Any], random: Any) -> None:
    """The order of the events of one item is the API's; which item is next is not."""
    head, body = events_of(whole)[:2], events_of(whole)[2:-1]
    queues = [list(group) for _, group in groupby(body, key=lambda event: event["output_index"])]
    mixed = []
    while queues:
        queue = random.choice(queues)
        mixed.append(queue.pop(0))
        queues = [each for each in queues if each]
    renumbered = [event | {"sequence_number": number} for number, event in enumerate([*head, *mixed])]
    assert response_of(accumulate(body_of(*renumbered)).completion)["output"] == whole["output"]


@given(RESPONSES, st.data())
def test_duplicate_and_unknown_events_change_nothing(whole: dict[str, Any], data: st.DataObject) -> None:
    events = events_of(whole)[:-1]
    expected = accumulate(body_of(*events)).completion
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(2, len(events)))
        odd: Any = {"type": "response.hologram.delta", "output_index": 0, "delta": "no", "sequence_number": 9000}
        events.insert(place, data.draw(st.sampled_from([odd, events[place - 1]])))
    assert accumulate(body_of(*events)).completion == expected


def test_deltas_of_a_server_that_does_not_number_its_events_are_all_counted() -> None:
    events = [event | {"sequence_number": 0} for event in events_of(response(message("aaaa")))]
    kept = [event for event in events if not event["type"].endswith(("done", "completed"))]
    assert accumulate(body_of(*kept)).completion["choices"][0]["message"]["content"] == "aaaa"


def test_deltas_whose_item_was_never_begun_make_one_of_their_type() -> None:
    events = [
        {"type": "response.output_text.delta", "output_index": 4, "item_id": "msg_9", "content_index": 0, "delta": "a"},
        {"type": "response.reasoning_summary_text.delta", "output_index": 2, "summary_index": 0, "delta": "b"},
    ]
    made = accumulate(body_of(*events))
    assert response_of(made.completion)["output"] == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "b"}]},
        {"type": "message", "id": "msg_9", "content": [{"type": "output_text", "text": "a"}]},
    ]


def test_text_that_is_done_replaces_its_deltas() -> None:
    place = {"output_index": 0, "item_id": "msg_0", "content_index": 0}
    events = [
        {"type": "response.output_text.delta", **place, "delta": "gap"},
        {"type": "response.output_text.done", **place, "text": "whole"},
    ]
    assert accumulate(body_of(*events)).completion["choices"][0]["message"]["content"] == "whole"


def test_items_are_found_by_their_ids_where_events_have_no_index() -> None:
    begun = {"type": "response.output_item.added", "output_index": 1, "item": {"type": "function_call", "id": "fc"}}
    delta = {"type": "response.function_call_arguments.delta", "item_id": "fc", "delta": "{"}
    made = accumulate(body_of(begun, delta))
    assert response_of(made.completion)["output"] == [{"type": "function_call", "id": "fc", "arguments": "{"}]


def test_commands_and_outputs_of_a_shell_are_joined_by_their_index() -> None:
    shell = {"type": "shell_call", "id": "sh", "call_id": "c", "status": "in_progress", "action": {"commands": []}}
    output = {"type": "shell_call_output", "id": "so", "call_id": "c", "output": []}
    place, there = {"output_index": 0}, {"output_index": 1, "item_id": "so"}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": shell},
        {"type": "response.shell_call_command.added", **place, "command_index": 0, "command": ""},
        {"type": "response.shell_call_command.delta", **place, "command_index": 0, "delta": "ls"},
        {"type": "response.shell_call_command.delta", **place, "command_index": 1, "delta": "p"},
        {"type": "response.shell_call_command.delta", **place, "command_index": 0, "delta": " -l"},
        {"type": "response.shell_call_command.done", **place, "command_index": 1, "command": "pwd"},
        {"type": "response.output_item.added", "output_index": 1, "item": output},
        {"type": "response.shell_call_output_content.delta", **there, "command_index": 0, "delta": {"stdout": "a"}},
        {"type": "response.shell_call_output_content.delta", **there, "command_index": 0, "delta": {"stdout": "b"}},
    ]
    first, second = response_of(accumulate(body_of(*events)).completion)["output"]
    assert first["action"]["commands"] == ["ls -l", "pwd"]
    assert second["output"] == [{"stdout": "ab"}]


def test_partial_images_are_kept_as_size_and_hash() -> None:
    begun = {"type": "image_generation_call", "id": "ig", "status": "in_progress", "result": None}
    place = {"output_index": 0, "item_id": "ig", "partial_image_index": 0}
    events = [
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.image_generation_call.generating", "output_index": 0, "item_id": "ig"},
        {"type": "response.image_generation_call.partial_image", **place, "partial_image_b64": "aGk="},
    ]
    (item,) = accumulate(body_of(*events)).completion["output"]
    digest = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
    assert item["partial_images"] == [f"[image, 2 bytes, sha256 {digest}]"]
    assert item["status"] == "generating"


def test_logprobs_of_deltas_are_joined() -> None:
    place = {"output_index": 0, "item_id": "msg_0", "content_index": 0}
    logprob = {"token": "a", "logprob": -1.0, "top_logprobs": []}
    delta = {"type": "response.output_text.delta", **place, "delta": "a", "logprobs": [logprob]}
    choice = accumulate(body_of(delta, delta)).completion["choices"][0]
    assert choice["logprobs"] == {"content": [logprob, logprob], "refusal": None}


def test_audio_is_joined() -> None:
    events = [
        {"type": "response.audio.delta", "delta": "UklG"},
        {"type": "response.audio.transcript.delta", "delta": "hi"},
        {"type": "response.audio.transcript.delta", "delta": "!"},
    ]
    assert accumulate(body_of(*events)).completion["audio"] == {"data": "UklG", "transcript": "hi!"}


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "server_error", "message": "no", "param": None, "sequence_number": 3},
        {"type": "error", "error": {"code": "server_error", "message": "no", "param": None}},
    ],
)
def test_error_event_is_the_error(event: dict[str, Any]) -> None:
    made = accumulate(body_of(*events_of(response(message("a")))[:4], event))
    assert made.error == {"code": "server_error", "message": "no", "param": None}
    assert not made.done


def test_failed_response_is_an_error_whose_details_are_its_own() -> None:
    error = {"code": "server_error", "message": "no"}
    made = accumulate(body_of(*events_of(response(message("a"), status="failed", error=error))))
    assert (made.done, made.status, made.error) == (True, "error", error)
    assert made.completion["choices"][0]["message"]["content"] == "a"


@pytest.mark.parametrize("form", [b"\r\n", b"\r", b"\n"])
@pytest.mark.parametrize("extra", [b": ping\n\n", b"data: [DONE]\n\n", b""])
def test_forms_of_server_sent_events(form: bytes, extra: bytes) -> None:
    whole = response(message("a"), usage=USAGE)
    body = (body_of(*events_of(whole)) + extra).replace(b"\n", form)
    assert accumulate(body).completion == of_response(whole).completion
