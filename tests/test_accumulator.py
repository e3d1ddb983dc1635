"""The form of what is accumulated, and how the events of a stream are read."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.chunks import (
    FIRST_KEYS,
    HEAD,
    ORDINARY,
    USAGE,
    body_of,
    chunk,
    content_of,
    event,
)

from ainsights._processing.accumulator import Accumulation, accumulate

# The form of the result


def test_a_stream_becomes_the_completion_of_the_other_api() -> None:
    assembled = accumulate(ORDINARY)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Gr\u00fc\u00dfe \U0001f600\n", "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    expected = {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    assert assembled == Accumulation(expected, done=True, error=None, chunks=5)
    assert list(assembled.completion) == [*FIRST_KEYS, "usage"]
    assert list(assembled.completion["choices"][0]) == list(choice)


@pytest.mark.parametrize("body", [b"", b"\n", b": comment\n\n", b"data:\n\n", b"data\n\n", b"\xef\xbb", b"data: {"])
def test_nothing_gives_an_empty_completion(body: bytes) -> None:
    empty = {"id": "", "object": "chat.completion", "created": 0, "model": "", "choices": []}
    assert accumulate(body) == Accumulation(empty, done=False, error=None, chunks=0)


def test_a_cut_stream_has_no_finish_reason_and_is_not_done() -> None:
    assembled = accumulate(body_of(chunk({"content": "a"})))
    assert assembled.completion["choices"][0]["finish_reason"] is None
    assert not assembled.done


def test_choices_are_sorted_by_index() -> None:
    body = body_of(chunk({"content": "b"}, index=1), chunk({"content": "a"}), chunk({"content": "B"}, index=1))
    choices = accumulate(body).completion["choices"]
    assert [(choice["index"], choice["message"]["content"]) for choice in choices] == [(0, "a"), (1, "bB")]


def test_choices_without_index_are_matched_by_position() -> None:
    value = HEAD | {"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]}
    choices = accumulate(body_of(value, value)).completion["choices"]
    assert [(choice["index"], choice["message"]["content"]) for choice in choices] == [(0, "aa"), (1, "bb")]


def test_fields_that_only_chunks_have_are_removed() -> None:
    completion = accumulate(body_of(chunk({"content": "a"}) | {"obfuscation": "xyz", "usage": None})).completion
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
    assert accumulate(body) == accumulate(ORDINARY)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_is_understood(end: bytes) -> None:
    assert accumulate(ORDINARY.replace(b"\n", end)) == accumulate(ORDINARY)


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
def test_events_are_read_as_the_standard_defines(body: bytes) -> None:
    assembled = accumulate(body)
    assert (assembled.completion["id"], content_of(body), assembled.chunks) == ("", "a", 1)


@pytest.mark.parametrize("done", [b"data: [DONE]", b"data:[DONE]\n\n", b"event: x\ndata: [DONE]\n\n"])
def test_the_terminal_event_is_seen(done: bytes) -> None:
    assert accumulate(ORDINARY.replace(b"data: [DONE]\n\n", done)) == accumulate(ORDINARY)


@given(st.lists(st.integers(0, len(ORDINARY))))
def test_where_the_bytes_are_cut_changes_nothing(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(ORDINARY)]
    pieces = [ORDINARY[start:end] for start, end in pairwise(at)]
    assert accumulate(b"".join(pieces)) == accumulate(ORDINARY)


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
def test_an_error_event_is_recognised(sent: bytes, error: Any) -> None:
    assembled = accumulate(event(chunk({"content": "a"})) + sent)
    assert assembled.error == error
    assert assembled.completion["choices"][0]["message"]["content"] == "a"
    assert list(assembled.completion) == FIRST_KEYS


def test_a_chunk_with_an_error_is_merged_too() -> None:
    assembled = accumulate(body_of(chunk({"content": "a"}, finish="error") | {"error": {"code": 502}}))
    assert (assembled.error, assembled.chunks) == ({"code": 502}, 1)
    assert assembled.completion["choices"][0]["finish_reason"] == "error"


# Odd texts


def test_halves_of_a_surrogate_pair_are_joined() -> None:
    body = (
        b'data: {"choices":[{"delta":{"content":"a\\ud83d"}}]}\n\ndata: {"choices":[{"delta":{"content":"\\ude00b"}}]}'
    )
    assert content_of(body) == "a\U0001f600b"


def test_a_lone_surrogate_is_kept() -> None:
    assert content_of(b'data: {"choices":[{"delta":{"content":"\\\\ud800 \\ud800"}}]}\n\n') == "\\ud800 \ud800"


def test_invalid_utf_8_is_replaced_as_the_standard_defines() -> None:
    assert content_of(b'data: {"choices":[{"delta":{"content":"a\xff"}}]}\n\n') == "a\ufffd"


def test_numbers_beyond_json_are_read() -> None:
    assert accumulate(b'data: {"cost": NaN}\n\ndata: {"cost": Infinity}\n\n').completion["cost"] == float("inf")


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
def test_deep_and_long_values_are_handled(data: bytes) -> None:
    assert content_of(event(chunk({"content": "a"})) + (b"data: " + data + b"\n\n") * 2) == "a"
