"""Each step of ours is made to fail in turn: the user's result is what it was, we say so once, and go on afterwards."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from support.faults import (
    PATIENCE,
    BrokenError,
    Fault,
    abandoned,
    async_plain,
    async_stream,
    closed,
    goes_on,
    instrumented,
    load_pipeline,
    plain,
    stream,
)

import ainsights
from ainsights import _client, _internal_errors, _logging
from ainsights._delivery import http_sender
from ainsights._delivery.counters import Counters
from ainsights._destination import Destination
from ainsights._instrumentation import exchange as _exchange
from ainsights._instrumentation import patch
from ainsights._instrumentation.exchange import Exchange
from ainsights._model import Insight
from ainsights._processing import outcome, processor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.endpoints import Endpoint

CALLS = 3
"""Calls that are made while a step fails: one line is logged for all of them."""

ALL = (plain, stream, async_plain, async_stream)
STREAMS = (stream, async_stream)
STEPS: dict[str, tuple[Any, str, str, set[str], tuple[Any, ...]]] = {
    # what fails: where its name is looked up, on which threads, as what it is counted, the forms of a call it concerns;
    # what had no beginning is tried once more when its response comes
    "deciding to capture": (_client.Insights, "begin", "caller", {"recording a call", "recording a response"}, ALL),
    "making an exchange": (_client, "Exchange", "caller", {"recording a call", "recording a response"}, ALL),
    "starting the pipeline": (Destination, "_start", "caller", {"recording a call", "recording a response"}, ALL),
    "a request": (Exchange, "on_request", "caller", {"recording a request", "recording a response"}, ALL),
    "a body": (_exchange, "content_of", "caller", {"recording a request"}, STREAMS),
    "a response": (Exchange, "on_response", "caller", {"recording a response"}, STREAMS),
    "a response whose result is taken": (
        Exchange,
        "on_response",
        "caller",
        {"recording a response"},
        (plain, async_plain),
    ),
    "a whole body": (Exchange, "on_body", "caller", {"recording a response"}, (plain, async_plain)),
    "watching a stream": (patch, "watch", "caller", {"recording a response"}, STREAMS),
    "the end of a stream": (Exchange, "on_stream_end", "caller", {"recording the end of a stream"}, (stream,)),
    "closing": (Exchange, "end", "caller", {"recording the end of a stream"}, (closed,)),
    "the end at collection": (Exchange, "end", "caller", {"recording the end of a stream"}, (abandoned,)),
    "submitting a call": (Destination, "put", "caller", {"recording a response"}, (plain, async_plain)),
    "submitting a stream": (Destination, "put", "caller", {"recording the end of a stream"}, STREAMS),
    "counting a call": (Counters, "add_captured", "caller", {"recording a response"}, (plain, async_plain)),
    "counting a stream": (Counters, "add_captured", "caller", {"recording the end of a stream"}, STREAMS),
    "decoding": (processor, "decode", "worker", {"encoding an event"}, ALL),
    "accumulating": (outcome, "accumulate", "worker", {"encoding an event"}, STREAMS),
    "naming an event": (processor, "new_event_id", "worker", {"encoding an event"}, ALL),
    "encoding": (Insight, "encode", "worker", {"encoding an event"}, ALL),
}
STILL_CAPTURED = {"a body", "the end of a stream", "a response whose result is taken"}
"""With what is known all the same: the close of the response ends a stream too."""


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(_internal_errors, "raising", False)
    with instrumented() as it:
        yield it


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any, str, str], Fault]]:
    faults: list[Fault] = []

    def breaks(owner: Any, name: str, where: str) -> Fault:
        fault = Fault(getattr(owner, name), where)
        monkeypatch.setattr(owner, name, lambda *args, **kwargs: fault.raise_instead(*args, **kwargs))  # noqa: PLW0108  a function becomes a method
        faults.append(fault)
        return fault

    yield breaks
    for fault in faults:
        fault.repaired = True


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "ainsights"]


@pytest.mark.parametrize(
    ("step", "call"),
    [(step, call) for step, row in STEPS.items() for call in row[-1]],
    ids=lambda it: getattr(it, "__name__", it),
)
def test_step_that_fails_is_kept_from_the_user_counted_logged_once_and_over_when_repaired(
    it: Endpoint,
    breaks: Callable[[Any, str, str], Fault],
    caplog: pytest.LogCaptureFixture,
    step: str,
    call: Callable[[], Any],
) -> None:
    owner, name, where, counted, _ = STEPS[step]
    if step.startswith(("submitting", "counting")):
        load_pipeline(it)  # or the thread that loads it would queue the event, and fail instead of the caller
    fault = breaks(owner, name, where)
    assert [call() for _ in range(CALLS)] == ["abc"] * CALLS
    assert fault.wait(CALLS)
    assert ainsights.flush(PATIENCE)
    stats = ainsights.stats()
    assert set(stats.failures) == counted
    assert min(stats.failures.values()) >= CALLS
    assert (stats.queued_events, stats.queued_bytes) == (0, 0)
    assert len(it.stored) == (CALLS if step in STILL_CAPTURED else 0)
    assert len(logged(caplog)) == len(counted)
    fault.repaired = True
    assert goes_on(it)


@pytest.mark.parametrize("call", [stream, async_stream])
def test_chunk_that_cannot_be_noted_is_kept_from_the_user(
    it: Endpoint, breaks: Callable[[Any, str, str], Fault], call: Callable[[], Any]
) -> None:
    fault = breaks(Exchange, "reserve", "caller")
    assert call() == "abc"
    assert set(ainsights.stats().failures) == {"recording a chunk"}
    fault.repaired = True
    assert goes_on(it)


def test_connection_that_cannot_be_made_is_made_again(
    it: Endpoint, breaks: Callable[[Any, str, str], Fault], caplog: pytest.LogCaptureFixture
) -> None:
    fault = breaks(http_sender, "HttpSender", "worker")
    assert [plain() for _ in range(CALLS)] == ["abc"] * CALLS
    assert not ainsights.flush(0.5)
    assert fault.wait(CALLS)
    assert len(logged(caplog)) == 1
    assert "is sent again: BrokenError" in caplog.text
    fault.repaired = True
    assert ainsights.flush(PATIENCE)
    assert set(it.times_stored.values()) == {1}
    assert (ainsights.stats().delivered, ainsights.stats().queued_events) == (CALLS, 0)


class Deaf(logging.Handler):
    def emit(self, _record: logging.LogRecord) -> None:
        raise BrokenError


def test_failing_log_handler_of_the_users_does_not_make_our_failure_theirs(
    it: Endpoint, breaks: Callable[[Any, str, str], Fault]
) -> None:
    handler = Deaf()
    _logging.logger.addHandler(handler)
    try:
        fault = breaks(Exchange, "on_response", "caller")
        assert plain() == "abc"
        fault.repaired = True
        assert goes_on(it)
    finally:
        _logging.logger.removeHandler(handler)
