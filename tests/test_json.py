from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.endpoints import running_endpoint
from support.models import COMPLETION, MESSAGES, client, http

import ainsights
from ainsights import Insight, Insights
from ainsights._json import LARGE, cut_depth, dump_json, parse_json, parse_json_or_none

SECRET = "marker of a secret"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


def nested(levels: int, *, lists: bool) -> Any:
    value: Any = {"api_key": SECRET, "text": "ann@example.com"}
    for level in range(levels):
        value = [value] if lists and level % 2 else {"a": value}
    return value


def depth(value: Any) -> int:
    levels, inner = 0, value
    while isinstance(inner, (dict, list)) and inner:
        inner = max(
            inner.values() if isinstance(inner, dict) else inner, key=lambda item: isinstance(item, (dict, list))
        )
        levels += 1
    return levels


def same(insight: Insight) -> Insight:
    return insight


@pytest.mark.parametrize("levels", [100, 250, 480, 800])
@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize(
    "rules", [{}, {"redact": ["email"], "before_send": same}, {"max_event_bytes": 4096}], ids=["none", "all", "size"]
)
def test_event_that_is_nested_deeply_is_delivered(levels: int, lists: bool, rules: dict[str, Any]) -> None:  # noqa: FBT001
    with running_endpoint() as endpoint, Insights(base_url=endpoint.url, **rules) as insights:
        openai_client = insights.watch(client())
        openai_client.chat.completions.create(
            model="m", messages=MESSAGES, extra_body={"x": nested(levels, lists=lists)}
        )
        assert insights.flush(20)
        assert insights.stats().delivered == 1
    (body,) = endpoint.stored
    assert (body["messages"], body["args"]["model"]) == (MESSAGES, "m")
    assert SECRET not in json.dumps(body)
    cut = body["meta"].get("ainsights.truncated", {})
    assert all(path.startswith("args.x") for path in cut)
    assert bool(cut) == ("[api_key]" not in json.dumps(body))
    assert depth(body["args"]["x"]) > min(levels, 150)


@pytest.mark.parametrize("place", ["inputs", "meta"])
def test_context_that_is_nested_deeply_is_delivered(place: str) -> None:
    fields: dict[str, Any] = {place: {"x": nested(480, lists=True)}}
    with running_endpoint() as endpoint, Insights(base_url=endpoint.url) as insights:
        openai_client = insights.watch(client())
        with ainsights.context(**fields, template="{x}"):
            openai_client.chat.completions.create(model="m", messages=MESSAGES)
        assert insights.flush(20)
    (body,) = endpoint.stored
    assert depth(body[place]["x"]) > 150


def test_chunk_that_is_nested_deeply_loses_no_text() -> None:
    extra = json.dumps(nested(300, lists=True))
    chunk = json.dumps(COMPLETION | {"choices": [{"index": 0, "delta": {"content": "abc"}}]})[:-1]
    body = f'data: {chunk}, "x": {extra}}}\n\ndata: [DONE]\n\n'.encode()
    answers = client(lambda _: http.Response(200, headers={"content-type": "text/event-stream"}, content=body))
    with running_endpoint() as endpoint, Insights(base_url=endpoint.url) as insights:
        for _ in insights.watch(answers).chat.completions.create(model="m", messages=MESSAGES, stream=True):
            pass
        assert insights.flush(20)
    assert endpoint.stored[0]["response"]["choices"][0]["message"]["content"] == "abc"


@given(VALUES)
def test_large_json_is_read_and_written_as_small_json_is(value: Any) -> None:
    padded = [value, " " * LARGE]
    assert parse_json(json.dumps(padded).encode()) == parse_json(json.dumps(padded)) == padded
    assert json.loads(dump_json(padded)) == padded


@pytest.mark.parametrize("pad", ["", " " * LARGE])
@pytest.mark.parametrize("text", ['["\\ud800"]', "[NaN, Infinity]", "[" + "1" * 5000 + "]", '{"a":1,"a":2}'])
def test_json_that_is_not_strict_is_read_at_any_size(text: str, pad: str) -> None:
    assert repr(parse_json_or_none(text + pad)) == repr(parse_json_or_none(text))


@pytest.mark.parametrize("pad", ["", " " * LARGE])
@pytest.mark.parametrize("data", [b"{", b"[1,]", b"\xff", b"[" * 200_000, b"", b"{1:2}", b'["\x01"]', b"[1] x"])
def test_invalid_json_is_none_at_any_size(data: bytes, pad: str) -> None:
    assert parse_json_or_none(data + pad.encode()) is None


@given(VALUES, st.integers(1, 6))
def test_depth_is_cut_and_what_was_cut_is_named(value: Any, levels: int) -> None:
    fields = {"x": value}
    copy, cut = cut_depth(fields, levels)
    assert (copy == fields) == (not cut)
    assert all(place.count(".") + 1 >= levels for place in cut)
    assert copy.keys() == fields.keys()


@given(VALUES)
def test_large_event_is_encoded_as_a_small_one_is(value: Any) -> None:
    insight = Insight(response={"x": value}, messages='é\n"' * LARGE, inputs={"list": [value] * 3})
    assert json.loads(insight.encode()) == insight.model_dump()


def test_large_event_may_have_what_utf_8_cannot_carry() -> None:
    insight = Insight(response={"x": float("nan")}, messages="\ud800" + "x" * LARGE)
    assert json.loads(insight.encode())["response"] == {"x": "NaN"}
    assert json.loads(insight.encode())["messages"] == insight.messages
