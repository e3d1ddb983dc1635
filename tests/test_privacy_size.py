from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from support.models import COMPLETION

from ainsights._model import META_KEYS, Insight
from ainsights._privacy.dropped import EventDropped
from ainsights._privacy.truncation import truncate

META = {"ainsights.event_id": "01912345-6789-7abc-8def-0123456789ab", "ainsights.status": "ok"}
LOWEST = 512
"""Bytes that an insight with what ainsights adds always fits into."""


def fitted(limit: int, **fields: Any) -> dict[str, Any]:
    made = Insight(**{"response": COMPLETION, "messages": "hi", "meta": META} | fields)
    encoded = truncate(made.encode(), limit)
    assert len(encoded) <= limit
    body: dict[str, Any] = json.loads(encoded)
    return body


def test_longest_text_is_cut_in_its_middle_and_names_how_much_is_gone() -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "begin" + "x" * 9990 + "end."}]
    body = fitted(3000, messages=messages)
    system, user = body["messages"]
    assert system == messages[0]
    kept, _, rest = user["content"].partition("[… ")
    cut, _, end = rest.partition(" characters cut …]")
    assert kept.startswith("begin")
    assert end.endswith("end.")
    assert len(kept) + int(cut) + len(end) == 9999
    assert body["meta"] == META | {"ainsights.truncated": {"messages.1.content": 9999}}
    assert body["response"] == COMPLETION


def test_most_of_the_size_limit_is_used() -> None:
    made = Insight(response=COMPLETION, messages="é" * 100_000, meta=META)
    assert 8500 < len(truncate(made.encode(), 10_000)) <= 10_000


def test_long_texts_are_cut_to_one_length() -> None:
    texts = ["a" * 5000, "b" * 9000, "c" * 50, "d" * 7000]
    cut = fitted(4000, messages=texts)["messages"]
    assert cut[2] == texts[2]
    assert len({len(each) for each in (cut[0], cut[1], cut[3])}) == 1
    assert all(len(each) > 700 for each in (cut[0], cut[1], cut[3]))


def test_the_first_and_the_last_of_too_many_messages_are_kept() -> None:
    messages = [{"role": "user", "content": f"message {number}"} for number in range(10_000)]
    body = fitted(5000, messages=messages)
    left = body["messages"]
    assert left[0] == messages[0]
    assert left[-1] == messages[-1]
    assert left == [each for each in messages if each in left]
    assert body["meta"]["ainsights.truncated"] == {"messages": 10_000}


def test_fields_known_to_the_api_are_kept_of_too_many_fields() -> None:
    message = {f"extra {number}": "x" for number in range(10_000)} | {"role": "user", "content": "hi"}
    left = fitted(3000, messages=[message])["messages"][0]
    assert (left["role"], left["content"]) == ("user", "hi")


def test_response_that_is_cut_is_still_a_completion() -> None:
    message = {"role": "assistant", "content": "x" * 50_000, "vendor": list(range(5000))}
    logprobs = {"content": [{"token": "x", "logprob": -1.0, "top_logprobs": []}] * 5000}
    choices = [{"index": 0, "finish_reason": "stop", "message": message, "logprobs": logprobs}]
    ChatCompletion.model_validate(fitted(6000, response=COMPLETION | {"choices": choices})["response"])


def test_truncated_fields_are_listed_up_to_a_limit() -> None:
    cut = fitted(100_000, inputs={f"name {number}": "x" * 2000 for number in range(100)})["meta"]["ainsights.truncated"]
    assert len(cut) == 21
    assert cut["…"] == 80


def test_truncated_fields_listed_before_are_kept() -> None:
    meta = META | {"ainsights.truncated": {"inputs.photo": 77_777}}
    cut = fitted(3000, messages="x" * 9000, meta=meta)["meta"]["ainsights.truncated"]
    assert cut == {"inputs.photo": 77_777, "messages": 9000}


def test_lone_surrogates_are_counted_as_they_are_encoded() -> None:
    body = fitted(3000, messages=["\ud800" + "é" * 5000, "ü" * 100])
    assert body["messages"][1] == "ü" * 100


@pytest.mark.parametrize("limit", [1, 50, 100])
def test_limit_too_low_for_any_event_drops_it(limit: int) -> None:
    with pytest.raises(EventDropped, match=f"max_event_bytes={limit} is too low") as caught:
        fitted(limit)
    assert caught.value.reason == "too_large"


TEXTS = st.one_of(
    st.text(max_size=20),
    st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=5), st.integers(1, 400)),
    st.builds(lambda times: "\ud800\n" * times, st.integers(1, 50)),
)
TREES = st.recursive(
    st.one_of(TEXTS, st.integers(-(10**400), 10**400), st.integers(0, 99), st.none(), st.booleans(), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.builds(lambda item, times: [item] * times, inner, st.integers(1, 40)),
        st.dictionaries(TEXTS, inner, max_size=4),
        st.builds(lambda times: {f"key {n}": n for n in range(times)}, st.integers(1, 60)),
    ),
    max_leaves=5,
)
OBJECTS = st.dictionaries(st.one_of(st.sampled_from(["role", "content", "choices", "id"]), TEXTS), TREES, max_size=4)
MESSAGES = st.one_of(TEXTS, st.lists(TEXTS, max_size=4), st.lists(OBJECTS, max_size=4))
INSIGHTS = st.builds(
    lambda response, messages, template, inputs, args, user_id, meta: Insight(
        response=response,
        messages=messages,
        template=template,
        inputs=inputs,
        args=args,
        user_id=user_id,
        meta=meta | META,
    ),
    *(OBJECTS, MESSAGES, st.one_of(st.none(), MESSAGES), OBJECTS, OBJECTS, st.one_of(st.none(), TEXTS), OBJECTS),
)


@settings(deadline=None)
@given(INSIGHTS, st.integers(LOWEST, 3000))
def test_any_truncated_insight_fits_is_valid_and_names_what_was_cut(insight: Insight, limit: int) -> None:
    whole = insight.encode()
    encoded = truncate(whole, limit)
    assert len(encoded) <= limit
    body = json.loads(encoded)
    left = Insight.model_validate(body)
    assert type(left.messages) is type(insight.messages)
    assert META.items() <= left.meta.items()
    if len(whole) > limit:
        assert body["meta"]["ainsights.truncated"]


LOWEST_SETTING = 4096
"""What the setting ``max_event_bytes`` takes at the least."""


def test_any_completion_fits_into_the_lowest_setting_and_stays_one() -> None:
    long = "x" * 250
    meta = dict.fromkeys(META_KEYS - {"ainsights.truncated"}, "x" * 60) | {
        f"own {number}": long for number in range(50)
    }
    call = {"id": long, "type": "function", "function": {"name": long, "arguments": long * 10}}
    message = {"role": "assistant", "content": long * 100, "tool_calls": [call] * 20, long: long}
    choices = [{"index": n, "finish_reason": "stop", "logprobs": None, "message": message} for n in range(8)]
    response = COMPLETION | {"id": long, "model": long, "choices": choices, "system_fingerprint": long}
    body = fitted(LOWEST_SETTING, response=response, messages=[message] * 30, args={"model": long}, meta=meta)
    ChatCompletion.model_validate(body["response"])
    assert body["meta"].keys() >= META_KEYS
