from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.serving import KEY, Client, event_ids, insight

from ainsights.errors import ConfigurationError
from ainsights.server import Options, SQLiteStore, running
from ainsights.server.keys import KeyFile

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


def test_files_are_for_the_owner_only(database: Path) -> None:
    KeyFile(database).first()
    with running(Options(database)):
        names = {path.name: oct(mode(path)) for path in database.parent.iterdir()}

    assert names.pop("insights.index") == "0o700"
    suffixes = ("", "-wal", "-shm", ".keys", ".keys.lock", ".lock", ".audit-key")
    assert names == {f"insights.db{suffix}": "0o600" for suffix in suffixes}


def test_files_open_to_others_are_closed_to_them(database: Path, caplog: pytest.LogCaptureFixture) -> None:
    audit_key = database.with_name("insights.db.audit-key")
    with running(Options(database)):
        pass
    database.chmod(0o644)
    audit_key.chmod(0o640)
    with running(Options(database)):
        pass

    assert (mode(database), mode(audit_key)) == (0o600, 0o600)
    assert sorted(record.message.count("0600") for record in caplog.records) == [1, 1]


@pytest.mark.parametrize("key", ["", "a b", "é", "line\n"])
def test_key_that_no_header_carries_is_refused(database: Path, key: str) -> None:
    with pytest.raises(ConfigurationError, match="API key") as caught, running(Options(database, api_key=key)):
        pass
    assert not key or key not in str(caught.value)


def test_file_that_is_not_a_database_is_refused_and_left_alone(database: Path) -> None:
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
