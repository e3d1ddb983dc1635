"""close() delivers what it can, within one deadline, and counts the rest; however threads interleave."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import running_endpoint
from support.models import COMPLETION
from support.polling import PATIENCE

import ainsights
from ainsights._delivery import pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from support.endpoints import Endpoint

    from ainsights._model import Insight


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


class PausedReader:
    """A thread that reads the statistics, and stops at the n-th line of the module that counts."""

    def __init__(self, insights: ainsights.Insights, line: int) -> None:
        self._lines_left = line
        self._insights = insights
        self.paused = threading.Event()
        self.resumed = threading.Event()
        self.thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        sys.settrace(self._enter)
        self._insights.stats()
        sys.settrace(None)

    def _enter(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        return self._step if frame.f_code.co_filename.endswith("counters.py") else None

    def _step(self, _frame: FrameType, _event: str, _arg: Any) -> Any:
        self._lines_left -= 1
        if self._lines_left == 0:
            self.paused.set()
            self.resumed.wait(PATIENCE)
        return self._step


def test_close_delivers_an_event_wherever_another_thread_is_in_counting(endpoint: Endpoint) -> None:
    for line in range(1, 100):
        with ainsights.Insights(base_url=endpoint.url, api_key="key") as insights:
            insights.capture(response=COMPLETION, messages="first")
            assert insights.flush(PATIENCE)
            reader = PausedReader(insights, line)
            reader.thread.start()
            while not reader.paused.wait(0.001) and reader.thread.is_alive():
                pass
            insights.capture(response=COMPLETION, messages="second")
            reader.resumed.set()
            reader.thread.join()
            assert insights.close(PATIENCE)
            assert (insights.stats().delivered, insights.stats().dropped) == (2, {})
        if not reader.paused.is_set():  # there are no more lines
            break
    assert line > 5
    assert len(endpoint.stored) == 2 * line


def test_queue_takes_an_event_for_each_that_has_left_it(endpoint: Endpoint) -> None:
    with ainsights.Insights(base_url=endpoint.url, api_key="key", max_queue_events=1) as insights:
        for number in range(200):
            insights.capture(response=COMPLETION, messages=str(number))
            assert insights.flush(PATIENCE)
        assert insights.stats().dropped == {}
    assert len(endpoint.stored) == 200


def hanging(_insight: Insight) -> Insight:
    time.sleep(0.3)
    return _insight


def closing_takes(insights: ainsights.Insights, timeout: float) -> float:
    began = time.monotonic()
    insights.close(timeout)
    return time.monotonic() - began


@pytest.mark.parametrize("concurrency", [1, 64])
def test_slow_before_send_holds_up_close_no_longer_than_its_deadline(
    endpoint: Endpoint, tmp_path: Path, concurrency: int
) -> None:
    insights = ainsights.Insights(
        base_url=endpoint.url, api_key="key", spool_dir=tmp_path / "spool", before_send=hanging, concurrency=concurrency
    )
    for number in range(30):
        insights.capture(response=COMPLETION, messages=str(number))
    assert closing_takes(insights, 1) < 4  # the hooks of all take 9
    stats = insights.stats()
    assert stats.captured == 30
    assert stats.delivered + stats.spooled + stats.dropped["exit"] == 30
    assert (stats.queued_events, stats.queued_bytes) == (0, 0)
    assert endpoint.wait_for(lambda: len(endpoint.stored) >= stats.delivered)


def test_what_is_in_the_queue_at_the_deadline_is_kept_in_the_spool(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "GRACE", PATIENCE)  # how much of it fits into 0.2 s depends on the machine
    endpoint.behave = lambda handler: handler.hang()
    insights = ainsights.Insights(base_url=endpoint.url, api_key="key", spool_dir=tmp_path / "spool")
    for number in range(100):
        insights.capture(response=COMPLETION, messages=str(number))
    assert insights.close(0)
    assert (insights.stats().spooled, insights.stats().dropped) == (100, {})


def test_locked_spool_holds_up_close_no_longer_than_its_deadline(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.behave = lambda handler: handler.hang()
    insights = ainsights.Insights(base_url=endpoint.url, api_key="key", spool_dir=tmp_path / "spool")
    insights.capture(response=COMPLETION, messages="first")
    assert endpoint.wait_for(lambda: endpoint.connections > 0)
    connection = sqlite3.connect(tmp_path / "spool" / "spool.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")  # as a process that is stopped in the middle
    insights.capture(response=COMPLETION, messages="second")
    try:
        assert closing_takes(insights, 0.5) < 1.5
    finally:
        connection.close()


def test_events_that_end_while_close_waits_are_delivered(endpoint: Endpoint) -> None:
    waiting = threading.Event()

    def slow(handler: Any) -> bool:
        if handler.number == 1:
            waiting.set()
            handler.endpoint.released.wait(0.5)
        return handler.answer(200)

    endpoint.behave = slow
    insights = ainsights.Insights(base_url=endpoint.url, api_key="key")
    insights.capture(response=COMPLETION, messages="before")
    assert waiting.wait(PATIENCE)
    closing = threading.Thread(target=insights.close, args=(PATIENCE,))
    closing.start()
    insights.capture(response=COMPLETION, messages="meanwhile")
    closing.join()
    assert sorted(body["messages"] for body in endpoint.stored) == ["before", "meanwhile"]
    assert insights.stats().dropped == {}


def test_close_may_be_called_again_to_end_earlier(endpoint: Endpoint) -> None:
    endpoint.behave = lambda handler: handler.hang()
    insights = ainsights.Insights(base_url=endpoint.url, api_key="key")
    insights.capture(response=COMPLETION, messages="first")
    closing = threading.Thread(target=insights.close, args=(PATIENCE,))
    closing.start()
    assert endpoint.wait_for(lambda: endpoint.connections > 0)
    insights.close(0)
    assert (insights.stats().dropped, insights.stats().queued_events) == ({"exit": 1}, 0)
    endpoint.released.set()
    closing.join()
    assert insights.stats().dropped == {"exit": 1}


def test_flush_after_close_returns_at_once(endpoint: Endpoint) -> None:
    insights = ainsights.Insights(base_url=endpoint.url, api_key="key")
    insights.capture(response=COMPLETION, messages="first")
    assert insights.close(PATIENCE)
    assert insights.flush(PATIENCE)


def test_late_answer_does_not_count_a_lost_event_again(endpoint: Endpoint) -> None:
    answered: list[bool] = []

    def late(handler: Any) -> bool:
        handler.endpoint.released.wait(0.5)
        answered.append(True)
        return handler.answer(200)

    endpoint.behave = late
    insights = ainsights.Insights(base_url=endpoint.url, api_key="key")
    insights.capture(response=COMPLETION, messages="first")
    assert endpoint.wait_for(lambda: endpoint.connections > 0)
    assert not insights.close(0)
    assert endpoint.wait_for(lambda: bool(answered))
    wait_for_threads_to_end()
    stats = insights.stats()
    assert (stats.delivered, stats.dropped, stats.queued_events, stats.queued_bytes) == (0, {"exit": 1}, 0, 0)


def wait_for_threads_to_end() -> None:
    for thread in threading.enumerate():
        if thread.name == "ainsights":
            thread.join(PATIENCE)
