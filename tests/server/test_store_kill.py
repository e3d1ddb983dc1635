"""``kill -9`` at any moment: what was answered is there, what was erased is not, and the chain verifies."""

from __future__ import annotations

import http.client
import itertools
import random
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from support.polling import wait_until
from support.serve_process import serving
from support.serving import KEY, Client, event_ids, insight
from support.stores import body, bytes_of, make_schema_1, put

from ainsights.server import Endpoint
from ainsights.server.store import SQLiteStore

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = [2, pytest.param(20, marks=pytest.mark.slow)]
CLIENTS = 4

ERASER = """
import sys
from pathlib import Path
from ainsights.server.store import SQLiteStore
with SQLiteStore(Path(sys.argv[1])) as store:
    for seq in map(int, sys.argv[2:]):
        store.erase([seq], by="test", reason="asked")
        print(seq, flush=True)
"""


KILLED_WHILE_OPENING = """
import os, sys
from pathlib import Path
from ainsights.server.store import SQLiteStore

def open_and_be_killed(database, moment):
    left = moment

    def kill(event, args):
        nonlocal left
        if event in {"open", "sqlite3.connect", "os.rename", "os.remove"} and "insights.db" in str(args[0]):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), 9)

    sys.addaudithook(kill)
    SQLiteStore(Path(database)).open()
    os.kill(os.getpid(), 9)

for moment, database in enumerate(sys.argv[1:]):
    child = os.fork()
    if not child:
        open_and_be_killed(database, moment)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
"""Opens each store in a child, which is killed when it touches a file for the n-th time, or afterwards."""
MOMENTS = 12


class Putter(threading.Thread):
    """Puts one event after another until the server is gone; knows which were answered 200."""

    def __init__(self, endpoint: Endpoint, name: str) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self._endpoint = endpoint
        self._prefix = name

    def run(self) -> None:
        with Client(self._endpoint) as client, suppress(OSError, http.client.HTTPException, ValueError):
            for n in itertools.count():
                filler = "y" * random.randrange(5000)
                if client.put(insight(f"{self._prefix} {n}", inputs={"x": filler})).status == 200:
                    self.acknowledged.append(f"{self._prefix} {n}")


def put_until_killed(database: Path, round_: int, at_least: int) -> list[str]:
    """Put from several clients, kill the server within it, and return what it had answered 200."""
    with serving(database, "--api-key", KEY) as (process, url):
        putters = [Putter(Endpoint(url, KEY, database), f"{round_} {n}") for n in range(CLIENTS)]
        for putter in putters:
            putter.start()
        wait_until(lambda: sum(len(putter.acknowledged) for putter in putters) >= at_least)
        process.kill()
        for putter in putters:
            putter.join()
    return [name for putter in putters for name in putter.acknowledged]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("rounds", ROUNDS)
def test_what_was_answered_before_a_kill_is_stored(tmp_path: Path, rounds: int) -> None:
    database = tmp_path / "insights.db"
    acknowledged: list[str] = []
    for round_ in range(rounds):
        acknowledged += put_until_killed(database, round_, random.randrange(1, 300))
        with SQLiteStore(database) as store:
            found = store.verify()

        stored = event_ids(database)
        assert found.problem is None
        assert found.events == len(stored) == len(set(stored))
        assert set(acknowledged) <= set(stored)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("rounds", ROUNDS)
def test_what_was_erased_before_a_kill_stays_erased(tmp_path: Path, rounds: int) -> None:
    database = tmp_path / "insights.db"
    given = [(f"event-{n}-id", body(f"{n}", 500)) for n in range(1, rounds * 40 + 1)]
    with SQLiteStore(database) as store:
        put(store, given)
    left = list(range(1, len(given) + 1))
    random.shuffle(left)
    erased: list[int] = []
    for _ in range(rounds):
        command = [sys.executable, "-c", ERASER, str(database), *map(str, left[:35])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for _ in range(random.randrange(1, 30)):
                process.stdout.readline()
            process.kill()
            process.wait()
        with SQLiteStore(database) as store:
            assert store.verify().problem is None
            gone = [removal.seq for removal in store.removals_after(0, 10_000)]
            erased, left = gone, [seq for seq in left if seq not in set(gone)]
            content = bytes_of(database)

        assert not any(f"event-{seq}-id".encode() in content for seq in erased)
        assert all(f"event-{seq}-id".encode() in content for seq in left)
    assert erased


@pytest.mark.timeout(400)
@pytest.mark.parametrize("rounds", ROUNDS)
def test_migration_survives_kills(tmp_path: Path, rounds: int) -> None:
    database = tmp_path / "insights.db"
    count = rounds * 500
    make_schema_1(database, count, 500)
    expected = {f"old {n}" for n in range(1, count + 1)}
    for round_ in range(rounds):
        expected |= set(put_until_killed(database, round_, random.randrange(1, 20)))
    with SQLiteStore(database) as store:
        wait_until(lambda: store.to_migrate == 0)
        found = store.verify()

    assert found.problem is None
    assert expected <= set(event_ids(database))
    assert found.events == len(event_ids(database))
    assert not database.with_name("insights.db.v1").exists()


@pytest.mark.parametrize("old", [0, 50])
def test_kill_within_a_first_start_leaves_a_database_that_opens(tmp_path: Path, old: int) -> None:
    databases = [tmp_path / str(moment) / "insights.db" for moment in range(MOMENTS)]
    for database in databases:
        database.parent.mkdir()
        if old:
            make_schema_1(database, old)
    command = [sys.executable, "-c", KILLED_WHILE_OPENING, *map(str, databases)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    assert ran.stdout.split() == ["-9"] * MOMENTS
    for moment, database in enumerate(databases):
        with SQLiteStore(database) as store:
            put(store, [("a", body("x"))])
            wait_until(lambda: store.to_migrate == 0)
            assert (store.verify().problem, store.verify().events) == (None, old + 1), moment
