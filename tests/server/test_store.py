from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.serving import KEY, Client, event_ids, insight

from ainsights.errors import ConfigurationError
from ainsights.server import Options, SQLiteStore, keys, running

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


def test_database_is_kept_over_a_restart(database: Path) -> None:
    for name in ("a", "b"):
        with running(Options(database)) as endpoint, Client(endpoint) as client:
            client.put(insight(name))

    assert event_ids(database) == ["a", "b"]


def test_database_and_key_are_for_the_owner_only(database: Path) -> None:
    with running(Options(database)):
        assert {path.name: oct(mode(path)) for path in database.parent.iterdir()} == dict.fromkeys(
            (
                "insights.db",
                "insights.db-wal",
                "insights.db-shm",
                "insights.db.key",
                "insights.db.lock",
                "insights.db.audit-key",
            ),
            "0o600",
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
    with SQLiteStore(database):
        pass
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(ConfigurationError, match=r"newer ainsights \(schema 99"), SQLiteStore(database):
        pass


def test_database_in_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"), SQLiteStore(tmp_path / "missing" / "insights.db"):
        pass


def test_closing_the_store_twice_is_harmless(database: Path) -> None:
    with SQLiteStore(database) as store:
        store.close()
