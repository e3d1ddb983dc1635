from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ainsights import Insight
from ainsights._model import new_event_id

KEYS = ["response", "messages", "template", "inputs", "args", "user_id", "meta"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_body_has_exactly_the_seven_keys_always() -> None:
    assert list(json.loads(Insight(response={}, messages="hi").encode())) == KEYS


def test_body_is_byte_exact() -> None:
    insight = Insight(response={"id": "é"}, messages=[{"role": "user", "content": "hi"}], args={"n": 1})
    assert (
        insight.encode()
        == (
            '{"response":{"id":"é"},"messages":[{"role":"user","content":"hi"}],"template":null,'
            '"inputs":{},"args":{"n":1},"user_id":null,"meta":{}}'
        ).encode()
    )


@given(st.dictionaries(st.text(), VALUES, max_size=5), st.dictionaries(st.text(), VALUES, max_size=5))
def test_any_json_value_survives_encoding(response: dict[str, Any], meta: dict[str, Any]) -> None:
    body = json.loads(Insight(response=response, messages="", meta=meta).encode())
    assert body["response"] == response
    assert body["meta"] == meta


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_lone_surrogate_is_escaped(text: str) -> None:
    body = Insight(response={"text": text}, messages="").encode()
    assert json.loads(body)["response"]["text"] == text


@pytest.mark.parametrize("surrogate", ["", "\ud800"])
def test_what_json_cannot_express_becomes_a_string(surrogate: str) -> None:
    values = [float("nan"), float("inf"), float("-inf"), 1.5]
    body = Insight(response={"values": values, "s": surrogate}, messages="").encode()
    decoded = json.loads(body, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert decoded["response"]["values"] == ["NaN", "Infinity", "-Infinity", 1.5]


@pytest.mark.parametrize(
    "wrong",
    [
        {"messages": "hi"},
        {"response": {}, "messages": None},
        {"response": {}},
        {"response": {}, "template": "t {x}"},
        {"response": {}, "messages": 3},
        {"response": {}, "messages": "hi", "extra": 1},
        {"response": {}, "messages": "hi", "user_id": 3},
        {"response": [], "messages": "hi"},
    ],
)
def test_body_against_the_contract_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Insight.model_validate(wrong)


def test_messages_may_be_null_with_template_and_inputs() -> None:
    assert Insight(response={}, template="Hello {name}", inputs={"name": "Ann"}).messages is None


def test_event_id_is_a_uuid_of_version_7_that_sorts_by_time() -> None:
    ids = [new_event_id(1_700_000_000 + seconds) for seconds in range(100)]
    assert ids == sorted(ids)
    assert {uuid.UUID(each).version for each in ids} == {7}
    assert {uuid.UUID(each).variant for each in ids} == {uuid.RFC_4122}
    assert uuid.UUID(ids[0]).int >> 80 == 1_700_000_000_000


def test_event_ids_of_one_moment_differ() -> None:
    assert len({new_event_id(1.0) for _ in range(1000)}) == 1000
