"""Delivery is loaded with the first event, on a background thread; it may fail to load."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest
from support.endpoints import free_port, running_endpoint
from support.models import MESSAGES, client
from support.polling import PATIENCE, wait_until

from ainsights import Insights, _internal_errors
from ainsights._delivery import pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.endpoints import Endpoint


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Delivery cannot be imported, until this is undone."""
    monkeypatch.setattr(_internal_errors, "raising", False)
    monkeypatch.setitem(sys.modules, "ainsights._delivery.pipeline", None)
    return monkeypatch


def ask(insights: Insights, user: str) -> None:
    watched = insights.watch(client())
    watched.chat.completions.create(model="m", messages=MESSAGES, user=user)


def test_event_is_counted_as_lost_if_delivery_fails_to_load(
    endpoint: Endpoint, broken: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    del broken
    with Insights(base_url=endpoint.url, api_key="k") as insights:
        ask(insights, "ann")
        wait_until(lambda: insights.stats().captured == 1)
        stats = insights.stats()
        assert dict(stats.dropped) == {"failed": 1}
        assert set(stats.failures) == {"starting the pipeline"}
    assert "internal error while starting the pipeline; your call is unaffected" in caplog.text
    assert endpoint.requests == 0


def test_next_call_loads_delivery_again(endpoint: Endpoint, broken: pytest.MonkeyPatch) -> None:
    with Insights(base_url=endpoint.url, api_key="k") as insights:
        ask(insights, "ann")
        wait_until(lambda: insights.stats().captured == 1)
        broken.undo()
        ask(insights, "bob")
        assert insights.flush(PATIENCE)
    assert [body["user_id"] for body in endpoint.stored] == ["bob"]


def test_flush_is_false_while_delivery_still_loads(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Insights(base_url=f"http://127.0.0.1:{free_port()}", api_key="k", spool_dir=tmp_path / "spool") as before:
        before.capture(response={"choices": []}, messages="kept")
    slow, real = threading.Event(), pipeline.Pipeline
    monkeypatch.setattr(pipeline, "Pipeline", lambda counters: slow.wait(PATIENCE) and real(counters))
    with Insights(base_url=endpoint.url, api_key="k", spool_dir=tmp_path / "spool") as insights:
        insights.start_delivery()
        assert not insights.flush(0.05)
        slow.set()
        assert insights.flush(PATIENCE)
        assert [body["messages"] for body in endpoint.stored] == ["kept"]


def test_client_without_a_call_closes_at_once_and_drops_later_ones(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    insights = Insights(base_url=endpoint.url, api_key="k")
    assert insights.close()
    insights.capture(response={"choices": []}, messages="late")
    assert dict(insights.stats().dropped) == {"closed": 1}
    assert endpoint.requests == 0
    assert not insights.close()
    assert caplog.messages[-1] == "1 event lost at shutdown: captured after the client was closed"
    assert insights.close()
