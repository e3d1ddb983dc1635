from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.models import COMPLETION, MESSAGES, client, completed

import ainsights.testing
from ainsights import Insight
from ainsights._config import load
from ainsights._privacy.policy import PrivacyPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "sk-insights-0123456789"
SECRET = "marker of a secret"


def sent(insight: Insight, **settings: Any) -> dict[str, Any]:
    body = PrivacyPolicy(load({}, **settings))(insight, None)
    assert body is not None
    decoded: dict[str, Any] = json.loads(body)
    return decoded


def captured(extra_body: Mapping[str, Any], **settings: Any) -> Insight:
    """Return what is captured of a call of the real client that sends ``extra_body`` too."""
    with ainsights.testing.capture(**settings) as insights:
        client(completed).chat.completions.create(model="m", messages=MESSAGES, extra_body=extra_body)
    (insight,) = insights
    return insight


# The key of the endpoint


@pytest.mark.parametrize(
    "field", [{"messages": f"my {KEY}!"}, {"meta": {KEY: 1}}, {"response": {"x": [KEY]}}, {"user_id": KEY}], ids=str
)
def test_key_of_the_endpoint_is_in_no_event(field: dict[str, Any]) -> None:
    body = sent(Insight(**{"response": COMPLETION, "messages": "hi"} | field), api_key=KEY)
    assert KEY not in json.dumps(body)
    assert "[api_key]" in json.dumps(body)


SLASHED = "sk/insights+0123456789=="


@pytest.mark.parametrize(
    "spelled",
    [
        SLASHED,
        SLASHED.replace("/", r"\/"),
        SLASHED.replace("/", r"\\\/"),
        SLASHED.replace("/", r"\u002F").replace("+", r"\u002b"),
        "sk%2Finsights%2B0123456789%3D%3D",
        "sk&#x2F;insights&#43;0123456789&#61;=",
    ],
)
def test_key_of_the_endpoint_is_masked_as_encoders_write_it(spelled: str) -> None:
    text = f'insights {{"key": "{spelled}"}} and "{spelled}" insights \\'
    body = sent(Insight(response={}, messages=text), api_key=SLASHED)
    assert body["messages"] == text.replace(spelled, "[api_key]")


def test_backslashes_before_a_key_are_whole_when_it_is_masked() -> None:
    body = sent(Insight(response={}, messages="\\" * 20 + r"\/insights0123456"), api_key="/insights0123456")
    assert body["messages"].endswith("[api_key]")


@pytest.mark.parametrize("key", ["monkey", "1234567890123", 'quoted"0123456'])
def test_any_key_leaves_events_readable(key: str) -> None:
    body = sent(Insight(response={"created": 1234567890123}, messages=f"monkeys {key}"), api_key=key)
    assert body is not None
    assert body["response"] == {"created": 1234567890123}
    assert body["messages"].startswith("monkeys ")


# Credentials of a request


def azure(**authentication: str) -> dict[str, Any]:
    parameters = {"endpoint": "https://search.example", "index_name": "docs", "authentication": authentication}
    return {"data_sources": [{"type": "azure_search", "parameters": parameters}]}


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": properties}}}


CARRIERS: dict[str, dict[str, Any]] = {
    "Azure, key": azure(type="api_key", key=SECRET),
    "Azure, encoded key": azure(type="encoded_api_key", encoded_api_key=SECRET),
    "Azure, connection string": azure(type="connection_string", connection_string=SECRET),
    "Azure, access token": azure(type="access_token", access_token=SECRET),
    "provider": {"provider": {"options": {"api_key": SECRET}}},
    "router": {"router": {"fallbacks": [{"model": "m", "api_key": SECRET}]}},
    "LiteLLM": {"fallbacks": [{"litellm_params": {"model": "m", "api_key": SECRET}}]},
    "camel case": {"apiKey": SECRET},
    "server of a tool": {"tools": [{"type": "mcp", "server": {"headers": {"Authorization": SECRET, "X-Own": SECRET}}}]},
    "list of headers": {"mcp": {"headers": [{"name": "X-Own", "value": SECRET}]}},
    "authorization of a tool": {"tools": [{"type": "mcp", "authorization": SECRET}]},
    "token": {"token": SECRET},
    "secret": {"secret": SECRET},
    "password": {"password": SECRET},
    "extra headers": {"extra_headers": {"X-Own": SECRET}},
    "AWS": {"litellm": {"aws_secret_access_key": SECRET, "aws_access_key_id": "x", "aws_session_token": SECRET}},
    "several keys": {"api_keys": [SECRET, {"name": SECRET}]},
    "service account": {"vertex_credentials": {"type": "service_account", "private_key": SECRET, "own": SECRET}},
    "list under the name of one": {"client_secret": [SECRET]},
    "numbered": {"api_key_2": SECRET, "tokenValue": SECRET},
    "environment variables": {"env": [{"name": "API_KEY", "value": SECRET}, {"key": "TOKEN", "value": SECRET}]},
    "JSON in a text": {"config": json.dumps({"servers": [{"api_key": SECRET}]})},
    "JSON in JSON": {"config": [json.dumps({"inner": json.dumps({"password": SECRET})})]},
    "default of a schema": {"tools": [schema(api_key={"type": "string", "default": SECRET})]},
    "examples of a schema": {"tools": [schema(token={"type": "string", "examples": [SECRET], "const": SECRET})]},
    "default of an object": {"tools": [schema(login={"type": "object", "default": {"password": SECRET}})]},
    "defaults": {"tool": {"defaults": {"api_key": SECRET}}},
}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_credentials_among_the_arguments_are_masked(carrier: str) -> None:
    extra = CARRIERS[carrier]
    assert SECRET in json.dumps(extra)
    args = captured(extra | {"temperature": 1, "user": "u"}).args
    assert SECRET not in json.dumps(args)
    assert "[api_key]" in json.dumps(args)
    assert (args["temperature"], args["user"]) == (1, "u")


def test_text_beside_a_credential_is_kept() -> None:
    args = captured(CARRIERS["Azure, key"]).args
    assert args["data_sources"] == azure(type="api_key", key="[api_key]")["data_sources"]


@pytest.mark.parametrize("content", ["full", "metadata"])
@pytest.mark.parametrize("place", ["metadata", "requesty"])
def test_credentials_in_metadata_are_masked(place: str, content: str) -> None:
    fields = {"session": "s1", "apiKey": SECRET, "deep": {"list": [{"password": SECRET}]}}
    insight = captured({"requesty": {"extra": fields}} if place == "requesty" else {place: fields}, content=content)
    assert SECRET not in insight.model_dump_json()
    assert {key: insight.meta[key] for key in fields} == {
        "session": "s1",
        "apiKey": "[api_key]",
        "deep": {"list": [{"password": "[api_key]"}]},
    }


def test_credentials_in_metadata_of_the_program_are_masked() -> None:
    with ainsights.testing.capture(meta={"db_password": SECRET}) as insights, ainsights.context(meta={"token": SECRET}):
        ainsights.capture(response=COMPLETION, messages="hi", meta={"secret": SECRET})
    assert SECRET not in insights[0].model_dump_json()
    assert {insights[0].meta[key] for key in ("db_password", "token", "secret")} == {"[api_key]"}


WORDS = st.sampled_from(
    [
        *(("api", "key"), ("access", "token"), ("client", "secret"), ("password",), ("authorization",)),
        *(("azure", "ad", "token"), ("connection", "string"), ("x", "goog", "api", "key"), ("secret",)),
    ]
)
SPELLINGS = [
    "_".join,
    "-".join,
    "".join,
    " ".join,
    lambda words: "_".join(words).upper(),
    lambda words: "".join(words).upper(),
    lambda words: "-".join(words).title(),
    lambda words: "".join([words[0], *(word.title() for word in words[1:])]),
    lambda words: "".join(word.title() for word in words),
    ".".join,
]
NESTED = st.lists(st.one_of(st.just(None), st.sampled_from(["options", "params", "tools", "x", "schema"])), max_size=40)


@given(words=WORDS, spelling=st.sampled_from(SPELLINGS), path=NESTED, meta=st.booleans())
def test_credential_is_masked_at_any_depth_in_any_spelling(
    words: tuple[str, ...], spelling: Any, path: list[str | None], *, meta: bool
) -> None:
    inner: Any = {spelling(words): SECRET, "model": "m"}
    for step in path:
        inner = [1, inner] if step is None else {step: inner, "other": "text"}
    body = sent(Insight(**{"response": COMPLETION, "messages": "hi", "meta" if meta else "args": {"x": inner}}))
    assert SECRET not in json.dumps(body)
    assert json.dumps(body).count("[api_key]") == 1
    assert json.dumps(body).count('"other": "text"') == len([step for step in path if step])


SCHEMA = {
    "type": "object",
    "properties": {
        "api_key": {"type": "string", "description": "The key."},
        "password": {"$ref": "#/$defs/token"},
        "headers": {"type": "object", "description": "All of them.", "additionalProperties": {"type": "string"}},
        "auth": {"type": "string", "enum": ["basic", "bearer"]},
        "credentials": {"oneOf": [{"type": "string"}, {"type": "null"}], "discriminator": {"propertyName": "token"}},
    },
    "required": ["api_key", "password", "headers"],
    "dependentRequired": {"api_key": ["password"], "headers": ["auth"]},
    "$defs": {"token": {"type": "string", "format": "password"}, "secrets": {"type": "array", "title": "Secrets"}},
}


@pytest.mark.parametrize(
    "args",
    [
        {"tools": [{"type": "function", "function": {"name": "get_token", "parameters": SCHEMA}}]},
        {"functions": [{"name": "auth", "parameters": SCHEMA}]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "secret", "schema": SCHEMA}}},
    ],
    ids=["tools", "functions", "response_format"],
)
def test_schemas_that_mention_credentials_are_unchanged(args: dict[str, Any]) -> None:
    assert sent(Insight(response=COMPLETION, messages="hi", args=args))["args"] == args


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://ann:pw@mcp.example/sse?a=1", "https://[api_key]@mcp.example/sse?a=1"),
        ("https://mcp.example/sse?api_key=s3cret&lang=de#x", "https://mcp.example/sse?api_key=[api_key]&lang=de#x"),
        ("https://x.example/?lang=de&key=s3cret", "https://x.example/?lang=de&key=[api_key]"),
        ("https://x.example/a?sv=1&sig=abc%2F", "https://x.example/a?sv=1&sig=[api_key]"),
        ("see https://docs.example/@ann and ann@example.com", "see https://docs.example/@ann and ann@example.com"),
        ("https://x.example/search?q=key&page=2", "https://x.example/search?q=key&page=2"),
    ],
)
def test_credentials_in_urls_are_masked(url: str, masked: str) -> None:
    extra = {"tools": [{"type": "mcp", "server_url": url}], "stops": [url]}
    args = captured({**extra, "metadata": {"link": url}}).args
    assert args["tools"] == [{"type": "mcp", "server_url": masked}]
    assert args["stops"] == [masked]


def test_names_that_only_resemble_a_credential_are_kept() -> None:
    args = {
        "max_tokens": 5,
        "eos_token": "</s>",
        "stop_tokens": ["a"],
        "page_token": "p2",
        "prompt_cache_key": "k",
        "keywords": ["x"],
        "author": "Ann",
        "password": "",
        "token": None,
    }
    assert sent(Insight(response=COMPLETION, messages="hi", args=args))["args"] == args


def test_key_that_an_error_repeats_is_masked() -> None:
    message = "Incorrect API key provided: pretend-key. You can find yours elsewhere."
    error = {"type": "invalid", "message": message, "body": {"error": {"message": message, "param": [message]}}}
    body = sent(
        Insight(response=COMPLETION | {"error": error}, messages="hi", meta={"ainsights.error_type": "invalid"})
    )
    assert body is not None
    assert "pretend" not in json.dumps(body)
    assert body["response"]["error"]["message"].startswith("Incorrect API key provided: [api_key]")
    assert body["meta"] == {"ainsights.error_type": "invalid"}
