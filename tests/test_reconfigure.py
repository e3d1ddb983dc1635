"""``instrument()`` with other settings: they hold at once, nobody waits, and each event goes where it was to go."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import Endpoint, Handler, running_endpoint
from support.models import COMPLETION, EVENTS, MESSAGES, client, streaming
from support.polling import PATIENCE, wait_until

import ainsights

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 30.0
"""Seconds that a flush would wait for an endpoint that hangs."""
AT_ONCE = 5.0
"""Seconds that separate what waits from what does not, also on a busy machine."""


@pytest.fixture
def old() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def new() -> Iterator[Endpoint]:
    with running_endpoint() as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def _shut_down() -> Iterator[None]:
    yield
    ainsights.shutdown(0)


def ask(user: str) -> None:
    client().chat.completions.create(model="m", messages=MESSAGES, user=user)


def users(endpoint: Endpoint) -> list[Any]:
    return sorted(body["user_id"] for body in endpoint.stored)


def hold(endpoint: Endpoint) -> threading.Event:
    """Let the endpoint answer only after the event that is returned is set."""
    released = threading.Event()

    def answer(handler: Handler) -> bool:
        assert released.wait(PATIENCE)
        return handler.answer(200)

    endpoint.behave = answer
    return released


def test_change_does_not_wait_for_an_endpoint_that_hangs(old: Endpoint, new: Endpoint) -> None:
    old.behave = lambda handler: handler.hang()
    ainsights.instrument(base_url=old.url, api_key="k", exit_timeout=LONG)
    ask("before")
    wait_until(lambda: ainsights.stats().in_flight)
    began = time.monotonic()
    ainsights.instrument(base_url=new.url, api_key="k", exit_timeout=LONG)
    ask("after")
    assert time.monotonic() - began < AT_ONCE
    assert new.wait_for(lambda: users(new) == ["after"])


def test_change_does_not_hold_up_a_call_that_needs_the_default_client(old: Endpoint, new: Endpoint) -> None:
    old.behave = lambda handler: handler.hang()
    ainsights.instrument(base_url=old.url, api_key="k", exit_timeout=LONG)
    ask("before")
    wait_until(lambda: ainsights.stats().in_flight)
    changing = threading.Thread(
        target=ainsights.instrument, kwargs={"base_url": new.url, "api_key": "k", "exit_timeout": LONG}
    )
    began = time.monotonic()
    changing.start()
    ainsights.capture(response=COMPLETION, messages="hi")
    assert time.monotonic() - began < AT_ONCE
    changing.join()


def test_each_event_reaches_the_endpoint_it_was_captured_for_and_is_counted_once(old: Endpoint, new: Endpoint) -> None:
    released = hold(old)
    ainsights.instrument(base_url=old.url, api_key="k")
    for number in range(5):
        ask(f"old {number}")
    ainsights.instrument(base_url=new.url, api_key="k", user_id="nobody")
    for number in range(3):
        ask(f"new {number}")
    wait_until(lambda: ainsights.stats().delivered == 3)
    stats = ainsights.stats()
    assert (stats.captured, stats.delivered, stats.queued_events) == (8, 3, 5)
    released.set()
    assert ainsights.flush(PATIENCE)
    stats = ainsights.stats()
    assert (stats.captured, stats.delivered, stats.queued_events, dict(stats.dropped)) == (8, 8, 0, {})
    assert users(old) == [f"old {number}" for number in range(5)]
    assert users(new) == [f"new {number}" for number in range(3)]


def test_earlier_threads_end_once_their_events_are_delivered(old: Endpoint, new: Endpoint) -> None:
    before = threading.active_count()
    for number in range(5):
        ainsights.instrument(base_url=old.url, api_key="k", user_id=str(number))
        ask(str(number))
    assert old.wait_for(lambda: len(old.stored) == 5)
    wait_until(lambda: threading.active_count() <= before + 2 + 5)  # the endpoint's connections end with the workers
    ainsights.instrument(base_url=new.url, api_key="k")
    assert ainsights.shutdown(PATIENCE)
    assert ainsights.stats().captured == 0


def test_event_held_for_the_old_key_is_sent_with_the_new_one(old: Endpoint) -> None:
    old.behave = lambda handler: handler.answer(200 if handler.headers["Authorization"] == "Bearer right" else 401)
    ainsights.instrument(base_url=old.url, api_key="wrong")
    ask("ann")
    wait_until(lambda: ainsights.stats().held)
    ainsights.instrument(base_url=old.url, api_key="right")
    assert ainsights.flush(PATIENCE)
    assert (users(old), ainsights.stats().state) == (["ann"], "running")


def test_event_held_for_the_old_key_after_the_change_is_sent_with_the_new_one(old: Endpoint) -> None:
    released = threading.Event()

    def answer(handler: Handler) -> bool:
        if handler.headers["Authorization"] == "Bearer right":
            return handler.answer(200)
        assert released.wait(PATIENCE)
        return handler.answer(401)

    old.behave = answer
    ainsights.instrument(base_url=old.url, api_key="wrong")
    ask("ann")
    wait_until(lambda: ainsights.stats().in_flight)
    ainsights.instrument(base_url=old.url, api_key="right")
    released.set()
    assert old.wait_for(lambda: users(old) == ["ann"])


def test_what_the_old_endpoint_never_takes_is_counted_as_lost(
    old: Endpoint, new: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    old.behave = lambda handler: handler.hang()
    ainsights.instrument(base_url=old.url, api_key="k")
    ask("old")
    wait_until(lambda: ainsights.stats().in_flight)
    ainsights.instrument(base_url=new.url, api_key="k")
    ask("new")
    assert new.wait_for(lambda: users(new) == ["new"])
    assert not ainsights.shutdown(0.1)
    assert "1 event lost at shutdown" in caplog.text


def test_stream_that_was_open_uses_the_new_settings(old: Endpoint, new: Endpoint) -> None:
    ainsights.instrument(base_url=old.url, api_key="k")
    stream = client(streaming(*EVENTS)).chat.completions.create(model="m", messages=MESSAGES, stream=True)
    ainsights.instrument(base_url=new.url, api_key="k")
    list(stream)
    assert ainsights.flush(PATIENCE)
    assert (len(old.stored), len(new.stored)) == (0, 1)
