from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from support.serving import KEY, Client, insight, rows

from ainsights.errors import ConfigurationError
from ainsights.server import Options, SQLiteStore, keys, running
from ainsights.server.store.sqlite import _connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "insights.db"


@pytest.fixture
def client(database: Path) -> Iterator[Client]:
    with running(Options(database, api_key=KEY)) as endpoint, Client(endpoint) as client:
        yield client


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def ids(page: Any) -> list[str]:
    return [item["event_id"] for item in page["items"]]


def at(second: int) -> dict[str, Any]:
    return {"timestamp": f"2025-01-01T00:00:{second:02}Z"}


def test_row_has_the_columns_that_people_ask_by(client: Client, database: Path) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    meta = {"timestamp": "2025-01-01T01:00:00.5+01:00", "status": "ok", "latency_ms": 12.5}
    client.put(insight("e", response={"model": "gpt-x", "usage": usage}, user_id="Ann", meta=meta))

    columns = "event_id, time, model, user_id, status, latency_ms, prompt_tokens, completion_tokens, total_tokens"
    expected = ("e", "2025-01-01T00:00:00.500000Z", "gpt-x", "Ann", "ok", 12.5, 1, 2, 3)
    assert rows(database, columns) == [expected]


def test_model_comes_from_args_where_the_response_has_none(client: Client, database: Path) -> None:
    client.put(insight(response={}, args={"model": "asked"}))

    assert rows(database, "model") == [("asked",)]


def test_time_is_that_of_the_receipt_where_the_body_has_none(client: Client, database: Path) -> None:
    client.put(insight())

    assert rows(database, "time = received_at") == [(1,)]


def test_listing_is_newest_first(client: Client) -> None:
    for name, second in (("b", 2), ("c", 3), ("a", 1)):
        client.put(insight(name, meta=at(second)))

    assert ids(client.listed()) == ["c", "b", "a"]


def test_item_has_the_body_as_it_came(client: Client) -> None:
    body = b'{ "response": {"x": 1.50, "s": "\\ud800"}, "messages": "\xc3\xa9" }'
    client.put(body)
    client.connection.request("GET", "/insights", headers=client.headers)

    assert body in client.connection.getresponse().read()


def test_paging_shows_each_item_once_while_new_ones_arrive(client: Client) -> None:
    first = [f"old {n}" for n in range(25)]
    for n, name in enumerate(first):
        client.put(insight(name, meta=at(n // 3)))  # several share a time

    page = client.listed(limit=4)
    seen, total = ids(page), page["total"]
    while page["next_cursor"]:
        client.put(insight(meta=at(59)))
        page = client.listed(limit=4, cursor=page["next_cursor"])
        seen += ids(page)

    assert seen == first[::-1]
    assert total == 25


def test_last_page_that_is_full_has_no_cursor(client: Client) -> None:
    client.put(insight())
    client.put(insight())

    assert client.listed(limit=2)["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"model": "m1"}, ["c", "a"]),
        ({"user_id": "Ann"}, ["b", "a"]),
        ({"status": "error"}, ["c"]),
        ({"since": "2025-01-01T00:00:02Z"}, ["c", "b"]),
        ({"until": "2025-01-01T01:00:02+01:00"}, ["a"]),
        ({"model": "m1", "user_id": "Ann"}, ["a"]),
        ({"model": "m9"}, []),
        ({"model": "' OR 1=1 --"}, []),
    ],
)
def test_filter_finds_what_it_names(client: Client, query: dict[str, str], found: list[str]) -> None:
    client.put(insight("a", response={"model": "m1"}, user_id="Ann", meta=at(1) | {"status": "ok"}))
    client.put(insight("b", response={"model": "m2"}, user_id="Ann", meta=at(2) | {"status": "ok"}))
    client.put(insight("c", response={"model": "m1"}, user_id="Bob", meta=at(3) | {"status": "error"}))

    page = client.listed(**query)
    assert ids(page) == found
    assert page["total"] == len(found)


@pytest.mark.parametrize("event_id", ["e", "a/b", "%C3%A9"])
def test_one_insight_is_found_by_its_event_id(client: Client, event_id: str) -> None:
    body = insight("é" if "%" in event_id else event_id)
    client.put(body)

    assert client.ask("GET", f"/insights/{event_id}").json["body"] == body


def test_database_is_kept_over_a_restart(database: Path) -> None:
    for name in ("a", "b"):
        with running(Options(database)) as endpoint, Client(endpoint) as client:
            client.put(insight(name))

    assert rows(database, "event_id") == [("a",), ("b",)]


def test_each_commit_is_synced_to_disk(database: Path) -> None:
    with closing(_connect(database)) as connection:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("journal_mode", "synchronous")]

    assert pragmas == [("wal",), (2,)]


def test_database_and_key_are_for_the_owner_only(database: Path) -> None:
    with running(Options(database)):
        assert {path.name: oct(mode(path)) for path in database.parent.iterdir()} == dict.fromkeys(
            ("insights.db", "insights.db-wal", "insights.db-shm", "insights.db.key"), "0o600"
        )


def test_key_is_made_once_and_used_again(database: Path) -> None:
    with running(Options(database)) as first:
        pass
    with running(Options(database)) as second:
        pass

    assert first.api_key == second.api_key == keys.key_file(database).read_text().strip()
    assert len(first.api_key) > 40


def test_given_key_is_not_written_down(database: Path) -> None:
    with running(Options(database, api_key=KEY)):
        assert not keys.key_file(database).exists()


def test_files_open_to_others_are_closed_to_them(database: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(Options(database)) as first:
        pass
    database.chmod(0o644)
    keys.key_file(database).chmod(0o640)
    with running(Options(database)) as second:
        pass

    assert first.api_key == second.api_key
    assert (mode(database), mode(keys.key_file(database))) == (0o600, 0o600)
    assert [record.message.count("0600") for record in caplog.records] == [1, 1]


@pytest.mark.parametrize("content", [b"", b"two words\n", b"\xff\xfe"])
def test_key_file_without_a_key_is_an_error_that_names_it(database: Path, content: bytes) -> None:
    keys.key_file(database).write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"insights\.db\.key"), running(Options(database)):
        pass


@pytest.mark.parametrize("key", ["", "a b", "é", "line\n"])
def test_key_that_no_header_carries_is_refused(database: Path, key: str) -> None:
    with pytest.raises(ConfigurationError, match="API key") as caught, running(Options(database, api_key=key)):
        pass
    assert not key or key not in str(caught.value)


def test_file_that_is_no_database_is_refused_and_left_alone(database: Path) -> None:
    database.write_text("something else entirely" * 50)

    with pytest.raises(ConfigurationError, match="not a database"), SQLiteStore(database):
        pass
    assert database.read_text() == "something else entirely" * 50


def test_database_of_another_program_is_refused_and_left_alone(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = database.read_bytes()

    with pytest.raises(ConfigurationError, match="another program"), SQLiteStore(database):
        pass
    assert database.read_bytes() == before


def test_database_of_a_newer_version_is_refused(database: Path) -> None:
    with SQLiteStore(database), closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(ConfigurationError, match=r"newer ainsights \(schema 99"), SQLiteStore(database):
        pass


def test_database_in_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"), SQLiteStore(tmp_path / "missing" / "insights.db"):
        pass


def test_closing_the_store_twice_is_harmless(database: Path) -> None:
    with SQLiteStore(database) as store:
        store.close()
