"""What answers cost over many stored events: ``python benchmarks/server/queries.py --events 1000000 --directory DIR``.

It stores generated events, builds the index, asks queries of every kind (the best and the median of ten, warm), and
then stores and asks at the same time. For each kind of query the slowest counts against its target. The processor time
beside the wall time shows how far other programs disturbed: on an idle machine the wall time is no longer.

``--store clickhouse`` asks the same of the embedded engine of ClickHouse in a process of its own, over HTTP;
``--store clickhouse://user@host/database`` of a server. The processor time of a server is not counted, that of the
embedded engine is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.embedded import EmbeddedEngine
from ainsights.server.index import Index, IndexOptions
from ainsights.server.query import Filter, parse_filter, parse_query
from ainsights.server.sample import Sample, generate
from ainsights.server.store.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ainsights.server.query.engine import Engine
    from ainsights.server.store import Store

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

PATIENCE = 900.0
ROUNDS = 10
SERVERS: list[int] = []
"""The process of the embedded engine of ClickHouse, whose time counts too."""

IN_ONE_INSERT = 5000
"""Events that are put into ClickHouse at a time."""

TOGETHER = 20_000
"""Events that are stored at once, with and without queries beside them."""

ROUNDS_TOGETHER = 5

LISTS = (
    "",
    "where model:o3",
    "where user:user-00012",
    "where meta.team:legal status:error",
    "where tag:beta latency>3s",
    "where -stream:true has:ttft",
    "where meta.ainsights.retries>0",
    "where model:gpt-4o* tool:get_invoice since:2025-11-01",
    "order by latency desc",
    "order by cost asc",
)
SEARCHES = ("refund", '"five working days"', "the", "refund -warranty model:gpt-4o", "退款", "zebra", "14-1")
TABLES = (
    "events",
    "events, share, error rate by model",
    "p95 latency by model, hour",
    "p50 latency, p95 latency, p99 latency by model, hour",
    "users, conversations by model, day",
    "cost by user, day",
    "p95 latency by user",
    "events, cost by tag",
    "events by tool, model",
    "error rate by meta.team",
    "tokens per second by model, week",
    "events by template, auto",
)
TABLES_WITH_TEXT = ("p95 ttft by model, hour where refund", "cost, tokens by user where the")
FACETS = ("", "model:gpt-4o", "status:error", "refund")


class Timing(NamedTuple):
    """Milliseconds."""

    name: str
    best: float
    median: float
    processor: float


def measure(name: str, ask: Callable[[], object], rounds: int = ROUNDS) -> Timing:
    wall = []
    ask()
    used = time.process_time() + _used_by_server()
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        wall.append((time.perf_counter() - began) * 1e3)
    used = time.process_time() + _used_by_server() - used
    return Timing(name, min(wall), statistics.median(wall), used / rounds * 1e3)


def _used_by_server() -> float:
    """Return the processor time of the database's process, if it has one, in seconds."""
    if not SERVERS:
        return 0.0
    fields = Path(f"/proc/{SERVERS[0]}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(kind: str, target: float, timings: list[Timing]) -> None:
    worst = max(timings, key=lambda timing: timing.best)
    verdict = "holds" if worst.best <= target else "MISSED"
    print(f"\n{kind}: at most {target:.0f} ms: {verdict} (slowest {worst.best:.1f} ms)")
    print(f"{'best':>9} {'median':>9} {'processor':>10}  ms")
    for timing in timings:
        print(f"{timing.best:9.1f} {timing.median:9.1f} {timing.processor:10.1f}  {timing.name}")


def store_all(store: Store, samples: Iterator[Sample], at_once: int = 1000) -> float:
    """Store the samples, so many at a time; return events per second."""

    async def put() -> int:
        waiting, count = [], 0
        for sample in samples:
            waiting.append(store.put(*sample))
            count += 1
            if len(waiting) == at_once:
                await asyncio.gather(*waiting)
                waiting = []
        await asyncio.gather(*waiting)
        return count

    began = time.perf_counter()
    return asyncio.run(put()) / (time.perf_counter() - began)


def ask_all(engine: Engine) -> None:
    measure_lists(engine, 1)
    measure_searches(engine, 1)
    measure_tables(engine, 1)
    measure_facets(engine, 1)


def measure_lists(engine: Engine, rounds: int = ROUNDS) -> list[Timing]:
    queries = [(text, parse_query(text)) for text in LISTS]
    return [measure(f"list {text}", lambda query=query: engine.events(query), rounds) for text, query in queries]


def measure_searches(engine: Engine, rounds: int = ROUNDS) -> list[Timing]:
    queries = [(text, parse_query(f"where {text}")) for text in SEARCHES]
    return [measure(text, lambda query=query: engine.events(query), rounds) for text, query in queries]


def measure_tables(engine: Engine, rounds: int = ROUNDS, texts: tuple[str, ...] = TABLES) -> list[Timing]:
    queries = [(text, parse_query(text)) for text in texts]
    return [measure(text, lambda query=query: engine.aggregate(query), rounds) for text, query in queries]


def measure_facets(engine: Engine, rounds: int = ROUNDS) -> list[Timing]:
    filters = [(text, parse_filter(text)) for text in FACETS]
    return [measure(f"facets {text}", lambda wanted=wanted: engine.facets(wanted), rounds) for text, wanted in filters]


def measure_others(engine: Engine) -> list[Timing]:
    query = parse_query("")
    asks = (engine.questions, engine.messages, engine.urls, engine.words, engine.conversations)
    return [measure(ask.__name__, lambda ask=ask: ask(query)) for ask in asks]


def measure_together(store: SQLiteStore, engine: Engine, index: Index) -> None:
    """Store as fast as possible, ask without pause, and both at once: in turns, so that what else runs disturbs all."""
    alone, together, asked_alone, asked_together = [], [], [], []
    for number in range(ROUNDS_TOGETHER):
        samples = _fresh(number)
        index.wait(PATIENCE)
        alone.append(store_all(store, samples))
        samples = _fresh(number + ROUNDS_TOGETHER)
        index.wait(PATIENCE)
        asked_alone.append(measure("", lambda: ask_all(engine), 1).median)
        stop = threading.Event()

        def ask(stop: threading.Event = stop) -> None:
            while not stop.is_set():
                began = time.perf_counter()
                ask_all(engine)
                asked_together.append((time.perf_counter() - began) * 1e3)

        thread = threading.Thread(target=ask)
        thread.start()
        together.append(store_all(store, samples))
        stop.set()
        thread.join()
    stored, beside = statistics.median(alone), statistics.median(together)
    query_time, longer = statistics.median(asked_alone), statistics.median(asked_together)
    print(f"\nstoring {stored:.0f}/s alone, {beside:.0f}/s while queries run: {1 - beside / stored:.0%} slower (25%)")
    print(f"all queries {query_time:.0f} ms alone, {longer:.0f} ms while storing: {longer / query_time:.2f} x (2)")


def _fresh(number: int) -> Iterator[Sample]:
    return iter(list(generate(TOGETHER, seed=time.time_ns() % 10**9 + number)))


def measure_lag(store: SQLiteStore, index: Index, rate: int = 1000, seconds: int = 5) -> None:
    """Store 1,000 events a second and look at the lag."""
    samples = iter(list(generate(rate * seconds, seed=time.time_ns() % 10**9)))
    index.wait(PATIENCE)
    lags = []

    async def put() -> None:
        began = time.perf_counter()
        for tenth in range(seconds * 10):
            await asyncio.gather(*(store.put(*next(samples)) for _ in range(rate // 10)))
            lags.append(index.status().lag_seconds)
            await asyncio.sleep(max(0.0, began + (tenth + 1) / 10 - time.perf_counter()))

    asyncio.run(put())
    print(f"\nlag at {rate} events/s: at most {max(lags):.2f} s, median {statistics.median(lags):.2f} s (1 s)")


def run(directory: Path, events: int, seed: int) -> None:
    with SQLiteStore(directory / "insights.db") as store:
        missing = events - store.last_seq()
        if missing > 0:
            rate = store_all(store, generate(missing, seed=seed))
            print(f"{missing} events generated and stored: {rate:.0f}/s")
        used, began = _processor(), time.perf_counter()
        index = Index(store, directory / "insights.index", IndexOptions())
        with index:
            assert index.wait(PATIENCE)
            took = time.perf_counter() - began
            print(f"index ready after {took:.1f} s ({_processor() - used:.1f} s of processor time); {index.status()}")
            engine = EmbeddedEngine(index, store)
            report_all(engine)
            measure_together(store, engine, index)
            measure_lag(store, index)
        print(f"\nmemory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB (600 MB)")
        print(f"disk {sum(path.stat().st_size for path in directory.rglob('*')) / 1e9:.2f} GB (1.6 GB at a million)")


def report_all(engine: Engine) -> None:
    report("lists", 50, measure_lists(engine))
    report("text search", 30, measure_searches(engine))
    report("tables", 150, measure_tables(engine))
    report("tables with text", 150, measure_tables(engine, texts=TABLES_WITH_TEXT))
    report("facets", 100, measure_facets(engine))
    report("texts, conversations (no target)", 1000, measure_others(engine))


def run_on_clickhouse(url: str, events: int, seed: int) -> None:
    from support import clickhouse  # noqa: PLC0415

    from ainsights.server.clickhouse.engine import ClickHouseEngine  # noqa: PLC0415  an extra

    with clickhouse.opened(url) as store:
        engine = ClickHouseEngine(store.connection, store)
        missing = events - engine.count(Filter())
        if missing > 0:
            rate = store_all(store, generate(missing, seed=seed), IN_ONE_INSERT)
            print(f"{missing} events generated and stored: {rate:.0f}/s")
        while store.connection.rows("SELECT count() FROM system.merges")[0][0]:
            time.sleep(1)
        parts = "SELECT count(), sum(bytes_on_disk) / 1e9 FROM system.parts WHERE active AND table = 'event'"
        print(f"{events} events in {store.connection.rows(parts)[0]} parts and GB")
        report_all(engine)


def _processor() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--directory", type=Path, help="kept, and used again; by default a temporary one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", default="sqlite", help="sqlite, clickhouse, or the address of a server")
    options = parser.parse_args()
    if "://" in options.store:
        run_on_clickhouse(options.store, options.events, options.seed)
    elif options.directory:
        options.directory.mkdir(parents=True, exist_ok=True)
        run_in(options.directory, options)
    else:
        with tempfile.TemporaryDirectory() as directory:
            run_in(Path(directory), options)


def run_in(directory: Path, options: argparse.Namespace) -> None:
    if options.store == "sqlite":
        run(directory, options.events, options.seed)
        return
    from support import clickhouse  # noqa: PLC0415  an extra

    with clickhouse.embedded(directory) as server:
        assert server.process
        SERVERS.append(server.process.pid)
        run_on_clickhouse(server.url("benchmark"), options.events, options.seed)


if __name__ == "__main__":
    main()
