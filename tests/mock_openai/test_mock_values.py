"""The parts that are functions of values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, TypeAdapter
from support.cases import CASES
from support.mock_openai import ASK, IS_OLD, new_state

from ainsights import mock_openai
from ainsights._processing.accumulator import accumulate
from ainsights.mock_openai import Script, ScriptError, parse_directives
from ainsights.mock_openai.schema import instance
from ainsights.mock_openai.script import AT_ONCE, directives_of
from ainsights.mock_openai.sse import cut_small, encoded, events


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("", Script()),
        (" tools , n=2,", Script(tools=True, n=2)),
        ("text=a%2Cb=c", Script(text="a,b=c")),
        ("hang", Script(hang=AT_ONCE)),
        ("hang=3,retry-after=0.5", Script(hang=3, retry_after=0.5)),
        ("sse-error,event-names", Script(sse_error=True, event_names=True)),
    ],
)
def test_directives_are_read(text: str, script: Script) -> None:
    assert parse_directives(text) == script


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("toools", "Unknown directive 'toools'. There are: text=TEXT, n=N,"),
        ("sse_error", "Unknown directive"),
        ("tools=yes", "tools takes no value, not 'yes'"),
        ("n", "n takes a whole number from 1 to 128"),
        ("n=0", "not '0'"),
        ("n=two", "not 'two'"),
        ("status=200", "status takes a whole number from 400 to 599"),
        ("delay=nan", "delay takes seconds from 0 to 3600, not 'nan'"),
    ],
)
def test_directives_that_are_wrong_are_named(text: str, message: str) -> None:
    with pytest.raises(ScriptError, match=message.replace("[", r"\[")):
        parse_directives(text)


def test_directives_come_from_the_model_unless_a_header_has_them() -> None:
    assert directives_of("gpt-4o") == ""
    assert directives_of("mock:tools") == "tools"
    assert directives_of("mock:tools", "n=2") == "n=2"
    assert directives_of("mock:tools", "") == ""


def test_the_fault_ends_after_its_number_of_attempts() -> None:
    script = parse_directives("fail=2,abort=1,n=2")
    assert [script.for_attempt(number).abort for number in (1, 2, 3)] == [1, 1, None]
    assert script.for_attempt(3).n == 2
    assert [parse_directives("fail=1").for_attempt(number).status for number in (1, 2)] == [500, None]


REPLIES = ["", "n=3", "tools", "tools,n=2,text=a", "function", "refusal", "audio", "reasoning,vendor", "logprobs,n=2"]


@given(directives=st.sampled_from(REPLIES), pieces=st.none() | st.integers(1, 50), text=st.text(max_size=60))
def test_chunks_put_together_are_the_completion(directives: str, pieces: int | None, text: str) -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": text}]}
    completion = mock_openai.completion(parse_directives(directives), request, "key")
    state = new_state()
    for chunk in mock_openai.chunks(completion, pieces=pieces, include_usage=True):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    snapshot = state.current_completion_snapshot.model_dump(exclude_none=True)
    for choice in completion["choices"]:
        choice.pop("native_finish_reason", None)  # which the client's assembler loses
    for choice in snapshot["choices"]:
        for call in choice["message"].get("tool_calls", ()):
            call.pop("index")
    assert pruned(without_parsed(snapshot)) == pruned(completion)


@given(directives=st.sampled_from(REPLIES), pieces=st.none() | st.integers(1, 50), text=st.text(max_size=60))
def test_the_text_of_a_stream_is_the_completion_s(directives: str, pieces: int | None, text: str) -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": text}]}
    completion = mock_openai.completion(parse_directives(directives), request, "key")
    chunks = mock_openai.chunks(completion, pieces=pieces, include_usage=True)
    assembled = accumulate(b"".join(events(chunks, Script(comments=True, crlf=True))))
    assert (assembled.completion, assembled.done, assembled.error) == (completion, True, None)


def without_parsed(value: Any) -> Any:
    """Leave out what the client's assembler adds."""
    if isinstance(value, dict):
        return {key: without_parsed(item) for key, item in value.items() if key not in ("parsed", "parsed_arguments")}
    return [without_parsed(item) for item in value] if isinstance(value, list) else value


def pruned(value: Any) -> Any:
    """Leave out what is null or an empty list: a stream can't distinguish them from what is absent."""
    if isinstance(value, dict):
        return {key: pruned(item) for key, item in value.items() if item is not None and item != []}
    return [pruned(item) for item in value] if isinstance(value, list) else value


@given(count=st.integers(1, 40))
def test_the_number_of_chunks_is_that_which_was_asked(count: int) -> None:
    script = parse_directives(f"chunks={count}")
    completion = mock_openai.completion(script, ASK, "key")
    contents = [chunk["choices"][0]["delta"].get("content") for chunk in mock_openai.chunks(completion, pieces=count)]
    assert len([content for content in contents if content]) == count


@given(st.binary(max_size=200))
def test_small_pieces_are_the_whole(body: bytes) -> None:
    assert b"".join(cut_small(body)) == body
    assert b"" not in cut_small(body)


@given(st.text(alphabet=st.characters(), max_size=20))
def test_any_text_can_be_encoded(text: str) -> None:
    assert json.loads(encoded([text])) == [text]


class Leaf(BaseModel):
    count: int
    ratio: float | None
    flags: list[bool]


class Tree(BaseModel):
    leaf: Leaf
    left: Tree | None
    children: list[Tree]
    pair: tuple[int, str]
    table: dict[str, int]


@pytest.mark.parametrize("model", [Leaf, Tree])
def test_an_instance_of_a_models_schema_is_one(model: type[BaseModel]) -> None:
    model.model_validate(instance(model.model_json_schema()))


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, "café"),
        ({"const": None}, None),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": ["null", "integer"], "minimum": 7}, 7),
        ({"type": "integer", "exclusiveMinimum": 1, "multipleOf": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5, "multipleOf": 5}, 10),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMaximum": 0}, -1),
        ({"type": "number", "minimum": 0.25, "maximum": 0.75}, 0.5),
        ({"type": "number", "minimum": 3}, 4),
        ({"type": "number", "maximum": -3}, -4),
        ({"type": "string", "minLength": 6, "maxLength": 6}, "caféèè".replace("è", "é")),
        ({"type": "string", "maxLength": 2}, "ca"),
        ({"type": "string", "format": "date"}, "2024-05-13"),
        ({"type": "array", "items": {"type": "null"}, "minItems": 2}, [None, None]),
        ({"type": "array", "items": {"type": "null"}, "maxItems": 0}, []),
        ({"allOf": [{"properties": {"a": {"type": "boolean"}}}, {"required": ["a"]}]}, {"a": True}),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}}, 1),
        ({"$ref": "#"}, "café"),
        (True, "café"),
    ],
)
def test_an_instance_keeps_to_the_rules_of_its_schema(schema: Any, expected: Any) -> None:
    assert instance(schema) == expected


@pytest.mark.skipif(IS_OLD, reason="this openai has no custom tools")
def test_completions_are_what_the_api_returns() -> None:
    for case in CASES:
        completion = mock_openai.completion(parse_directives(case.directive), case.arguments(), "key")
        TypeAdapter(ChatCompletion).validate_python(completion, strict=False)
