from __future__ import annotations

import base64
import gzip
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import _completions
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, TypeAdapter

from ainsights import mock_openai
from ainsights._processing.accumulator import accumulate
from ainsights.mock_openai import CASES, DIRECTIVES, Case, Script, ScriptError, parse
from ainsights.mock_openai.requests import KEPT, Received, Requests
from ainsights.mock_openai.schema import instance
from ainsights.mock_openai.script import AT_ONCE, directives_of
from ainsights.mock_openai.sse import cut_small, encoded, events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASK: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Ünïcode, 好?"}]}
BROKEN = (openai.APIConnectionError, httpx.RemoteProtocolError)
"""A connection that ends too early. Before openai 3, the HTTP client's own error where it happens within a stream."""
TIMED_OUT = (openai.APITimeoutError, httpx.ReadTimeout)

IS_OLD = tuple(map(int, openai.__version__.split(".")[:2])) < (1, 109)


@pytest.fixture(scope="module")
def server() -> Iterator[mock_openai.Server]:
    with mock_openai.serving() as server:
        yield server


@pytest.fixture
def client(server: mock_openai.Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="key", max_retries=0, timeout=10) as client:
        yield client


def asked(directive: str, **more: Any) -> dict[str, Any]:
    return ASK | {"model": f"mock:{directive}"} | more


class Wire:
    """A response as the wire has it, asked for without the client."""

    def __init__(self, server: mock_openai.Server, body: Any, path: str = "/v1/chat/completions", **how: Any) -> None:
        url = urlsplit(server.url)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
        try:
            method = how.pop("method", "POST")
            sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, sent, how)
            answer = connection.getresponse()
            self.status, self.headers, self.body = answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


# Every case


def message(completion: ChatCompletion) -> Any:
    return completion.choices[0].message


def called(completion: ChatCompletion) -> list[str]:
    return [call.type for choice in completion.choices for call in choice.message.tool_calls or []]


EXPECTED: dict[str, Callable[[ChatCompletion], bool]] = {
    "plain": lambda it: message(it).content.startswith("You said: “Was heißt „plain"),
    "text": lambda it: message(it).content == "Zuerst, dann – 好 🙂",
    "no text": lambda it: message(it).content == "",
    "several choices": lambda it: len({choice.message.content for choice in it.choices}) == 3,
    "choices by directive": lambda it: len({choice.message.content for choice in it.choices}) == 2,
    "usage": lambda it: it.usage is not None and it.usage.total_tokens > 0,
    "usage of several choices": lambda it: it.usage is not None and len(it.choices) == 2,
    "tools": lambda it: called(it) == ["function"] * 2 and "Zürich" in message(it).tool_calls[0].function.arguments,
    "tools of the request": lambda it: (
        [json.loads(call.function.arguments) for call in message(it).tool_calls]
        == [{"city": "Zürich", "days": 1}, {"city": "東京", "days": 1}]
    ),
    "tools and text": lambda it: called(it) == ["function"] * 2 and message(it).content == "Einen Moment …",
    "tools of several choices": lambda it: called(it) == ["function"] * 4,
    "required tool": lambda it: called(it) == ["function"] and it.choices[0].finish_reason == "tool_calls",
    "custom tool": lambda it: (
        called(it) == ["custom"] * 2
        and "ü" in it.model_dump()["choices"][0]["message"]["tool_calls"][1]["custom"]["input"]
    ),
    "function": lambda it: message(it).function_call.name == "get_weather",
    "refusal": lambda it: message(it).refusal.startswith("Sorry") and not message(it).content,
    "logprobs": lambda it: "".join(token.token for token in it.choices[0].logprobs.content) == message(it).content,
    "logprobs of the request": lambda it: all(len(token.top_logprobs) == 2 for token in it.choices[1].logprobs.content),
    "logprobs of a refusal": lambda it: len(it.choices[0].logprobs.refusal) > 1,
    "audio": lambda it: (
        base64.b64decode(message(it).audio.data)[:256] == bytes(range(256)) and "Grüezi" in message(it).audio.transcript
    ),
    "reasoning": lambda it: message(it).reasoning_content.endswith("🤔") and message(it).content != "",
    "vendor": lambda it: it.provider == "Mock" and it.x_extra["route"]["tries"] == [1, {"ms": 12.5}],
    "vendor's usage": lambda it: it.usage.cost == 0.000125,
    "schema": lambda it: (
        json.loads(message(it).content) == {"name": "café", "age": 1, "kind": "friend", "friends": [{"name": "café"}]}
    ),
    "JSON": lambda it: isinstance(json.loads(message(it).content), dict),
    "length": lambda it: it.choices[0].finish_reason == "length" and not message(it).content.endswith("🙂"),
    "filter": lambda it: it.choices[0].finish_reason == "content_filter",
    "large": lambda it: len(message(it).content.encode()) == 300_000,
    "many chunks": lambda it: len(message(it).content) == 2000,
    "tool calls without index": lambda it: called(it) == ["function"] * 2,
}
"""What the completion says, by the case's name without ``, streamed``; of the others it is only an ordinary one."""

FAILURES: dict[str, type[Exception] | tuple[type[Exception], ...]] = {
    "status 400": openai.BadRequestError,
    "status 401": openai.AuthenticationError,
    "status 403": openai.PermissionDeniedError,
    "status 404": openai.NotFoundError,
    "status 409": openai.ConflictError,
    "status 413": openai.APIStatusError,
    "status 422": openai.UnprocessableEntityError,
    "status 429": openai.RateLimitError,
    "status 500": openai.InternalServerError,
    "status 503": openai.InternalServerError,
    "retry after": openai.RateLimitError,
    "bad JSON": json.JSONDecodeError,
    "nothing": json.JSONDecodeError,
    "cut gzip": json.JSONDecodeError,
    "error event": openai.APIError,
    "error event with a name": openai.APIError,
    "abort": BROKEN,
    "abort at once": BROKEN,
    "abort of gzip": BROKEN,
    "reset": BROKEN,
    "hang": TIMED_OUT,
    "hang midway": TIMED_OUT,
}
NO_COMPLETION = {"page", "page, streamed", "nothing, streamed"}
NOT_UNDERSTOOD = {"event names"} if IS_OLD else set()
MALFORMED = {"delta null", "no delta", "empty first chunk", "tool calls without index"}
"""Streams on which the client's own assembler fails."""


def base_name(case: Case) -> str:
    return case.name.removesuffix(", streamed")


def check(case: Case, completion: ChatCompletion) -> None:
    says = EXPECTED.get(base_name(case), lambda it: message(it).content.endswith("🙂"))
    assert says(completion), completion
    assert completion.model == case.model


def new_state() -> Any:
    """Return the client's own assembler, which has been public and without arguments only since openai 1.60."""
    return _completions.ChatCompletionStreamState(input_tools=openai.NOT_GIVEN, response_format=openai.NOT_GIVEN)


def reassembled(case: Case, chunks: list[ChatCompletionChunk]) -> ChatCompletion:
    if case.name in MALFORMED:
        return merged(chunks)
    state = new_state()
    for chunk in chunks:
        state.handle_chunk(chunk)
    snapshot: ChatCompletion = state.current_completion_snapshot
    return snapshot


def merged(chunks: list[ChatCompletionChunk]) -> ChatCompletion:
    """Merge a stream of one choice that has only content and tool calls."""
    choices = [choice for chunk in chunks for choice in chunk.choices]
    deltas = [choice.delta for choice in choices if getattr(choice, "delta", None)]
    calls: dict[str, str] = {}
    for call in [call for delta in deltas for call in delta.tool_calls or []]:
        assert call.id
        assert call.function
        calls[call.id] = calls.get(call.id, "") + (call.function.arguments or "")
    said: dict[str, Any] = {"role": "assistant", "content": "".join(delta.content or "" for delta in deltas)}
    said["tool_calls"] = [
        {"id": known, "type": "function", "function": {"name": "", "arguments": text}} for known, text in calls.items()
    ]
    choice = {"index": 0, "message": said, "finish_reason": choices[-1].finish_reason}
    return ChatCompletion.model_validate(chunks[-1].model_dump() | {"object": "chat.completion", "choices": [choice]})


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.fails and case.name not in NOT_UNDERSTOOD], ids=lambda case: case.name
)
def test_a_case_that_succeeds_yields_what_it_says(case: Case, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**case.arguments())
    said: Any = list(answer) if case.stream else answer
    if case.name in NO_COMPLETION:
        assert said == [] or "<html>" in said
    else:
        check(case, reassembled(case, said) if case.stream else said)


@pytest.mark.parametrize("case", [case for case in CASES if case.fails], ids=lambda case: case.name)
def test_a_case_that_fails_raises_what_it_says(case: Case, client: openai.OpenAI) -> None:
    with pytest.raises(FAILURES[base_name(case)]) as caught:
        list(client.with_options(timeout=0.1 if case.hangs else 10).chat.completions.create(**case.arguments()))
    assert not isinstance(caught.value, TIMED_OUT) or case.hangs
    assert "status" not in case.name or str(getattr(caught.value, "status_code", "")) in case.name


def test_every_case_does_the_same_to_the_async_client(server: mock_openai.Server) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="key", max_retries=0, timeout=10) as client:
            for case in [case for case in CASES if case.name not in NOT_UNDERSTOOD]:
                await one(case, client.with_options(timeout=0.1) if case.hangs else client)

    async def one(case: Case, client: openai.AsyncOpenAI) -> None:
        try:
            answer = await client.chat.completions.create(**case.arguments())
            said: Any = [chunk async for chunk in answer] if case.stream else answer
        except Exception as error:
            if not isinstance(error, FAILURES.get(base_name(case), ())):
                raise
            return
        assert not case.fails, case
        if case.name not in NO_COMPLETION:
            check(case, reassembled(case, said) if case.stream else said)

    anyio.run(main)


def test_names_of_cases_are_unique_and_each_directive_has_one() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    used = {part.split("=")[0] for case in CASES for part in case.directive.split(",")}
    there = {shown.split("=")[0].removesuffix("[") for shown in DIRECTIVES}
    assert there - used == {"fail"}


# What a directive does beyond its case


def test_an_answer_is_the_same_to_the_same_request(server: mock_openai.Server) -> None:
    for directive in ("tools,n=2,vendor", "audio", "logprobs,gzip"):
        for stream in (False, True):
            first, second = (Wire(server, asked(directive, stream=stream)) for _ in range(2))
            assert first.body == second.body
            assert first.headers.items() == second.headers.items()


def test_responses_tell_their_request_id(client: openai.OpenAI, server: mock_openai.Server) -> None:
    completion = client.chat.completions.create(**ASK)
    assert completion._request_id == f"req_{completion.id.removeprefix('chatcmpl-')}"
    assert Wire(server, None, "/nowhere", method="GET").headers["x-request-id"]
    assert int(Wire(server, ASK).headers["openai-processing-ms"]) > 0


def test_the_header_wins_over_the_model(client: openai.OpenAI) -> None:
    for header, expected in (("text=H%C3%B6%2C", "Hö,"), ("", "You said: “Ünïcode, 好?” – naïve café, 你好 🙂")):
        completion = client.chat.completions.create(**asked("refusal"), extra_headers={"x-mock": header})
        assert completion.choices[0].message.content == expected


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["", "status=503"])
def test_the_clients_retries_get_an_answer_after_the_failures(
    fault: str,
    stream: bool,  # noqa: FBT001  a parameter of the case
    server: mock_openai.Server,
) -> None:
    server.requests.clear()
    with openai.OpenAI(base_url=server.base_url, api_key="key", max_retries=2) as client:
        request = asked(f"fail=2,retry-after=0.001,{fault}", stream=stream)
        answer = client.chat.completions.with_raw_response.create(**request)
        answer.http_response.read()
    assert answer.retries_taken == 2
    assert len({request.body for request in server.requests}) == 1
    assert server.requests.total == 3


@pytest.mark.parametrize("fault", ["reset", "abort=0", "empty,abort=1"])
def test_a_broken_connection_is_whole_after_the_failures(fault: str, server: mock_openai.Server) -> None:
    statuses = [failed(server, asked(f"fail=2,{fault}", stream=True)) for _ in range(3)]
    assert statuses == [True, True, False]


def failed(server: mock_openai.Server, request: Any) -> bool:
    try:
        return Wire(server, request).status != 200
    except (http.client.HTTPException, OSError):
        return True


def test_failures_are_counted_by_the_id_that_a_request_gives(server: mock_openai.Server) -> None:
    statuses = [
        Wire(server, asked("fail=1", user=str(number)), **{"x-mock-id": identity}).status
        for number, identity in enumerate(["one", "one", "two"])
    ]
    assert statuses == [500, 200, 500]


def test_errors_tell_when_to_retry(server: mock_openai.Server) -> None:
    answer = Wire(server, asked("status=429,retry-after=0.25"))
    assert (answer.headers["retry-after"], answer.headers["retry-after-ms"]) == ("0.25", "250")
    assert answer.json["error"]["code"] == "rate_limit_exceeded"


def test_compressed_means_compressed_on_the_wire(server: mock_openai.Server) -> None:
    for stream in (False, True):
        plain = Wire(server, asked("size=50000", stream=stream)).body
        zipped = Wire(server, asked("size=50000", stream=stream), **{"x-mock": "size=50000,gzip"})
        assert zipped.headers["content-encoding"] == "gzip"
        assert len(zipped.body) < len(plain) / 3
        assert gzip.decompress(zipped.body) == plain
        deflated = Wire(server, asked("size=50000", stream=stream), **{"x-mock": "size=50000,deflate"})
        assert zlib.decompress(deflated.body) == plain


def test_deviations_are_on_the_wire(server: mock_openai.Server) -> None:
    def streamed(directive: str) -> bytes:
        return Wire(server, asked("", stream=True), **{"x-mock": directive}).body

    plain = streamed("")
    assert plain.endswith(b"data: [DONE]\n\n")
    assert streamed("crlf") == plain.replace(b"\n", b"\r\n")
    assert streamed("nodone") == plain.removesuffix(b"data: [DONE]\n\n")
    assert streamed("split") == streamed("merge") == plain
    assert b": keep-alive 0\n\n" in streamed("comments")
    assert streamed("event-names").count(b"event: chunk\ndata: {") == plain.count(b"data: {")
    assert b'"prompt_filter_results"' in streamed("emptyfirst").split(b"\n\n")[0]
    assert b'"delta":null' in streamed("nulldelta")
    assert streamed("nodelta").count(b'"delta"') == plain.count(b'"delta"') - 1
    assert b'data: {"error":{' in streamed("sse-error")
    assert b"[DONE]" not in streamed("sse-error")


def test_abort_lets_the_first_chunks_through(client: openai.OpenAI) -> None:
    seen = []
    with (
        pytest.raises(BROKEN),
        client.chat.completions.create(**asked("abort=3", stream=True)) as it,
    ):
        seen.extend(it)
    assert len(seen) == 3


def test_reset_is_one(server: mock_openai.Server) -> None:
    with pytest.raises(ConnectionResetError):
        Wire(server, asked("reset"))


def test_delay_and_pace_take_their_time(client: openai.OpenAI) -> None:
    start = time.monotonic()
    list(client.chat.completions.create(**asked("delay=0.05,pace=0.02,chunks=3", stream=True)))
    assert time.monotonic() - start > 0.05 + 5 * 0.02


def test_thousands_of_chunks_come(client: openai.OpenAI) -> None:
    assert len(list(client.chat.completions.create(**asked("chunks=5000", stream=True)))) == 5002


def test_tools_are_answered_by_text(client: openai.OpenAI) -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    turns = [{"role": "assistant", "tool_calls": calls}, {"role": "tool", "tool_call_id": "1", "content": "4"}]
    completion = client.chat.completions.create(**asked("tools", messages=[*ASK["messages"], *turns]))
    assert (completion.choices[0].message.content or "").startswith("You said")


def test_parse_gets_an_instance_of_its_model(client: openai.OpenAI) -> None:
    class Answer(BaseModel):
        text: str
        next: Answer | None

    Answer.model_rebuild(_types_namespace={"Answer": Answer})
    completions: Any = client.beta.chat.completions if IS_OLD else client.chat.completions
    parsed = completions.parse(**ASK, response_format=Answer)
    assert parsed.choices[0].message.parsed


def test_half_a_surrogate_pair_is_answered(server: mock_openai.Server) -> None:
    body = b'{"model": "m", "messages": [{"role": "user", "content": "\\ud83d"}]}'
    assert "\ud83d" in Wire(server, body).json["choices"][0]["message"]["content"]


# What is no ordinary request


def test_an_unknown_directive_is_answered_with_the_list_of_them(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**asked("tols"))
    assert caught.value.code == "unknown_directive"
    assert all(directive in caught.value.message for directive in DIRECTIVES)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"no JSON", "parse"),
        (b"[" * 100_000, "parse"),
        (b"[]", "object"),
        ({"messages": ASK["messages"]}, "model"),
        ({"model": 4, "messages": ASK["messages"]}, "model"),
        ({"model": "gpt"}, "'messages'"),
        ({"model": "gpt", "messages": []}, "'messages'"),
        ({"model": "gpt", "messages": "hello"}, "'messages'"),
    ],
)
def test_a_request_that_is_none_is_400(server: mock_openai.Server, body: Any, says: str) -> None:
    answer = Wire(server, body)
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert says in answer.json["error"]["message"]


def test_what_is_not_there_is_404_and_what_cannot_be_done_405(server: mock_openai.Server) -> None:
    for path, method, status in (("/v1/nothing", "GET", 404), ("/v1/models", "POST", 405), ("/v1/models/", "GET", 404)):
        answer = Wire(server, None, path, method=method)
        assert (answer.status, answer.json["error"]["message"]) == (status, f"Invalid URL ({method} {path})")


def test_a_failure_of_its_own_is_told_in_the_api_s_shape(server: mock_openai.Server) -> None:
    schema = {"type": "json_schema", "json_schema": {"schema": {"type": "string", "minLength": "x"}}}
    answer = Wire(server, ASK | {"response_format": schema})
    assert answer.status == 500
    assert answer.json["error"]["message"] == "The mock server failed: TypeError"
    assert Wire(server, ASK).status == 200


# The other routes


def test_azure_is_served(server: mock_openai.Server) -> None:
    azure: dict[str, Any] = {"azure_endpoint": server.url, "api_key": "key", "api_version": "2024-10-21"}
    with openai.AzureOpenAI(**azure) as client:
        assert called(client.chat.completions.create(**asked("tools"))) == ["function"] * 2
    with openai.AzureOpenAI(**azure, azure_deployment="mock:n=2") as client:
        assert len(client.chat.completions.create(**ASK).choices) == 2
    assert "/deployments/mock" in server.requests[-1].path
    assert server.requests[-1].query == "api-version=2024-10-21"


@pytest.mark.skipif(IS_OLD, reason="this openai has no stored completions")
def test_stored_completions_models_and_embeddings_are_served(client: openai.OpenAI) -> None:
    stored = client.chat.completions
    assert [item.id for item in stored.list()] == ["chatcmpl-stored"]
    assert stored.retrieve("a").id == "a"
    assert stored.update("a", metadata={"k": "v"}).metadata == {"k": "v"}
    assert stored.delete("a").deleted
    assert [item.content for item in stored.messages.list("a")] == ["Hello!"]
    assert "gpt-4o-mini" in [model.id for model in client.models.list()]
    vectors = [item.embedding for item in client.embeddings.create(model="e", input=["a", "b"]).data]
    assert len(vectors) == 2
    assert vectors[0] != vectors[1]
    floats = client.embeddings.create(model="e", input="a", encoding_format="float").data[0].embedding
    assert floats == pytest.approx(vectors[0])
    with pytest.raises(openai.BadRequestError):
        client.post("/embeddings", body={}, cast_to=object)


def test_health_is_served_and_not_recorded(server: mock_openai.Server) -> None:
    server.requests.clear()
    assert Wire(server, None, "/health", method="GET").json == {"status": "ok"}
    assert server.requests.total == 0


# What is recorded


def test_requests_are_recorded_as_they_came(server: mock_openai.Server) -> None:
    server.requests.clear()
    body = json.dumps(ASK, indent=3).encode()
    Wire(server, body, "/v1/chat/completions?a=%20b", **{"X-Mixed-Case": "grün"})
    received = server.requests[0]
    assert (received.method, received.path, received.query) == ("POST", "/v1/chat/completions", "a=%20b")
    assert ("X-Mixed-Case", "grün") in received.headers
    assert received.body == body

    told = Wire(server, None, "/mock/requests", method="GET").json
    assert told["total"] == 1
    assert base64.b64decode(told["requests"][0].pop("body")) == body
    assert told["requests"][0]["headers"][0][0] == "Host"
    assert Wire(server, None, "/mock/requests", method="DELETE").json == {"total": 0, "requests": []}
    assert list(server.requests) == []


def test_requests_tell_their_connections_apart(server: mock_openai.Server) -> None:
    server.requests.clear()
    for _ in range(2):
        with openai.OpenAI(base_url=server.base_url, api_key="key") as client:
            for _ in range(2):
                client.chat.completions.create(**ASK)
    first, second, third, fourth = (request.connection for request in server.requests)
    assert first == second != third == fourth


def test_requests_are_bounded_in_number_and_size() -> None:
    requests = Requests()
    for number in range(KEPT + 5):
        requests.add(Received("POST", f"/{number}", "", (), b"", 1))
    assert (requests.total, len(requests), requests[0].path) == (KEPT + 5, KEPT, "/5")
    for _ in range(5):
        requests.add(Received("POST", "/", "", (), bytes(20 * 2**20), 1))
    assert len(requests) == 3
    assert [request.path for request in requests[-2:]] == ["/", "/"]
    requests.add(Received("POST", "/", "", (), bytes(70 * 2**20), 1))
    assert len(requests) == 1


# Its life


@contextmanager
def connected(server: mock_openai.Server, directive: str, *, stream: bool) -> Iterator[socket.socket]:
    """Send a request and leave the connection open."""
    url = urlsplit(server.url)
    body = json.dumps(asked(directive, stream=stream)).encode()
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        yield connection


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("directive", "stream"),
    [("hang", False), ("hang=2", True), ("delay=60", False), ("pace=60", True), ("hang=0", False)],
)
def test_stop_ends_promptly_while_requests_hang(directive: str, stream: bool) -> None:  # noqa: FBT001
    before = set(threading.enumerate())
    with mock_openai.serving() as server, connected(server, directive, stream=stream) as one:
        wait_for(lambda: server.requests.total == 1)
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 2
        try:
            while one.recv(65536):
                pass
        except ConnectionResetError:
            pass
    assert set(threading.enumerate()) == before


def test_stop_lets_an_answer_finish() -> None:
    with mock_openai.serving() as server, connected(server, "delay=0.1", stream=False) as one:
        wait_for(lambda: server.requests.total == 1)
        server.stop()
        assert one.recv(65536).startswith(b"HTTP/1.1 200")
        server.stop()


def test_a_client_that_leaves_does_no_harm(server: mock_openai.Server, caplog: pytest.LogCaptureFixture) -> None:
    before = server.requests.total
    for directive in ("chunks=5000,size=4000000", "hang", "hang=2", "pace=0.01", "delay=0.01", "split,size=100000"):
        with connected(server, directive, stream=True) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wait_for(lambda: server.requests.total == before + 6)
    assert Wire(server, ASK).status == 200
    assert not caplog.records


def test_garbage_does_no_harm(server: mock_openai.Server) -> None:
    url = urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        connection.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert Wire(server, ASK).status == 200


def test_an_address_in_use_is_an_error(server: mock_openai.Server) -> None:
    with pytest.raises(OSError, match="in use"), mock_openai.serving(port=urlsplit(server.url).port or 0):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_its_url_first_and_ends_at_a_signal(number: int) -> None:
    command = [sys.executable, "-W", "error", "-m", "ainsights.mock_openai", "--announce"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            with openai.OpenAI(base_url=url, api_key="key") as client:
                assert client.chat.completions.create(**ASK).choices
            process.send_signal(number)
            out, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (0, "", "")


def test_the_command_says_which_address_it_cannot_use(server: mock_openai.Server) -> None:
    port = str(urlsplit(server.url).port)
    command = [sys.executable, "-m", "ainsights.mock_openai", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 2
    assert port in ended.stderr
    assert "Traceback" not in ended.stderr


# The parts that are functions of values


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
    assert parse(text) == script


@pytest.mark.parametrize(
    ("text", "says"),
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
def test_directives_that_are_wrong_are_named(text: str, says: str) -> None:
    with pytest.raises(ScriptError, match=says.replace("[", r"\[")):
        parse(text)


def test_directives_come_from_the_model_unless_a_header_has_them() -> None:
    assert directives_of("gpt-4o") == ""
    assert directives_of("mock:tools") == "tools"
    assert directives_of("mock:tools", "n=2") == "n=2"
    assert directives_of("mock:tools", "") == ""


def test_the_fault_ends_after_its_number_of_attempts() -> None:
    script = parse("fail=2,abort=1,n=2")
    assert [script.for_attempt(number).abort for number in (1, 2, 3)] == [1, 1, None]
    assert script.for_attempt(3).n == 2
    assert [parse("fail=1").for_attempt(number).status for number in (1, 2)] == [500, None]


REPLIES = ["", "n=3", "tools", "tools,n=2,text=a", "function", "refusal", "audio", "reasoning,vendor", "logprobs,n=2"]


@given(directives=st.sampled_from(REPLIES), pieces=st.none() | st.integers(1, 50), text=st.text(max_size=60))
def test_chunks_put_together_are_the_completion(directives: str, pieces: int | None, text: str) -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": text}]}
    completion = mock_openai.completion(parse(directives), request, "key")
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
def test_what_a_stream_says_is_the_completion(directives: str, pieces: int | None, text: str) -> None:
    request = {"model": "m", "messages": [{"role": "user", "content": text}]}
    completion = mock_openai.completion(parse(directives), request, "key")
    chunks = mock_openai.chunks(completion, pieces=pieces, include_usage=True)
    assembled = accumulate(b"".join(events(chunks, Script(comments=True, crlf=True))))
    assert (assembled.completion, assembled.done, assembled.error) == (completion, True, None)


def without_parsed(value: Any) -> Any:
    """Leave out what the client's assembler adds."""
    if isinstance(value, dict):
        return {key: without_parsed(item) for key, item in value.items() if key not in ("parsed", "parsed_arguments")}
    return [without_parsed(item) for item in value] if isinstance(value, list) else value


def pruned(value: Any) -> Any:
    """Leave out what is null or an empty list: a stream can't tell them from what is not there."""
    if isinstance(value, dict):
        return {key: pruned(item) for key, item in value.items() if item is not None and item != []}
    return [pruned(item) for item in value] if isinstance(value, list) else value


@given(count=st.integers(1, 40))
def test_the_number_of_chunks_is_that_which_was_asked(count: int) -> None:
    script = parse(f"chunks={count}")
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
        completion = mock_openai.completion(parse(case.directive), case.arguments(), "key")
        TypeAdapter(ChatCompletion).validate_python(completion, strict=False)
