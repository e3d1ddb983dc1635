"""Each function of delivery is made to fail once, on a worker thread: every event is delivered all the same."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.faults import PATIENCE, Failing, captures_and_delivers, functions_of, instrumented, plain

import ainsights
from ainsights import _internal_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from support.endpoints import Endpoint

CALLS = 3
FUNCTIONS = functions_of("_delivery", "_processing", "_privacy")
EXCEPT = {
    "_delivery/counters.add",  # nothing counts what could not be counted
    "_delivery/worker_pool._run",  # what fails before the first line of a thread fails in nobody's reach
}


class FailingOnce(Failing):
    """Fails on the first of our threads alone that comes to the function."""

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if not self.times:
            super().__call__(frame, event, arg)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(_internal_errors, "raising", False)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # a worker that dies is replaced, and logged
    with instrumented() as endpoint:
        yield endpoint


@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name not in EXCEPT])
def test_function_of_ours_that_fails_once_loses_no_event(endpoint: Endpoint, function: str) -> None:
    failing = FailingOnce(function, on_worker=True)
    threading.settrace(failing)
    try:
        assert [plain() for _ in range(CALLS)] == ["abc"] * CALLS
        assert endpoint.wait_for(
            lambda: len(endpoint.times_stored) + sum(ainsights.stats().dropped.values()) >= CALLS, PATIENCE
        )
        assert ainsights.flush(1) or ainsights.flush(PATIENCE)  # it may be the flush that fails
    finally:
        failing.times = 1
        threading.settrace(None)  # type: ignore[arg-type]
    stats = ainsights.stats()
    assert (stats.captured, stats.queued_events, stats.queued_bytes) == (CALLS, 0, 0)
    assert captures_and_delivers(endpoint)
