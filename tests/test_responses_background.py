"""A response made in the background is one event, at its end, with the request of the call that created it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("openai.types.responses", reason="this openai has no Responses API")

from openai import APIError
from support.endpoints import running_endpoint
from support.models import async_client, client
from support.responses import (
    ID,
    BackgroundApi,
    cancel_response,
    compatible_arguments,
    create_in_background,
    events_of,
    message,
    response,
    resume_stream,
)

import ainsights
import ainsights.testing
from ainsights import Insights
from ainsights._processing import pending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ainsights.testing import Captured

QUEUED = response(status="queued", background=True)
RUNNING = response(status="in_progress", background=True)
DONE = response(message("done"), background=True)
EVENTS = events_of(DONE)


@pytest.fixture
def insights() -> Iterator[Captured]:
    with ainsights.testing.capture() as recorded:
        yield recorded


def seen(insights: Captured) -> list[tuple[Any, Any, Any]]:
    """Return of each event its status, its first message and what was answered."""
    return [(each.meta["ainsights.status"], (each.messages or [None])[0], content_of(each)) for each in insights]


def content_of(insight: Any) -> Any:
    choices = insight.response["choices"]
    return choices[0]["message"]["content"] if choices else None


HI = {"role": "user", "content": "hi"}


def test_response_that_is_polled_is_one_event_at_its_end(insights: Captured) -> None:
    api = BackgroundApi(QUEUED, RUNNING, RUNNING, DONE, DONE)
    create_in_background(api)
    for _ in range(2):
        client(api).responses.retrieve(ID)
    assert insights == []
    client(api).responses.retrieve(ID)
    assert seen(insights) == [("ok", HI, "done")]
    client(api).responses.retrieve(ID)
    assert len(insights) == 1
    assert insights[0].args == {"model": "m", "background": True}
    assert insights[0].response["status"] == "completed"


async def poll_async(api: Any) -> None:
    made = async_client(api)
    await made.responses.create(model="m", input="hi", **compatible_arguments(made.responses.create, background=True))
    await made.responses.retrieve(ID)


@pytest.mark.anyio
async def test_response_that_an_async_client_polls_is_one_event(insights: Captured) -> None:
    await poll_async(BackgroundApi(QUEUED, DONE))
    assert seen(insights) == [("ok", HI, "done")]


def test_latency_of_a_polled_response_is_that_until_its_end(insights: Captured) -> None:
    api = BackgroundApi(QUEUED, DONE)
    create_in_background(api)
    client(api).responses.retrieve(ID)
    (insight,) = insights
    assert insight.meta["ainsights.latency_ms"] > 0
    assert insight.meta["ainsights.base_url"] == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (response(status="failed", background=True, error={"code": "server_error", "message": "no"}), "error"),
        (response(message("half"), status="incomplete", background=True), "ok"),
        (response(status="cancelled", background=True), "cancelled"),
    ],
)
def test_each_terminal_state_is_the_end(insights: Captured, end: dict[str, Any], status: str) -> None:
    api = BackgroundApi(QUEUED, end)
    create_in_background(api)
    client(api).responses.retrieve(ID)
    assert [each.meta["ainsights.status"] for each in insights] == [status]
    assert insights[0].response["status"] == end["status"]


def test_cancelled_response_ends_with_the_call_that_cancels_it(insights: Captured) -> None:
    api = BackgroundApi(QUEUED, response(status="cancelled", background=True))
    create_in_background(api)
    cancel_response(api)
    assert seen(insights) == [("cancelled", HI, None)]
    assert api.requests[1] == ("POST", f"/v1/responses/{ID}/cancel")


def test_failed_lookup_ends_nothing(insights: Captured) -> None:
    api = BackgroundApi(QUEUED, 500, DONE)
    create_in_background(api)
    with pytest.raises(APIError):
        client(api).responses.retrieve(ID)
    assert insights == []
    client(api).responses.retrieve(ID)
    assert seen(insights) == [("ok", HI, "done")]


def test_response_that_never_ends_is_reported_at_the_end_with_what_is_known() -> None:
    with ainsights.testing.capture() as insights:
        api = BackgroundApi(QUEUED, RUNNING)
        create_in_background(api)
        client(api).responses.retrieve(ID)
        assert insights == []
    assert seen(insights) == [("abandoned", HI, None)]
    assert insights[0].response["status"] == "in_progress"


def test_stream_that_was_cut_is_one_event_with_the_stream_that_resumes_it(insights: Captured) -> None:
    api = BackgroundApi(EVENTS[:6], EVENTS[6:])
    with create_in_background(api, stream=True) as stream:
        last = list(stream)[-1].sequence_number
    assert insights == []
    assert len(list(resume_stream(api, last))) == len(EVENTS) - 6
    assert seen(insights) == [("ok", HI, "done")]
    assert insights[0].meta["ainsights.stream"] is True


def test_resumed_stream_that_is_cut_too_is_assembled_from_both() -> None:
    with ainsights.testing.capture() as insights:
        api = BackgroundApi(EVENTS[:5], EVENTS[4:6])  # one event comes twice
        for _ in create_in_background(api, stream=True):
            pass
        for _ in resume_stream(api, 3):
            pass
    assert [content_of(each) for each in insights] == ["done"]
    assert insights[0].meta["ainsights.partial"] is True


def test_stream_that_a_poll_ends_is_one_event(insights: Captured) -> None:
    api = BackgroundApi(EVENTS[:5], RUNNING, DONE)
    for _ in create_in_background(api, stream=True):
        pass
    for _ in range(2):
        client(api).responses.retrieve(ID)
    assert seen(insights) == [("ok", HI, "done")]


def test_queued_response_that_is_streamed_later_is_one_event(insights: Captured) -> None:
    api = BackgroundApi(QUEUED, EVENTS)
    create_in_background(api)
    list(resume_stream(api, -1))
    assert seen(insights) == [("ok", HI, "done")]


def test_queued_response_whose_later_stream_is_cut_has_what_arrived() -> None:
    with ainsights.testing.capture() as insights:
        api = BackgroundApi(QUEUED, EVENTS[2:5])
        create_in_background(api)
        list(resume_stream(api, 1))
    assert seen(insights) == [("abandoned", HI, "do")]


def test_poll_that_ends_a_response_whose_stream_is_open_is_the_one_event(insights: Captured) -> None:
    api = BackgroundApi(EVENTS, DONE)
    stream = create_in_background(api, stream=True)
    next(iter(stream))
    client(api).responses.retrieve(ID)
    assert seen(insights) == [("ok", HI, "done")]
    stream.close()
    assert len(insights) == 1


def test_error_event_ends_a_response_in_the_background(insights: Captured) -> None:
    error = {"type": "error", "code": "server_error", "message": "no", "param": None, "sequence_number": 5}
    list(create_in_background(BackgroundApi([*EVENTS[:5], error]), stream=True))
    assert [each.meta["ainsights.status"] for each in insights] == ["error"]


def test_response_that_another_process_created_is_reported_when_a_poll_finds_its_end(insights: Captured) -> None:
    api = BackgroundApi(RUNNING, DONE, DONE)
    for _ in range(3):
        client(api).responses.retrieve(ID)
    assert [(each.messages, content_of(each)) for each in insights] == [([], "done")]


def test_stored_response_that_is_looked_up_again_is_not_an_event(insights: Captured) -> None:
    stored = response(message("done"))
    client(BackgroundApi(stored)).responses.create(model="m", input="hi")
    client(BackgroundApi(stored)).responses.retrieve(ID)
    client(BackgroundApi(stored | {"id": "resp_2"})).responses.retrieve("resp_2")
    assert seen(insights) == [("ok", HI, "done")]


def test_response_created_where_nothing_is_captured_is_not_when_it_is_polled(insights: Captured) -> None:
    api = BackgroundApi(QUEUED, DONE)
    with ainsights.context(capture=False):
        create_in_background(api)
    client(api).responses.retrieve(ID)
    assert insights == []


def test_stream_created_where_nothing_is_captured_is_not_when_it_is_resumed(insights: Captured) -> None:
    api = BackgroundApi(EVENTS[:4], EVENTS[4:])
    with ainsights.context(content="none"):
        list(create_in_background(api, stream=True))
    list(resume_stream(api, 3))
    assert insights == []


def test_context_of_the_creating_call_applies(insights: Captured) -> None:
    api = BackgroundApi(QUEUED, DONE)
    with ainsights.context(user_id="ann", content="metadata"):
        create_in_background(api)
    client(api).responses.retrieve(ID)
    assert insights[0].user_id == "ann"
    assert "done" not in insights[0].model_dump_json()


def test_context_of_a_lookup_may_withhold_texts(insights: Captured) -> None:
    api = BackgroundApi(QUEUED, DONE)
    create_in_background(api)
    with ainsights.context(content="metadata"):
        client(api).responses.retrieve(ID)
    assert "done" not in insights[0].model_dump_json()


def test_equal_ids_of_a_test_double_lose_no_call(insights: Captured) -> None:
    api = BackgroundApi(*[response(message("a"))] * 2)
    for _ in range(2):
        client(api).responses.create(model="m", input="hi")
    assert len(insights) == 2


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_PENDING", 2)
    with ainsights.testing.capture() as insights:
        for number in range(3):
            create_in_background(BackgroundApi(QUEUED | {"id": f"resp_{number}"}))
        assert [each.response["id"] for each in insights] == ["resp_0"]
    assert [each.response["id"] for each in insights] == ["resp_0", "resp_1", "resp_2"]


def test_bodies_that_are_held_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ainsights.testing, "MOST_BYTES", 5000)
    with ainsights.testing.capture() as insights:
        for number in range(3):
            create_in_background(BackgroundApi(QUEUED | {"id": f"resp_{number}"}), metadata={"long": "x" * 2000})
        assert [each.response["id"] for each in insights] == ["resp_0"]


def test_stats_count_a_polled_response_once() -> None:
    api = BackgroundApi(QUEUED, RUNNING, DONE, QUEUED | {"id": "resp_2"})
    with running_endpoint() as endpoint, Insights(base_url=endpoint.url) as insights:
        made = insights.watch(client(api))
        made.responses.create(model="m", input="hi", extra_body={"background": True})
        for _ in range(2):
            made.responses.retrieve(ID)
        made.responses.create(model="m", input="hi", extra_body={"background": True})
        assert insights.flush(10)
        stats = insights.stats()
        assert (stats.captured, stats.delivered, stats.pending, stats.filtered) == (1, 1, 1, 0)
        assert insights.close(10)
        stats = insights.stats()
        assert (stats.captured, stats.delivered, stats.pending, dict(stats.dropped)) == (2, 2, 0, {})
        assert [body["meta"]["ainsights.status"] for body in endpoint.stored] == ["ok", "abandoned"]
