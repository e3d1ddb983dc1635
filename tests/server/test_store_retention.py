from __future__ import annotations

import time
from typing import TYPE_CHECKING

from support.polling import wait_until
from support.stores import body, bytes_of, put

from ainsights.server.store import Limits, SQLiteStore, codec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DAY = 86_400


def test_events_older_than_the_limit_are_removed_and_the_others_kept(tmp_path: Path) -> None:
    heard: list[int] = []
    with SQLiteStore(tmp_path / "insights.db", Limits(keep_days=2)) as store:
        store.add_removal_listener(heard.extend)
        put(store, [(f"old {n}", body(f"old {n}", 2000)) for n in range(500)], at=time.time() - 2 * DAY - 60)
        put(store, [(f"new {n}", body(f"new {n}")) for n in range(10)], at=time.time() - 2 * DAY + 600)
        store.wake()
        wait_until(lambda: len(store.bodies_after(0, 1000)) == 10)
        wait_until(lambda: sorted(heard) == list(range(1, 501)))

        assert [removal.seq for removal in store.removals_after(0, 1000)] == list(range(1, 501))
        assert (store.verify().problem, store.verify().events) == (None, 10)


def test_oldest_events_are_removed_until_the_file_is_small_enough(tmp_path: Path) -> None:
    database, limit = tmp_path / "insights.db", 4_000_000
    with SQLiteStore(database, Limits(max_bytes=limit)) as store:
        for n in range(20):
            put(store, [(f"e{n} {i}", body(f"{n} {i}", 20_000)) for i in range(50)])
        store.wake()
        wait_until(lambda: store.bodies_after(0, 1)[0].seq > 1 and database.stat().st_size <= limit)
        rest = [stored.seq for stored in store.bodies_after(0, 1000)]

        assert rest == list(range(rest[0], 1001))
        assert len(rest) > 200
        assert store.verify().problem is None


def test_removed_events_are_overwritten(tmp_path: Path) -> None:
    database = tmp_path / "insights.db"
    old = [(f"old-{n}-id", body(f"old {n}", 3000)) for n in range(100)]
    with SQLiteStore(database, Limits(keep_days=1)) as store:
        put(store, old, at=1.0)
        put(store, [("new", body("new"))])
        store.wake()
        contents = [codec.compress(content)[1][100:130] for _, content in old]

        def is_clean() -> bool:
            text = bytes_of(database)
            return not any(name.encode() in text for name, _ in old) and not any(each in text for each in contents)

        wait_until(is_clean)
        assert store.find("new")


def test_retention_runs_during_ingestion(tmp_path: Path) -> None:
    heard: list[Sequence[int]] = []
    with SQLiteStore(tmp_path / "insights.db", Limits(max_bytes=2_000_000)) as store:
        store.add_removal_listener(heard.append)
        for n in range(100):
            put(store, [(f"e{n} {i}", body(f"{n} {i}", 10_000)) for i in range(20)])
            store.wake()
        wait_until(lambda: sum(map(len, heard)) > 1000)

        assert store.verify().problem is None
        assert store.last_seq() == 2000


def test_nothing_is_removed_without_limits(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "insights.db") as store:
        put(store, [("old", body("old"))], at=1.0)
        store.wake()
        put(store, [("new", body("new"))])

        assert store.removals_after(0, 10) == []
