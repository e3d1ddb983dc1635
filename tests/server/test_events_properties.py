from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from ainsights.server.events import Event, build_event

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
keys = st.sampled_from(
    """response messages template inputs args user_id meta choices message content role user assistant usage cost error
    type code model tool_calls function name function_call finish_reason tags metadata requesty extra extra_body
    prompt_tokens completion_tokens total_tokens prompt_tokens_details cached_tokens ainsights.timestamp
    ainsights.base_url ainsights.latency_ms conversation_id text refusal""".split()  # noqa: SIM905
) | st.text(max_size=4)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=25
)
roles = st.sampled_from(["system", "user", "assistant", "tool"])
conversations = st.lists(
    st.builds(lambda role, text: {"role": role, "content": text}, roles, st.sampled_from(["a", "b", "c"])), max_size=5
)


def event(body: Any) -> Event:
    return build_event(1, "id", 1.0, json.dumps(body).encode())


@given(
    json_values
    | st.dictionaries(
        st.sampled_from(["response", "messages", "template", "inputs", "args", "user_id", "meta"]), json_values
    )
)
def test_any_json_gives_an_event(body: Any) -> None:
    found = event(body)
    assert found == event(body)
    json.dumps(found, allow_nan=False).encode()


@given(st.lists(st.floats(min_value=0) | st.integers(min_value=0), min_size=6, max_size=6))
@example([5e-324] * 6)
@example([9e18] * 6)
def test_any_numbers_give_finite_columns_whose_sums_do_not_overflow(numbers: list[float]) -> None:
    latency, prompt, completion, total, cached, cost = numbers
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "cached_tokens": cached, "cost": cost}
    stated = {"usage": usage | {"total_tokens": total}, "model": "gpt-4o"}
    added = {"usage": usage, "model": "gpt-4o"}
    for response in (stated, added):
        found = event({"response": response, "messages": "q", "meta": {"ainsights.latency_ms": latency}})
        json.dumps(found, allow_nan=False)
        assert max(found.tokens or 0, found.prompt_tokens or 0, found.completion_tokens or 0) <= 2 * 10**12


@given(st.binary())
def test_any_bytes_give_an_event(body: bytes) -> None:
    assert build_event(1, "id", 1.0, body).size == len(body)


def test_a_lone_surrogate_becomes_a_question_mark() -> None:
    body = b'{"response": {"model": "a\\ud800b"}, "messages": "x\\ud800"}'
    found = build_event(1, "id", 1.0, body)
    assert (found.model, found.question) == ("a?b", "x?")


def test_json_nested_too_deeply_gives_an_event_without_columns() -> None:
    assert build_event(1, "id", 1.0, b"[" * 100_000).model is None


def turn(messages: list[dict[str, Any]], answer: dict[str, Any], user: str | None = None) -> Event:
    return event({"response": {"choices": [{"message": answer}]}, "messages": messages, "user_id": user})


@given(conversations, conversations, st.sampled_from(["a", "b"]))
def test_a_call_that_sends_back_an_answer_continues_that_call(
    before: list[dict[str, Any]], after: list[dict[str, Any]], answer: str
) -> None:
    before = [*before, {"role": "user", "content": "q"}]
    first = turn(before, {"role": "assistant", "content": answer, "refusal": None, "annotations": []})
    second = turn([*before, {"role": "assistant", "content": answer}, *after], {"content": "z"})
    assert first.turn in second.prefixes


@given(conversations, conversations)
def test_a_call_with_other_messages_does_not_continue_it(
    one: list[dict[str, Any]], other: list[dict[str, Any]]
) -> None:
    first = turn([*one, {"role": "user", "content": "q"}], {"content": "unheard of"})
    assert first.turn not in turn([*one, *other], {"content": "z"}).prefixes


def test_a_tool_call_is_the_same_with_the_index_of_a_stream() -> None:
    question = [{"role": "user", "content": "q"}]
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    first = turn(question, {"content": None, "tool_calls": [{"index": 0} | call]})
    result = {"role": "tool", "tool_call_id": "1", "content": "r"}
    second = turn([*question, {"role": "assistant", "tool_calls": [call]}, result], {"content": "z"})
    assert first.turn in second.prefixes


def test_another_user_does_not_continue_the_conversation() -> None:
    question, answer = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}
    assert turn([question], answer, "Ann").turn not in turn([question, answer], answer, "Bob").prefixes


def test_events_without_text_continue_nothing() -> None:
    first = turn([{"role": "user"}], {"role": "assistant"})
    second = turn([{"role": "user"}, {"role": "assistant"}, {"role": "user"}], {"role": "assistant"})
    assert (first.turn, second.prefixes) == (None, [])
