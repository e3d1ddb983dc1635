"""What our hooks leave of openai's attributes, and what other libraries' wrappers do to them."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import threading
from typing import TYPE_CHECKING, Any

import openai
import pytest
import wrapt
from openai import _base_client
from support.endpoints import free_port
from support.models import COMPLETION, EVENTS, MESSAGES, async_client, capturing, client, http, streaming
from support.programs import run

import ainsights
from ainsights._cli import main
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


def originals() -> list[Any]:
    return [vars(owner)[name] for owner, name in ATTRIBUTES]


def create(openai_client: openai.OpenAI, **more: Any) -> Any:
    return openai_client.chat.completions.create(model="m", messages=MESSAGES, **more)


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
    openai_client = client()
    method = openai_client.chat.completions.create
    bound = functools.partial(method, model="m")
    with capturing() as captured:
        bound(messages=MESSAGES)
    method(model="m", messages=MESSAGES)
    assert len(captured) == 1


@pytest.mark.parametrize("ours_first", [True, False])
def test_third_party_wrapper_is_left_in_place(monkeypatch: pytest.MonkeyPatch, *, ours_first: bool) -> None:
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


def test_hidden_wrapper_is_restored_once_the_third_party_wrapper_is_removed() -> None:
    with capturing():
        pass  # removes what an earlier third-party wrapper restored
    bare = _base_client.SyncAPIClient.request
    with capturing():
        _base_client.SyncAPIClient.request = functools.partialmethod(_base_client.SyncAPIClient.request)  # type: ignore[assignment, method-assign]
    _base_client.SyncAPIClient.request = bare  # type: ignore[method-assign]
    with capturing():
        assert _base_client.SyncAPIClient.request is not bare
    assert _base_client.SyncAPIClient.request is bare


def test_our_wrapper_is_removed_from_below_another_wrapt_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = _base_client.SyncAPIClient.request
    monkeypatch.setattr(_base_client.SyncAPIClient, "request", theirs)
    with capturing():
        wrapper = wrapt.wrap_function_wrapper(_base_client.SyncAPIClient, "request", lambda w, _i, a, k: w(*a, **k))
    assert wrapper.__wrapped__ is theirs


def test_wrapt_wrapper_of_another_library_is_restored_and_sees_the_same_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def theirs(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        seen.append((type(instance), len(args)))
        return wrapped(*args, **kwargs)

    monkeypatch.setattr(_base_client.SyncAPIClient, "request", _base_client.SyncAPIClient.request)
    wrapper = wrapt.wrap_function_wrapper(_base_client.SyncAPIClient, "request", theirs)
    openai_client = client()
    create(openai_client)
    with capturing() as captured:
        create(openai_client)
    assert seen[0] == seen[1]
    assert captured.statuses == ["ok"]
    assert inspect.getattr_static(_base_client.SyncAPIClient, "request") is wrapper


def test_request_that_goes_past_our_hook_is_still_captured(captured: Captured) -> None:
    openai_client = client(lambda request: http.Response(200, json=COMPLETION, request=request))
    theirs = inspect.unwrap(_base_client.SyncAPIClient.request)
    openai_client.request = functools.partial(theirs, openai_client)  # type: ignore[method-assign]
    create(openai_client)
    assert captured.statuses == ["ok"]
    assert captured[0]["messages"] == MESSAGES


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
        openai_client = client()
        assert {create(openai_client).id for _ in range(100)} == {"c1"}
    finally:
        stop.set()
        for each in togglers:
            each.join()
        ainsights.shutdown(0)
    assert originals() == before


# Introspection


@pytest.mark.parametrize(("owner", "name"), ATTRIBUTES)
@pytest.mark.parametrize(
    "look",
    [
        inspect.iscoroutinefunction,
        asyncio.iscoroutinefunction,
        inspect.isfunction,
        inspect.signature,
        inspect.getfullargspec,
        inspect.getsource,
        lambda function: function.__kwdefaults__,
        lambda function: function.__annotations__,
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_introspection_gives_the_same_as_without_us(owner: type, name: str, look: Callable[[Any], Any]) -> None:
    bare = look(getattr(owner, name))
    with capturing():
        assert look(getattr(owner, name)) == bare


# A library that wraps with wrapt, and whose unwrap goes by ``__wrapped__``, as ddtrace's does

RESPONSES = [_base_client.SyncAPIClient, _base_client.AsyncAPIClient]


def wrap(owner: Any, name: str) -> None:
    wrapt.wrap_function_wrapper(owner, name, lambda wrapped, _instance, args, kwargs: wrapped(*args, **kwargs))


def unwrap(owner: Any, name: str) -> None:
    setattr(owner, name, getattr(owner, name).__wrapped__)


@pytest.fixture
def stripped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Captured]:
    """Capture, with both response hooks removed by another library's unwrap."""
    for owner in RESPONSES:
        monkeypatch.setattr(owner, "_process_response", owner._process_response)
        wrap(owner, "_process_response")
    with capturing() as captured:
        for owner in RESPONSES:
            unwrap(owner, "_process_response")
        yield captured


def test_calls_are_captured_after_an_unwrap_removed_our_hook(stripped: Captured) -> None:
    assert create(client()).id == "c1"
    assert asyncio.run(async_client().chat.completions.create(model="m", messages=MESSAGES)).id == "c1"
    assert list(create(client(streaming(*EVENTS)), stream=True))
    assert stripped.statuses == ["ok"] * 3
    assert [body["messages"] for body in stripped] == [MESSAGES] * 3
    assert stripped.contents == ["abc"] * 3


def test_lost_hook_is_logged_once(stripped: Captured, caplog: pytest.LogCaptureFixture) -> None:
    create(client())
    create(client())
    (line,) = [record.getMessage() for record in caplog.records]
    assert "SyncAPIClient._process_response" in line
    assert len(stripped) == 2


def test_installing_again_puts_a_lost_hook_back(stripped: Captured) -> None:
    create(client())
    _patch.install(stripped)
    create(client())
    assert [body["meta"].get("ainsights.request_id") for body in stripped] == [None, "r1"]


def test_reinstrumenting_puts_a_lost_hook_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RESPONSES[0], "_process_response", RESPONSES[0]._process_response)
    wrap(RESPONSES[0], "_process_response")
    with capturing():
        unwrap(RESPONSES[0], "_process_response")
    with capturing() as captured:
        create(client())
    assert captured[0]["meta"]["ainsights.request_id"] == "r1"


def test_unwrap_of_a_wrapper_around_ours_leaves_ours(captured: Captured) -> None:
    wrap(_base_client.SyncAPIClient, "_process_response")
    create(client())
    unwrap(_base_client.SyncAPIClient, "_process_response")
    create(client())
    assert [body["meta"]["ainsights.request_id"] for body in captured] == ["r1", "r1"]


def test_stats_name_a_lost_hook(stripped: Captured) -> None:
    assert len(stripped) == 0
    insights = ainsights.Insights(base_url="http://127.0.0.1:9", api_key="k")
    assert insights.stats().lost_hooks == ("SyncAPIClient._process_response", "AsyncAPIClient._process_response")
    assert "hooks lost: SyncAPIClient._process_response" in str(insights.stats())
    _patch.install(stripped)
    assert insights.stats().lost_hooks == ()


def test_doctor_names_a_lost_hook(
    stripped: Captured, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(stripped) == 0
    monkeypatch.setenv("AINSIGHTS_BASE_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AINSIGHTS_API_KEY", "k")
    main(["doctor", "--json"])
    (found,) = [each for each in json.loads(capsys.readouterr().out)["findings"] if each["check"] == "hooks"]
    assert (found["level"], found["details"]["lost"]) == (
        "problem",
        ["SyncAPIClient._process_response", "AsyncAPIClient._process_response"],
    )
    assert "instrument() again" in found["remedy"]


def test_wrapper_that_hides_ours_does_not_capture_twice(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ATTRIBUTES:
        ours = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, _ours=ours, **kwargs: _ours(*args, **kwargs))
    _patch.install(captured)
    create(client())
    assert captured.statuses == ["ok"]
    _patch.uninstall()
    create(client())
    assert captured.statuses == ["ok"]
