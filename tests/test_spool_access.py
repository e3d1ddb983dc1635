"""A spool that another user could read or write is refused."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.endpoints import free_port, running_endpoint

import ainsights
from ainsights._delivery.spool.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(os.name != "posix", reason="access is by owner and mode on POSIX")

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can act as another user")
HELLO = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a spool with one event."""
    spool = Spool(tmp_path / "spool", 2**30)
    spool.add([b'{"meta": {}, "messages": "waiting"}'])
    spool.close()
    return tmp_path / "spool"


@pytest.fixture
def instrument() -> Iterator[Callable[[Path], object]]:
    yield lambda directory: ainsights.instrument(
        base_url=f"http://127.0.0.1:{free_port()}", api_key="key", spool_dir=directory, exit_timeout=0
    )
    ainsights.shutdown(0)


def writable_directory(directory: Path) -> Path:
    directory.chmod(0o777)
    return directory


def directory_writable_by_the_group(directory: Path) -> Path:
    directory.chmod(0o770)
    return directory


def sticky_directory(directory: Path) -> Path:
    directory.chmod(0o1777)
    return directory


def readable_database(directory: Path) -> Path:
    directory.chmod(0o755)
    (directory / "spool.db").chmod(0o644)
    return directory


def linked_directory(directory: Path) -> Path:
    link = directory.with_name("link")
    link.symlink_to(directory)
    return link


def linked_database(directory: Path) -> Path:
    real = directory.with_name("real.db")
    (directory / "spool.db").rename(real)
    (directory / "spool.db").symlink_to(real)
    return directory


def linked(name: str) -> Callable[[Path], Path]:
    def plant(directory: Path) -> Path:
        victim = directory.with_name("victim")
        victim.write_text("precious")
        (directory / name).symlink_to(victim)
        return directory

    return plant


def database_that_is_a_directory(directory: Path) -> Path:
    (directory / "spool.db").unlink()
    (directory / "spool.db").mkdir()
    return directory


CHANGES = {
    writable_directory: "chmod 700",
    directory_writable_by_the_group: "chmod 700",
    sticky_directory: "name a directory of its own",
    readable_database: "chmod 600",
    linked_directory: "is a symbolic link: name the directory",
    linked_database: "is a symbolic link",
    linked("spool.db-wal"): "is a symbolic link",
    linked("spool.db-shm"): "is a symbolic link",
    linked("spool.lock"): "is a symbolic link",
    linked("owner-0.lock"): "is a symbolic link",
    database_that_is_a_directory: "is not a regular file",
}


@pytest.mark.parametrize(("change", "complaint"), CHANGES.items(), ids=range(len(CHANGES)))
def test_unsafe_spool_is_refused_at_start_up_with_the_remedy(
    directory: Path, instrument: Callable[[Path], object], change: Callable[[Path], Path], complaint: str
) -> None:
    with pytest.raises(ainsights.ConfigurationError, match=rf"(?s)AINSIGHTS_SPOOL_DIR=.*{complaint}"):
        instrument(change(directory))


@pytest.mark.parametrize(("change", "complaint"), list(CHANGES.items())[3:6], ids=range(3))
def test_unsafe_spool_is_a_problem_that_doctor_reports(
    directory: Path, change: Callable[[Path], Path], complaint: str
) -> None:
    environ = {
        "AINSIGHTS_SPOOL_DIR": str(change(directory)),
        "AINSIGHTS_BASE_URL": f"http://127.0.0.1:{free_port()}",
    }
    command = [sys.executable, "-m", "ainsights", "doctor", "--json"]
    ran = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True, check=False)
    (found,) = [each for each in json.loads(ran.stdout)["findings"] if each["check"] == "spool"]
    assert found["level"] == "problem"
    assert complaint in f"{found['message']}: {found['remedy']}"


def test_spool_that_becomes_unsafe_is_not_used_any_more(
    directory: Path, instrument: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    with running_endpoint() as endpoint:
        insights = ainsights.Insights(base_url=endpoint.url, api_key="key", spool_dir=directory)
        directory.chmod(0o777)
        for number in range(3):
            insights.capture(response=HELLO, messages=f"{number}")
        assert endpoint.wait_for(lambda: len(endpoint.stored) == 3)
        insights.close()
    lines = [record.getMessage() for record in caplog.records if "cannot be used" in record.getMessage()]
    assert len(lines) == 1
    assert "chmod 700" in lines[0]
    with closing(sqlite3.connect(directory / "spool.db")) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (1,)
    with pytest.raises(ainsights.ConfigurationError):
        instrument(directory)


def test_private_directory_may_be_reached_through_links(directory: Path, instrument: Callable[[Path], object]) -> None:
    link = directory.parent.with_name(f"{directory.parent.name}-link")
    link.symlink_to(directory.parent)
    instrument(link / "spool")


def test_directory_of_ones_own_in_a_volume_that_all_can_write_is_safe(
    directory: Path, instrument: Callable[[Path], object]
) -> None:
    directory.parent.chmod(0o777)
    instrument(directory)


def test_directory_that_others_can_list_is_safe(directory: Path, instrument: Callable[[Path], object]) -> None:
    directory.chmod(0o755)
    instrument(directory)


# Other users

AS_ANOTHER = """
import os, sys
from pathlib import Path
import ainsights
ainsights.Insights(base_url="http://127.0.0.1:1", api_key="key")  # that user cannot read this Python's modules
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
directory = Path(sys.argv[2])
try:
    ainsights.Insights(base_url="http://127.0.0.1:1", api_key="key", spool_dir=directory)
except ainsights.ConfigurationError as error:
    print(error)
else:
    print("accepted")
"""


@pytest.fixture
def open_path(tmp_path: Path) -> Iterator[Path]:
    """Return a directory that every user can reach, as pytest's are not."""
    path = Path(f"/tmp/ainsights-test-{os.getpid()}-{abs(hash(tmp_path))}")
    path.mkdir(mode=0o755)
    yield path
    subprocess.run(["rm", "-r", str(path)], check=True)


def as_user(user: int, directory: Path) -> str:
    command = [sys.executable, "-c", AS_ANOTHER, str(user), str(directory)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@AS_ROOT
def test_spool_of_root_is_refused_to_another_user(open_path: Path) -> None:
    (open_path / "spool").mkdir(mode=0o755)
    assert "belongs to the user with the id 0, and this process runs as 65534" in as_user(NOBODY, open_path / "spool")


@AS_ROOT
def test_spool_of_ones_own_is_accepted(open_path: Path) -> None:
    (open_path / "spool").mkdir(mode=0o700)
    os.chown(open_path / "spool", NOBODY, NOBODY)
    assert as_user(NOBODY, open_path / "spool") == "accepted"


@AS_ROOT
def test_root_refuses_the_directory_of_another_user(directory: Path, instrument: Callable[[Path], object]) -> None:
    os.chown(directory, NOBODY, NOBODY)
    with pytest.raises(ainsights.ConfigurationError, match=f"belongs to the user with the id {NOBODY}"):
        instrument(directory)


@AS_ROOT
def test_root_refuses_the_database_of_another_user(directory: Path, instrument: Callable[[Path], object]) -> None:
    os.chown(directory / "spool.db", NOBODY, NOBODY)
    with pytest.raises(ainsights.ConfigurationError, match=r"spool\.db belongs to the user"):
        instrument(directory)


@AS_ROOT
def test_symlink_planted_by_another_user_makes_root_open_no_other_file(
    open_path: Path, instrument: Callable[[Path], object]
) -> None:
    victim = open_path / "victim.db"
    with closing(sqlite3.connect(victim)) as connection:
        connection.execute("CREATE TABLE precious (name TEXT)")
    before = victim.read_bytes()
    planted = open_path / "spool"
    planted.mkdir(mode=0o755)
    (planted / "spool.db").symlink_to(victim)
    os.chown(planted, NOBODY, NOBODY)
    with pytest.raises(ainsights.ConfigurationError):
        instrument(planted)
    spool = Spool(planted, 2**30)
    assert spool.add([b"one"]) == [None]
    spool.close()
    assert victim.read_bytes() == before
