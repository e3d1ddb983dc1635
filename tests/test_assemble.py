"""Streams as bytes, and the completions that they are put together to."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from ainsights._processing.accumulator import Assembled, assemble

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-4o"}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
FIRST_KEYS = ["id", "object", "created", "model", "choices"]


def event(value: Any) -> bytes:
    return b"data: " + (value if isinstance(value, str) else json.dumps(value)).encode() + b"\n\n"


def body_of(*values: Any) -> bytes:
    return b"".join(map(event, values))


def chunk(delta: Any = None, *, index: int = 0, finish: str | None = None, **choice: Any) -> dict[str, Any]:
    return HEAD | {"choices": [{"index": index, "delta": delta, "finish_reason": finish} | choice]}


def message_of(*deltas: Any) -> dict[str, Any]:
    return assemble(body_of(*map(chunk, deltas))).completion["choices"][0]["message"]


def content_of(body: bytes) -> Any:
    choices = assemble(body).completion["choices"]
    return choices[0]["message"]["content"] if choices else None


def calls_of(*lists: Any) -> list[Any]:
    return message_of(*({"tool_calls": calls} for calls in lists))["tool_calls"]


def call(arguments: str, name: str | None = None, **rest: Any) -> dict[str, Any]:
    return rest | {"function": {"arguments": arguments} | ({"name": name} if name else {})}


ORDINARY = body_of(
    chunk({"role": "assistant", "content": "", "refusal": None}, logprobs=None),
    chunk({"content": "Gr\u00fc\u00df"}, logprobs=None),
    chunk({"content": "e \U0001f600\n"}, logprobs=None),
    chunk({}, finish="stop", logprobs=None),
    HEAD | {"choices": [], "usage": USAGE},
    "[DONE]",
)


# The form of the result


def test_a_stream_becomes_the_completion_of_the_other_api() -> None:
    assembled = assemble(ORDINARY)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Gr\u00fc\u00dfe \U0001f600\n", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    expected = {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    assert assembled == Assembled(expected, done=True, error=None, chunks=5)
    assert list(assembled.completion) == [*FIRST_KEYS, "usage"]
    assert list(assembled.completion["choices"][0]) == list(choice)


@pytest.mark.parametrize("body", [b"", b"\n", b": comment\n\n", b"data:\n\n", b"data\n\n", b"\xef\xbb", b"data: {"])
def test_nothing_gives_an_empty_completion(body: bytes) -> None:
    empty = {"id": "", "object": "chat.completion", "created": 0, "model": "", "choices": []}
    assert assemble(body) == Assembled(empty, done=False, error=None, chunks=0)


def test_a_cut_stream_has_no_finish_reason_and_is_not_done() -> None:
    assembled = assemble(body_of(chunk({"content": "a"})))
    assert assembled.completion["choices"][0]["finish_reason"] is None
    assert not assembled.done


def test_choices_are_sorted_by_index() -> None:
    body = body_of(chunk({"content": "b"}, index=1), chunk({"content": "a"}), chunk({"content": "B"}, index=1))
    choices = assemble(body).completion["choices"]
    assert [(choice["index"], choice["message"]["content"]) for choice in choices] == [(0, "a"), (1, "bB")]


def test_choices_without_index_are_told_by_position() -> None:
    value = HEAD | {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]}
    choices = assemble(body_of(value, value)).completion["choices"]
    assert [(choice["index"], choice["message"]["content"]) for choice in choices] == [(0, "aa"), (1, "bb")]


def test_what_only_chunks_have_goes() -> None:
    completion = assemble(body_of(chunk({"content": "a"}) | {"obfuscation": "xyz", "usage": None})).completion
    assert list(completion) == FIRST_KEYS
    assert "delta" not in completion["choices"][0]


# Server-sent events


ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
EXTRAS = st.sampled_from([b"", b": ping", b":", b"id: 1", b"retry: 5", b"event: message", b"nonsense", b"event"])


@given(st.data())
def test_line_ends_and_comments_change_nothing(data: st.DataObject) -> None:
    body = b"\xef\xbb\xbf" if data.draw(st.booleans()) else b""
    for line in ORDINARY.split(b"\n")[:-1]:
        extra = data.draw(EXTRAS)
        end = data.draw(ENDS)
        body += extra + end if extra else b""
        # A CR before an empty line with LF would be read as one line end.
        body += line + (b"\r\n" if end == b"\r" and not line and body.endswith(b"\r") else end)
        if not line:
            body += b": so that a line end stays apart\n\n"
    assert assemble(body) == assemble(ORDINARY)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_is_understood(end: bytes) -> None:
    assert assemble(ORDINARY.replace(b"\n", end)) == assemble(ORDINARY)


@pytest.mark.parametrize(
    "body",
    [
        b'data:{"choices":[{"delta":{"content":"a"}}]}\n\n',
        b'data: {"choices":\ndata: [{"delta":{"content":"a"}}]}\n\n',
        b'id: 7\ndata: {"choices":[{"delta":{"content":"a"}}]}\n: note\n\n',
        b'data: {"choices":[{"delta":{"content":"a"}}]}\nevent: chunk\n\n',
        b'\n\n\ndata: {"choices":[{"delta":{"content":"a"}}]}',
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n',
        b'data: 17\n\ndata: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [1]\n\ndata: {"choi\n\ndata: null\n\n',
        b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\ndata: {"id":"late"}\n\n',
    ],
)
def test_events_are_read_as_the_standard_says(body: bytes) -> None:
    assembled = assemble(body)
    assert (assembled.completion["id"], content_of(body), assembled.chunks) == ("", "a", 1)


@pytest.mark.parametrize("done", [b"data: [DONE]", b"data:[DONE]\n\n", b"event: x\ndata: [DONE]\n\n"])
def test_the_terminal_event_is_seen(done: bytes) -> None:
    assert assemble(ORDINARY.replace(b"data: [DONE]\n\n", done)) == assemble(ORDINARY)


@given(st.lists(st.integers(0, len(ORDINARY))))
def test_where_the_bytes_are_cut_changes_nothing(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(ORDINARY)]
    pieces = [ORDINARY[start:end] for start, end in pairwise(at)]
    assert assemble(b"".join(pieces)) == assemble(ORDINARY)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_content_of_any_prefix_is_a_prefix(end: bytes) -> None:
    body = ORDINARY.replace(b"\n", end)
    raw = body.replace(b"\\u00fc", "\u00fc".encode()).replace(b"\\ud83d\\ude00", "\U0001f600".encode())
    for whole in (body, raw):
        lengths = [len(content_of(whole[:cut]) or "") for cut in range(len(whole) + 1)]
        assert lengths == sorted(lengths)
        for cut in range(len(whole)):
            assert "Gr\u00fc\u00dfe \U0001f600\n".startswith(content_of(whole[:cut]) or "")


# Errors


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b'data: {"error":{"message":"no","code":5}}\n\n', {"message": "no", "code": 5}),
        (b'event: error\ndata: {"error":{"message":"no"}}\n\n', {"message": "no"}),
        (b'data: {"error":{"message":"no"}}\nevent:error\n\n', {"message": "no"}),
        (b'event: error\ndata: {"message":"no"}\n\n', {"message": "no"}),
        (b"event: error\ndata: it broke\n\n", "it broke"),
        (b'event: error\ndata: "it broke"\n\n', "it broke"),
        (b'data: {"error":"it broke"}', "it broke"),
        (b'data: {"error":"first"}\n\ndata: {"error":"second"}\n\n', "first"),
        (b'data: {"error":null}\n\ndata: {"error":""}\n\ndata: {"error":{}}\n\n', None),
    ],
)
def test_an_error_event_is_told_apart(sent: bytes, error: Any) -> None:
    assembled = assemble(event(chunk({"content": "a"})) + sent)
    assert assembled.error == error
    assert assembled.completion["choices"][0]["message"]["content"] == "a"
    assert list(assembled.completion) == FIRST_KEYS


def test_a_chunk_with_an_error_is_merged_too() -> None:
    assembled = assemble(body_of(chunk({"content": "a"}, finish="error") | {"error": {"code": 502}}))
    assert (assembled.error, assembled.chunks) == ({"code": 502}, 1)
    assert assembled.completion["choices"][0]["finish_reason"] == "error"


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
    assert assemble(bodies).completion["choices"][0]["logprobs"] == {"content": [token, token], "refusal": [token]}


def test_content_in_parts_is_kept_in_order() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    said = {"type": "text", "text": "So."}
    assert message_of({"content": ""}, {"content": [thought]}, {"content": "So"}, {"content": "."})["content"] == [
        thought,
        said,
    ]
    assert message_of({"content": [thought]}, {"content": [thought]}, {"content": "So."})["content"] == [
        thought,
        thought,
        said,
    ]


def test_arguments_that_are_an_object_are_kept() -> None:
    assert message_of({"function_call": {"arguments": ""}}, {"function_call": {"arguments": {"a": {"text": "b"}}}})[
        "function_call"
    ] == {"arguments": {"a": {"text": "b"}}}
    assert calls_of([{"index": 0, "function": {"arguments": {"text": "b"}}}]) == [
        {"function": {"arguments": {"text": "b"}}}
    ]


@pytest.mark.parametrize("delta", [None, "text", 7, [], [{"content": "x"}], True])
def test_a_delta_that_is_no_object_is_left_out(delta: Any) -> None:
    assert message_of({"content": "a"}, delta, {"content": "b"})["content"] == "ab"


@pytest.mark.parametrize("choices", [None, [], {}, "x", [None], [7, "x"], [{}], [{"index": 0}]])
def test_odd_choices_do_no_harm(choices: Any) -> None:
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
def test_a_message_is_the_whole_or_a_piece(values: list[Any], content: str) -> None:
    assert content_of(body_of(*values)) == content


def test_a_whole_message_replaces_calls() -> None:
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    delta = chunk({"content": None, "tool_calls": [{"index": 0, **calls[0]}]})
    message = assemble(body_of(delta, full(None, tool_calls=calls))).completion["choices"][0]["message"]
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
            id="the latest goes on",
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
def test_tool_calls_are_told_apart(lists: list[Any], calls: list[Any]) -> None:
    assert calls_of(*lists) == calls


def test_no_tool_calls_are_invented() -> None:
    assert message_of({"content": "a"}) == {"role": "assistant", "content": "a"}


# Vendors


def test_empty_values_of_the_first_chunk_never_win() -> None:
    azure = {"id": "", "object": "", "created": 0, "model": "", "system_fingerprint": "", "choices": []}
    filters = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False}}}]
    value = chunk({"content": "a"}) | {"system_fingerprint": "fp"}
    completion = assemble(body_of(azure | {"prompt_filter_results": filters}, value, azure)).completion
    del completion["choices"]
    known = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "gpt-4o"}
    assert completion == known | {"system_fingerprint": "fp", "prompt_filter_results": filters}


def test_top_level_lists_and_usage_are_replaced_and_dicts_merged() -> None:
    citations = ["https://a.example", "https://b.example"]
    completion = assemble(
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
    assert list(assemble(body_of(value)).completion) == [*FIRST_KEYS, "system_fingerprint"]


def test_extras_of_choices_survive() -> None:
    body = body_of(
        chunk({"content": "a"}, content_filter_results={}, native_finish_reason=None, token_ids=[1]),
        chunk({"content": "b"}, content_filter_results={"hate": {"filtered": False}}, token_ids=[1]),
        chunk({}, finish="stop", content_filter_results={"self_harm": {"filtered": False}}, native_finish_reason="end"),
    )
    assert assemble(body).completion["choices"][0] == {
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


# Odd texts


def test_halves_of_a_surrogate_pair_meet() -> None:
    body = (
        b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\ndata: {"choices":[{"delta":{"content":"\\ude00b"}}]}'
    )
    assert content_of(body) == "a\U0001f600b"


def test_a_lone_surrogate_is_kept() -> None:
    assert content_of(b'data: {"choices":[{"delta":{"content":"\\\\ud800 \\ud800"}}]}\n\n') == "\\ud800 \ud800"


def test_invalid_utf_8_is_replaced_as_the_standard_says() -> None:
    assert content_of(b'data: {"choices":[{"delta":{"content":"a\xff"}}]}\n\n') == "a\ufffd"


def test_numbers_beyond_json_are_read() -> None:
    assert assemble(b'data: {"cost": NaN}\n\ndata: {"cost": Infinity}\n\n').completion["cost"] == float("inf")


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":' * 100_000,
        b'{"a":"\\ud800","b":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"created":' + b"1" * 5000 + b"}",
        b'{"a":' * 199 + b"1" + b"}" * 199,
        b'{"choices":[{"delta":' + b'{"a":[' * 90 + b"]}" * 90 + b"}]}",
    ],
)
def test_deep_and_long_values_do_no_harm(data: bytes) -> None:
    assert content_of(event(chunk({"content": "a"})) + (b"data: " + data + b"\n\n") * 2) == "a"


# Any completion, streamed and put together again


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
WORD = st.text("abcdefghij_", min_size=1, max_size=8)
SCALAR = st.none() | st.booleans() | st.integers(1, 10**6) | WORD
VALUES = st.recursive(SCALAR, lambda inner: st.dictionaries(WORD.map("x_".__add__), inner, max_size=3), max_leaves=5)
EXTRA = st.dictionaries(WORD.map("x_".__add__), VALUES | st.lists(WORD, max_size=3), max_size=2)
TOKENS = st.lists(
    st.fixed_dictionaries(
        {"token": TEXT, "logprob": st.floats(-9, 0), "bytes": st.none(), "top_logprobs": st.just([])}
    ),
    max_size=4,
)
FUNCTION = st.fixed_dictionaries({"name": WORD, "arguments": TEXT})
CALL = st.one_of(
    st.fixed_dictionaries({"id": WORD, "type": st.just("function"), "function": FUNCTION}),
    st.fixed_dictionaries(
        {"id": WORD, "type": st.just("custom"), "custom": st.fixed_dictionaries({"name": WORD, "input": TEXT})}
    ),
)
AUDIO = st.fixed_dictionaries({"id": WORD, "data": TEXT, "transcript": TEXT, "expires_at": st.integers(1, 10**10)})
MESSAGE = st.builds(
    dict.__or__,
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": st.none() | TEXT},
        optional={
            "refusal": st.none() | TEXT,
            "tool_calls": st.lists(CALL, min_size=1, max_size=3),
            "function_call": FUNCTION,
            "audio": AUDIO,
            "reasoning_content": TEXT,
            "annotations": st.lists(st.fixed_dictionaries({"type": st.just("url_citation"), "url_citation": st.just(
                {"end_index": 1, "start_index": 0, "title": "t", "url": "u"})}), max_size=2),
        },
    ),
    EXTRA,
)  # fmt: skip
CHOICE = st.builds(
    dict.__or__,
    st.fixed_dictionaries(
        {
            "message": MESSAGE,
            "logprobs": st.none() | st.fixed_dictionaries({"content": st.none() | TOKENS, "refusal": st.none()}),
            "finish_reason": st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
        }
    ),
    EXTRA,
)
COMPLETION = st.builds(
    dict.__or__,
    st.fixed_dictionaries(
        {
            "id": WORD,
            "object": st.just("chat.completion"),
            "created": st.integers(1, 10**10),
            "model": WORD,
            "choices": st.lists(CHOICE, min_size=1, max_size=3).map(
                lambda choices: [{"index": index} | choice for index, choice in enumerate(choices)]
            ),
        },
        optional={
            "usage": st.just(USAGE),
            "system_fingerprint": st.none() | WORD,
            "citations": st.lists(WORD, max_size=3),
        },
    ),
    EXTRA,
)


class Chunker:
    """Streams a completion as the API does, cutting texts and taking turns as ``draw`` says."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw

    def cut(self, text: str) -> list[str]:
        at = [0, *sorted(self.draw(st.lists(st.integers(0, len(text)), max_size=3))), len(text)]
        return [text[start:end] for start, end in pairwise(at)]

    def texts(self, key: str, rest: dict[str, Any]) -> list[dict[str, Any]]:
        """Return ``rest`` in its first fragment, then the text at ``key`` in pieces."""
        first, *more = self.cut(rest[key])
        return [rest | {key: first}, *({key: piece} for piece in more)]

    def call(self, index: int, call: dict[str, Any]) -> list[dict[str, Any]]:
        kind = call["type"]
        first, *more = self.texts("arguments" if kind == "function" else "input", call[kind])
        fragments = [{"index": index} | call | {kind: first}, *({"index": index, kind: piece} for piece in more)]
        return [{"tool_calls": [fragment]} for fragment in fragments]

    def field(self, key: str, value: Any) -> list[dict[str, Any]]:
        if key == "tool_calls":
            calls = [self.call(index, call) for index, call in enumerate(value)]
            return [delta for deltas in calls for delta in deltas]
        if key == "function_call":
            return [{key: piece} for piece in self.texts("arguments", value)]
        if key == "audio":
            data, transcript = self.cut(value["data"]), self.cut(value["transcript"])
            pieces = [{"id": value["id"]}, *({"data": piece} for piece in data)]
            pieces += [*({"transcript": piece} for piece in transcript), {"expires_at": value["expires_at"]}]
            return [{key: piece} for piece in pieces]
        if key in {"content", "refusal", "reasoning_content"} and value is not None:
            return [{key: piece} for piece in self.cut(value)]
        if isinstance(value, list) and value:
            return [{key: [item]} for item in value]
        return [{key: value}]

    def choice(self, choice: dict[str, Any]) -> list[dict[str, Any]]:
        message = choice["message"]
        deltas = [{"role": message["role"], "content": "" if message["content"] is not None else None}]
        for key, value in message.items():
            if key != "role" and (key, value) != ("content", None):
                deltas += self.field(key, value)
        parts = [{"index": choice["index"], "delta": delta, "finish_reason": None} for delta in deltas]
        logprobs = choice["logprobs"]
        for part in parts:
            part["logprobs"] = None
        if logprobs is not None:
            parts[0]["logprobs"] = {key: None if value is None else [] for key, value in logprobs.items()}
            turns = [{"content": [token]} for token in logprobs["content"] or ()]
            parts += [{"index": choice["index"], "delta": {}, "logprobs": turn} for turn in turns]
        extra = {key: value for key, value in choice.items() if key not in {"message", "logprobs", "index"}}
        return [*parts, {"index": choice["index"], "delta": {}, "logprobs": None} | extra]

    def chunks(self, completion: dict[str, Any]) -> list[dict[str, Any]]:
        top = {key: value for key, value in completion.items() if key not in {"choices", "usage"}}
        top["object"] = "chat.completion.chunk"
        waiting = [self.choice(choice) for choice in completion["choices"]]
        chunks = []
        while waiting:
            turn = self.draw(st.integers(0, len(waiting) - 1))
            chunks.append(top | {"choices": [waiting[turn].pop(0)], "usage": None})
            waiting = [parts for parts in waiting if parts]
        if "usage" in completion:
            chunks.append(top | {"choices": [], "usage": completion["usage"]})
        return chunks


@settings(deadline=None)
@given(st.data(), COMPLETION, st.booleans())
def test_any_completion_streamed_and_assembled_is_the_same(
    data: st.DataObject, completion: dict[str, Any], ascii_only: bool  # noqa: FBT001
) -> None:  # fmt: skip
    chunks = Chunker(data.draw).chunks(completion)
    documents = [json.dumps(value, ensure_ascii=ascii_only) for value in chunks]
    body = body_of(*documents, "[DONE]")
    assert assemble(body) == Assembled(completion, done=True, error=None, chunks=len(chunks))
    ChatCompletion.model_validate(completion, strict=True)
    for cut in range(0, len(body), max(1, len(body) // 20)):
        assert list(assemble(body[:cut]).completion)[:5] == FIRST_KEYS


def by_the_library(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for value in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(value))
    return state.current_completion_snapshot.model_dump(mode="json")


@settings(deadline=None)
@given(st.lists(TEXT, max_size=5), st.lists(FUNCTION, max_size=2), st.booleans())
def test_the_library_agrees(texts: list[str], functions: list[dict[str, str]], refused: bool) -> None:  # noqa: FBT001
    key = "refusal" if refused else "content"
    token = {"token": "t", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    top = {"system_fingerprint": "fp", "service_tier": "default"}
    chunks = [top | chunk({"role": "assistant", "content": "", "refusal": "" if refused else None}, logprobs=None)]
    chunks += [top | chunk({key: text}, logprobs={"content": [token], "refusal": None}) for text in texts]
    for index, function in enumerate(functions):
        head = {"index": index, "id": f"c{index}", "type": "function", "function": function | {"arguments": ""}}
        tail = {"index": index, "function": {"arguments": function["arguments"]}}
        chunks += [top | chunk({"tool_calls": [fragment]}, logprobs=None) for fragment in (head, tail)]
    chunks += [top | chunk({}, finish="stop", logprobs=None), top | HEAD | {"choices": [], "usage": USAGE}]
    ours = assemble(body_of(*chunks, "[DONE]")).completion
    theirs = by_the_library(chunks)
    assert ChatCompletion.model_validate(ours, strict=True).model_dump(mode="json") == ChatCompletion.model_validate(
        {**theirs, "choices": [known_to_both(choice) for choice in theirs["choices"]]}
    ).model_dump(mode="json")


def known_to_both(choice: dict[str, Any]) -> dict[str, Any]:
    message = {key: value for key, value in choice["message"].items() if key != "parsed"}
    for tool_call in message.get("tool_calls") or ():
        tool_call.pop("index", None)
        tool_call["function"].pop("parsed_arguments", None)
    return choice | {"message": message}


# Nothing raises


KEYS = st.sampled_from(
    ["id", "object", "created", "model", "choices", "usage", "error", "index", "delta", "message", "finish_reason",
     "logprobs", "content", "role", "refusal", "tool_calls", "function", "custom", "name", "arguments", "type", "audio",
     "function_call", "reasoning_details", "reasoning", "x"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.floats() | st.sampled_from(["", "a", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
PARTS = st.dictionaries(KEYS, ANYTHING, max_size=4)
LIKELY = st.builds(
    lambda delta, message, rest: {"choices": [rest | {"delta": delta, "message": message}]}, PARTS, ANYTHING, PARTS
)


def whole(assembled: Assembled) -> None:
    assert list(assembled.completion)[:5] == FIRST_KEYS
    assert assembled.completion["object"] == "chat.completion"
    json.dumps(assembled.completion)


@given(st.binary())
def test_any_bytes_give_a_completion(body: bytes) -> None:
    whole(assemble(body))
    whole(assemble(b"data: " + body))


@settings(deadline=None, max_examples=300)
@given(st.lists(LIKELY | ANYTHING, max_size=5))
def test_any_json_gives_a_completion(values: list[Any]) -> None:
    whole(assemble(body_of(*map(json.dumps, values))))


@given(st.lists(st.tuples(st.integers(0, len(ORDINARY) - 1), st.binary(max_size=4)), max_size=8))
def test_a_garbled_stream_gives_a_completion(changes: list[tuple[int, bytes]]) -> None:
    body = bytearray(ORDINARY)
    for at, new in changes:
        body[at : at + len(new)] = new
    whole(assemble(bytes(body)))
