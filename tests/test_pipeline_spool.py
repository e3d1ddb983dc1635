from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import Endpoint, Handler, free_port, running_endpoint
from support.polling import PATIENCE

from ainsights._config import load
from ainsights._delivery.counters import Counters
from ainsights._delivery.http_sender import senders
from ainsights._delivery.pipeline import Pipeline
from ainsights._delivery.spool.spool import Spool
from ainsights._processing.processor import Processed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LARGE = 2**30


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Callable[..., Pipeline]]:
    pipelines: list[Pipeline] = []

    def pipe(url: str, **settings: Any) -> Pipeline:
        pipeline = Pipeline(Counters())
        wanted = load({}, **({"base_url": url, "spool_dir": tmp_path} | settings))
        pipeline.configure(processed, senders(url, "key", wanted.timeout), wanted)
        pipelines.append(pipeline)
        return pipeline

    yield pipe
    for each in pipelines:
        each.close(0)


def body(number: int) -> bytes:
    return b'{"meta": {"ainsights.event_id": "%d"}, "text": "%s"}' % (number, b"x" * 1000)


def processed(number: int) -> Processed:
    return Processed(body(number))


def put(pipeline: Pipeline, *numbers: int) -> None:
    for number in numbers:
        assert pipeline.put(number, 1000)
    pipeline.start()


def rows(directory: Path, where: str = "reason IS NULL") -> int:
    with contextlib.closing(sqlite3.connect(directory / "spool.db")) as connection:
        count: int = connection.execute(f"SELECT count(*) FROM event WHERE {where}").fetchone()[0]
        return count


def ids(endpoint: Endpoint) -> list[int]:
    return sorted(int(each) for each in endpoint.times_stored.elements())


def counts(pipeline: Pipeline) -> dict[str, int]:
    return {
        name: count for name, count in (pipeline.counters.snapshot() | {"events": pipeline.queued}).items() if count
    }


def refused() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_event_is_on_disk_before_it_is_sent_and_not_after_it_was_delivered(
    pipe: Callable[..., Pipeline], tmp_path: Path
) -> None:
    on_disk: list[int] = []

    def look(handler: Handler) -> bool:
        on_disk.append(rows(tmp_path))
        return handler.answer(200)

    with running_endpoint(look) as endpoint:
        pipeline = pipe(endpoint.url)
        put(pipeline, 1)
        assert pipeline.flush(PATIENCE)
        assert on_disk == [1]
        assert (rows(tmp_path), pipeline.spooled) == (0, 0)


def test_rejected_event_is_kept_as_a_dead_letter_with_its_reason(pipe: Callable[..., Pipeline], tmp_path: Path) -> None:
    with running_endpoint(lambda handler: handler.answer(422, b'{"detail": "no messages"}')) as endpoint:
        pipeline = pipe(endpoint.url)
        put(pipeline, 1)
        assert pipeline.flush(PATIENCE)
    status = Spool(tmp_path, LARGE).status()
    assert (status.waiting, status.claimed, status.dead) == (0, 0, 1)
    assert "422" in status.reasons[0]
    assert "no messages" in status.reasons[0]


def test_close_leaves_to_the_next_process_what_was_not_delivered(pipe: Callable[..., Pipeline]) -> None:
    pipeline = pipe(refused())
    put(pipeline, *range(200))
    assert pipeline.close(0.1) == 0
    with running_endpoint() as endpoint:
        assert pipe(endpoint.url).flush(PATIENCE)
        assert ids(endpoint) == list(range(200))


def test_pipeline_delivers_without_a_flush_what_another_left(pipe: Callable[..., Pipeline]) -> None:
    pipeline = pipe(refused())
    put(pipeline, 1, 2)
    pipeline.close(0)
    with running_endpoint() as endpoint:
        put(pipe(endpoint.url), 3)
        assert endpoint.wait_for(lambda: ids(endpoint) == [1, 2, 3])


def test_outage_beyond_the_bound_of_memory_loses_nothing(pipe: Callable[..., Pipeline], tmp_path: Path) -> None:
    port = free_port()
    pipeline = pipe(f"http://127.0.0.1:{port}", max_queue_events=200)
    most = 0
    for number in range(1000):
        while not pipeline.put(number, 1000):
            pytest.fail("an event found no room")
        pipeline.start()
        while pipeline.queued > 150:
            most = max(most, pipeline.queued)
            threading.Event().wait(0.001)
    assert most <= 200
    assert rows(tmp_path) > 800
    with running_endpoint(port=port) as endpoint:
        assert pipeline.flush(PATIENCE)
        assert ids(endpoint) == list(range(1000))
    assert counts(pipeline)["delivered"] == 1000
    assert rows(tmp_path) == 0


def test_full_spool_leaves_events_in_memory_within_its_bound(pipe: Callable[..., Pipeline]) -> None:
    port = free_port()
    pipeline = pipe(f"http://127.0.0.1:{port}", spool_max_bytes=100_000, max_queue_events=300)
    accepted = sum(pipeline.put(number, 1000) for number in range(600))
    pipeline.start()
    with running_endpoint(port=port) as endpoint:
        assert pipeline.flush(PATIENCE)
        assert len(ids(endpoint)) == len(set(ids(endpoint))) == accepted
    assert counts(pipeline) == {"captured": 600, "dropped_full": 600 - accepted} | {
        name: count for name, count in counts(pipeline).items() if name in {"delivered", "retried"}
    }
    assert counts(pipeline)["delivered"] == accepted


def test_directory_that_cannot_be_used_costs_no_event(pipe: Callable[..., Pipeline], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with running_endpoint() as endpoint:
        pipeline = pipe(endpoint.url, spool_dir=tmp_path / "file" / "spool")
        put(pipeline, *range(50))
        assert pipeline.flush(PATIENCE)
        assert ids(endpoint) == list(range(50))


def test_pipelines_that_share_a_directory_deliver_each_event_once(pipe: Callable[..., Pipeline]) -> None:
    with running_endpoint() as endpoint:
        several = [pipe(endpoint.url) for _ in range(3)]
        for index, pipeline in enumerate(several):
            put(pipeline, *range(index * 100, index * 100 + 100))
        assert [pipeline.flush(PATIENCE) for pipeline in several] == [True] * 3
        assert ids(endpoint) == list(range(300))


def test_another_directory_takes_over_from_the_next_event_on(pipe: Callable[..., Pipeline], tmp_path: Path) -> None:
    with running_endpoint() as endpoint:
        pipeline = pipe(endpoint.url)
        put(pipeline, 1)
        assert pipeline.flush(PATIENCE)
        other = load({}, base_url=endpoint.url, spool_dir=tmp_path / "other")
        pipeline.configure(processed, senders(endpoint.url, "key", 5), other)
        put(pipeline, 2)
        assert pipeline.flush(PATIENCE)
        assert ids(endpoint) == [1, 2]
        assert rows(tmp_path / "other") == 0
