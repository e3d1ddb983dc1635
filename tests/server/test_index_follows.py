from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import duckdb
import pytest
from support.indexed import PATIENCE, Served, body, put, random_bodies, serving

from ainsights.server.embedded import EmbeddedEngine
from ainsights.server.index import Index, IndexOptions, columns, linking, shards
from ainsights.server.query import Filter, parse_filter, parse_query
from ainsights.server.store.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERYTHING = Filter()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        yield served


def ids(served: Served, text: str = "") -> list[str]:
    return sorted(row.id for row in served.engine.events(parse_query(f"limit 1000 where {text}")).rows)


def contents(index: Index) -> list[tuple[object, ...]]:
    with index.columns.cursor() as cursor:
        return cursor.execute("SELECT * FROM event ORDER BY seq").fetchall()


def test_an_event_is_found_once_it_is_indexed(served: Served) -> None:
    put(served.store, [body("a", messages="a ferret")])
    assert served.index.wait(PATIENCE)
    assert ids(served, "ferret") == ["a"]


def test_the_status_names_the_last_event_and_no_lag_once_all_is_indexed(served: Served) -> None:
    put(served.store, random_bodies(10, seed=1))
    assert served.index.wait(PATIENCE)
    status = served.index.status()
    assert (status.state, status.indexed_seq, status.last_seq, status.lag_seconds, status.error) == (
        "ready",
        10,
        10,
        0.0,
        None,
    )
    assert status.bytes > 0


def test_the_lag_is_the_age_of_the_first_event_that_is_not_indexed(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "insights.db") as store:
        index = Index(store, tmp_path / "insights.index")
        put(store, [body("a")])
        assert index.status().lag_seconds > 0
        assert index.status().state == "rebuilding"
        with index:
            assert index.wait(PATIENCE)
            assert index.status().lag_seconds == 0


def test_an_index_resumes_where_it_stopped(tmp_path: Path) -> None:
    with serving(tmp_path, random_bodies(30, seed=1)):
        pass
    with SQLiteStore(tmp_path / "insights.db") as store:
        put(store, [body("late")])
        with Index(store, tmp_path / "insights.index") as index:
            assert index.wait(PATIENCE)
            assert EmbeddedEngine(index, store).count(EVERYTHING) == 31


@pytest.mark.parametrize("processes", [1, 2])
def test_a_rebuild_with_processes_gives_the_same_index(
    tmp_path: Path, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress: list[float] = []
    with serving(tmp_path, random_bodies(300, seed=2)) as served:
        followed = contents(served.index)
        monkeypatch.setattr("ainsights.server.index.index.IN_PARALLEL_FROM", 1)
        options = IndexOptions(processes=processes, progress=progress.append)
        with Index(served.store, tmp_path / "again", options) as index:
            assert index.wait(PATIENCE)
            assert contents(index) == followed
            engine = EmbeddedEngine(index, served.store)
            assert engine.seqs(parse_filter("refund"), 0, 1000) == served.engine.seqs(parse_filter("refund"), 0, 1000)
            put(served.store, [body("late", messages="a ferret")])
            assert index.wait(PATIENCE)
            assert engine.count(parse_filter("ferret")) == 1
    assert progress
    assert progress[-1] == 1.0


def damage_nothing(_: Path) -> None:
    pass


def delete_columns(directory: Path) -> None:
    for path in directory.glob("columns-*"):
        path.unlink()


def delete_text(directory: Path) -> None:
    for path in directory.glob("text-*"):
        path.unlink()


def delete_all(directory: Path) -> None:
    delete_columns(directory)
    delete_text(directory)
    directory.rmdir()


def truncate_columns(directory: Path) -> None:
    path = next(directory.glob("columns-*.duckdb"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty_columns(directory: Path) -> None:
    next(directory.glob("columns-*.duckdb")).write_bytes(b"")


def columns_without_tables(directory: Path) -> None:
    """What a process leaves that was killed while it made the file."""
    path = next(directory.glob("columns-*.duckdb"))
    path.unlink()
    duckdb.connect(str(path)).close()


def scribble_on_columns(directory: Path) -> None:
    next(directory.glob("columns-*.duckdb")).write_bytes(b"no database" * 10_000)


def truncate_text(directory: Path) -> None:
    path = next(directory.glob("text-*.db"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scribble_on_text(directory: Path) -> None:
    next(directory.glob("text-*.db")).write_bytes(b"no database" * 1000)


def another_version_of_columns(directory: Path) -> None:
    with duckdb.connect(str(next(directory.glob("columns-*.duckdb")))) as connection:
        connection.execute("UPDATE state SET format = ?", [linking.FORMAT + 1])


def another_version_of_text(directory: Path) -> None:
    import sqlite3  # noqa: PLC0415
    from contextlib import closing  # noqa: PLC0415

    with closing(sqlite3.connect(next(directory.glob("text-*.db")))) as connection:
        connection.execute(f"PRAGMA user_version = {shards.FORMAT + 1}")


def rebuild_interrupted(directory: Path) -> None:
    with duckdb.connect(str(next(directory.glob("columns-*.duckdb")))) as connection:
        connection.execute("UPDATE state SET complete = false")


@pytest.mark.parametrize(
    "damage",
    [
        damage_nothing,
        delete_columns,
        delete_text,
        delete_all,
        truncate_columns,
        empty_columns,
        columns_without_tables,
        scribble_on_columns,
        truncate_text,
        scribble_on_text,
        another_version_of_columns,
        another_version_of_text,
        rebuild_interrupted,
    ],
)
def test_the_index_is_rebuilt_after_damage(tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture) -> None:
    assert callable(damage)
    with serving(tmp_path, [*random_bodies(50, seed=3), body("a", messages="a ferret")]) as served:
        before = contents(served.index)
    damage(tmp_path / "insights.index")
    with serving(tmp_path) as served:
        assert contents(served.index) == before
        assert ids(served, "ferret") == ["a"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_the_index_of_another_store_is_rebuilt(tmp_path: Path) -> None:
    with serving(tmp_path, random_bodies(20, seed=4)):
        pass
    for path in tmp_path.glob("insights.db*"):
        path.unlink()
    with serving(tmp_path, [body("other")]) as served:
        assert ids(served) == ["other"]


def test_queries_see_a_consistent_state_while_events_arrive(served: Served) -> None:
    query = parse_query("events, tokens, prompt tokens")
    stop, wrong = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            events, tokens, _ = served.engine.aggregate(query).rows[0]
            if tokens != (3 * events or None):
                wrong.append((events, tokens))

    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for batch in range(5):
        put(served.store, [body(f"{batch}-{number}", response=usage) for number in range(20)])
        assert served.index.wait(PATIENCE)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert served.engine.count(EVERYTHING) == 100


def test_a_page_is_stable_while_events_arrive(served: Served) -> None:
    put(served.store, [body(f"old-{number:02}", 1_750_000_000 + number) for number in range(10)])
    assert served.index.wait(PATIENCE)
    query = parse_query("limit 4")
    first = served.engine.events(query)
    put(served.store, [body(f"new-{number}", 1_760_000_000) for number in range(5)])
    assert served.index.wait(PATIENCE)
    second = served.engine.events(query, first.next_cursor)
    assert [row.id for row in (*first.rows, *second.rows)] == [f"old-{number:02}" for number in range(9, 1, -1)]


def test_an_event_with_more_of_everything_than_is_kept_is_indexed(served: Served) -> None:
    long = "\x01" * 5000
    many = [f"{number}{long}" for number in range(300)]
    chat = [{"role": ("user", "assistant")[number % 2], "content": f"{number}"} for number in range(2000)]
    calls = [{"function": {"name": name, "arguments": ""}} for name in many]
    response = {
        "model": long,
        "choices": [{"finish_reason": long, "message": {"content": "a ferret", "tool_calls": calls}}],
    }
    meta = {f"{name[:150]}": name for name in many} | {
        "tags": many,
        "ainsights.status": long,
        "ainsights.error_type": long,
    }
    big = body(
        "big", messages=chat, response=response, user_id=long, meta=meta, template="x", inputs=dict.fromkeys(many)
    )
    put(served.store, [big, body("small")])
    assert served.index.wait(PATIENCE)
    assert ids(served) == ["big", "small"]
    assert ids(served, "ferret") == ["big"]


def test_an_empty_store_gives_empty_answers(served: Served) -> None:
    table = served.engine.aggregate(
        parse_query("events, share, error rate, p95 latency, cost, users, tokens per second")
    )
    assert table.rows == [(0, 0.0, None, None, None, 0, None)]
    assert served.engine.events(parse_query("")).rows == []
    assert served.engine.conversations(parse_query("")).rows == []
    assert served.engine.questions(parse_query("")) == served.engine.messages(parse_query("")) == []
    assert served.engine.words(parse_query("")).words == []


def test_queries_leave_a_processor_to_ingestion_while_many_events_arrive(served: Served) -> None:
    def threads() -> int:
        with served.index.columns.cursor() as cursor:
            return int(cursor.execute("SELECT current_setting('threads')").fetchall()[0][0])

    def wait_for(count: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while threads() != count:
            assert time.monotonic() < deadline

    wait_for(columns.THREADS)
    put(served.store, [body(f"{number}") for number in range(1000)])
    wait_for(1)
    wait_for(columns.THREADS)
