"""The answer to one event settles that event alone, whatever happened to the spool meanwhile."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from support.endpoints import Endpoint, Handler, running_endpoint
from support.polling import PATIENCE

import ainsights
from ainsights._delivery.spool.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES = ("first", "second")
HELLO = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}


class Outage:
    """Answers 503 to all, until it is over for the messages named."""

    def __init__(self) -> None:
        self.answers: dict[str, int] = {}
        self.requested: set[str] = set()
        self.delivered: list[str] = []

    def behave(self, handler: Handler) -> bool:
        name = next(name for name in NAMES if f'"{name}"'.encode() in handler.body)
        self.requested.add(name)
        status = self.answers.get(name, 503)
        if status == 200:
            self.delivered.append(name)
        return handler.answer(status, b"", Retry_After="0.01")


@pytest.fixture
def outage() -> Outage:
    return Outage()


@pytest.fixture
def endpoint(outage: Outage) -> Iterator[Endpoint]:
    with running_endpoint(outage.behave) as endpoint:
        yield endpoint
        ainsights.shutdown(0)


def capture(text: str) -> None:
    ainsights.capture(response=HELLO, messages=text)


def rows(directory: Path) -> list[tuple[str, str | None]]:
    """Return the message and the reason of each row."""
    found = read(directory, "body, reason")
    return [(next(name for name in NAMES if f'"{name}"'.encode() in body), reason) for body, reason in found]


def read(directory: Path, columns: str) -> list[Any]:
    if not (directory / "spool.db").exists():
        return []
    with contextlib.closing(sqlite3.connect(directory / "spool.db")) as connection:
        try:
            return connection.execute(f"SELECT {columns} FROM event ORDER BY id").fetchall()
        except sqlite3.DatabaseError:  # it is being made, or is damaged
            return []


def settled() -> int:
    stats = ainsights.stats()
    return stats.delivered + stats.rejected


def change_directory(endpoint: Endpoint, directory: Path) -> Path:
    ainsights.instrument(base_url=endpoint.url, api_key="key", spool_dir=directory / "other", exit_timeout=0.05)
    return directory / "other"


def remove_file(_it: Endpoint, directory: Path) -> Path:
    for path in (directory / "spool").glob("spool.db*"):
        path.unlink()
    return directory / "spool"


def replace_file(_it: Endpoint, directory: Path) -> Path:
    remove_file(_it, directory)
    another = Spool(directory / "spool", 2**30)
    another.claim(1)
    another.close()
    return directory / "spool"


def damage_file(_it: Endpoint, directory: Path) -> Path:
    remove_file(_it, directory)
    (directory / "spool" / "spool.db").write_bytes(b"no database" * 1000)
    return directory / "spool"


@pytest.mark.parametrize("answer", [200, 422])
@pytest.mark.parametrize("change", [change_directory, remove_file, replace_file, damage_file])
def test_answer_to_an_event_leaves_the_event_with_its_number_in_another_file_alone(
    endpoint: Endpoint, outage: Outage, tmp_path: Path, answer: int, change: Callable[[Endpoint, Path], Path]
) -> None:
    ainsights.instrument(base_url=endpoint.url, api_key="key", spool_dir=tmp_path / "spool", exit_timeout=0.05)
    capture("first")
    assert endpoint.wait_for(lambda: "first" in outage.requested, PATIENCE)
    directory = change(endpoint, tmp_path)
    capture("second")
    assert endpoint.wait_for(lambda: ("second", None) in rows(directory), PATIENCE)
    outage.answers["first"] = answer
    assert endpoint.wait_for(lambda: settled() == 1 and "second" in outage.requested, PATIENCE)
    assert ("second", None) in rows(directory)

    outage.answers["second"] = 200
    assert ainsights.flush(PATIENCE)
    assert outage.delivered.count("second") == 1
    assert ("second", None) not in rows(directory)


def test_log_that_is_removed_beneath_an_open_spool_costs_no_event(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 2**30)
    spool.add([b'"first"'])
    for path in (tmp_path / "spool").glob("spool.db-*"):
        path.unlink()
    spool.add([b'"second"'])

    assert rows(tmp_path / "spool") == [("first", None), ("second", None)]
    spool.close()


def test_number_that_is_assigned_again_is_another_event(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 2**30)
    (first,) = spool.add([b"first"])
    assert first is not None
    spool.acknowledge(first)
    (second,) = spool.add([b"second"])
    assert second is not None
    assert second.number == first.number
    spool.acknowledge(first)
    spool.reject(first, "late")
    assert spool.release([first]) == set()
    assert (spool.status().claimed, spool.count) == (1, 1)
    spool.close()


def test_events_whose_file_was_removed_are_counted_as_lost_at_the_end(endpoint: Endpoint, tmp_path: Path) -> None:
    ainsights.instrument(base_url=endpoint.url, api_key="key", spool_dir=tmp_path / "spool", exit_timeout=0.05)
    capture("first")
    assert endpoint.wait_for(lambda: endpoint.requests > 0, PATIENCE)
    remove_file(endpoint, tmp_path)
    assert not ainsights.shutdown(0.05)


def test_events_whose_file_was_removed_are_not_offloaded_to_it(tmp_path: Path) -> None:
    refuse = True
    with running_endpoint(lambda handler: handler.answer(503 if refuse else 200, b"", Retry_After="0.01")) as endpoint:
        insights = ainsights.Insights(
            base_url=endpoint.url, api_key="key", spool_dir=tmp_path / "spool", max_queue_events=400, exit_timeout=0.05
        )
        for number in range(150):
            insights.capture(response=HELLO, messages=f"early {number}")
        assert endpoint.wait_for(lambda: len(read(tmp_path / "spool", "id")) == 150, PATIENCE)
        remove_file(endpoint, tmp_path)
        for number in range(150):
            insights.capture(response=HELLO, messages=f"late {number}")
        assert endpoint.wait_for(lambda: len(read(tmp_path / "spool", "id")) == 150, PATIENCE)
        refuse = False
        assert insights.flush(PATIENCE)
        assert len({str(body["messages"]) for body in endpoint.stored}) == 300
        insights.close(1)


def test_file_of_an_earlier_release_is_read(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(tmp_path / "spool" / "spool.db")) as connection:
        connection.executescript(
            "CREATE TABLE event (id INTEGER PRIMARY KEY, body BLOB NOT NULL, made_at REAL NOT NULL, owner TEXT, "
            "reason TEXT); INSERT INTO event (body, made_at) VALUES (x'31', 0); PRAGMA user_version = 1;"
        )
    spool = Spool(tmp_path / "spool", 2**30)
    ((row, body),) = spool.claim(2)
    assert body == b"1"
    spool.acknowledge(row)
    assert spool.add([b"2"]) != [None]
    assert (spool.status().claimed, spool.count) == (1, 1)
    spool.close()
