"""Each vendor's stream makes the completion that its other API returns; a second accumulator agrees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from support.chunks import body_of
from support.reference import accumulated
from support.vendors import ANSWERS, HEAD, SHAPES, Answer, chunk

from ainsights._processing.accumulator import accumulate
from ainsights._processing.completion import complete

if TYPE_CHECKING:
    from collections.abc import Callable


def without_empty(value: Any) -> Any:
    """Return ``value`` without empty fields: vendors differ in which of them they send."""
    if isinstance(value, dict):
        kept = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, "", [], {})}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("shape", SHAPES)
@given(st.data(), ANSWERS)
def test_stream_of_each_vendor_makes_its_message(
    shape: Callable[..., Any], data: st.DataObject, answer: Answer
) -> None:
    chunks, message = shape(data.draw, answer)
    completion = accumulate(body_of(*map(json.dumps, chunks), "[DONE]")).completion
    (choice,) = completion["choices"]
    assert without_empty(choice["message"]) == without_empty(message)
    assert without_empty(completion) == without_empty(accumulated(chunks))
    ChatCompletion.model_validate(completion, strict=True)


@given(st.data(), st.lists(st.tuples(st.sampled_from(SHAPES), ANSWERS), min_size=2, max_size=3))
def test_interleaved_choices_stay_separate(data: st.DataObject, several: list[tuple[Any, Answer]]) -> None:
    streams, messages = [], []
    for index, (shape, answer) in enumerate(several):
        chunks, message = shape(data.draw, answer)
        for each in chunks:
            each["choices"] = [part | {"index": index} for part in each["choices"]]
        streams.append([{"choices": each["choices"]} | HEAD for each in chunks])
        messages.append(message)
    chunks = []
    while streams:
        turn = data.draw(st.integers(0, len(streams) - 1))
        chunks.append(streams[turn].pop(0))
        streams = [stream for stream in streams if stream]
    choices = accumulate(body_of(*map(json.dumps, chunks))).completion["choices"]
    assert [without_empty(choice["message"]) for choice in choices] == [without_empty(each) for each in messages]


@pytest.mark.parametrize("shape", SHAPES)
@given(st.data(), ANSWERS)
def test_stream_that_is_cut_anywhere_validates(shape: Callable[..., Any], data: st.DataObject, answer: Answer) -> None:
    chunks, _ = shape(data.draw, answer)
    body = body_of(*map(json.dumps, chunks))
    completion = accumulate(body[: data.draw(st.integers(0, len(body)))]).completion
    unfinished = not all(choice["finish_reason"] for choice in completion["choices"])
    known = {"id": "", "object": "chat.completion", "created": 0, "model": "", "choices": []}
    assert complete(completion, known, is_cut=True) is unfinished
    ChatCompletion.model_validate(completion, strict=True)


def test_perplexity_is_not_multiplied() -> None:
    texts = ["Paris", "Paris is", "Paris is the capital."]
    pieces = ["Paris", " is", " the capital."]
    chunks = [
        chunk({"role": "assistant", "content": piece}, message={"role": "assistant", "content": text})
        for piece, text in zip(pieces, texts, strict=True)
    ]
    message = accumulate(body_of(*chunks)).completion["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Paris is the capital."}


def test_fields_that_only_the_message_has_are_kept() -> None:
    message = {"role": "assistant", "content": "ab", "annotations": [{"type": "x"}], "images": ["i"]}
    chunks = [chunk({"content": "a"}), chunk({"content": "b"}, message=message), chunk({}, message=message)]
    assert accumulate(body_of(*chunks)).completion["choices"][0]["message"] == message
