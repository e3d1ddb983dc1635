from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from support.stores import body, bytes_of, change, put

from ainsights.errors import ConfigurationError
from ainsights.server.store import Anchor, SQLiteStore, codec

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "insights.db"
    with SQLiteStore(path) as store:
        for n in range(5):
            put(store, [(f"e{n} {i}", body(f"text {n} {i}", 5000)) for i in range(10)])
        store.erase([7, 23, 24], by="Ann", reason="asked")
    return path


def test_untouched_store_verifies(database: Path) -> None:
    with SQLiteStore(database) as store:
        found = store.verify()

    assert (found.problem, found.seq, found.events) == (None, None, 47)
    assert len(found.head) == 64


FORGED = codec.compress(body("forged"))

TAMPERING: dict[str, tuple[list[tuple[Any, ...]], int | None, str]] = {
    "body changed": ([("UPDATE body SET codec = ?, content = ? WHERE seq = 12", *FORGED)], 12, "changed"),
    "body damaged": ([("UPDATE body SET content = x'00' WHERE seq = 12",)], 12, "changed"),
    "body removed": ([("DELETE FROM body WHERE seq = 12",)], 12, "removed"),
    "id changed": ([("UPDATE event SET event_id = 'other' WHERE seq = 12",)], 12, "changed"),
    "time changed": ([("UPDATE event SET received_at = 1 WHERE seq = 12",)], 12, "changed"),
    "MAC changed": ([("UPDATE event SET mac = zeroblob(32) WHERE seq = 12",)], 12, "changed"),
    "two exchanged": (
        [(f"UPDATE body SET seq = {to} WHERE seq = {seq}",) for seq, to in ((12, -1), (13, 12), (-1, 13))],
        12,
        "changed",
    ),
    "event removed": ([("DELETE FROM body WHERE seq = 12",), ("DELETE FROM event WHERE seq = 12",)], 12, "removed"),
    "last events removed": (
        [("DELETE FROM body WHERE seq > 48",), ("DELETE FROM event WHERE seq > 48",)],
        49,
        "removed",
    ),
    "event added at the end": (
        [
            ("INSERT INTO event VALUES (51, 'new', 1, zeroblob(32))",),
            ("INSERT INTO body VALUES (51, ?, ?)", *FORGED),
        ],
        51,
        "added",
    ),
    "erased event put back": (
        [("INSERT INTO event VALUES (7, 'new', 1, zeroblob(32))",), ("INSERT INTO body VALUES (7, ?, ?)", *FORGED)],
        7,
        "",
    ),
    "body beside the events": ([("INSERT INTO body VALUES (99, ?, ?)", *FORGED)], 99, "added"),
    "removed with a forged tombstone": (
        [
            ("INSERT INTO removal SELECT 4, seq, mac, NULL FROM event WHERE seq = 12",),
            ("DELETE FROM body WHERE seq = 12",),
            ("DELETE FROM event WHERE seq = 12",),
        ],
        12,
        "no entry",
    ),
    "tombstone removed": ([("DELETE FROM removal WHERE seq = 23",)], 23, "removed"),
    "entry removed": ([("DELETE FROM chain WHERE number = 2",)], None, "entry 2 of the chain was removed"),
    "reason of an erasure changed": (
        [("UPDATE chain SET detail = '{}' WHERE kind = 'removal'",)],
        None,
        "entry .+removal.+ was changed",
    ),
}


@pytest.mark.parametrize(("changes", "seq", "problem"), TAMPERING.values(), ids=TAMPERING)
def test_verify_names_the_first_event_that_is_not_as_it_was_stored(
    database: Path, changes: list[tuple[Any, ...]], seq: int | None, problem: str
) -> None:
    for sql in changes:
        change(database, *sql)

    with SQLiteStore(database) as store:
        found = store.verify()
    assert found.seq == seq
    assert found.problem
    assert re.search(problem, found.problem)


def test_anchor_shows_that_the_end_was_cut_off(database: Path) -> None:
    with SQLiteStore(database) as store:
        before = store.verify()
        put(store, [("last", body("x"))])
        after = store.verify()
        assert store.verify(Anchor(before.entries, before.head)).problem is None
    for table, column in (("body", "seq"), ("event", "seq")):
        change(database, f"DELETE FROM {table} WHERE {column} = 51")
    change(database, "DELETE FROM chain WHERE number = ?", after.entries)

    with SQLiteStore(database) as store:
        assert store.verify().problem is None
        assert (
            store.verify(Anchor(after.entries, after.head)).problem
            == f"the chain ends at entry {before.entries}; entry {after.entries} was cut off"
        )
        assert store.verify(Anchor(before.entries, "00" * 32)).problem


def test_chain_continues_after_a_restart(database: Path) -> None:
    for n in range(3):
        with SQLiteStore(database) as store:
            put(store, [(f"later {n}", body("x"))])

    with SQLiteStore(database) as store:
        assert (store.verify().problem, store.verify().events) == (None, 50)


def test_missing_audit_key_is_an_error_that_names_it(database: Path) -> None:
    database.with_name("insights.db.audit-key").unlink()

    with pytest.raises(ConfigurationError, match=r"insights\.db\.audit-key: missing"):
        SQLiteStore(database).open()


def test_other_audit_key_does_not_verify(database: Path, tmp_path: Path) -> None:
    key = tmp_path / "elsewhere"
    key.write_text("ab" * 32)
    with SQLiteStore(database, audit_key_file=key) as store:
        assert store.verify().seq == 1


@pytest.mark.parametrize("size", [100, 3000, 100_000])
def test_erased_event_is_nowhere_in_the_files(tmp_path: Path, size: int) -> None:
    database = tmp_path / "insights.db"
    given = [(f"event-{n}-id", body(f"secret {n}", size)) for n in range(40)]
    contents = [codec.compress(content)[1] for _, content in given]
    with SQLiteStore(database) as store:
        put(store, given)
        before = bytes_of(database)
        assert all(name.encode() in before for name, _ in given)
        assert store.erase([10, 11, 30], by="Ann", reason="asked") == 3
        after = bytes_of(database)

    kept = [n for n in range(40) if n not in {9, 10, 29}]
    for text in (after, bytes_of(database)):
        # long content is spread over pages: look for pieces of it
        for n in (9, 10, 29):
            assert given[n][0].encode() not in text
            assert not any(contents[n][at : at + 24] in text for at in range(0, len(contents[n]) - 24, 500))
        assert all(given[n][0].encode() in text for n in kept)


def test_erased_event_is_in_no_answer_and_leaves_a_tombstone(database: Path) -> None:
    with SQLiteStore(database) as store:
        assert store.find("e0 6") is None
        assert store.bodies([7]) == []
        assert 7 not in [stored.seq for stored in store.bodies_after(0, 100)]
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT length(mac), length(id_mac) FROM removal WHERE seq = 7").fetchone() == (
            32,
            16,
        )
        assert "asked" in connection.execute("SELECT detail FROM chain WHERE kind = 'removal'").fetchone()[0]


def test_late_duplicate_does_not_bring_an_erased_event_back(database: Path) -> None:
    with SQLiteStore(database) as store:
        put(store, [("e0 6", body("again"))])

        assert store.find("e0 6") is None
        assert store.last_seq() == 50


def test_many_events_are_erased_while_others_are_put(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "insights.db") as store:
        put(store, [(f"e{n}", body(f"{n}")) for n in range(3000)])
        assert store.erase(range(1, 3001, 2), by="Ann", reason="asked") == 1500
        put(store, [("after", body("x"))])

        assert (store.verify().problem, store.verify().events) == (None, 1501)
