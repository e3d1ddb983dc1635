from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from ainsights._delivery.spool import database, process_lock
from ainsights._delivery.spool.spool import Spool, SpoolRow, SpoolStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LARGE = 2**30

PROGRAM = """
import sys
from pathlib import Path
from ainsights._delivery.spool.spool import Spool
spool = Spool(Path(sys.argv[1]), 2**30)
"""


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", LARGE)
    yield spool
    spool.close()


@pytest.fixture
def another(spool: Spool) -> Iterator[Spool]:
    another = Spool(spool.directory, LARGE)
    yield another
    another.close()


def start(program: str, spool: Spool) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM + program, str(spool.directory)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def bodies(claimed: list[tuple[SpoolRow, bytes]]) -> list[bytes]:
    return [body for _, body in claimed]


def test_added_events_are_available_to_the_next_process(spool: Spool, another: Spool) -> None:
    spool.add([b"one", b"two"])
    spool.close()
    assert bodies(another.claim(10)) == [b"one", b"two"]


def test_claimed_event_is_not_claimed_again(spool: Spool, another: Spool) -> None:
    spool.add([b"one"])
    assert another.claim(10) == []
    assert not another.has_unclaimed()


def test_released_event_is_claimed_by_one(spool: Spool, another: Spool) -> None:
    spool.release([number for number in spool.add([b"one"]) if number])
    assert another.has_unclaimed()
    assert bodies(another.claim(10)) == [b"one"]
    assert spool.claim(10) == []


def test_delivered_event_is_removed(spool: Spool) -> None:
    (number,) = spool.add([b"one"])
    assert number is not None
    spool.acknowledge(number)
    assert spool.status().waiting == spool.status().claimed == spool.count == 0


def test_rejected_event_is_a_dead_letter_until_it_is_retried(spool: Spool) -> None:
    (number,) = spool.add([b"one"])
    assert number is not None
    spool.reject(number, "422 no messages")
    status = spool.status()
    assert (status.waiting, status.claimed, status.dead, status.reasons) == (0, 0, 1, ("422 no messages",))
    assert spool.claim(10) == []
    assert spool.retry_rejected() == 1
    assert spool.claim(10) == [(number, b"one")]


def test_count_is_what_all_processes_have_not_delivered(spool: Spool, another: Spool) -> None:
    spool.add([b"one", b"two"])
    another.add([b"three"])
    spool.claim(1)
    assert (spool.count, another.count) == (3, 1)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_files_are_the_users_alone(spool: Spool) -> None:
    umask = os.umask(0)
    try:
        spool.add([b"one"])
    finally:
        os.umask(umask)
    modes = {path.name.partition("-")[0]: stat.S_IMODE(path.stat().st_mode) for path in spool.directory.iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o700


def test_events_of_a_killed_process_may_be_claimed_by_any(spool: Spool) -> None:
    program = 'print(len(spool.add([b"one"])), flush=True); sys.stdin.read()'
    with start(program, spool) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        assert spool.claim(10) == []
        process.kill()
        process.wait()
    assert bodies(spool.claim(10)) == [b"one"]
    assert len(list(spool.directory.glob("owner-*.lock"))) == 1


def test_lock_files_of_dead_processes_are_removed(spool: Spool, another: Spool) -> None:
    another.add([b"one"])
    (living,) = spool.directory.glob("owner-*.lock")
    dead = spool.directory / "owner-dead.lock"
    dead.touch()
    for mark in (living, dead):
        os.utime(mark, (0, time.time() - process_lock.SILENCE - 1))
    spool.add([b"two"])
    assert living.exists()
    assert not dead.exists()


def test_process_without_file_locks_is_dead_once_it_is_silent(
    spool: Spool, another: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_lock, "fcntl", None)
    spool.add([b"one"])
    assert another.claim(10) == []
    for mark in spool.directory.glob("owner-*.lock"):
        os.utime(mark, (0, time.time() - process_lock.SILENCE - 1))
    assert bodies(another.claim(10)) == [b"one"]


def test_processes_that_claim_at_once_share_the_events(spool: Spool) -> None:
    spool.release([number for number in spool.add([b"%d" % each for each in range(400)]) if number])
    program = """
        while got := spool.claim(7):
            for number, body in got:
                print(body.decode())
                spool.acknowledge(number)
    """
    processes = [start("if True:\n" + program, spool) for _ in range(4)]
    claimed = Counter(line for process in processes for line in process.communicate()[0].split())
    assert claimed == {str(each): 1 for each in range(400)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_fork_leaves_its_parents_events_alone(spool: Spool) -> None:
    program = """
        import os
        spool.add([b"one"])
        if os.fork() == 0:
            spool.reset_after_fork()
            own = Spool(spool.directory, 2**30)
            assert own.claim(10) == []
            own.add([b"two"])
            own.close()
            sys.exit(0)
        assert os.wait()[1] == 0
        spool.add([b"three"])
        print(spool.status().claimed, spool.status().waiting, flush=True)
        os.kill(os.getpid(), 9)
    """
    with start("if True:\n" + program, spool) as process:
        assert process.communicate()[0] == "2 1\n"
        assert process.returncode == -signal.SIGKILL
    assert sorted(bodies(spool.claim(10))) == [b"one", b"three", b"two"]


# Limits


def test_full_spool_takes_no_more_and_logs_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path, 200_000)
    numbers = [spool.add([bytes(10_000)])[0] for _ in range(30)]
    assert numbers[0] is not None
    assert numbers[-1] is None
    assert "is full" in caplog.text
    assert spool.status().bytes <= 200_000
    spool.close()


def test_dead_letters_are_evicted_oldest_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 200_000)
    for reason in ("first", "second"):
        (number,) = spool.add([bytes(60_000)])
        assert number is not None
        spool.reject(number, reason)
    assert spool.add([bytes(90_000)]) != [None]
    assert spool.status().reasons == ("second",)
    assert (spool.evicted(), spool.evicted()) == (1, 0)
    spool.close()


def test_space_of_delivered_events_is_released(spool: Spool) -> None:
    numbers = spool.add([bytes(10_000)] * 200)
    size = (spool.directory / "spool.db-wal").stat().st_size
    for number in numbers:
        assert number is not None
        spool.acknowledge(number)
    spool.maintain()
    assert sum(path.stat().st_size for path in spool.directory.iterdir()) < size / 4


# What disks and files do


def check_goes_on(spool: Spool) -> None:
    assert spool.add([b"later"]) != [None]
    assert spool.problem is None


def test_directory_that_cannot_be_created_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "file" / "spool", LARGE)
    assert spool.add([b"one"]) == [None]
    assert spool.claim(10) == []
    assert spool.status() == SpoolStatus()
    assert len([record for record in caplog.records if "cannot be used" in record.getMessage()]) == 1
    (tmp_path / "file").unlink()
    check_goes_on(spool)
    spool.close()


def test_full_disk_refuses_events_and_later_accepts_them(spool: Spool) -> None:
    program = """
        import resource
        assert spool.add([b"one"])[0].number == 1
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        print(spool.add([bytes(500_000)]), spool.problem is not None)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        print(spool.add([bytes(500_000)])[0].number, spool.problem, spool.status().claimed)
    """
    pytest.importorskip("resource")
    with start("if True:\n" + program, spool) as process:
        assert process.communicate()[0] == "[None] True\n2 None 2\n"


def another_database(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE event (name TEXT)")


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b"no database" * 1000), id="another file"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:100] + os.urandom(12_000)), id="pages"),
        pytest.param(another_database, id="another database"),
    ],
)
def test_damaged_file_is_set_aside_and_recreated(
    spool: Spool, damage: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    spool.add([b"one"])
    spool.close()
    damage(spool.directory / "spool.db")
    spool.claim(1)
    check_goes_on(spool)
    assert len(list(spool.directory.glob("spool.db.corrupt-*"))) == 1
    assert "is kept as" in caplog.text


def test_file_of_a_newer_version_is_refused_and_not_set_aside(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    spool.add([b"one"])
    spool.close()
    with contextlib.closing(sqlite3.connect(spool.directory / "spool.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert spool.add([b"two"]) == [None]
    assert "newer ainsights" in caplog.text
    assert not list(spool.directory.glob("spool.db.corrupt-*"))


def test_deleted_file_is_recreated(spool: Spool) -> None:
    spool.add([b"one"])
    for path in spool.directory.iterdir():
        path.unlink()
    check_goes_on(spool)


def test_locked_file_is_retried(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    spool.add([b"one"])
    with contextlib.closing(sqlite3.connect(spool.directory / "spool.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert spool.add([b"two"]) == [None]
        connection.execute("ROLLBACK")
    assert "database is locked" in caplog.text
    check_goes_on(spool)


def test_file_system_without_locks_for_databases_is_survived(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Remote(sqlite3.Connection):
        def execute(self, *_args: Any) -> Any:
            raise sqlite3.OperationalError("locking protocol")

    connect = sqlite3.connect
    with monkeypatch.context() as patched:
        patched.setattr(sqlite3, "connect", lambda path, **options: connect(path, factory=Remote, **options))
        assert spool.add([b"one"]) == [None]
    assert "locking protocol" in caplog.text
    check_goes_on(spool)


def test_many_threads_may_use_one_spool(spool: Spool) -> None:
    def work() -> None:
        for _ in range(50):
            for number in spool.add([b"one", b"two"]):
                assert number is not None
                spool.acknowledge(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (spool.count, spool.status().claimed) == (0, 0)
