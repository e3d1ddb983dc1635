"""``ainsights export --db|--store`` and ``ainsights import``: whole stores from SQLite to ClickHouse and back."""

from __future__ import annotations

import asyncio
import io
import re
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support import indexed
from support.clickhouse import KEY, needs_engine, opened
from support.indexed import body, random_bodies

from ainsights._cli import main
from ainsights.server.copying.stream import Tally
from ainsights.server.store import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from support.indexed import Body

ODD = body("an odd 'id' \\ \u65e5\0", 0.1, messages='line\nbreak "quoted" \u0000 \ud83d\ude00')


@pytest.fixture(autouse=True)
def _change_to_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AINSIGHTS_AUDIT_KEY", KEY.hex())


class Result(NamedTuple):
    status: int
    out: bytes
    err: str


class Command:
    """Runs ``ainsights`` in this process, with bytes as its input."""

    def __init__(self, capture: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capture = capture
        self._monkeypatch = monkeypatch

    def run(self, *arguments: str, stdin: bytes = b"") -> Result:
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        status = main(arguments)
        out, err = self._capture.readouterr()
        return Result(status, out, err.decode())

    def __call__(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run a command that succeeds; return what it printed."""
        result = self.run(*arguments, stdin=stdin)
        assert result.status == 0, result.err
        return result.out


@pytest.fixture
def ainsights(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(capsysbinary, monkeypatch)


def hash_of(bodies: Iterable[Body]) -> str:
    tally = Tally()
    for each in bodies:
        tally.add(*each)
    return f"{tally.events} events, hash {tally.hash}\n"


def fill(path: Path, bodies: list[Body]) -> None:
    with SQLiteStore(path) as store:
        indexed.put(store, bodies)


@needs_engine
def test_a_copy_to_clickhouse_and_back_is_equal_by_count_and_hash(
    tmp_path: Path, clickhouse_url: str, ainsights: Command
) -> None:
    bodies = [*random_bodies(300, seed=5), ODD]
    fill(tmp_path / "a.db", bodies)
    with opened(clickhouse_url):
        pass
    imported = ainsights("import", "--store", clickhouse_url, stdin=ainsights("export", "--db", "a.db"))
    assert b"has all 301 events of the copy" in imported
    ainsights("import", "--db", "b.db", stdin=ainsights("export", "--store", clickhouse_url))
    expected = hash_of(bodies).encode()
    for store in (("--db", "a.db"), ("--store", clickhouse_url), ("--db", "b.db")):
        assert ainsights("export", "--hash", *store) == expected
    with opened(clickhouse_url) as store, SQLiteStore(tmp_path / "b.db") as other:
        assert store.verify().problem is None
        assert other.verify().problem is None


def test_an_interrupted_import_prints_how_to_resume(tmp_path: Path, ainsights: Command) -> None:
    bodies = random_bodies(50, seed=6)
    fill(tmp_path / "a.db", bodies)
    copy = ainsights("export", "--db", "a.db")
    lines = copy.splitlines(keepends=True)
    cut = ainsights.run("import", "--db", "b.db", stdin=b"".join(lines[:31]))
    assert cut.status == 1
    found = re.search(r"ends early; 30 events are stored; to go on, .*: ainsights export ... --after '(\d+)'", cut.err)
    assert found
    rest = ainsights("export", "--db", "a.db", "--after", found[1])
    assert len(rest.splitlines()) == 22
    assert b"has all 20 events of the copy" in ainsights("import", "--db", "b.db", stdin=rest)
    assert ainsights("export", "--hash", "--db", "b.db") == hash_of(bodies).encode()
    ainsights("import", "--db", "b.db", stdin=copy)
    assert ainsights("export", "--hash", "--db", "b.db") == hash_of(bodies).encode()


@needs_engine
def test_a_copy_from_clickhouse_continues_after_any_event(clickhouse_url: str, ainsights: Command) -> None:
    bodies = random_bodies(30, seed=7)
    with opened(clickhouse_url) as store:

        async def put_all() -> None:
            await asyncio.gather(*(store.put(*each) for each in bodies))

        asyncio.run(put_all())
    lines = ainsights("export", "--store", clickhouse_url).splitlines(keepends=True)
    cut = ainsights.run("import", "--db", "b.db", stdin=b"".join(lines[:11]))
    place = re.search(r"--after '(.*)'", cut.err)
    assert place
    ainsights("import", "--db", "b.db", stdin=ainsights("export", "--store", clickhouse_url, "--after", place[1]))
    assert ainsights("export", "--hash", "--db", "b.db") == hash_of(bodies).encode()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda lines: lines[1:], "this is not a copy"),
        (lambda lines: [lines[0], b"{}\n", *lines[1:]], "a line of the copy is damaged"),
        (lambda lines: [*lines[:5], *lines[6:]], "9 events arrived, of 10"),
        (lambda lines: [*lines[:5], lines[5].replace(b"Fine", b"Fire"), *lines[6:]], "some of them changed"),
    ],
)
def test_an_incomplete_copy_is_detected(tmp_path: Path, change: object, problem: str, ainsights: Command) -> None:
    fill(tmp_path / "a.db", [body(f"event {number}") for number in range(10)])
    lines = ainsights("export", "--db", "a.db").splitlines(keepends=True)
    assert callable(change)
    result = ainsights.run("import", "--db", "b.db", stdin=b"".join(change(lines)))
    assert result.status == 1
    assert problem in result.err


@pytest.mark.parametrize("content", [b"", b"no copy\n", b"{}\n"])
def test_import_of_what_is_not_a_copy_makes_no_files(tmp_path: Path, content: bytes, ainsights: Command) -> None:
    assert ainsights.run("import", stdin=content).status == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--hash",), "--hash: needs --db or --store"),
        (("--after", "7"), "--after: needs --db or --store"),
        (("--db", "a.db", "model:x"), "FILTER: not with --db or --store, which copy a whole store to stdout"),
        (("--db", "a.db", "--since", "7d"), "--since: not with --db or --store"),
        (("--db", "a.db", "--format", "csv"), "--format: not with --db or --store"),
        (("--db", "a.db", "--output", "x"), "--output: not with --db or --store"),
    ],
)
def test_option_that_an_export_would_ignore_is_refused(
    tmp_path: Path, options: tuple[str, ...], problem: str, ainsights: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AINSIGHTS_API_KEY", "key-of-an-endpoint")
    fill(tmp_path / "a.db", [body("event 1")])
    result = ainsights.run("export", *options)
    assert (result.status, result.out, result.err.count("\n")) == (2, b"", 1)
    assert result.err.startswith(f"ainsights export: {problem}")


@pytest.mark.parametrize("command", [["export"], ["import"], ["serve"], ["serve", "keys", "list"]])
def test_two_stores_at_once_are_refused(tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--db", "a.db", "--store", "clickhouse://ann@127.0.0.1:9/x"])
    assert "argument --store: not allowed with argument --db" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, ainsights: Command) -> None:
    result = ainsights.run("export", "--db", "missing.db")
    assert (result.status, result.out) == (2, b"")
    assert "there is none" in result.err
    assert not (tmp_path / "missing.db").exists()
