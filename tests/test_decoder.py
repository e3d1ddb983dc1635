from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import httpx
import pytest
from openai.types.chat import ChatCompletion

from ainsights._context.scope import Context
from ainsights._instrumentation.exchange import Exchange
from ainsights._instrumentation.open_streams import OpenStreams
from ainsights._instrumentation.routes import CHAT
from ainsights._processing.apis import as_messages
from ainsights._processing.attributes import Defaults
from ainsights._processing.decoder import base_url, decode

COMPLETION: dict[str, Any] = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1",
    "choices": [
        {"index": 0, "finish_reason": "stop", "logprobs": None, "message": {"role": "assistant", "content": "é"}}
    ],
    "provider": {"x": [1.5]},
}
MESSAGES = [{"role": "user", "content": "hi"}]
REQUEST = {"messages": MESSAGES, "model": "m", "temperature": 0.5}
DEFAULTS = Defaults("ainsights/0 openai/0 python/3")
URL = "https://ann:secret@api.example:8443/v1/chat/completions?key=secret"


def exchange(request: Any = None, **seen: Any) -> Exchange:
    made = Exchange(lambda _: None, seen.pop("context", None), OpenStreams(2**26))
    body = request if isinstance(request, bytes) else json.dumps(REQUEST | (request or {})).encode()
    made.on_request(httpx.Request("POST", URL, content=body))
    for name, value in {"ending": "complete", "status_code": 200, "finished": made.started + 1, **seen}.items():
        setattr(made, name, value)
    return made


def event_of(made: Exchange, defaults: Defaults = DEFAULTS) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(decode(made, defaults, "the-id").encode())
    return body


def chunk(**delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None}
    return (
        b"data: " + json.dumps(COMPLETION | {"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"
    )


def test_completion_is_recorded_as_the_api_returned_it() -> None:
    body = event_of(exchange(body=json.dumps(COMPLETION).encode()))
    assert body["response"] == COMPLETION
    assert body["messages"] == MESSAGES
    assert body["args"] == {"model": "m", "temperature": 0.5}
    assert body["user_id"] is None


def test_meta_describes_the_call() -> None:
    headers = httpx.Headers({"x-request-id": "r1", "authorization": "Bearer secret"})
    meta = event_of(exchange(body=json.dumps(COMPLETION).encode(), headers=headers))["meta"]
    assert meta.pop("ainsights.timestamp").endswith("Z")
    assert meta == {
        "ainsights.event_id": "the-id",
        "ainsights.latency_ms": 1000.0,
        "ainsights.stream": False,
        "ainsights.status": "ok",
        "ainsights.retries": 0,
        "ainsights.http_status": 200,
        "ainsights.request_id": "r1",
        "ainsights.api": "chat",
        "ainsights.base_url": "https://api.example:8443/v1",
        "ainsights.sdk": "ainsights/0 openai/0 python/3",
    }


def test_no_credential_or_header_is_recorded() -> None:
    headers = httpx.Headers({"set-cookie": "secret", "x-api-key": "secret"})
    assert "secret" not in json.dumps(event_of(exchange(body=b"{}", headers=headers)))


def test_our_keys_never_replace_the_users() -> None:
    made = exchange({"metadata": {"ainsights.status": "mine"}}, body=json.dumps(COMPLETION).encode())
    assert event_of(made)["meta"]["ainsights.status"] == "mine"


@pytest.mark.parametrize(
    ("request_says", "context", "default", "user"),
    [
        ({}, None, None, None),
        ({}, None, "process", "process"),
        ({"user": "call"}, None, "process", "call"),
        ({"user": "call", "safety_identifier": "safe"}, None, None, "safe"),
        ({"requesty": {"user_id": "router"}}, None, "process", "router"),
        ({"user": "call", "requesty": {"user_id": "router"}}, None, None, "call"),
        ({"user": "call"}, Context(user_id="context"), "process", "context"),
        ({"requesty": "odd", "user": 7}, None, None, "7"),
    ],
)
def test_user_is_the_most_explicit_one(
    request_says: dict[str, Any], context: Context | None, default: str | None, user: str | None
) -> None:
    made = exchange(request_says, body=b"{}", context=context)
    assert event_of(made, Defaults("sdk", default))["user_id"] == user


def test_metadata_is_merged_and_the_most_explicit_wins() -> None:
    request = {
        "metadata": {"a": "call", "b": "call"},
        "requesty": {"tags": ["t"], "trace_id": "tr", "extra": {"b": "router", "c": "router"}},
    }
    made = exchange(request, body=b"{}", context=Context(meta={"a": "context"}))
    meta = event_of(made, Defaults("sdk", None, {"a": "process", "d": "process"}))["meta"]
    mine = {key: value for key, value in meta.items() if not key.startswith("ainsights.")}
    assert mine == {"a": "context", "b": "call", "c": "router", "d": "process", "tags": ["t"], "trace_id": "tr"}


def test_template_and_inputs_come_from_the_context() -> None:
    body = event_of(exchange(body=b"{}", context=Context(template="Hi {name}", inputs={"name": "Ann"})))
    assert (body["template"], body["inputs"]) == ("Hi {name}", {"name": "Ann"})


def test_stream_is_assembled() -> None:
    chunks = [chunk(role="assistant", content="a"), chunk(content="b"), b"data: [DONE]\n\n"]
    made = exchange({"stream": True}, chunks=chunks)
    made.first_byte = made.started + 0.25
    body = event_of(made)
    assert body["response"]["choices"][0]["message"]["content"] == "ab"
    assert body["meta"]["ainsights.ttft_ms"] == 250.0
    assert body["meta"]["ainsights.stream"] is True


@pytest.mark.parametrize(
    ("ending", "chunks", "status"),
    [
        ("complete", [chunk(content="a"), b"data: [DONE]\n\n"], "ok"),
        ("complete", [chunk(content="a")], "ok"),
        ("closed", [chunk(content="a"), b"data: [DONE]\n\n"], "ok"),
        ("closed", [chunk(content="a")], "closed_early"),
        ("collected", [chunk(content="a")], "abandoned"),
        ("cancelled", [chunk(content="a")], "cancelled"),
        ("cancelled", [], "cancelled"),
        ("error", [chunk(content="a")], "error"),
        ("error", [], "error"),
        ("closed", [], "unread"),
        ("collected", [], "unread"),
        ("complete", [chunk(content="a"), b'data: {"error": {"message": "m", "code": "c"}}\n\n'], "error"),
        ("complete", [], "error"),
        ("complete", [b"<html>"], "error"),
        ("closed", [b'{"id": "c1", "choi'], "closed_early"),
    ],
)
def test_stream_status_is_how_it_ended(ending: str, chunks: list[bytes], status: str) -> None:
    body = event_of(exchange({"stream": True}, ending=ending, chunks=chunks))
    assert body["meta"]["ainsights.status"] == status
    assert ("error" in body["response"]) is (status == "error")


def test_half_read_response_is_recorded_as_far_as_it_arrived() -> None:
    part = json.dumps(COMPLETION).encode()[:60]
    body = event_of(exchange(ending="closed", chunks=[part]))
    assert body["response"]["id"] == "c1"
    assert body["response"]["choices"] == []


ERROR = {"error": {"message": "slow down", "type": "rate", "code": "limit", "param": None}}


def test_failed_call_is_recorded_as_a_completion_that_validates() -> None:
    made = exchange(
        status_code=429, ending="error", body=json.dumps(ERROR).encode(), headers=httpx.Headers({"x-request-id": "r9"})
    )
    response = event_of(made)["response"]
    completion = ChatCompletion.model_validate(response)
    assert (completion.id, completion.model, completion.choices) == ("r9", "m", [])
    assert response["error"] == {"message": "slow down", "type": "rate", "code": "limit", "status": 429, "body": ERROR}


def test_call_that_got_no_answer_records_the_exception() -> None:
    made = exchange(status_code=None)
    made.ending = None
    made.on_error(ConnectionError("no route"))
    body = event_of(made)
    ChatCompletion.model_validate(body["response"])
    assert body["response"]["error"] == {"type": "ConnectionError", "message": "no route"}
    assert body["meta"]["ainsights.error_type"] == "ConnectionError"
    assert "ainsights.http_status" not in body["meta"]


@pytest.mark.parametrize("answer", [b"<html>", b"", b'{"id": "c1", "cho', b"[1]", b"null"])
def test_answer_that_is_not_a_completion_is_recorded_as_an_error(answer: bytes) -> None:
    body = event_of(exchange(body=answer))
    ChatCompletion.model_validate(body["response"])
    assert body["meta"]["ainsights.status"] == "error"
    assert body["response"]["error"]["type"] == "InvalidResponse"


def test_error_that_a_router_answers_with_200_is_an_error() -> None:
    body = event_of(exchange(body=json.dumps(ERROR).encode()))
    assert body["meta"]["ainsights.status"] == "error"
    assert body["response"]["error"]["code"] == "limit"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_encoded_stream_is_decoded(encoding: str) -> None:
    plain = chunk(content="a") + b"data: [DONE]\n\n"
    encoded = gzip.compress(plain) if encoding == "gzip" else zlib.compress(plain)
    headers = httpx.Headers({"content-encoding": encoding})
    pieces = [encoded[:7], encoded[7:]]
    body = event_of(exchange({"stream": True}, chunks=pieces, headers=headers))
    assert body["response"]["choices"][0]["message"]["content"] == "a"


def test_truncated_gzip_is_decoded_as_far_as_it_arrived() -> None:
    plain = b"".join(chunk(content=str(number)) for number in range(200))
    headers = httpx.Headers({"content-encoding": "gzip"})
    made = exchange({"stream": True}, ending="closed", chunks=[gzip.compress(plain)[:-300]], headers=headers)
    body = event_of(made)
    assert body["response"]["choices"][0]["message"]["content"].startswith("0123")
    assert body["meta"]["ainsights.status"] == "closed_early"


def test_body_that_does_not_match_its_encoding_is_an_error() -> None:
    headers = httpx.Headers({"content-encoding": "gzip"})
    assert (
        event_of(exchange({"stream": True}, chunks=[b"plain"], headers=headers))["meta"]["ainsights.status"] == "error"
    )


def test_surrogates_and_nan_survive() -> None:
    answer = b'{"id": "\\ud800", "choices": [], "x": NaN, "y": -Infinity}'
    response = event_of(exchange(body=answer))["response"]
    assert (response["id"], response["x"], response["y"]) == ("\ud800", "NaN", "-Infinity")


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        ("hi", "hi"),
        (["a", "b"], ["a", "b"]),
        (MESSAGES, MESSAGES),
        (None, []),
        ([], []),
        ({"role": "user"}, [{"role": "user"}]),
        (["a", {"role": "user"}], [{"role": "user", "content": "a"}, {"role": "user"}]),
        (7, ["7"]),
    ],
)
def test_messages_are_what_the_contract_takes(value: Any, messages: Any) -> None:
    assert as_messages(value) == messages


def test_request_that_is_not_json_is_recorded_as_text() -> None:
    assert event_of(exchange(b"plain", body=b"{}"))["messages"] == "plain"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1"),
        ("http://u:p@host:8/x/chat/completions?a=b#c", "http://host:8/x"),
        ("https://a.azure.com/openai/deployments/gpt/chat/completions?api-version=1", "https://a.azure.com/openai"),
        ("http://[::1]:8/v1/chat/completions", "http://[::1]:8/v1"),
    ],
)
def test_base_url_has_no_credentials_query_or_route(url: str, base: str) -> None:
    assert base_url(url, CHAT) == base
