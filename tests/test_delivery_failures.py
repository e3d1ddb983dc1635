"""Each function of delivery is made to fail once, on a worker thread: every event is delivered all the same."""

from __future__ import annotations

import ast
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.faults import PATIENCE, BrokenError, goes_on, instrumented, plain

import ainsights
from ainsights import _internal_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from support.endpoints import Endpoint

DELIVERY = Path(ainsights.__file__).parent / "_delivery"
CALLS = 3
WORKER = "ainsights"
"""The name of a worker thread."""


EXCEPT = {
    "counters.add",  # nothing counts what could not be counted
    "worker_pool._run",  # what fails before the first line of a thread fails in nobody's reach
}


def functions() -> list[str]:
    """Return the functions of delivery that do something, as module.name. Those of the sender fail by the network."""
    modules = [module for module in sorted(DELIVERY.glob("*.py")) if module.stem != "http_sender"]
    found = {
        f"{module.stem}.{node.name}"
        for module in modules
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef) and not (len(node.body) == 1 and isinstance(node.body[0], ast.Expr))
    }
    return sorted(found - EXCEPT)


class Failing:
    """A trace function of threads that raises when a worker first enters one function."""

    def __init__(self, function: str) -> None:
        module, _, self.name = function.partition(".")
        self.file = str(DELIVERY / f"{module}.py")
        self.failed = False

    def __call__(self, frame: FrameType, _event: str, _arg: Any) -> None:
        code = frame.f_code
        if self.failed or code.co_name != self.name or code.co_filename != self.file:
            return
        if threading.current_thread().name == WORKER:
            self.failed = True
            raise BrokenError


@pytest.fixture
def it(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(_internal_errors, "raising", False)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # a worker that dies is replaced, and logged
    with instrumented() as it:
        yield it


@pytest.mark.parametrize("function", functions())
def test_function_of_delivery_that_fails_once_loses_no_event(it: Endpoint, function: str) -> None:
    failing = Failing(function)
    threading.settrace(failing)
    try:
        assert [plain() for _ in range(CALLS)] == ["abc"] * CALLS
        assert it.wait_for(lambda: len(it.times_stored) + sum(ainsights.stats().dropped.values()) >= CALLS, PATIENCE)
        assert ainsights.flush(1) or ainsights.flush(PATIENCE)  # it may be the flush that fails
    finally:
        failing.failed = True
        threading.settrace(None)  # type: ignore[arg-type]
    stats = ainsights.stats()
    assert (stats.captured, stats.queued_events, stats.queued_bytes) == (CALLS, 0, 0)
    assert goes_on(it)
