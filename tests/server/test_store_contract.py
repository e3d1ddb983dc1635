from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.stores import body, put

from ainsights.errors import ConfigurationError
from ainsights.server.store import Removal, SQLiteStore, StoredBody, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    with SQLiteStore(tmp_path / "insights.db") as store:
        yield store


def test_bodies_come_back_in_order_of_arrival_as_they_were(store: SQLiteStore) -> None:
    given = [(f"e{n}", body(f"text {n}", n)) for n in range(50)]
    for event in given:
        put(store, [event], at=12.25)

    assert store.bodies_after(0, 100) == [StoredBody(n, name, 12.25, text) for n, (name, text) in enumerate(given, 1)]
    assert [stored.seq for stored in store.bodies_after(48, 100)] == [49, 50]
    assert [stored.seq for stored in store.bodies_after(7, 3)] == [8, 9, 10]
    assert store.last_seq() == 50


def test_bodies_are_returned_in_the_order_asked_for_without_the_unknown(store: SQLiteStore) -> None:
    put(store, [(f"e{n}", body("x")) for n in range(1200)])

    assert [stored.seq for stored in store.bodies([3, 5000, 1, 2])] == [3, 1, 2]
    assert len(store.bodies(range(1, 1201))) == 1200


def test_event_is_found_by_its_id(store: SQLiteStore) -> None:
    put(store, [("a\0b", body("found"))])

    found = store.find("a\0b")
    assert found
    assert found.body == body("found")
    assert store.find("a") is None


def test_known_event_id_changes_nothing_and_takes_no_number(store: SQLiteStore) -> None:
    put(store, [("a", body("first")), ("a", body("second")), ("b", body("x"))])
    put(store, [("a", body("third"))])

    assert [(stored.seq, stored.event_id) for stored in store.bodies_after(0, 10)] == [(1, "a"), (2, "b")]
    assert store.bodies([1])[0].body == body("first")


def test_numbers_are_not_used_again_after_the_latest_event_was_erased(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "insights.db") as store:
        put(store, [("a", body("x"))])
        store.erase([1], by="Ann", reason="asked")
    with SQLiteStore(tmp_path / "insights.db") as store:
        put(store, [("b", body("x"))])

        assert [stored.seq for stored in store.bodies_after(0, 10)] == [2]


def test_large_bodies_are_returned_a_few_at_a_time(store: SQLiteStore) -> None:
    large = b'{"response": {}, "messages": "' + b"x" * (16 * 2**20) + b'"}'
    put(store, [(f"e{n}", large) for n in range(10)])

    assert [stored.seq for stored in store.bodies_after(0, 10)] == [1, 2, 3, 4]
    assert [stored.seq for stored in store.bodies_after(8, 10)] == [9, 10]


def test_commit_listener_receives_the_last_number(store: SQLiteStore) -> None:
    heard: list[int] = []
    store.add_commit_listener(heard.append)
    put(store, [("a", body("x"))])
    put(store, [("b", body("x")), ("c", body("x"))])
    store.close()

    assert heard[-1] == 3
    assert heard == sorted(heard)


def test_listener_that_raises_stops_nothing(store: SQLiteStore, caplog: pytest.LogCaptureFixture) -> None:
    store.add_commit_listener(lambda _: 1 // 0)
    put(store, [("a", body("x"))])
    put(store, [("b", body("x"))])
    store.close()

    assert "listener" in caplog.text


def test_removals_are_listed_in_order_and_announced(store: SQLiteStore) -> None:
    heard: list[Sequence[int]] = []
    store.add_removal_listener(heard.append)
    put(store, [(f"e{n}", body("x")) for n in range(5)])

    assert store.erase([4, 2, 99], by="Ann", reason="asked") == 2
    assert store.erase([1, 2], by="Ann", reason="asked") == 1
    assert store.removals_after(0, 10) == [Removal(1, 4), Removal(2, 2), Removal(3, 1)]
    assert store.removals_after(2, 10) == [Removal(3, 1)]
    assert heard == [[4, 2], [1]]


def test_readers_do_not_wait_for_a_writer_nor_it_for_them(store: SQLiteStore, tmp_path: Path) -> None:
    put(store, [("a", body("x"))])
    with closing(sqlite3.connect(tmp_path / "insights.db")) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM event").fetchone() == (1,)
        put(store, [("b", body("x"))])
        assert reader.execute("SELECT count(*) FROM event").fetchone() == (1,)

    assert len(store.bodies_after(0, 10)) == 2


def test_many_readers_at_once_each_get_an_answer(store: SQLiteStore) -> None:
    put(store, [(f"e{n}", body("x")) for n in range(100)])
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(lambda n: store.find(f"e{n % 100}"), range(2000)))

    assert all(found)


def test_puts_of_many_threads_are_all_stored(store: SQLiteStore) -> None:
    def put_some(worker: int) -> None:
        for n in range(20):
            put(store, [(f"{worker} {n}", body("x"))])

    threads = [threading.Thread(target=put_some, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [stored.seq for stored in store.bodies_after(0, 1000)] == list(range(1, 161))


def test_second_server_is_refused_with_the_process_that_has_the_lock(store: SQLiteStore, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"in use by another server \(process \d+ on .+ since 20"):
        SQLiteStore(tmp_path / "insights.db").open()

    put(store, [("a", body("x"))])


def test_database_file_has_everything_once_the_store_is_closed(store: SQLiteStore, tmp_path: Path) -> None:
    put(store, [("a", body("x"))])
    assert store.find("a")
    store.close()
    tmp_path.joinpath("copy.db").write_bytes(tmp_path.joinpath("insights.db").read_bytes())

    assert not tmp_path.joinpath("insights.db-wal").exists()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT event_id FROM event").fetchall() == [("a",)]


def test_closed_store_takes_nothing(store: SQLiteStore) -> None:
    store.close()

    with pytest.raises(StoreError, match="closed"):
        put(store, [("a", body("x"))])


def test_access_log_has_erasures_and_what_was_noted(store: SQLiteStore) -> None:
    put(store, [("a", body("x"))])
    store.log_access("reader", "list", "model:gpt")
    store.erase([1], by="Ann", reason="asked")
    put(store, [("b", body("x"))])

    lines = [(access.key_name, access.action, access.detail) for _, access in store.accesses()]
    assert lines == [("reader", "list", "model:gpt"), ("Ann", "erase", '{"seqs": [1], "reason": "asked"}')]
    assert len(store.accesses(before=2)) == 1
