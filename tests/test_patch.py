from __future__ import annotations

import asyncio
import gc
import json
import weakref
from typing import TYPE_CHECKING, Any

import openai
import pytest
from support.models import COMPLETION, EVENTS, MESSAGES, async_client, capturing, client, completed, http, streaming

from ainsights import _internal_errors
from ainsights._context.scope import Context, current
from ainsights._instrumentation import patch as _patch

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.models import Captured


def create(openai_client: openai.OpenAI, **more: Any) -> Any:
    return openai_client.chat.completions.create(model="m", messages=MESSAGES, **more)


def failing(status: int, times: int = 10**9) -> Callable[[Any], Any]:
    left = [times]

    def answer(request: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            return completed(request)
        return http.Response(status, json={"error": {"message": "no", "code": "c"}}, headers={"retry-after-ms": "1"})

    return answer


def test_call_is_captured_as_it_was_on_the_wire(captured: Captured) -> None:
    create(client(), temperature=0.5, extra_body={"custom": [1]})
    assert len(captured) == 1
    assert captured[0]["messages"] == MESSAGES
    assert captured[0]["args"] == {"model": "m", "temperature": 0.5, "custom": [1]}
    assert captured[0]["response"] == COMPLETION


def test_what_the_user_changes_afterwards_is_not_what_was_sent(captured: Captured) -> None:
    messages = [{"role": "user", "content": "hi"}]
    completion = client().chat.completions.create(model="m", messages=messages)  # type: ignore[arg-type]
    messages[0]["content"] = "changed"
    completion.choices.clear()
    assert captured[0]["messages"] == MESSAGES
    assert captured[0]["response"] == COMPLETION


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_failed_call_is_captured_with_its_status(captured: Captured, status: int) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        create(client(failing(status)))
    assert captured.statuses == ["error"]
    meta = captured[0]["meta"]
    assert (meta["ainsights.http_status"], meta["ainsights.error_type"]) == (status, type(caught.value).__name__)
    assert captured[0]["response"]["error"]["code"] == "c"


def test_failed_stream_request_is_captured_with_its_body(captured: Captured) -> None:
    with pytest.raises(openai.RateLimitError):
        create(client(failing(429)), stream=True)
    assert captured[0]["response"]["error"]["message"] == "no"


def test_retried_call_is_one_event(captured: Captured) -> None:
    create(client(failing(500, times=2), max_retries=2))
    assert captured.statuses == ["ok"]
    assert captured[0]["meta"]["ainsights.retries"] == 2


@pytest.mark.parametrize("error", [http.ConnectError("refused"), http.ReadTimeout("slow")])
def test_call_without_an_answer_is_captured(captured: Captured, error: Exception) -> None:
    def answer(_request: Any) -> Any:
        raise error

    with pytest.raises(openai.APIConnectionError) as caught:
        create(client(answer))
    assert captured.statuses == ["error"]
    assert captured[0]["meta"]["ainsights.error_type"] == type(caught.value).__name__
    assert caught.value.__cause__ is error


def test_call_that_sends_nothing_is_not_an_event(captured: Captured) -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises((ValueError, RecursionError)):
        create(client(), extra_body={"circle": circle})
    with pytest.raises(TypeError):
        client().chat.completions.create(model="m")  # type: ignore[call-overload]
    assert captured == []


def test_requests_to_other_routes_are_not_events(captured: Captured) -> None:
    embedding = {"object": "embedding", "index": 0, "embedding": [0.5]}
    openai_client = client(lambda _: http.Response(200, json={"object": "list", "data": [embedding]}))
    openai_client.models.list()
    openai_client.embeddings.create(model="m", input="x", encoding_format="float")
    assert captured == []


@pytest.mark.parametrize(
    "path", ["/chat/completions", "/chat/completions?x=1", "http://other.example/v9/chat/completions"]
)
def test_client_post_is_captured(captured: Captured, path: str) -> None:
    client().post(path, cast_to=object, body={"model": "m", "messages": MESSAGES})
    assert captured.statuses == ["ok"]


def test_raw_response_is_one_event_however_often_it_is_parsed(captured: Captured) -> None:
    raw = client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.parse() == raw.parse()
    assert captured.statuses == ["ok"]


def test_response_of_which_only_headers_are_looked_at_is_unread(captured: Captured) -> None:
    openai_client = client(lambda _: http.Response(200, stream=http.ByteStream(b'{"id": "c1"}')))
    with openai_client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        assert response.status_code == 200
    assert captured.statuses == ["unread"]


def test_streaming_response_that_is_read_is_ok(captured: Captured) -> None:
    openai_client = client(lambda _: http.Response(200, stream=http.ByteStream(json.dumps(COMPLETION).encode())))
    with openai_client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        response.read()
    assert captured.statuses == ["ok"]
    assert captured[0]["response"] == COMPLETION


def test_answer_that_cannot_be_parsed_is_captured_all_the_same(captured: Captured) -> None:
    def cut(_request: Any) -> Any:
        choice = COMPLETION["choices"][0] | {"finish_reason": "length"}
        return http.Response(200, json=COMPLETION | {"choices": [choice]})

    parse = getattr(client(cut).chat.completions, "parse", None) or client(cut).beta.chat.completions.parse
    with pytest.raises(openai.LengthFinishReasonError):
        parse(model="m", messages=MESSAGES)
    assert captured.statuses == ["ok"]
    assert captured[0]["response"]["choices"][0]["finish_reason"] == "length"


def test_azure_is_captured_with_its_base_url(captured: Captured) -> None:
    openai_client = openai.AzureOpenAI(
        api_key="k",
        api_version="1",
        azure_endpoint="https://a.azure.example",
        http_client=http.Client(transport=http.MockTransport(completed)),
    )
    create(openai_client)
    assert captured[0]["meta"]["ainsights.base_url"] == "https://a.azure.example/openai"


def test_async_call_is_captured(captured: Captured) -> None:
    async def main() -> None:
        async with async_client() as openai_client:
            await openai_client.chat.completions.create(model="m", messages=MESSAGES)

    asyncio.run(main())
    assert captured.statuses == ["ok"]


def test_call_that_is_not_to_be_captured_is_not(captured: Captured) -> None:
    token = current.set(Context(capture=False))
    create(client())
    current.reset(token)
    assert captured == []


def test_call_within_a_call_is_an_event_of_its_own(captured: Captured) -> None:
    inner = client(lambda _: http.Response(200, json=COMPLETION | {"id": "inner"}))

    def answer(request: Any) -> Any:
        create(inner)
        inner.embeddings.with_raw_response.create(model="m", input="x")
        return completed(request)

    create(client(answer))
    assert [body["response"]["id"] for body in captured] == ["inner", "c1"]


@pytest.mark.parametrize("step", ["begin", "on_request", "on_response", "on_body", "end"])
def test_failure_of_ours_is_counted_logged_and_not_the_users(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str
) -> None:
    def broken(*_args: Any) -> Any:
        raise ValueError("ours")

    monkeypatch.setattr(_internal_errors, "raising", False)
    before = _internal_errors.failures.total()
    with capturing() as captured:
        with monkeypatch.context() as patch:
            patch.setattr(type(captured) if step == "begin" else _patch.Exchange, step, broken)
            assert create(client()).id == "c1"
            assert create(client()).id == "c1"
        assert _internal_errors.failures.total() > before
        logged = [record.getMessage() for record in caplog.records]
        assert logged
        assert len(logged) == len(set(logged))
        create(client())
    assert captured.statuses[-1:] == ["ok"]


def test_stream_that_is_open_at_uninstall_ends_well_and_is_recorded() -> None:
    with capturing() as captured:
        stream = create(client(streaming(*EVENTS)), stream=True)
        next(stream)
    assert [chunk.choices[0].delta.content for chunk in stream] == ["b", "c"]
    assert (captured.statuses, captured.contents) == (["ok"], ["abc"])


def test_nothing_of_ours_keeps_a_response_alive(captured: Captured) -> None:
    raw = client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    response = weakref.ref(raw.http_response)
    del raw
    gc.collect()
    assert response() is None
    assert len(captured) == 1
