"""Answers, streams and requests that are not as the API has them: each call is an event all the same, and no more."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("openai.types.responses", reason="this openai has no Responses API")

from hypothesis import given
from hypothesis import strategies as st
from support.models import client, http
from support.responses import call, events_of, message, reasoning, response, resume_stream, sse, streamed

import ainsights.testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights import Insight

CITED = {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 1}
WHOLE = response(
    reasoning("abc", content=["de"]),
    message("hello", at=1),
    message(content=[{"type": "output_text", "text": "cited", "annotations": [CITED]}], at=2),
    call(at=3),
    {"type": "custom_tool_call", "id": "c", "call_id": "x", "name": "n", "input": "inp"},
)
SHELL = {"type": "response.shell_call_output_content.delta", "output_index": 5, "command_index": 0, "delta": {"a": "b"}}
EVENTS = [*events_of(WHOLE)[:-1], SHELL, SHELL | {"delta": {"a": "c"}}]
ODD = st.sampled_from([None, True, -1, 0, 10**20, 1.5, "", "x", [], {}, [None], [[]], {"a": 1}, {"type": "message"}])


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    for name, item in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        yield from places(item, (*place, name))


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """Return ``value`` with other values at two places."""
    value = copy.deepcopy(value)
    for _ in range(2):
        place = draw(st.sampled_from(tuple(places(value))))
        at = value
        for name in place[:-1]:
            at = at[name]
        at[place[-1]] = copy.deepcopy(draw(ODD))
    return value


def event_of_call(answer: Any, **body: Any) -> Insight:
    """Return the one event of a call whose answer is not parsed."""
    with (
        ainsights.testing.capture() as insights,
        client(answer).responses.with_streaming_response.create(**{"model": "m", "input": "hi", **body}) as raw,
    ):
        raw.read()
    (insight,) = insights
    return insight


@given(changed(WHOLE))
def test_answer_of_any_values_is_an_event(whole: Any) -> None:
    event_of_call(lambda _: http.Response(200, json=whole))


@given(changed(EVENTS))
def test_stream_of_any_values_is_an_event(events: Any) -> None:
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    event_of_call(lambda _: http.Response(200, content=body), stream=True)


@given(changed({"input": WHOLE["output"], "instructions": [message("a")]}))
def test_request_of_any_values_is_an_event(body: Any) -> None:
    with ainsights.testing.capture() as insights:
        client(lambda _: http.Response(200, json=WHOLE)).post("/responses", cast_to=object, body={"model": "m", **body})
    assert len(insights) == 1


@pytest.mark.parametrize("output", [None, []])
def test_texts_of_a_stream_count_where_its_last_event_has_no_output(output: Any) -> None:
    events = events_of(response(message("hello")))
    events[-1]["response"] = events[-1]["response"] | {"output": output}
    insight = event_of_call(lambda _: streamed(*events), stream=True)
    assert insight.response["choices"][0]["message"]["content"] == "hello"
    assert insight.meta["ainsights.status"] == "ok"


def test_deltas_that_all_have_the_number_minus_one_are_all_counted() -> None:
    events = [
        event | ({"sequence_number": -1} if event["type"].endswith("delta") else {})
        for event in events_of(response(message("hello")))
        if not event["type"].endswith(("done", "completed"))
    ]
    insight = event_of_call(lambda _: streamed(*events), stream=True)
    assert insight.response["choices"][0]["message"]["content"] == "hello"


@pytest.mark.parametrize("more", [{}, {"output": []}, {"output": None, "status": None}, {"output": [], "status": 404}])
def test_error_that_comes_with_the_status_200_is_an_error(more: dict[str, Any]) -> None:
    insight = event_of_call(lambda _: http.Response(200, json={"error": {"message": "no", "code": "c"}, **more}))
    assert (insight.meta["ainsights.status"], insight.response["error"]["message"]) == ("error", "no")


def test_resumed_stream_of_another_process_is_a_stream() -> None:
    body = b"".join(map(sse, events_of(WHOLE | {"background": True})))
    with ainsights.testing.capture() as insights:
        list(resume_stream(lambda _: http.Response(200, content=body), -1))
    assert insights[0].meta["ainsights.stream"] is True
