"""Delivery is loaded with the first event, on a background thread; it may fail to load."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from support.endpoints import endpoint
from support.faults import PATIENCE
from support.models import MESSAGES, client

from ainsights import Insights, _internal_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.endpoints import Endpoint


@pytest.fixture
def it() -> Iterator[Endpoint]:
    with endpoint() as it:
        yield it


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
    it: Endpoint, broken: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    del broken
    with Insights(base_url=it.url, api_key="k") as insights:
        ask(insights, "ann")
        stats = insights.stats()
        assert (stats.captured, dict(stats.dropped)) == (1, {"failed": 1})
        assert stats.failures == {"starting the pipeline": 1}
    assert "internal error while starting the pipeline; your call is unaffected" in caplog.text
    assert it.requests == 0


def test_next_call_loads_delivery_again(it: Endpoint, broken: pytest.MonkeyPatch) -> None:
    with Insights(base_url=it.url, api_key="k") as insights:
        ask(insights, "ann")
        assert insights.stats().captured == 1
        broken.undo()
        ask(insights, "bob")
        assert insights.flush(PATIENCE)
    assert [body["user_id"] for body in it.stored] == ["bob"]


def test_client_without_a_call_closes_at_once_and_drops_later_ones(it: Endpoint) -> None:
    insights = Insights(base_url=it.url, api_key="k")
    assert insights.close()
    insights.capture(response={"choices": []}, messages="late")
    assert dict(insights.stats().dropped) == {"closed": 1}
    assert it.requests == 0
