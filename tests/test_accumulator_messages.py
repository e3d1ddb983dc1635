"""How deltas, messages and tool calls are merged."""

from __future__ import annotations

from typing import Any

import pytest
from support.chunks import (
    FIRST_KEYS,
    HEAD,
    USAGE,
    body_of,
    call,
    calls_of,
    chunk,
    content_of,
    message_of,
)

from ainsights._processing.accumulator import accumulate

# Messages


def test_texts_are_joined() -> None:
    for key in ("content", "refusal", "reasoning", "reasoning_content", "reasoning_text", "thinking"):
        assert message_of({key: "a"}, {key: None}, {}, {key: "b"}, {key: ""})[key] == "ab"


def test_names_are_replaced_unless_empty() -> None:
    message = message_of({"role": "assistant", "name": "a", "vendor": "x"}, {"role": "", "name": "b", "vendor": "x"})
    assert message == {"role": "assistant", "content": None, "name": "b", "vendor": "x"}


def test_a_function_call_is_joined() -> None:
    message = message_of(
        {"content": None, "function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"a"'}},
        {"function_call": {"name": "f", "arguments": ":1}"}},
    )
    assert message["function_call"] == {"name": "f", "arguments": '{"a":1}'}


def test_audio_is_joined() -> None:
    message = message_of(
        {"audio": {"id": "audio_1", "transcript": "Hel"}},
        {"audio": {"id": "audio_1", "data": "UklG"}},
        {"audio": {"data": "Rg==", "transcript": "lo"}},
        {"audio": {"expires_at": 17}},
    )
    assert message["audio"] == {"id": "audio_1", "transcript": "Hello", "data": "UklGRg==", "expires_at": 17}


def test_logprobs_are_extended_even_by_the_same() -> None:
    token = {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}
    bodies = body_of(
        chunk({"content": "a"}, logprobs={"content": [token], "refusal": None}),
        chunk({"content": "a"}, logprobs={"content": [token], "refusal": None}),
        chunk({"content": ""}, logprobs=None),
        chunk({"refusal": "a"}, logprobs={"content": None, "refusal": [token]}),
    )
    assert accumulate(bodies).completion["choices"][0]["logprobs"] == {"content": [token, token], "refusal": [token]}


def test_content_in_parts_is_kept_in_order() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    text_part = {"type": "text", "text": "So."}
    assert message_of({"content": ""}, {"content": [thought]}, {"content": "So"}, {"content": "."})["content"] == [
        thought,
        text_part,
    ]
    assert message_of({"content": [thought]}, {"content": [thought]}, {"content": "So."})["content"] == [
        thought,
        thought,
        text_part,
    ]


def test_arguments_that_are_an_object_are_kept() -> None:
    assert message_of({"function_call": {"arguments": ""}}, {"function_call": {"arguments": {"a": {"text": "b"}}}})[
        "function_call"
    ] == {"arguments": {"a": {"text": "b"}}}
    assert calls_of([{"index": 0, "function": {"arguments": {"text": "b"}}}]) == [
        {"function": {"arguments": {"text": "b"}}}
    ]


@pytest.mark.parametrize("delta", [None, "text", 7, [], [{"content": "x"}], True])
def test_a_delta_that_is_not_an_object_is_ignored(delta: Any) -> None:
    assert message_of({"content": "a"}, delta, {"content": "b"})["content"] == "ab"


@pytest.mark.parametrize("choices", [None, [], {}, "x", [None], [7, "x"], [{}], [{"index": 0}]])
def test_malformed_choices_are_handled(choices: Any) -> None:
    body = body_of(chunk({"content": "a"}), HEAD | {"choices": choices}, chunk({"content": "b"}))
    assert content_of(body) == "ab"


# A message in place of a delta


def full(content: Any, **rest: Any) -> dict[str, Any]:
    return HEAD | {"choices": [{"index": 0, "message": {"role": "assistant", "content": content} | rest}]}


@pytest.mark.parametrize(
    ("values", "content"),
    [
        ([full("Hello")], "Hello"),
        ([chunk({"content": "Hel"}), chunk({"content": "lo"}), full("Hello")], "Hello"),
        ([full("Hel"), full("Hello")], "Hello"),
        ([full("Hel"), full("lo"), full(" you")], "Hello you"),
        ([full("Hello"), full(None), full("")], "Hello"),
    ],
)
def test_a_message_is_merged_whether_it_is_complete_or_a_fragment(values: list[Any], content: str) -> None:
    assert content_of(body_of(*values)) == content


def test_a_whole_message_replaces_calls() -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    delta = chunk({"content": None, "tool_calls": [{"index": 0, **calls[0]}]})
    message = accumulate(body_of(delta, full(None, tool_calls=calls))).completion["choices"][0]["message"]
    assert message == {"role": "assistant", "content": None, "tool_calls": calls}


# Tool calls


@pytest.mark.parametrize(
    ("lists", "calls"),
    [
        pytest.param(
            [[call("", "f", index=0, id="c1", type="function")], [call("{", index=0)], [call("}", index=0, id=None)]],
            [call("{}", "f", id="c1", type="function")],
            id="by index",
        ),
        pytest.param(
            [[call("b", "g", index=1, id="c2")], [call("a", "f", index=0, id="c1")], [call("B", index=1)]],
            [call("a", "f", id="c1"), call("bB", "g", id="c2")],
            id="sorted by index",
        ),
        pytest.param(
            [[call("a", "f", id="c1"), call("b", "g", id="c2")], [call("B", id="c2")], [call("A", id="c1")]],
            [call("aA", "f", id="c1"), call("bB", "g", id="c2")],
            id="by id",
        ),
        pytest.param(
            [[call("a", "f"), call("b", "g")], [call("A"), call("B")]],
            [call("aA", "f"), call("bB", "g")],
            id="by position",
        ),
        pytest.param(
            [[call("a", "f", id="c1"), call("b", "g", id="c2")], [call("A"), call("B")]],
            [call("aA", "f", id="c1"), call("bB", "g", id="c2")],
            id="by id, then by position",
        ),
        pytest.param(
            [[call("a", "f", id="c1")], [call("A")], [call("b", "g", id="c2")], [call("B")]],
            [call("aA", "f", id="c1"), call("bB", "g", id="c2")],
            id="the latest one continues",
        ),
        pytest.param(
            [[call("a", "f", index=0, id="c1")], [call("A", id="c1")]],
            [call("aA", "f", id="c1")],
            id="by index, then by id",
        ),
        pytest.param(
            [[call("a", "f", index=0, id="c1", type="function")], [call("A", "f", index=0, id="c1", type="function")]],
            [call("aA", "f", id="c1", type="function")],
            id="name and id repeated",
        ),
        pytest.param(
            [[call("a", "f", index=0, id="c1")], [call("b", "f", index=0, id="c2")], [call("B", index=0)]],
            [call("a", "f", id="c1"), call("bB", "f", id="c2")],
            id="all numbered 0, with ids",
        ),
        pytest.param(
            [[call("a", "f", index=0, id="")], [call("b", "g", index=0, id="")]],
            [call("a", "f", id=""), call("b", "g", id="")],
            id="all numbered 0, with names",
        ),
        pytest.param(
            [[call("a", "f", index=0, id="c1")], [call("A", index=0, id="c9")]],
            [call("aA", "f", id="c9")],
            id="another id without a name",
        ),
        pytest.param(
            [
                [{"index": 0, "id": "c1", "type": "custom", "custom": {"name": "f", "input": "a"}}],
                [{"index": 0, "custom": {"input": "b"}}],
            ],
            [{"id": "c1", "type": "custom", "custom": {"name": "f", "input": "ab"}}],
            id="custom",
        ),
        pytest.param([[call("a", "f", index=0), None]], [call("a", "f")], id="null"),
        pytest.param([[call("a", "f", index=0)], [], None, {}], [call("a", "f")], id="empty"),
        pytest.param([[]], [], id="none"),
    ],
)
def test_tool_calls_are_distinguished(lists: list[Any], calls: list[Any]) -> None:
    assert calls_of(*lists) == calls


def test_no_tool_calls_are_invented() -> None:
    assert message_of({"content": "a"}) == {"role": "assistant", "content": "a"}


# Vendors


def test_empty_values_of_the_first_chunk_never_win() -> None:
    azure = {"id": "", "object": "", "created": 0, "model": "", "system_fingerprint": "", "choices": []}
    filters = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}]
    value = chunk({"content": "a"}) | {"system_fingerprint": "fp"}
    completion = accumulate(body_of(azure | {"prompt_filter_results": filters}, value, azure)).completion
    del completion["choices"]
    known = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "gpt-4o"}
    assert completion == known | {"system_fingerprint": "fp", "prompt_filter_results": filters}


def test_top_level_lists_and_usage_are_replaced_and_dicts_merged() -> None:
    citations = ["https://a.example", "https://b.example"]
    completion = accumulate(
        body_of(
            chunk({}) | {"citations": citations[:1], "usage": USAGE | {"extra": 1}, "x": {"id": "r", "y": {"a": 1}}},
            chunk({}) | {"citations": citations, "provider": "p", "cost": 0.5, "x": {"y": {"b": 2}}},
            HEAD | {"choices": [], "usage": USAGE, "citations": citations, "provider": None, "x": {}},
        )
    ).completion
    assert completion["citations"] == citations
    assert completion["usage"] == USAGE
    assert (completion["provider"], completion["cost"]) == ("p", 0.5)
    assert completion["x"] == {"id": "r", "y": {"a": 1, "b": 2}}


def test_a_null_at_the_top_is_kept_unless_it_is_the_usage() -> None:
    value = chunk({}) | {"system_fingerprint": None, "usage": None}
    assert list(accumulate(body_of(value)).completion) == [*FIRST_KEYS, "system_fingerprint"]


def test_extras_of_choices_survive() -> None:
    body = body_of(
        chunk({"content": "a"}, content_filter_results={}, native_finish_reason=None, token_ids=[1]),
        chunk({"content": "b"}, content_filter_results={"hate": {"filtered": False}}, token_ids=[1]),
        chunk({}, finish="stop", content_filter_results={"self_harm": {"filtered": False}}, native_finish_reason="end"),
    )
    assert accumulate(body).completion["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "ab"},
        "logprobs": None,
        "finish_reason": "stop",
        "content_filter_results": {"hate": {"filtered": False}, "self_harm": {"filtered": False}},
        "native_finish_reason": "end",
        "token_ids": [1, 1],
    }


def test_lists_in_deltas_are_extended() -> None:
    first, second = ({"type": "url_citation", "url_citation": {"url": url}} for url in ("a", "b"))
    assert message_of({"annotations": [first]}, {"annotations": []}, {"annotations": [second]})["annotations"] == [
        first,
        second,
    ]


def test_indexed_lists_in_deltas_are_merged_by_index_and_type() -> None:
    message = message_of(
        {"reasoning_details": [{"type": "reasoning.text", "text": "a", "index": 0, "signature": None}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "b", "index": 0}]},
        {"reasoning_details": [{"index": 0, "signature": "s"}, {"type": "reasoning.summary", "summary": "c"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "d", "index": 0}]},
    )
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "d", "index": 0},
        {"type": "reasoning.summary", "summary": "c"},
    ]


def test_lists_of_every_kind_are_kept_whole() -> None:
    assert message_of({"images": [{"url": "a"}, 7]}, {"images": [{"url": "b", "index": 5}]}, {"images": ["c"]})[
        "images"
    ] == [{"url": "a"}, 7, {"url": "b", "index": 5}, "c"]
    assert message_of(
        {"images": []}, {"images": [{"url": "a", "index": 1}, 7]}, {"images": [{"index": 1, "alt": "b"}]}
    )["images"] == [{"url": "a", "index": 1, "alt": "b"}, 7]
