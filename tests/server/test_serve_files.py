from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.stores import body, put

from ainsights import _cli
from ainsights.errors import ConfigurationError
from ainsights.server.keys import KeyFile
from ainsights.server.store import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

root_only = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
NOBODY = 65534


def state(path: Path) -> tuple[int, int, float, bytes]:
    """Return all that could be changed of a path."""
    status = path.lstat()
    content = path.read_bytes() if path.is_file() else b""
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime, content


def directory(path: Path) -> None:
    path.mkdir(mode=0o755)


def text(path: Path) -> None:
    path.write_text("a letter\n" * 100)
    path.chmod(0o644)


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    path.chmod(0o666)


def other_database_in_use(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE theirs (x)")
        connection.commit()
    path.chmod(0o644)


def link(path: Path) -> None:
    target = path.with_name("target")
    with SQLiteStore(target):
        pass
    target.chmod(0o644)
    path.symlink_to(target)


def dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def pipe(path: Path) -> None:
    os.mkfifo(path, 0o644)


FOREIGN = [directory, text, other_database, other_database_in_use, link, dangling_link, pipe]


@pytest.mark.parametrize("make", FOREIGN)
def test_file_that_is_not_our_database_is_refused_and_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None]
) -> None:
    path = tmp_path / "given"
    make(path)
    before = {each.name: state(each) for each in tmp_path.iterdir()}

    status = _cli.main(["serve", "--port", "0", "--db", str(path), "--api-key", "k"])

    assert status == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert {each.name: state(each) for each in tmp_path.iterdir()} == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", ".lock", ".audit-key", ".keys", ".keys.lock", ".key", ".v1"])
@pytest.mark.parametrize("dangling", [True, False])
def test_symlink_in_place_of_a_database_companion_file_is_refused_and_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, *, dangling: bool
) -> None:
    target = tmp_path / "target"
    if not dangling:
        target.write_text("ab" * 32)
        target.chmod(0o644)
    tmp_path.joinpath(f"insights.db{suffix}").symlink_to(target)

    status = _cli.main(["serve", "--port", "0", "--db", str(tmp_path / "insights.db")])

    assert status == 2
    assert "symbolic link" in capsys.readouterr().err
    assert target.exists() is not dangling
    if not dangling:
        assert (target.read_text(), stat.S_IMODE(target.stat().st_mode)) == ("ab" * 32, 0o644)


def link_to_a_directory(path: Path) -> None:
    path.with_name("elsewhere").mkdir(mode=0o755)
    path.symlink_to(path.with_name("elsewhere"))


def open_directory(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


@pytest.mark.parametrize("make", [link_to_a_directory, open_directory, text])
def test_index_directory_that_others_can_write_to_is_refused_and_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None]
) -> None:
    index = tmp_path / "insights.index"
    make(index)
    before = state(index)

    status = _cli.main(["serve", "--port", "0", "--db", str(tmp_path / "insights.db"), "--api-key", "k"])

    assert (status, capsys.readouterr().err.count("\n")) == (2, 1)
    assert state(index) == before
    assert not list((tmp_path / "elsewhere").glob("*"))


@root_only
@pytest.mark.parametrize("suffix", ["", ".audit-key", ".keys", ".keys.lock", ".key", ".lock"])
def test_file_of_another_user_is_refused_and_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    if suffix == "":
        with SQLiteStore(tmp_path / "insights.db"):
            pass
    planted = tmp_path / f"insights.db{suffix}"
    if suffix:
        planted.write_text("known-to-the-attacker")
    os.chown(planted, NOBODY, NOBODY)
    planted.chmod(0o644)
    before = state(planted)

    status = _cli.main(["serve", "--port", "0", "--db", str(tmp_path / "insights.db")])

    assert status == 2
    assert "belongs to another user" in capsys.readouterr().err
    assert state(planted) == before


@root_only
def test_key_file_that_is_planted_later_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keys = KeyFile(tmp_path / "insights.db")
    key = keys.add("mine", [])
    entry = keys.read()[0]
    assert keys.find(entry.digest)
    os.chown(keys.path, NOBODY, NOBODY)
    keys.path.touch()

    assert keys.find(entry.digest) is None
    assert "another user" in caplog.text
    assert key not in caplog.text


def test_database_open_to_others_is_restricted_once_it_is_known_to_be_ours(tmp_path: Path) -> None:
    path = tmp_path / "insights.db"
    with SQLiteStore(path) as store:
        put(store, [("a", body("x"))])
    path.chmod(0o666)
    with SQLiteStore(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_database_without_rights_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory"):
        SQLiteStore(tmp_path / "missing" / "insights.db").open()


def file_of_somebody(path: Path) -> None:
    path.mkdir()
    path.joinpath("columns-of-1999.csv").write_text("precious")


def directory_of_somebody(path: Path) -> None:
    path.joinpath("photos").mkdir(parents=True)
    path.joinpath("photos", "a.jpg").write_text("precious")


@pytest.mark.parametrize("make", [file_of_somebody, directory_of_somebody])
def test_directory_with_more_than_an_index_is_refused_and_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable[[Path], None]
) -> None:
    make(tmp_path / "insights.index")
    before = {path: state(path) for path in tmp_path.joinpath("insights.index").rglob("*")}

    status = _cli.main(["serve", "--port", "0", "--db", str(tmp_path / "insights.db"), "--api-key", "k"])

    assert status == 2
    assert "index directory" in capsys.readouterr().err
    assert {path: state(path) for path in tmp_path.joinpath("insights.index").rglob("*")} == before
