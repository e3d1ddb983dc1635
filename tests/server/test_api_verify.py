from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
from support import clickhouse
from support.polling import wait_until
from support.serving import BEARER, KEY, Client, insight

from ainsights import _cli
from ainsights.server import Endpoint, Options, running
from ainsights.server.clickhouse.connection import Connection
from ainsights.server.store import SQLiteStore, verify

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def put(endpoint: Endpoint, count: int) -> None:
    with Client(endpoint) as client:
        for n in range(count):
            client.put(insight(f"e{n}"))


def change(options: Options, event_id: str) -> int:
    """Change an event past the endpoint; return its number."""
    if options.store is None:
        with closing(sqlite3.connect(options.database)) as lite, lite:
            lite.execute("UPDATE event SET received_at = received_at + 1 WHERE event_id = ?", (event_id,))
            return int(lite.execute("SELECT seq FROM event WHERE event_id = ?", (event_id,)).fetchone()[0])
    connection = Connection(clickhouse.address(options.store))
    with closing(connection):
        changed = "ALTER TABLE event UPDATE received_at = received_at + 1 WHERE id = {id:String}"
        connection.command(f"{changed} SETTINGS mutations_sync = 2", {"id": event_id})
        return int(connection.rows("SELECT seq FROM event WHERE id = {id:String}", {"id": event_id})[0][0])


def test_changed_event_is_named(options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    with running(options) as endpoint:
        put(endpoint, 3)
        seq = change(options, "e1")

        assert _cli.main(["verify", "--url", endpoint.url, "--api-key", KEY]) == 1
    assert f"Not as it was stored: event {seq} was changed" in capsys.readouterr().out


def test_verification_stops_when_its_client_disconnects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "REPORT_EVERY", 1)
    reached, client_is_gone, ended = threading.Event(), threading.Event(), threading.Event()
    check = SQLiteStore.verify
    calls: list[int] = []

    def slow(store: SQLiteStore, anchor: Any, progress: Any) -> Any:
        def report(events: int) -> None:
            calls.append(events)
            reached.set()
            assert client_is_gone.wait(30)
            progress(events)

        try:
            return check(store, anchor, report)
        finally:
            ended.set()

    monkeypatch.setattr(SQLiteStore, "verify", slow)
    with running(Options(tmp_path / "insights.db", api_key=KEY)) as endpoint:
        put(endpoint, 500)
        with httpx.stream("GET", f"{endpoint.url}/verify", headers=BEARER, timeout=30) as answer:
            lines = answer.iter_lines()
            next(lines)
            assert reached.wait(30)
        with Client(endpoint) as client:
            for _ in range(10):  # by then the server has seen that the connection is closed
                client.ask("GET", "/health")
        client_is_gone.set()
        wait_until(ended.is_set)

    assert len(calls) < 500
