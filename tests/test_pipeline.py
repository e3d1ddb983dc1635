from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import Endpoint, Handler, free_port, running_endpoint
from support.polling import PATIENCE, wait_until

from ainsights._config import load
from ainsights._delivery.counters import Counters
from ainsights._delivery.http_sender import senders
from ainsights._delivery.pipeline import Pipeline
from ainsights._processing.processor import Processed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ainsights._delivery.retry import Answer


@pytest.fixture
def made() -> Iterator[list[Pipeline]]:
    pipelines: list[Pipeline] = []
    yield pipelines
    for each in pipelines:
        each.close(0)


@pytest.fixture
def pipe(made: list[Pipeline]) -> Callable[..., Pipeline]:
    def pipe(url: str, **settings: Any) -> Pipeline:
        pipeline = Pipeline(Counters())
        wanted = load({}, base_url=url, **settings)
        pipeline.configure(processed, senders(url, "key", wanted.timeout), wanted)
        made.append(pipeline)
        return pipeline

    return pipe


def body(number: Any) -> bytes | None:
    if isinstance(number, Exception):
        raise number
    return None if number is None else b'{"meta": {"ainsights.event_id": "%d"}}' % number


def processed(number: Any) -> Processed:
    return Processed(body(number))


def put(pipeline: Pipeline, count: int) -> None:
    for number in range(count):
        assert pipeline.put(number, 10)
    pipeline.start()


def ids(endpoint: Endpoint) -> list[int]:
    return sorted(int(each) for each in endpoint.times_stored.elements())


def counts(pipeline: Pipeline) -> dict[str, int]:
    return {
        name: count for name, count in (pipeline.counters.snapshot() | {"events": pipeline.queued}).items() if count
    }


def test_all_that_was_put_is_delivered_once(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint() as endpoint:
        pipeline = pipe(endpoint.url)
        put(pipeline, 500)
        assert pipeline.flush(PATIENCE)
        assert ids(endpoint) == list(range(500))
        assert counts(pipeline) == {"captured": 500, "delivered": 500}


def test_request_is_a_put_with_bearer_key_and_json(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint() as endpoint:
        put(pipe(f"{endpoint.url}/base"), 1)
        assert endpoint.wait_for(lambda: len(endpoint.stored) == 1)
        assert endpoint.paths == ["/base/insight"]
        assert endpoint.headers[0]["Authorization"] == "Bearer key"
        assert endpoint.headers[0]["Content-Type"] == "application/json"


def test_connection_is_kept(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint() as endpoint:
        pipeline = pipe(endpoint.url, concurrency=1)
        for _ in range(3):
            put(pipeline, 5)
            assert pipeline.flush(PATIENCE)
        assert endpoint.connections == 1


def test_connection_that_the_endpoint_closed_is_replaced_at_once(pipe: Callable[..., Pipeline]) -> None:
    def once_each(handler: Handler) -> bool:
        stored = handler.answer(200)
        handler.close_connection = True  # without saying so
        return stored

    with running_endpoint(once_each) as endpoint:
        pipeline = pipe(endpoint.url, concurrency=1)
        put(pipeline, 5)
        assert pipeline.flush(PATIENCE)
        assert counts(pipeline) == {"captured": 5, "delivered": 5}


def test_many_requests_are_in_flight_at_once_while_the_endpoint_is_slow(pipe: Callable[..., Pipeline]) -> None:
    at_once = threading.Barrier(16)

    def together(handler: Handler) -> bool:
        if handler.number > 4:  # the first ones show how slow it is
            at_once.wait(PATIENCE)
        else:
            handler.endpoint.released.wait(0.2)
        return handler.answer(200)

    with running_endpoint(together) as endpoint:
        pipeline = pipe(endpoint.url, timeout=PATIENCE)
        put(pipeline, 4 + 16 * 4)
        assert pipeline.flush(PATIENCE)
        assert len(endpoint.stored) == 4 + 16 * 4


def test_no_more_requests_are_in_flight_than_allowed(pipe: Callable[..., Pipeline]) -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    def slow(handler: Handler) -> bool:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        handler.endpoint.released.wait(0.02)
        with lock:
            under_way -= 1
        return handler.answer(200)

    with running_endpoint(slow) as endpoint:
        pipeline = pipe(endpoint.url, concurrency=3)
        put(pipeline, 60)
        assert pipeline.flush(PATIENCE)
        assert most == 3


@pytest.mark.parametrize(
    "fault",
    [
        lambda handler: handler.answer(500),
        lambda handler: handler.answer(503),
        lambda handler: handler.answer(429, Retry_After="0"),
        lambda handler: handler.answer(408),
        lambda handler: handler.reset(),
        lambda handler: handler.raw(b"garbage\r\n\r\n"),
        lambda handler: handler.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"),
        lambda handler: handler.raw(b""),
        lambda handler: handler.drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, 0.05),
    ],
    ids=["500", "503", "429", "408", "reset", "garbage", "cut", "empty", "drip"],
)
def test_temporary_failure_is_delivered_later(pipe: Callable[..., Pipeline], fault: Callable[[Handler], bool]) -> None:
    with running_endpoint(lambda handler: fault(handler) if handler.number <= 3 else handler.answer(200)) as endpoint:
        pipeline = pipe(endpoint.url, timeout=0.5)
        put(pipeline, 10)
        assert pipeline.flush(PATIENCE)
        assert set(ids(endpoint)) == set(range(10))  # twice where an answer was late: at least once is the promise
        assert counts(pipeline)["retried"] >= 1
        assert pipeline.last_error


def test_endpoint_that_comes_back_gets_all(pipe: Callable[..., Pipeline]) -> None:
    port = free_port()
    pipeline = pipe(f"http://127.0.0.1:{port}")
    put(pipeline, 20)
    wait_until(lambda: pipeline.state != "running")
    assert pipeline.state.startswith("retrying: ConnectionRefusedError")
    with running_endpoint(port=port) as endpoint:
        assert pipeline.flush(PATIENCE)
        assert ids(endpoint) == list(range(20))
    assert pipeline.state == "running"


@pytest.mark.parametrize("status", [400, 413, 422])
def test_rejected_event_is_not_sent_again(pipe: Callable[..., Pipeline], status: int) -> None:
    with running_endpoint(lambda handler: handler.answer(status if handler.number == 1 else 200)) as endpoint:
        pipeline = pipe(endpoint.url)
        put(pipeline, 5)
        assert pipeline.flush(PATIENCE)
        assert (endpoint.requests, len(endpoint.stored)) == (5, 4)
        assert counts(pipeline) == {"captured": 5, "delivered": 4, "rejected": 1}


@pytest.mark.parametrize("status", [401, 403, 404, 405, 307])
def test_wrong_key_or_url_holds_all_and_one_event_probes(pipe: Callable[..., Pipeline], status: int) -> None:
    with running_endpoint(lambda handler: handler.answer(status if handler.number <= 2 else 200)) as endpoint:
        pipeline = pipe(endpoint.url, concurrency=1)
        put(pipeline, 50)
        assert endpoint.wait_for(lambda: endpoint.requests == 2)
        assert pipeline.state.startswith(f"held: {status}")
        assert pipeline.held == 50
        assert endpoint.wait_for(lambda: len(endpoint.stored) == 50)
        assert endpoint.requests == 52


def test_retry_after_holds_back_the_whole_pipeline(pipe: Callable[..., Pipeline]) -> None:
    times: list[float] = []

    def busy(handler: Handler) -> bool:
        times.append(time.monotonic())
        return handler.answer(429, Retry_After="1") if handler.number == 1 else handler.answer(200)

    with running_endpoint(busy) as endpoint:
        pipeline = pipe(endpoint.url, concurrency=1)
        put(pipeline, 20)
        assert pipeline.flush(PATIENCE)
        assert ids(endpoint) == list(range(20))
        assert times[1] - times[0] >= 1


def test_events_beyond_the_bound_are_dropped_and_counted(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint(lambda handler: handler.hang()) as endpoint:
        pipeline = pipe(endpoint.url, max_queue_events=10)
        assert [pipeline.put(number, 1) for number in range(15)] == [True] * 10 + [False] * 5
        assert counts(pipeline) == {"captured": 15, "events": 10, "bytes": 10, "dropped_full": 5}


def test_bytes_beyond_the_bound_are_dropped_and_counted(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint(lambda handler: handler.hang()) as endpoint:
        pipeline = pipe(endpoint.url, max_queue_bytes=4096)
        assert [pipeline.put(number, 1300) for number in range(5)] == [True] * 3 + [False] * 2


def test_delivery_frees_space_in_the_queue(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint() as endpoint:
        pipeline = pipe(endpoint.url, max_queue_events=10)
        for _ in range(5):
            put(pipeline, 10)
            assert pipeline.flush(PATIENCE)
        assert counts(pipeline) == {"captured": 50, "delivered": 50}


def test_item_that_cannot_be_encoded_is_dropped_counted_and_logged(
    pipe: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ainsights._internal_errors.raising", False)
    with running_endpoint() as endpoint:
        pipeline = pipe(endpoint.url)
        pipeline.put(ValueError("odd"), 5)
        put(pipeline, 3)
        assert pipeline.flush(PATIENCE)
        assert ids(endpoint) == [0, 1, 2]
        assert counts(pipeline) == {"captured": 4, "delivered": 3, "dropped_failed": 1}
    assert "internal error while encoding an event" in caplog.text


def test_item_that_is_not_to_be_sent_is_counted_as_filtered(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint() as endpoint:
        pipeline = pipe(endpoint.url)
        pipeline.put(None, 5)
        pipeline.start()
        assert pipeline.flush(PATIENCE)
        assert endpoint.requests == 0
        assert counts(pipeline) == {"captured": 1, "filtered": 1}


def test_flush_waits_for_what_was_put_before_it_only(pipe: Callable[..., Pipeline]) -> None:
    def first_only(handler: Handler) -> bool:
        return handler.answer(200) if handler.number == 1 else handler.hang()

    with running_endpoint(first_only) as endpoint:
        pipeline = pipe(endpoint.url)
        put(pipeline, 1)
        assert pipeline.flush(PATIENCE)
        put(pipeline, 1)
        assert not pipeline.flush(0.1)


def test_flush_with_nothing_queued_returns_at_once(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint() as endpoint:
        assert pipe(endpoint.url).flush(PATIENCE)


def test_flush_of_a_hanging_endpoint_ends_with_its_time(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint(lambda handler: handler.hang()) as endpoint:
        pipeline = pipe(endpoint.url)
        put(pipeline, 3)
        assert not pipeline.flush(0.2)


def test_close_delivers_and_ends_the_threads(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint() as endpoint:
        pipeline = pipe(endpoint.url)
        put(pipeline, 50)
        assert pipeline.close(PATIENCE) == 0
        assert len(endpoint.stored) == 50
        assert not [thread for thread in threading.enumerate() if thread.name == "ainsights"]
        assert pipeline.state == "stopped"


def test_close_returns_how_many_events_are_lost(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint(lambda handler: handler.hang()) as endpoint:
        pipeline = pipe(endpoint.url)
        put(pipeline, 7)
        assert pipeline.close(0.2) == 7
        assert pipeline.close(0.2) == 0


def test_put_after_close_is_dropped_and_counted(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint() as endpoint:
        pipeline = pipe(endpoint.url)
        pipeline.close(0)
        assert not pipeline.put(1, 1)
        assert counts(pipeline) == {"captured": 1, "dropped_closed": 1}


def test_work_is_done_by_whoever_flushes_where_no_thread_can_start(
    pipe: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def only_others(thread: threading.Thread) -> None:
        if thread.name == "ainsights":
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(thread)

    with running_endpoint() as endpoint:
        pipeline = pipe(endpoint.url)
        monkeypatch.setattr(threading.Thread, "start", only_others)
        put(pipeline, 10)
        assert not pipeline.workers
        assert pipeline.flush(PATIENCE)
        assert ids(endpoint) == list(range(10))


class Killed(BaseException):
    """Ends a thread with an exception that ainsights does not catch."""


def test_dead_worker_is_replaced_and_logged_and_loses_nothing(
    made: list[Pipeline], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    deaths = iter([Killed()])

    class Deadly:
        def __init__(self, url: str) -> None:
            self.sender = senders(url, "key", 5)()

        def send(self, body: bytes, _time_limit: float | None = None) -> Answer:
            for death in deaths:
                raise death
            return self.sender.send(body)

        def close(self) -> None:
            self.sender.close()

    with running_endpoint() as endpoint:
        pipeline = Pipeline(Counters())
        made.append(pipeline)
        pipeline.configure(processed, lambda: Deadly(endpoint.url), load({}, base_url=endpoint.url, concurrency=1))
        put(pipeline, 1)
        assert endpoint.wait_for(lambda: len(endpoint.stored) == 1, PATIENCE)
    assert "a worker thread of ainsights died" in caplog.text


def test_sender_that_cannot_be_created_is_retried(made: list[Pipeline]) -> None:
    failures = iter([OSError("no certificates")])
    with running_endpoint() as endpoint:
        connect = senders(endpoint.url, "key", 5)

        def sometimes() -> Any:
            for failure in failures:
                raise failure
            return connect()

        pipeline = Pipeline(Counters())
        made.append(pipeline)
        pipeline.configure(processed, sometimes, load({}, base_url=endpoint.url))
        put(pipeline, 3)
        assert pipeline.flush(PATIENCE)
        assert ids(endpoint) == [0, 1, 2]
