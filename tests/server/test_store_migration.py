from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.polling import wait_until
from support.stores import body, bytes_of, change, make_schema_1, put

from ainsights.errors import ConfigurationError
from ainsights.server.store import SQLiteStore, schema

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 2000


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "insights.db"
    make_schema_1(path, COUNT, 500)
    return path


def finish(store: SQLiteStore) -> None:
    wait_until(lambda: store.to_migrate == 0 and not store.path.with_name("insights.db.v1").exists())


def names(store: SQLiteStore) -> list[str]:
    found: list[tuple[int, str]] = [(0, "")]
    while more := store.bodies_after(found[-1][0], 700):
        found += [(stored.seq, stored.event_id) for stored in more]
    assert [seq for seq, _ in found] == list(range(len(found)))
    return [name for _, name in found[1:]]


def test_old_events_can_be_read_and_new_ones_stored_at_once_and_afterwards(database: Path) -> None:
    expected = [f"old {n}" for n in range(1, COUNT + 1)]
    with SQLiteStore(database) as store:
        assert names(store) == expected
        put(store, [("new", body("new")), ("old 1999", body("again")), ("old 1", body("again"))])
        assert names(store) == [*expected, "new"]
        finish(store)
        assert names(store) == [*expected, "new"]
        found = store.bodies([1, COUNT])
        assert [stored.body for stored in found] == [body(f"old {n}", 500) for n in (1, COUNT)]
        assert found[0].received_at == 1738367999.5
        assert (store.verify().problem, store.verify().events) == (None, COUNT + 1)


def test_migration_resumes_after_each_restart(database: Path) -> None:
    starts = 0
    while True:
        with SQLiteStore(database) as store:
            starts += 1
            put(store, [(f"new {starts}", body("new"))])
            assert names(store) == [
                *(f"old {n}" for n in range(1, COUNT + 1)),
                *(f"new {n + 1}" for n in range(starts)),
            ]
            if not store.to_migrate:
                break
    with SQLiteStore(database) as store:
        finish(store)
        assert store.verify().problem is None


def test_file_set_aside_before_a_crash_is_taken_up(database: Path) -> None:
    database.rename(database.with_name("insights.db.v1"))
    for log in database.parent.glob("insights.db-*"):
        log.unlink()

    with SQLiteStore(database) as store:
        assert len(names(store)) == COUNT


def test_event_erased_before_it_is_copied_is_nowhere(database: Path) -> None:
    with SQLiteStore(database) as store:
        assert store.erase([COUNT - 1, 2], by="Ann", reason="asked") == 2
        assert b'"old 1999"' not in bytes_of(database)
        assert store.find("old 1999") is None
        finish(store)
        assert (store.verify().problem, store.verify().events) == (None, COUNT - 2)
        assert store.find("old 2") is None


def test_empty_database_of_the_first_schema_is_migrated(tmp_path: Path) -> None:
    make_schema_1(tmp_path / "insights.db", 0)
    with SQLiteStore(tmp_path / "insights.db") as store:
        put(store, [("new", body("new"))])
        finish(store)
        assert names(store) == ["new"]


def test_gap_in_the_old_numbers_is_not_tampering(database: Path) -> None:
    change(database, "DELETE FROM insight WHERE id IN (5, 6, 1500)")
    with SQLiteStore(database) as store:
        finish(store)
        assert (store.verify().problem, store.verify().events) == (None, COUNT - 3)


def test_old_file_in_the_way_is_refused_and_both_are_left_alone(database: Path) -> None:
    other = database.with_name("insights.db.v1")
    make_schema_1(other, 1)
    before = database.read_bytes(), other.read_bytes()

    with pytest.raises(ConfigurationError, match="in the way"):
        SQLiteStore(database).open()
    assert (database.read_bytes(), other.read_bytes()) == before


def test_space_of_a_migrated_database_can_be_given_back(database: Path) -> None:
    with SQLiteStore(database) as store:
        finish(store)
    with closing(schema.connect(database)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
