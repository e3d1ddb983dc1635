"""Any completion is the same once it was streamed, and nothing makes the accumulator raise."""

from __future__ import annotations

import json
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import openai
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import _completions
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from support.chunks import (
    FIRST_KEYS,
    HEAD,
    ORDINARY,
    USAGE,
    body_of,
    chunk,
)

from ainsights._processing.accumulator import Accumulation, accumulate

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
FUNCTION_CALL = st.fixed_dictionaries({"id": WORD, "type": st.just("function"), "function": FUNCTION})
CUSTOM = st.fixed_dictionaries({"name": WORD, "input": TEXT})
CUSTOM_CALL = st.fixed_dictionaries({"id": WORD, "type": st.just("custom"), "custom": CUSTOM})
KNOWS_CUSTOM = find_spec("openai.types.chat.chat_completion_message_custom_tool_call") is not None
CALL = FUNCTION_CALL | CUSTOM_CALL if KNOWS_CUSTOM else FUNCTION_CALL
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
    """Streams a completion as the API does, cutting texts and taking turns as ``draw`` decides."""

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
    assert accumulate(body) == Accumulation(completion, done=True, error=None, chunks=len(chunks))
    ChatCompletion.model_validate(completion, strict=True)
    for cut in range(0, len(body), max(1, len(body) // 20)):
        assert list(accumulate(body[:cut]).completion)[:5] == FIRST_KEYS


def by_the_library(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    made: Any = _completions.ChatCompletionStreamState  # public, and without arguments, since openai 1.60
    state = made(input_tools=openai.NOT_GIVEN, response_format=openai.NOT_GIVEN)
    for value in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate(value))
    snapshot: dict[str, Any] = state.current_completion_snapshot.model_dump(mode="json")
    return snapshot


@settings(deadline=None)
@given(st.lists(TEXT, max_size=5), st.lists(FUNCTION, max_size=2), st.booleans())
def test_the_result_equals_that_of_the_openai_library(
    texts: list[str],
    functions: list[dict[str, str]],
    refused: bool,  # noqa: FBT001
) -> None:
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
    ours = accumulate(body_of(*chunks, "[DONE]")).completion
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


def whole(assembled: Accumulation) -> None:
    assert list(assembled.completion)[:5] == FIRST_KEYS
    assert assembled.completion["object"] == "chat.completion"
    json.dumps(assembled.completion)


@given(st.binary())
def test_any_bytes_give_a_completion(body: bytes) -> None:
    whole(accumulate(body))
    whole(accumulate(b"data: " + body))


@settings(deadline=None, max_examples=300)
@given(st.lists(LIKELY | ANYTHING, max_size=5))
def test_any_json_gives_a_completion(values: list[Any]) -> None:
    whole(accumulate(body_of(*map(json.dumps, values))))


@given(st.lists(st.tuples(st.integers(0, len(ORDINARY) - 1), st.binary(max_size=4)), max_size=8))
def test_a_garbled_stream_gives_a_completion(changes: list[tuple[int, bytes]]) -> None:
    body = bytearray(ORDINARY)
    for at, new in changes:
        body[at : at + len(new)] = new
    whole(accumulate(bytes(body)))
