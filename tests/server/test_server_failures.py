from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from support.polling import wait_until
from support.serve_process import serving
from support.serving import KEY, Client, event_ids, insight
from support.stores import bytes_of

from ainsights.server import Endpoint

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "insights.db"


@contextmanager
def endpoint(database: Path) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    with serving(database, "--api-key", KEY) as (process, url), Client(Endpoint(url, KEY, database)) as client:
        yield process, client


def health(client: Client) -> int:
    return client.ask("GET", "/health", headers={}).status


def stop(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=30)


def test_full_disk_is_reported_and_recovered_from(database: Path) -> None:
    with endpoint(database) as (process, client):
        assert client.put(insight("before")).status == 200
        # a limit on the size of files does what a full disk does, and can be lifted again
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        refused = [client.put(insight(f"during {n}", inputs={"x": os.urandom(150_000).hex()})) for n in range(5)]
        assert {answer.status for answer in refused} == {500}
        assert all(answer.json["success"] is False for answer in refused)
        wait_until(lambda: health(client) == 503)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_until(lambda: health(client) == 200)
        assert client.put(insight("after")).status == 200
        stdout, stderr = stop(process)

    assert event_ids(database) == ["before", "after"]
    assert stderr.count("Cannot store insights") == 1
    assert stderr.count("\n") <= 3
    assert "works again" in stderr
    assert stdout.endswith("Stopped: every insight that was answered 200 is on disk.\n")


def test_locked_database_is_reported_and_recovered_from(database: Path) -> None:
    with endpoint(database) as (process, client):
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = client.put(insight("during"))
            assert health(client) == 503
        wait_until(lambda: health(client) == 200)
        assert client.put(insight("after")).status == 200
        _, stderr = stop(process)

    assert refused.status == 500
    assert "locked" in refused.json["detail"]
    assert event_ids(database) == ["after"]
    assert stderr.count("Cannot store insights") == 1


def test_deleted_database_is_reported_and_a_new_one_started(database: Path) -> None:
    with endpoint(database) as (process, client):
        assert client.put(insight("before")).status == 200
        for path in database.parent.glob("insights.db*"):
            if path.suffix not in {".audit-key", ".lock"}:
                path.unlink()
        refused = client.put(insight("during"))
        wait_until(lambda: health(client) == 200)
        assert client.put(insight("after")).status == 200
        stdout, stderr = stop(process)

    assert refused.status == 500
    assert event_ids(database) == ["after"]
    assert "deleted, moved or replaced while in use" in stderr
    assert "on disk." not in stdout
    assert (process.returncode, stderr.count("not everything that was answered 200 is on disk")) == (1, 1)


def test_deletion_is_noticed_without_a_request(database: Path) -> None:
    with endpoint(database) as (process, client):
        assert client.put(insight("before")).status == 200
        database.unlink()
        stdout, stderr = stop(process)

    assert (process.returncode, stdout.count("is on disk")) == (1, 0)
    assert "was deleted" in stderr


def test_deleted_log_loses_nothing(database: Path) -> None:
    with endpoint(database) as (process, client):
        assert client.put(insight("before")).status == 200
        database.with_name("insights.db-wal").unlink()
        client.put(insight("during"))
        wait_until(lambda: client.put(insight("after")).status == 200)
        assert {"before", "after"} <= {item["id"] for item in client.listed()["items"]}
        stop(process)

    assert {"before", "after"} <= set(event_ids(database))


def test_database_that_is_put_back_is_used_again(database: Path) -> None:
    names = ("insights.db", "insights.db-wal", "insights.db-shm")
    aside = database.with_name("aside")
    aside.mkdir()
    with endpoint(database) as (process, client):
        assert client.put(insight("before")).status == 200
        for name in names:
            (database.parent / name).rename(aside / name)
        assert client.put(insight("during")).status == 500
        for name in names[::-1]:
            (aside / name).replace(database.parent / name)
        wait_until(lambda: client.put(insight("after")).status == 200)
        assert {"before", "after"} <= {item["id"] for item in client.listed()["items"]}
        stop(process)

    assert {"before", "after"} <= set(event_ids(database))


def test_damaged_database_is_reported_until_it_is_repaired(database: Path) -> None:
    with endpoint(database) as (process, client):
        assert client.put(insight("before")).status == 200
        stop(process)
    good = database.read_bytes()
    with endpoint(database) as (process, client):
        with database.open("r+b") as file:
            file.seek(0)
            file.write(b"\0" * len(good))
        wait_until(lambda: client.put(insight("during", inputs={"x": os.urandom(9000).hex()})).status == 500)
        assert health(client) == 503
        database.with_name("whole").write_bytes(good)
        database.with_name("whole").replace(database)
        for suffix in ("-wal", "-shm"):
            database.with_name(f"insights.db{suffix}").unlink(missing_ok=True)
        wait_until(lambda: client.put(insight("after")).status == 200)
        assert health(client) == 200
        _, stderr = stop(process)

    assert {"before", "after"} <= set(event_ids(database))
    assert "Cannot store insights" in stderr
    assert len(stderr) < 2000
    assert json.dumps("during").encode() not in bytes_of(database)
