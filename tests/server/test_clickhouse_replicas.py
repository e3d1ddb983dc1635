"""Several replicas over one store: killed, restarted, and with the store away, while clients write."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

from support import clickhouse, replicas
from support.clickhouse import embedded, needs_engine
from support.polling import wait_until
from support.replicas import Writers
from support.serving import KEY as API_KEY

from ainsights import Insights

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_engine
COUNT = 1200
STORED = "SELECT id FROM event FINAL"


def check_stored(store: str, writers: Writers) -> None:
    """Check that each acknowledged event is stored once, and no other, and that the chains verify."""
    with clickhouse.opened(store) as opened_store:
        rows = [event_id for (event_id,) in opened_store.connection.rows(STORED)]
        assert len(rows) == len({*rows})
        assert {*rows} == writers.acknowledged
        found = opened_store.verify()
        assert (found.problem, found.events) == (None, len(rows))


def test_what_replicas_acknowledge_is_stored_once_though_two_of_them_are_killed(
    clickhouse_url: str, tmp_path: Path
) -> None:
    with replicas.replicas(tmp_path, clickhouse_url, 4) as running:
        writers = Writers([replica.url for replica in running], COUNT)
        writing = threading.Thread(target=writers.run)
        writing.start()
        for number, replica in enumerate(running[:2]):
            wait_until(lambda number=number: len(writers.acknowledged) > 200 + 400 * number)  # type: ignore[misc]
            replica.end(signal.SIGKILL)
            least = len(writers.acknowledged)
            found = running[3].count()
            assert least <= found <= len(writers.sent)
            replica.start()
        writing.join()
        assert len(writers.acknowledged) == COUNT
        assert writers.retries
        assert [replica.count() for replica in running] == [COUNT] * 4
    check_stored(clickhouse_url, writers)


def test_puts_are_refused_while_the_store_is_unavailable_and_stored_when_it_is_back(tmp_path: Path) -> None:
    with embedded(tmp_path / "clickhouse") as server:
        store = server.url("insights")
        with replicas.replicas(tmp_path, store, 2) as running:
            writers = Writers([replica.url for replica in running], 1000)
            writing = threading.Thread(target=writers.run)
            writing.start()
            wait_until(lambda: len(writers.acknowledged) > 100)
            server.kill()
            kept = len(writers.acknowledged)
            wait_until(lambda: writers.retries > 200)
            assert len(writers.acknowledged) <= kept + 500
            server.start()
            writing.join()
            assert len(writers.acknowledged) == 1000
        check_stored(store, writers)


def test_our_client_loses_nothing_while_the_store_is_unavailable(tmp_path: Path) -> None:
    with (
        embedded(tmp_path / "clickhouse") as server,
        replicas.replicas(tmp_path, server.url("insights"), 1) as [replica],
    ):
        with Insights(api_key=API_KEY, base_url=replica.url, spool_dir=tmp_path / "spool") as client:
            server.kill()
            for number in range(100):
                client.capture(messages=f"question {number}", response={"model": "m"})
            wait_until(lambda: client.stats().retried > 0)
            for method, path in (("PUT", "/insight"), ("GET", "/health"), ("GET", "/insights")):
                assert replica.status_of(method, path) == (503, method == "PUT" or path == "/insights")
            server.start()
            assert client.flush(timeout=60)
            stats = client.stats()
        assert (stats.captured, stats.delivered, stats.dropped) == (100, 100, {})
        assert replica.count() == 100
