"""``ainsights serve --store``, ``serve migrate`` and ``serve keys`` on ClickHouse."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from support import replicas
from support.clickhouse import needs_engine, opened
from support.endpoints import free_port

from ainsights._cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_engine


@pytest.fixture(autouse=True)
def _change_to_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_migrate_prints_what_it_did(clickhouse_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "migrate", "--store", clickhouse_url]) == 0
    assert main(["serve", "migrate", "--store", clickhouse_url]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("migrated to schema 1.")
    assert second.endswith("nothing to do: the tables are up to date.")


def test_serve_refuses_a_store_without_tables(clickhouse_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--store", clickhouse_url]) == 2
    printed = capsys.readouterr().err
    assert "does not have ainsights' tables; run: ainsights serve migrate --store clickhouse://" in printed


def test_serve_names_what_is_wrong_and_never_the_password(capsys: pytest.CaptureFixture[str]) -> None:
    store = f"clickhouse://ann:secret@127.0.0.1:{free_port()}/insights"
    assert main(["serve", "--port", "0", "--store", store]) == 2
    printed = capsys.readouterr()
    assert "does not answer" in printed.err
    assert "secret" not in printed.err + printed.out


def test_limits_by_size_are_refused(clickhouse_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--store", clickhouse_url, "--max-bytes", "1000000"]) == 2
    assert "--max-bytes: is for SQLite" in capsys.readouterr().err


@pytest.fixture
def without_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.startswith(("ainsights.server.clickhouse", "clickhouse_connect"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "clickhouse_connect", None)


@pytest.mark.parametrize("url", ["mysql://a@b/c", "foo", ""])
@pytest.mark.parametrize(
    "command", [["serve"], ["serve", "migrate"], ["serve", "keys", "list"], ["export"]], ids=" ".join
)
@pytest.mark.usefixtures("without_driver")
def test_wrong_store_is_named_before_a_missing_driver(
    command: list[str], url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--store", url]) == 2
    printed = capsys.readouterr().err
    assert "--store: give clickhouse://user@host/database" in printed
    assert "extra" not in printed


@pytest.mark.usefixtures("without_driver")
def test_without_the_driver_the_extra_is_named(clickhouse_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--store", clickhouse_url]) == 2
    assert main(["serve", "migrate", "--store", clickhouse_url]) == 2
    assert capsys.readouterr().err.count("pip install 'ainsights[clickhouse]'") == 2


def test_keys_are_kept_in_the_store(clickhouse_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(clickhouse_url):
        pass
    assert main(["serve", "keys", "add", "app", "--role", "read", "--store", clickhouse_url]) == 0
    assert main(["serve", "keys", "list", "--store", clickhouse_url]) == 0
    assert main(["serve", "keys", "revoke", "app", "--store", clickhouse_url]) == 0
    assert main(["serve", "keys", "revoke", "app", "--store", clickhouse_url]) == 2
    printed = capsys.readouterr()
    assert "API key 'app', shown only now: ainsights_" in printed.out
    assert "app  read  " in printed.out
    assert "no key is called 'app'" in printed.err


def test_serve_stores_to_clickhouse_and_answers_from_it(clickhouse_url: str, tmp_path: Path) -> None:
    with replicas.replicas(tmp_path, clickhouse_url, 1) as [replica]:
        writers = replicas.Writers([replica.url], 20)
        writers.run()
        assert replica.count() == 20
        listed = replica.get("/insights", limit="5", q="question")
        assert listed["total"] == 20
        status = replica.get("/status")
        assert status["store"]["problem"] is None
        assert status["store"]["last_seq"] == status["index"]["indexed_seq"] > 0
