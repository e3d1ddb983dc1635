"""Each function of ours that runs within a call of the user's is made to fail, and the call returns what it would."""

from __future__ import annotations

import gc
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.faults import (
    PATIENCE,
    BrokenError,
    Failing,
    abandoned,
    async_plain,
    async_stream,
    captures_and_delivers,
    closed,
    functions_entered,
    instrumented,
    load_pipeline,
    plain,
    stream,
)

import ainsights
from ainsights import _internal_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.endpoints import Endpoint

CALLS: tuple[Callable[[], Any], ...] = (plain, stream, async_plain, async_stream, closed, abandoned)
IN_PLACE_OF_OPENAI = {
    *(f"_instrumentation/patch.{name}" for name in ("request", "build_request", "process_response")),
    *(
        f"_instrumentation/stream.{name}"
        for name in ("__iter__", "_recording", "close", "__aiter__", "__anext__", "aclose")
    ),
}
"""Their first line is a line of the user's call."""
GUARDED_WITHIN = {
    *(f"_internal_errors.{name}" for name in ("__enter__", "__exit__")),
    *(f"_instrumentation/patch.{name}" for name in ("_begin", "_see_response")),
    *(f"_instrumentation/stream.{name}" for name in ("_make_room", "_stop", "_close", "_collected")),
}
"""The guard, and functions whose first line it is: before it there is nothing that could fail."""
UNCOUNTED = {"_delivery/counters._apply"}
"""Nothing counts what could not be counted."""
CONNECTIONS = 3
EXCEPT = IN_PLACE_OF_OPENAI | GUARDED_WITHIN | UNCOUNTED


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(_internal_errors, "raising", False)
    gc.freeze()  # so that collecting what is abandoned looks through little
    with instrumented() as endpoint:
        yield endpoint
    gc.unfreeze()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.name == "ainsights"]


@pytest.mark.parametrize("call", CALLS)
def test_function_that_fails_is_kept_from_the_user_counted_logged_once_and_over_when_it_works(
    endpoint: Endpoint, logged: Callable[[], list[str]], call: Callable[[], Any]
) -> None:
    load_pipeline(endpoint)
    functions = functions_entered(call) - EXCEPT
    assert len(functions) > 20
    for function in sorted(functions):
        failing, before = Failing(function, on_worker=False), sum(ainsights.stats().failures.values())
        with failing.once_in_this_thread():
            assert call() == "abc", function
        assert sum(ainsights.stats().failures.values()) >= before + failing.times, function
    assert ainsights.flush(PATIENCE)
    stats = ainsights.stats()
    assert len(logged()) == len(stats.failures)
    assert (stats.queued_events, stats.queued_bytes) == (0, 0)
    assert set(endpoint.times_stored.values()) == {1}
    assert captures_and_delivers(endpoint)


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("_instrumentation/exchange.content_of", stream),
        ("_instrumentation/exchange.on_stream_end", stream),
        ("_instrumentation/exchange.on_response", plain),
    ],
)
def test_call_of_which_one_step_could_not_be_recorded_is_an_event(
    endpoint: Endpoint, function: str, call: Callable[[], Any]
) -> None:
    failing = Failing(function, on_worker=False)  # which steps an event needs is a fact about these very functions
    with failing.once_in_this_thread():
        assert call() == "abc"
    assert failing.times == 1
    assert ainsights.flush(PATIENCE)
    assert len(endpoint.stored) == 1


def test_connection_that_cannot_be_made_is_made_again(
    endpoint: Endpoint, logged: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, failures = socket.socket.connect, []

    def fail(sock: socket.socket, address: Any) -> None:
        if threading.current_thread() is threading.main_thread() or len(failures) >= CONNECTIONS:
            connect(sock, address)
            return
        failures.append(address)
        raise BrokenError

    monkeypatch.setattr(socket, "socket", type("Broken", (socket.socket,), {"connect": fail}))
    assert plain() == "abc"
    assert ainsights.flush(PATIENCE)
    assert len(failures) == CONNECTIONS
    assert len(logged()) == 1
    assert "is sent again: BrokenError" in logged()[0]
    assert set(endpoint.times_stored.values()) == {1}


class Deaf(logging.Handler):
    def emit(self, _record: logging.LogRecord) -> None:
        raise BrokenError


def test_failing_log_handler_of_the_users_does_not_make_our_failure_theirs(endpoint: Endpoint) -> None:
    handler = Deaf()
    logging.getLogger("ainsights").addHandler(handler)
    try:
        for function in sorted(functions_entered(plain) - EXCEPT):
            with Failing(function, on_worker=False).once_in_this_thread():
                assert plain() == "abc", function
        assert captures_and_delivers(endpoint)
    finally:
        logging.getLogger("ainsights").removeHandler(handler)
