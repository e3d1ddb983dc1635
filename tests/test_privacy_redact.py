from __future__ import annotations

import dataclasses
import json
import re
import traceback
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion
from support.models import COMPLETION, DONE, event

from ainsights._instrumentation.exchange import Exchange
from ainsights._instrumentation.open_streams import OpenStreams
from ainsights._model import Insight, new_event_id
from ainsights._privacy.dropped import EventDropped
from ainsights._privacy.redaction import Redaction
from ainsights._processing.attributes import Defaults
from ainsights._processing.decoder import decode

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = ("api_key", "email", "ip", "credit_card", "phone")
EMAIL = "ann@example.com"


def insight(**fields: Any) -> Insight:
    return Insight(**{"response": COMPLETION, "messages": "hi", **fields})


def redacted(rules: Any = ("email",), **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(Redaction(rules)(insight(**fields)).encode())
    return body


def answer(message: dict[str, Any], **choice: Any) -> dict[str, Any]:
    answer = {"role": "assistant", "content": None} | message
    return COMPLETION | {
        "choices": [{"index": 0, "finish_reason": "stop", "logprobs": None, "message": answer} | choice]
    }


def message_of(body: dict[str, Any]) -> Any:
    return body["response"]["choices"][0]["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"response": answer({"content": f"I am {EMAIL}."})},
        {"response": answer({"refusal": EMAIL})},
        {"response": answer({"reasoning_content": EMAIL})},
        {"response": answer({"audio": {"id": "a", "data": "", "expires_at": 1, "transcript": EMAIL}})},
        {"response": answer({}) | {"citations": [EMAIL]}},
        {"response": answer({}) | {"error": {"message": EMAIL, "body": {"error": [EMAIL]}}}},
        {"response": answer({EMAIL: {EMAIL: 1}})},
        {"messages": EMAIL},
        {"messages": ["hi", EMAIL]},
        {"messages": [{"role": "user", "content": EMAIL, "name": EMAIL}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": EMAIL}]}]},
        {"messages": [{"role": EMAIL, "content": [{"type": EMAIL}]}]},
        {"template": f"write to {EMAIL}"},
        {"template": [{"role": "user", "content": EMAIL}]},
        {"inputs": {"to": EMAIL}},
        {"inputs": {EMAIL: [{"deep": (EMAIL,)}]}},
        {"args": {"user": EMAIL, "stop": [EMAIL], "metadata": {EMAIL: EMAIL}}},
        {"args": {"tools": [{"type": "function", "function": {"name": "f", "description": EMAIL}}]}},
        {"user_id": EMAIL},
        {"meta": {EMAIL: EMAIL}},
        {"meta": {"ainsights.error_type": EMAIL, "ainsights.request_id": EMAIL, "ainsights.event_id": EMAIL}},
        {"meta": {"ainsights.truncated": {f"inputs.{EMAIL}": 1}}},
    ],
    ids=str,
)
def test_every_field_is_redacted(fields: dict[str, Any]) -> None:
    body = json.dumps(redacted(**fields))
    assert "example" not in body
    assert "[email]" in body


def test_text_without_secrets_is_unchanged() -> None:
    full = insight(
        messages=[{"role": "user", "content": '{ "a": 1 }'}],
        template="Hi {x}",
        inputs={"x": None, "y": [True, 1.5, 7]},
        args={"model": "m", "seed": 2125550100},
        meta={"ainsights.event_id": "01912345-6789-7abc-8def-0123456789ab", "ainsights.latency_ms": 4915123456789},
    )
    assert json.loads(Redaction(ALL)(full).encode()) == json.loads(full.encode())


def test_event_id_is_not_a_telephone_number() -> None:
    for moment in range(1_700_000_000, 1_700_200_000, 1000):
        event_id = new_event_id(moment)
        assert redacted(ALL, meta={"ainsights.event_id": event_id})["meta"] == {"ainsights.event_id": event_id}


def test_insight_itself_is_not_changed() -> None:
    given = insight(messages=[{"role": "user", "content": EMAIL}], inputs={"x": [EMAIL]})
    before = given.encode()
    Redaction(ALL)(given)
    assert given.encode() == before


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ('{"to": "ann@example.com"}', '{"to": "[email]"}'),
        ('{ "to" : "ann@example.com" }', '{ "to" : "[email]" }'),
        (r'{"to": "ann\u0040example.com", "é": 1}', '{"to": "[email]", "é": 1}'),
        (r'{"to": "x\nann@example.com"}', r'{"to": "x\n[email]"}'),
        ('{"ann@example.com": [1.5, true, null]}', '{"[email]": [1.5, true, null]}'),
        ('{"card": 4111111111111111, "n": 3}', '{"card": "[credit_card]", "n": 3}'),
        (r'{"inner": "{\"to\": \"ann@example.com\"}"}', r'{"inner": "{\"to\": \"[email]\"}"}'),
        ('["ann@example.com"]', '["[email]"]'),
        (r'{"cut": "ann\u0040example.co', '{"cut": "[email]'),
        ('{"cut": "ann@example.com', '{"cut": "[email]'),
        (r'{"clean": "\u0041\/"}', r'{"clean": "\u0041\/"}'),
        (r'{"clean": "\u0041', r'{"clean": "\u0041'),
        ("[see ann@example.com]", "[see [email]]"),
        ("{}", "{}"),
    ],
)
def test_json_in_a_string_stays_json(arguments: str, left: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "send", "arguments": arguments}}
    body = redacted(ALL, response=answer({"tool_calls": [call]}))
    assert message_of(body)["tool_calls"] == [call | {"function": {"name": "send", "arguments": left}}]


def test_secret_that_spans_json_syntax_is_redacted_even_if_it_breaks_the_json() -> None:
    body = redacted([re.compile(r'"pin": \d+')], messages='{"pin": 1234}')
    assert "1234" not in json.dumps(body)


def test_json_too_deep_to_be_read_is_redacted_as_text() -> None:
    deep = "[" * 100_000 + f'"{EMAIL}"'
    assert EMAIL not in redacted(messages=deep)["messages"]


def test_secret_split_over_chunks_is_redacted() -> None:
    made = Exchange(lambda _: None, None, OpenStreams(2**26))
    made.request_body = b'{"messages": [], "stream": true}'
    made.url = "http://localhost/v1/chat/completions"
    made.status_code, made.ending = 200, "complete"
    made.chunks = [event(content=letter) for letter in EMAIL] + [DONE]
    body = json.loads(Redaction(ALL)(decode(made, Defaults("sdk"), "id")).encode())
    assert message_of(body)["content"] == "[email]"


def test_numbers_of_inputs_are_redacted_by_their_digits() -> None:
    inputs = {"card": 4111111111111111, "phone": 2125550100.0, "count": 12, "huge": 10**5000, "inf": float("inf")}
    left = Redaction(ALL)(insight(inputs=inputs)).inputs
    assert left == inputs | {"card": "[credit_card]", "phone": "[phone]"}


# Tokens


def token(text: str, **more: Any) -> dict[str, Any]:
    return {"token": text, "bytes": list(text.encode()), "logprob": -0.5, "top_logprobs": []} | more


def logprobs(*tokens: str, field: str = "content") -> dict[str, Any]:
    return {"content": None, "refusal": None} | {
        field: [token(each, top_logprobs=[token(each) | {"logprob": -1.0}]) for each in tokens]
    }


@pytest.mark.parametrize("field", ["content", "refusal"])
def test_logprobs_of_a_redacted_text_keep_numbers_only(field: str) -> None:
    spelled = logprobs("ann", "@example", ".com", field=field)
    body = redacted(response=answer({field: EMAIL}, logprobs=spelled))
    ChatCompletion.model_validate(body["response"], strict=True)
    left = body["response"]["choices"][0]["logprobs"][field]
    assert [each["logprob"] for each in left] == [-0.5] * 3
    assert {each["token"] for each in left} == {""}
    assert {each["bytes"] for each in left} == {None}
    assert left[0]["top_logprobs"][0] | {"top_logprobs": []} == token("", bytes=None, logprob=-1.0)


def test_logprobs_that_spell_a_secret_by_themselves_keep_numbers_only() -> None:
    body = redacted(response=answer({"content": "x"}, logprobs=logprobs("ann", "@example", ".com")))
    assert "example" not in json.dumps(body)


def test_logprobs_of_a_clean_text_are_kept() -> None:
    spelled = logprobs("a", "b")
    body = redacted(response=answer({"content": "ab"}, logprobs=spelled))
    assert body["response"]["choices"][0]["logprobs"] == spelled


@pytest.mark.parametrize(
    ("messages", "content", "kept"), [("hi", "x", True), (EMAIL, "x", False), ("hi", EMAIL, False)]
)
def test_token_ids_are_removed_where_a_text_was_redacted(messages: str, content: str, kept: bool) -> None:  # noqa: FBT001
    response = answer({"content": content}, token_ids=[1, 2]) | {"prompt_token_ids": [3]}
    body = redacted(messages=messages, response=response)
    assert body["response"]["prompt_token_ids"] == ([3] if kept else None)
    assert body["response"]["choices"][0]["token_ids"] == ([1, 2] if kept else None)


# Rules of the user's


def test_pattern_is_replaced_by_the_name_of_its_group() -> None:
    rules = [re.compile(r"(?P<case_number>C-\d+)"), re.compile("secret")]
    assert redacted(rules, messages="C-17 is secret")["messages"] == "[case_number] is [redacted]"


def test_pattern_that_matches_nothing_adds_nothing() -> None:
    assert redacted([re.compile(r"\d*")], messages="a1b")["messages"] == "a[redacted]b"


def test_rules_work_in_their_order() -> None:
    body = redacted([lambda text: text.replace("ann@", "someone@"), "email"], messages=EMAIL)
    assert body["messages"] == "[email]"
    body = redacted(["email", lambda text: text.replace("[email]", "[who]")], messages=EMAIL)
    assert body["messages"] == "[who]"


def test_function_that_replaces_everything_leaves_a_completion() -> None:
    response = answer(
        {"content": "x", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    )
    body = redacted([lambda _: "[gone]"], response=response, messages=[{"role": "user", "content": "x"}])
    ChatCompletion.model_validate(body["response"], strict=True)
    assert body["messages"] == [{"role": "user", "content": "[gone]"}]


def test_two_names_that_become_equal_are_both_kept() -> None:
    assert redacted(inputs={"a@x.io": 1, "b@x.io": 2})["inputs"] == {"[email]": 1, "[email] 2": 2}


@dataclasses.dataclass
class Person:
    mail: str


class Odd:
    def __str__(self) -> str:
        return f"<{EMAIL}>"


@pytest.mark.parametrize("value", [Person(EMAIL), Odd(), {EMAIL}, EMAIL.encode(), b"\xff", {1: EMAIL}], ids=str)
def test_objects_among_the_inputs_are_redacted_as_they_are_encoded(value: Any) -> None:
    body = json.dumps(redacted(inputs={"x": value, "when": datetime(2024, 1, 2, tzinfo=timezone.utc)}))
    assert "example" not in body
    assert "2024-01-02T00:00:00Z" in body


def failing(_text: str) -> str:
    raise LookupError(EMAIL)


@pytest.mark.parametrize("rule", [failing, lambda _: None, lambda text: text.encode()])
def test_function_that_fails_drops_the_event_and_logs_none_of_it(rule: Any) -> None:
    with pytest.raises(EventDropped) as caught:
        redacted([rule])
    assert caught.value.reason == "redact"
    assert EMAIL not in str(caught.value)
    assert EMAIL not in "".join(traceback.format_exception(caught.value))


# No marked secret leaves, in any field, under any set of rules

SECRETS = {
    "email": ["ann@example.com", "b.c+d@mail.example.org"],
    "phone": ["+49 151 2345678", "(212) 555-0100", "212-555-0100"],
    "credit_card": ["4111 1111 1111 1111", "378282246310005"],
    "api_key": ["sk-proj-0123456789abcdefghij", "ghp_0123456789abcdefghij0123"],
    "ip": ["10.20.30.40", "2001:db8::8a2e:370"],
    "own": ["MARK-0a1b2c"],
}
OWN: dict[str, Any] = {"own": re.compile("MARK-[0-9a-f]{6}")}
EDGES = st.sampled_from(["", " ", "\n", "é ", ", ", "(", '"', "'", "\\", "/ ", "\x00", "<", "  \t", "😀 "])


@st.composite
def secret_events(draw: st.DrawFn) -> tuple[str, list[Any], Insight]:
    """Draw a secret, rules that name it among others, and an insight with it anywhere."""
    kind = draw(st.sampled_from(sorted(SECRETS)))
    secret = draw(st.sampled_from(SECRETS[kind]))
    others = draw(st.lists(st.sampled_from([*SECRETS, "same"]), max_size=3))
    rules = draw(st.permutations([kind, *others]))
    texts = st.one_of(
        st.text(max_size=8),
        st.builds(lambda before, after: before + secret + after, EDGES, EDGES),
        st.builds(lambda before: json.dumps({"a": [before + secret], secret: 1}), EDGES),
        st.builds(lambda text: json.dumps(text)[1:-1].join(['{"a": "', '"}']), st.just(secret)),
        st.just('{"a": "' + "".join(f"\\u{ord(each):04x}" for each in secret) + '"}'),
        st.just(json.dumps({"a": json.dumps({"b": secret})})),
    )
    names = st.one_of(st.sampled_from(["role", "type", "content", "id", "name", "x"]), texts)
    trees = st.recursive(
        st.one_of(texts, st.integers(), st.none()),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
        max_leaves=6,
    )
    objects = st.dictionaries(names, trees, max_size=3)
    made = Insight.model_construct(
        response=answer(draw(objects), x=draw(trees)) | draw(objects),
        messages=draw(st.one_of(texts, st.lists(texts, max_size=2), st.lists(objects, max_size=2))),
        template=draw(st.one_of(st.none(), texts, st.lists(objects, max_size=1))),
        inputs=draw(objects),
        args=draw(objects),
        user_id=draw(st.one_of(st.none(), texts)),
        meta=draw(objects),
    )
    return secret, [(lambda text: text) if rule == "same" else OWN.get(rule, rule) for rule in rules], made


def strings(value: Any) -> Iterator[str]:
    """Yield every string of ``value``, also those of JSON in strings."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from strings(key)
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value
        try:
            inner = json.loads(value)
        except ValueError:
            return
        if not isinstance(inner, str):
            yield from strings(inner)


@settings(deadline=None)
@given(secret_events())
def test_no_secret_leaves_in_any_field_under_any_rules(drawn: tuple[str, list[Any], Insight]) -> None:
    secret, rules, made = drawn
    body = Redaction(rules)(made).encode()
    assert not [text for text in strings(json.loads(body)) if secret in text]


@settings(deadline=None)
@given(secret_events())
def test_redacted_event_is_still_an_insight(drawn: tuple[str, list[Any], Insight]) -> None:
    _, rules, made = drawn
    Insight.model_validate_json(Redaction(rules)(made).encode().replace(rb"\ud800", b""))
