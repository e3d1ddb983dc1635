"""The live view over several replicas."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from support import clickhouse, indexed
from support.backends import options_of
from support.polling import wait_until
from support.serving import KEY, Client, insight

from ainsights.server import Options, running
from ainsights.server.clickhouse.engine import ClickHouseEngine
from ainsights.server.clickhouse.store import ClickHouseStore
from ainsights.server.query import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = clickhouse.needs_engine


@pytest.fixture
def options(clickhouse_server: str, tmp_path: Path) -> Iterator[Options]:
    with options_of("clickhouse", lambda: clickhouse_server, tmp_path) as options:
        yield options


def test_an_answer_is_cut_off_with_one_log_line_when_the_store_becomes_unavailable(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        clickhouse.embedded(tmp_path / "clickhouse") as server,
        options_of("clickhouse", lambda: server.url("").rstrip("/"), tmp_path) as options,
        running(options) as endpoint,
    ):
        server.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(f"{endpoint.url}/verify", headers={"Authorization": f"Bearer {KEY}"})
        server.start()
    lines = [line for line in caplog.records if "cut off" in line.getMessage()]
    assert len(lines) == 1
    assert [line.getMessage() for line in caplog.records if line.exc_info] == []


def test_stream_of_one_replica_shows_what_another_stores_within_two_seconds(options: Options) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    with (
        running(options) as here,
        running(options) as there,
        Client(there) as client,
        httpx.stream("GET", f"{here.url}/insights/stream", headers=headers, timeout=30) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        for n in range(3):
            client.put(insight(f"e{n}"))
            stored = time.monotonic()
            data = next(line for line in lines if line.startswith("data: "))
            assert json.loads(data[6:])["id"] == f"e{n}"
            assert time.monotonic() - stored < 2


def test_event_whose_insert_took_long_is_shown_after_those_that_overtook_it(
    clickhouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        clickhouse.opened(clickhouse_url) as store,
        ClickHouseStore(clickhouse.address(clickhouse_url), clickhouse.KEY) as slow,
    ):
        follower = ClickHouseEngine(store.connection, store).follow(Filter())
        began = store.connection.now() + 0.002
        indexed.put(store, [indexed.body("quick")])
        shown: list[int] = []

        def has_shown(count: int) -> bool:
            shown.extend(follower.next(100))
            return len(shown) == count

        wait_until(lambda: has_shown(1))
        monkeypatch.setattr(slow.connection, "now", lambda: began)  # it numbered the event then, and stores it now
        indexed.put(slow, [indexed.body("late")])
        wait_until(lambda: has_shown(2))
        assert [body.event_id for body in store.bodies(shown)] == ["quick", "late"]
        assert shown[1] < shown[0] <= follower.after
        assert follower.next(100) == []


def test_event_whose_insert_began_before_a_stream_is_resumed_is_shown_by_it_and_the_others_once(
    clickhouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        clickhouse.opened(clickhouse_url) as store,
        ClickHouseStore(clickhouse.address(clickhouse_url), clickhouse.KEY) as slow,
    ):
        began = store.connection.now()
        indexed.put(store, [indexed.body("seen")])
        resumed = ClickHouseEngine(store.connection, store).follow(Filter(), store.bodies_after(0, 1)[0].seq)
        assert resumed.next(100) == []
        monkeypatch.setattr(slow.connection, "now", lambda: began)  # it numbered the event then, and stores it now
        indexed.put(slow, [indexed.body("late")])
        shown: list[int] = []

        def has_shown() -> bool:
            shown.extend(resumed.next(100))
            return bool(shown)

        wait_until(has_shown)
        assert [body.event_id for body in store.bodies(shown)] == ["late"]
