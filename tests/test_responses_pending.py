"""Responses in the background, at the edges: calls that create none, odd ids, what is forgotten, forks, samples."""

from __future__ import annotations

import multiprocessing
import threading
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("openai.types.responses", reason="this openai has no Responses API")

import openai
from openai import APIConnectionError, APIStatusError
from support.endpoints import running_endpoint
from support.models import client, http
from support.responses import ID, BackgroundApi, create_in_background, events_of, message, response, stream_of

import ainsights
import ainsights.testing
from ainsights import Insights
from ainsights._processing import pending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ainsights.testing import Captured

QUEUED = response(status="queued", background=True)
DONE = response(message("done"), background=True)


@pytest.fixture
def insights() -> Iterator[Captured]:
    with ainsights.testing.capture() as recorded:
        yield recorded


def create(api: Any, **more: Any) -> Any:
    return create_in_background(api, **more)


def refused(_request: Any) -> Any:
    raise http.ConnectError("refused")


def failing(_request: Any) -> Any:
    return http.Response(500, json={"error": {"message": "no"}}, headers={"x-request-id": "r1"})


@pytest.mark.parametrize(("answer", "error"), [(refused, APIConnectionError), (failing, APIStatusError)])
@pytest.mark.parametrize("stream", [False, True])
def test_each_call_that_fails_to_create_a_response_is_an_event_at_once(
    insights: Captured, answer: Callable[[Any], Any], error: type[Exception], *, stream: bool
) -> None:
    for _ in range(2):
        with pytest.raises(error):
            create(answer, stream=stream)
    assert [each.meta["ainsights.status"] for each in insights] == ["error", "error"]


@pytest.mark.parametrize("response_id", ["resp_bGl0ZWxsbQ==", "a b", "ü:1", "models/m/1"])
def test_response_whose_id_is_quoted_in_the_path_is_one_event(insights: Captured, response_id: str) -> None:
    if "/" in response_id and not hasattr(openai._utils, "path_template"):
        pytest.skip("this openai quotes nothing in paths")
    api = BackgroundApi(QUEUED | {"id": response_id}, DONE | {"id": response_id})
    create(api)
    client(api).responses.retrieve(response_id)
    assert [(each.response["id"], bool(each.messages)) for each in insights] == [(response_id, True)]


def test_calls_in_the_foreground_evict_no_pending_response(insights: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_REPORTED", 2)
    muted = BackgroundApi(QUEUED, DONE)
    with ainsights.context(capture=False):
        create(muted)
    for number in range(3):
        whole = response(message("a"), id=f"resp_x{number}")
        client(BackgroundApi(whole)).responses.create(model="m", input="hi")
    client(muted).responses.retrieve(ID)
    assert len(insights) == 3


def test_response_that_is_polled_is_not_forgotten(insights: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_REPORTED", 2)
    muted = BackgroundApi(QUEUED, QUEUED, QUEUED, QUEUED, DONE)
    with ainsights.context(capture=False):
        create(muted)
        for number in range(3):
            create(BackgroundApi(QUEUED | {"id": f"resp_x{number}"}))
            with ainsights.context(capture=True):
                client(muted).responses.retrieve(ID)
    client(muted).responses.retrieve(ID)
    assert insights == []


def test_raw_body_that_creates_a_muted_response_is_remembered(insights: Captured) -> None:
    api = BackgroundApi(QUEUED, DONE)
    if "content" not in openai._models.FinalRequestOptions.model_fields:
        pytest.skip("this openai takes no raw body")
    with ainsights.context(capture=False):
        client(api).post("/responses", cast_to=object, content=b'{"model":"m","input":"hi","background":true}')
    client(api).responses.retrieve(ID)
    assert insights == []


def test_muted_response_whose_call_began_unseen_is_remembered(
    insights: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another library's wrapper keeps ``request`` from being reached."""
    api = BackgroundApi(QUEUED, DONE)
    monkeypatch.setattr(openai.OpenAI, "request", _unhooked_request, raising=False)
    with ainsights.context(capture=False):
        create(api)
    client(api).responses.retrieve(ID)
    assert insights == []


def _unhooked_request(self: Any, *args: Any, **kwargs: Any) -> Any:
    return openai._base_client.SyncAPIClient.request.__wrapped__(self, *args, **kwargs)  # type: ignore[attr-defined]


def test_responses_of_other_processes_are_sampled() -> None:
    with running_endpoint() as endpoint, Insights(base_url=endpoint.url, sample_rate=0) as insights:
        made = insights.watch(client(BackgroundApi(DONE, events_of(DONE | {"id": "resp_2"}), QUEUED)))
        made.responses.retrieve(ID)
        list(stream_of(made, "resp_2", -1))
        assert insights.close(10)
        assert endpoint.stored == []


@pytest.mark.parametrize("processed", [True, False])
def test_child_of_a_fork_knows_what_may_not_be_reported(*, processed: bool) -> None:
    api = BackgroundApi(QUEUED, DONE, DONE | {"id": "resp_2"})
    with running_endpoint() as endpoint, Insights(base_url=endpoint.url) as insights:
        made = insights.watch(client(api))
        with ainsights.context(capture=False):
            made.responses.create(model="m", input="hi", extra_body={"background": True})
        if processed:
            assert insights.flush(10)

        def child() -> None:
            made.responses.retrieve(ID)
            made.responses.retrieve("resp_2")
            assert insights.flush(10)

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(20)
        assert process.exitcode == 0
        assert [body["response"]["id"] for body in endpoint.stored] == ["resp_2"]


def test_child_of_a_fork_does_not_report_what_an_open_stream_of_its_parent_creates() -> None:
    api = BackgroundApi(events_of(DONE), DONE)
    with running_endpoint() as endpoint, Insights(base_url=endpoint.url) as insights:
        made = insights.watch(client(api))
        with ainsights.context(capture=False):
            stream = made.responses.create(model="m", input="hi", stream=True, extra_body={"background": True})
        next(iter(stream))

        def child() -> None:
            made.responses.retrieve(ID)
            assert insights.flush(10)

        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join(20)
        stream.close()
        assert process.exitcode == 0
        assert endpoint.stored == []


def test_what_may_not_be_reported_is_not_although_the_queue_was_full_when_it_was_created() -> None:
    free = threading.Event()

    def answer_later(handler: Any) -> bool:
        free.wait(20)
        return bool(handler.answer(200))

    with running_endpoint(answer_later) as endpoint, Insights(base_url=endpoint.url, max_queue_events=1) as insights:
        made = insights.watch(client(BackgroundApi(QUEUED, DONE)))
        insights.capture(response={"choices": []}, messages="fills the queue")
        with ainsights.context(capture=False):
            made.responses.create(model="m", input="hi", extra_body={"background": True})
        assert insights.stats().dropped == {"full": 1}
        free.set()
        assert insights.flush(10)
        made.responses.retrieve(ID)
        assert insights.flush(10)
        assert [body["messages"] for body in endpoint.stored] == ["fills the queue"]


def test_lookup_of_a_response_in_the_foreground_leaves_its_open_stream_the_event(
    insights: Captured,
) -> None:
    whole = response(message("hello"))
    api = BackgroundApi(events_of(whole), whole)
    stream = client(api).responses.create(model="m", input="hi", stream=True)
    next(iter(stream))
    client(api).responses.retrieve(ID)
    assert insights == []
    list(stream)
    assert [each.meta["ainsights.stream"] for each in insights] == [True]
