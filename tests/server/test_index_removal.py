from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb
import pytest
from support.indexed import PATIENCE, Served, body, put, random_bodies, serving

from ainsights.server.index import Index, removals
from ainsights.server.index.columns import Columns
from ainsights.server.query import Filter, parse_filter, parse_query
from ainsights.server.query.engine import IndexUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ainsights.server.store.sqlite import SQLiteStore

SECRET = "xylophonist"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    secret = body(
        "secret", messages=f"I am a {SECRET}", user_id=f"{SECRET}@example.com", meta={"team": SECRET, "tags": [SECRET]}
    )
    with serving(tmp_path, [*random_bodies(50, seed=5), secret, body("last", messages="bye")]) as served:
        yield served


def erase(store: SQLiteStore, event_id: str) -> None:
    stored = store.find(event_id)
    assert stored
    assert store.erase([stored.seq], by="test", reason="test") == 1


def kinds_of_files_with_the_secret(directory: Path) -> set[str]:
    """Return the first word of the files' names. FTS5 leaves out the letters that a word shares with the one before."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {path.name.split("-")[0] for path in files if SECRET[3:].encode() in path.read_bytes().lower()}


def test_an_erased_event_is_in_no_answer_as_soon_as_it_is_erased(served: Served) -> None:
    erase(served.store, "secret")
    assert served.engine.count(Filter()) == 51
    assert served.engine.count(parse_filter(SECRET)) == 0
    assert served.engine.events(parse_query(f"where user:{SECRET}*")).rows == []
    assert served.engine.user(f"{SECRET}@example.com") is None


def test_nothing_of_an_erased_event_remains_in_the_files(served: Served, tmp_path: Path) -> None:
    assert kinds_of_files_with_the_secret(tmp_path / "insights.index") == {"columns", "text"}
    erase(served.store, "secret")
    assert served.index.wait(PATIENCE)
    assert kinds_of_files_with_the_secret(tmp_path / "insights.index") == set()


def test_other_events_remain(served: Served) -> None:
    erase(served.store, "secret")
    assert served.index.wait(PATIENCE)
    assert served.engine.count(Filter()) == 51
    assert [row.id for row in served.engine.events(parse_query("where bye")).rows] == ["last"]


def test_events_are_indexed_after_an_erasure(served: Served) -> None:
    erase(served.store, "last")
    assert served.index.wait(PATIENCE)
    put(served.store, [body("new", messages="a ferret")])
    assert served.index.wait(PATIENCE)
    assert [row.id for row in served.engine.events(parse_query("where ferret")).rows] == ["new"]


def test_an_index_catches_up_with_erasures_that_it_missed(served: Served, tmp_path: Path) -> None:
    served.index.close()
    erase(served.store, "secret")
    with Index(served.store, tmp_path / "insights.index") as index:
        assert index.wait(PATIENCE)
        with index.columns.cursor() as cursor:
            assert cursor.execute("SELECT count(*) FROM event").fetchall() == [(51,)]
    assert kinds_of_files_with_the_secret(tmp_path / "insights.index") == set()


def test_an_index_without_its_store_s_erased_events_equals_a_new_one(served: Served, tmp_path: Path) -> None:
    for number in range(0, 50, 3):
        erase(served.store, f"event-{number}")
    assert served.index.wait(PATIENCE)
    with Index(served.store, tmp_path / "again") as again:
        assert again.wait(PATIENCE)
        contents = []
        for index in (served.index, again):
            with index.columns.cursor() as cursor:
                contents.append(cursor.execute("SELECT * FROM event ORDER BY seq").fetchall())
    assert contents[0] == contents[1]


def test_an_event_that_is_erased_before_it_is_indexed_leaves_no_lag(served: Served, tmp_path: Path) -> None:
    served.index.close()
    put(served.store, [body("brief")])
    erase(served.store, "brief")
    with Index(served.store, tmp_path / "insights.index") as index:
        assert index.wait(PATIENCE)
        assert index.status().lag_seconds == 0


@pytest.mark.parametrize("times", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_an_event_that_was_erased_while_the_index_was_closed_is_never_in_an_answer(
    served: Served, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    monkeypatch.setattr(removals, "REST", 0)  # else each purge waits for 20 times as long as the one before took
    for number in range(times):
        served.index.close()
        erase(served.store, f"event-{number}")
        served.index.open()
        answers = set()
        while not served.index.wait(0):
            with suppress(IndexUnavailableError):
                answers.add(served.engine.count(parse_filter(f"id:event-{number}")))
        assert answers <= {0}


def test_what_a_killed_process_was_writing_is_removed_and_the_index_is_kept(
    served: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    served.index.close()
    directory = tmp_path / "insights.index"
    left = [directory / "columns-000002.duckdb.part", directory / "columns-000002.duckdb.part.wal"]
    left += [directory / "incoming.ndjson", directory / "build-0.ndjson"]
    left += [directory / f"build-7.db{suffix}" for suffix in ("", "-wal", "-shm", "-journal")]
    left.append(directory / "spill" / "x.tmp")
    left[-1].parent.mkdir(exist_ok=True)
    for path in left:
        path.write_text("half of it")
    with Index(served.store, directory) as index:
        assert index.wait(PATIENCE)
    assert not [path for path in left if path.exists()]
    assert caplog.messages == []  # it would warn that it is rebuilt


def test_queries_continue_while_the_columns_are_compacted(tmp_path: Path) -> None:
    columns = Columns(tmp_path)
    columns.open()
    done, failures, answers = threading.Event(), [], []

    def ask() -> None:
        while not done.is_set():
            try:
                with columns.cursor() as cursor:
                    answers.append(cursor.execute("SELECT count(*) FROM event, range(300000)").fetchall())
            except duckdb.Error as error:  # noqa: PERF203  each query for itself
                failures.append(error)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for _ in range(20):
        columns.compact()
    done.set()
    for thread in asking:
        thread.join(PATIENCE)
    columns.close()
    assert failures == []
    assert set(map(str, answers)) == {"[(0,)]"}
    assert len(list(tmp_path.glob("columns-*.duckdb"))) == 1
