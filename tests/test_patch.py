from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import threading
import weakref
from typing import TYPE_CHECKING, Any

import openai
import pytest
import wrapt
from openai import _base_client
from support.models import COMPLETION, EVENTS, MESSAGES, async_client, capturing, client, completed, http, streaming
from support.programs import run

import ainsights
from ainsights import _internal_errors
from ainsights._context.context import Context, current
from ainsights._instrumentation import patch as _patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.models import Captured

ATTRIBUTES = [
    (_base_client.SyncAPIClient, "request"),
    (_base_client.AsyncAPIClient, "request"),
    (_base_client.BaseClient, "_build_request"),
    (_base_client.SyncAPIClient, "_process_response"),
    (_base_client.AsyncAPIClient, "_process_response"),
]


@pytest.fixture
def captured() -> Iterator[Captured]:
    with capturing() as it:
        yield it


def originals() -> list[Any]:
    return [vars(owner)[name] for owner, name in ATTRIBUTES]


def create(it: openai.OpenAI, **more: Any) -> Any:
    return it.chat.completions.create(model="m", messages=MESSAGES, **more)


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


def test_call_that_sends_nothing_is_no_event(captured: Captured) -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises((ValueError, RecursionError)):
        create(client(), extra_body={"circle": circle})
    with pytest.raises(TypeError):
        client().chat.completions.create(model="m")  # type: ignore[call-overload]
    assert captured == []


def test_other_routes_are_no_event(captured: Captured) -> None:
    embedding = {"object": "embedding", "index": 0, "embedding": [0.5]}
    it = client(lambda _: http.Response(200, json={"object": "list", "data": [embedding]}))
    it.models.list()
    it.embeddings.create(model="m", input="x", encoding_format="float")
    assert captured == []


@pytest.mark.parametrize(
    "path", ["/chat/completions", "/chat/completions?x=1", "http://other.example/v9/chat/completions"]
)
def test_post_by_hand_is_captured(captured: Captured, path: str) -> None:
    client().post(path, cast_to=object, body={"model": "m", "messages": MESSAGES})
    assert captured.statuses == ["ok"]


def test_raw_response_is_one_event_however_often_it_is_parsed(captured: Captured) -> None:
    raw = client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.parse() == raw.parse()
    assert captured.statuses == ["ok"]


def test_response_of_which_only_headers_are_looked_at_is_unread(captured: Captured) -> None:
    it = client(lambda _: http.Response(200, stream=http.ByteStream(b'{"id": "c1"}')))
    with it.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        assert response.status_code == 200
    assert captured.statuses == ["unread"]


def test_streaming_response_that_is_read_is_ok(captured: Captured) -> None:
    it = client(lambda _: http.Response(200, stream=http.ByteStream(b'{"id": "c1", "choices": []}')))
    with it.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as response:
        response.read()
    assert captured.statuses == ["ok"]
    assert captured[0]["response"] == {"id": "c1", "choices": []}


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
    it = openai.AzureOpenAI(
        api_key="k",
        api_version="1",
        azure_endpoint="https://a.azure.example",
        http_client=http.Client(transport=http.MockTransport(completed)),
    )
    create(it)
    assert captured[0]["meta"]["ainsights.base_url"] == "https://a.azure.example/openai"


def test_async_call_is_captured(captured: Captured) -> None:
    async def main() -> None:
        async with async_client() as it:
            await it.chat.completions.create(model="m", messages=MESSAGES)

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


# Patching


def test_uninstall_restores_openai_exactly() -> None:
    before = originals()
    with capturing():
        assert all(ours is not theirs for ours, theirs in zip(originals(), before, strict=True))
    assert originals() == before


def test_wrapped_functions_look_like_openais_own() -> None:
    before = originals()
    with capturing():
        for ours, theirs in zip(originals(), before, strict=True):
            assert type(ours) is type(theirs)
            assert inspect.signature(ours) == inspect.signature(theirs)
            assert (ours.__name__, ours.__qualname__, ours.__doc__, ours.__module__) == (
                theirs.__name__,
                theirs.__qualname__,
                theirs.__doc__,
                theirs.__module__,
            )
        assert inspect.iscoroutinefunction(openai.AsyncOpenAI.request)
        assert not inspect.iscoroutinefunction(openai.OpenAI.request)


def test_installing_twice_captures_once() -> None:
    with capturing():
        _patch.install(_patch._recorder)  # type: ignore[arg-type]
        with capturing() as captured:
            create(client())
    assert len(captured) == 1


def test_client_and_bound_method_made_before_are_captured() -> None:
    it = client()
    method = it.chat.completions.create
    bound = functools.partial(method, model="m")
    with capturing() as captured:
        bound(messages=MESSAGES)
    method(model="m", messages=MESSAGES)
    assert len(captured) == 1


@pytest.mark.parametrize("ours_first", [True, False])
def test_strangers_wrapper_is_left_alone(monkeypatch: pytest.MonkeyPatch, *, ours_first: bool) -> None:
    seen: list[str] = []

    def wrap() -> None:
        inner = _base_client.SyncAPIClient.request

        @functools.wraps(inner)
        def request(*args: Any, **kwargs: Any) -> Any:
            seen.append("theirs")
            return inner(*args, **kwargs)

        monkeypatch.setattr(_base_client.SyncAPIClient, "request", request)

    if not ours_first:
        wrap()
    with capturing() as captured:
        if ours_first:
            wrap()
        create(client())
        assert (len(captured), seen) == (1, ["theirs"])
    create(client())
    assert (len(captured), seen) == (1, ["theirs", "theirs"])
    with capturing() as again:
        create(client())
    assert len(again) == 1


def test_wrapper_that_was_buried_is_put_back_once_the_stranger_has_gone() -> None:
    with capturing():
        pass  # and away with what an earlier stranger put back
    bare = _base_client.SyncAPIClient.request
    with capturing():
        _base_client.SyncAPIClient.request = functools.partialmethod(_base_client.SyncAPIClient.request)  # type: ignore[assignment, method-assign]
    _base_client.SyncAPIClient.request = bare  # type: ignore[method-assign]
    with capturing():
        assert _base_client.SyncAPIClient.request is not bare
    assert _base_client.SyncAPIClient.request is bare


def test_our_wrapper_is_taken_out_from_under_another_of_wrapts(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = _base_client.SyncAPIClient.request
    monkeypatch.setattr(_base_client.SyncAPIClient, "request", theirs)
    with capturing():
        wrapper = wrapt.wrap_function_wrapper(_base_client.SyncAPIClient, "request", lambda w, _i, a, k: w(*a, **k))
    assert wrapper.__wrapped__ is theirs


def test_anothers_wrapper_of_wrapts_is_restored_as_it_was_and_sees_what_it_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def theirs(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append((type(instance), len(args)))
        return wrapped(*args, **kwargs)

    monkeypatch.setattr(_base_client.SyncAPIClient, "request", _base_client.SyncAPIClient.request)
    wrapper = wrapt.wrap_function_wrapper(_base_client.SyncAPIClient, "request", theirs)
    it = client()
    create(it)
    with capturing() as captured:
        create(it)
    assert seen[0] == seen[1]
    assert captured.statuses == ["ok"]
    assert inspect.getattr_static(_base_client.SyncAPIClient, "request") is wrapper


def test_request_that_goes_past_our_hook_is_still_captured(captured: Captured) -> None:
    it = client(lambda request: http.Response(200, json=COMPLETION, request=request))
    theirs = inspect.unwrap(_base_client.SyncAPIClient.request)
    it.request = functools.partial(theirs, it)  # type: ignore[method-assign]
    create(it)
    assert captured.statuses == ["ok"]
    assert captured[0]["messages"] == MESSAGES


@pytest.mark.parametrize("step", ["begin", "on_request", "on_response", "read", "end"])
def test_failure_of_ours_is_counted_said_and_not_the_users(
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
        said = [record.getMessage() for record in caplog.records]
        assert said
        assert len(said) == len(set(said))
        create(client())
    assert captured.statuses[-1:] == ["ok"]


def test_stream_that_is_open_at_uninstall_ends_well_and_is_told() -> None:
    with capturing() as captured:
        stream = create(client(streaming(*EVENTS)), stream=True)
        next(stream)
    assert [chunk.choices[0].delta.content for chunk in stream] == ["b", "c"]
    assert (captured.statuses, captured.contents) == (["ok"], ["abc"])


def test_reloaded_openai_is_captured_once_it_is_instrumented_again() -> None:
    program = """
    import importlib, sys, ainsights, ainsights.testing
    from openai import _base_client
    insights = ainsights.testing.capture()
    before = client()
    importlib.reload(_base_client)
    before.chat.completions.create(model="m", messages=MESSAGES)
    for name in [name for name in sys.modules if name.partition(".")[0] == "openai"]:
        del sys.modules[name]
    import openai
    with ainsights.testing.capture() as again:
        client().chat.completions.create(model="m", messages=MESSAGES)
        before.chat.completions.create(model="m", messages=MESSAGES)
    insights.stop()
    client().chat.completions.create(model="m", messages=MESSAGES)
    print(len(insights), len(again))
    """
    ran = run(program)
    assert (ran.out, ran.err) == ("1 2\n", "")


def test_threads_that_install_and_uninstall_break_no_call() -> None:
    before, stop = originals(), threading.Event()

    def toggle() -> None:
        while not stop.is_set():
            ainsights.instrument(base_url="http://127.0.0.1:9", api_key="k")
            ainsights.uninstrument()

    togglers = [threading.Thread(target=toggle) for _ in range(2)]
    for each in togglers:
        each.start()
    try:
        it = client()
        assert {create(it).id for _ in range(100)} == {"c1"}
    finally:
        stop.set()
        for each in togglers:
            each.join()
        ainsights.shutdown(0)
    assert originals() == before


def test_nothing_of_ours_keeps_a_response_alive(captured: Captured) -> None:
    raw = client().chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    response = weakref.ref(raw.http_response)
    del raw
    gc.collect()
    assert response() is None
    assert len(captured) == 1
