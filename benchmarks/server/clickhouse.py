"""The endpoint on ClickHouse: what an insert and an event cost, how queries grow, and what replicas do under fire.

    python benchmarks/server/clickhouse.py inserts
    python benchmarks/server/clickhouse.py growth [--sizes 100000 1000000 10000000] [--directory DIR]
    python benchmarks/server/clickhouse.py replicas [--count 200000] [--outage 30]

ClickHouse is the embedded engine in a process of its own (tests/support/clickhouse_server.py), which runs one statement
at a time, or the server that AINSIGHTS_TEST_CLICKHOUSE names.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support import clickhouse, replicas

from ainsights.server.clickhouse.engine import ClickHouseEngine
from ainsights.server.query import parse_query
from ainsights.server.sample import generate
from ainsights.server.store import Put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ainsights.server.clickhouse.store import ClickHouseStore

BATCHES = (10, 100, 1000, 5000)
ROUNDS = 9
LOAD = 5000
DAY = 86_400_000_000
COPIED_FROM = 1_000_000
"""Events from which on more are copies of those that are stored, in later days: generating them would take hours."""

QUERIES = {
    "list": "where meta.team:legal status:error",
    "table": "p95 latency by model, hour",
    "search": "where refund",
}
BESIDE = {"newest": "", "users": "cost by user, day", "phrase": 'where "five working days"'}
TICKS = os.sysconf("SC_CLK_TCK")


def processor(pid: int | None) -> float:
    """Return the seconds of processor time of a process."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def server(directory: Path) -> Iterator[tuple[str, int | None]]:
    """Yield the address of a server, and its process if it is the embedded engine."""
    given = os.environ.get(clickhouse.VARIABLE)
    if given:
        yield given.rstrip("/"), None
        return
    with clickhouse.embedded(directory) as engine:
        assert engine.process
        yield engine.url("").rstrip("/"), engine.process.pid


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the best of some runs in milliseconds, after one that warms up: what other programs disturbed least."""
    work()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1e3)
    return min(took)


def inserts(directory: Path) -> None:
    """Print what batches of several sizes cost."""
    with server(directory) as (url, pid):
        print(f"{'batch':>6} {'ms':>8} {'events/s':>9} {'endpoint ms/event':>18} {'engine ms/event':>16}")
        for size in BATCHES:
            rounds = max(4, min(40, 20_000 // size))
            samples = iter(list(generate(size * (rounds + 2), seed=size, days=0.5)))
            with clickhouse.opened(f"{url}/insert_{size}") as store:
                batches = [[Put(*next(samples)) for _ in range(size)] for _ in range(rounds + 2)]
                for batch in batches[:2]:
                    store._batches.store(batch)
                own, engine, began = time.process_time(), processor(pid), time.perf_counter()
                for batch in batches[2:]:
                    store._batches.store(batch)
                took = time.perf_counter() - began
                events = size * rounds
                ours, theirs = (time.process_time() - own) / events, (processor(pid) - engine) / events
            print(
                f"{size:6} {took / rounds * 1e3:8.1f} {events / took:9.0f} {ours * 1e3:18.3f} {theirs * 1e3:16.3f}",
                flush=True,
            )


def fill(store: ClickHouseStore, count: int, seed: int) -> float:
    """Store so many events; return how many a second."""

    async def put_all() -> None:
        waiting = []
        for sample in generate(count, seed=seed):
            waiting.append(store.put(*sample))
            if len(waiting) == LOAD:
                await asyncio.gather(*waiting)
                waiting = []
        await asyncio.gather(*waiting)

    began = time.perf_counter()
    asyncio.run(put_all())
    return count / (time.perf_counter() - began)


def multiply(store: ClickHouseStore, missing: int, size: int) -> float:
    """Copy what is stored, within the engine and into later days, until there are ``size``; return events a second."""
    began, stored = time.perf_counter(), size - missing
    days = [day for (day,) in store.connection.rows(f"SELECT DISTINCT intDiv(key_time, {DAY}) FROM event ORDER BY 1")]
    for copy in range(1, size // stored):
        shift = copy * (days[-1] - days[0] + 1) * DAY
        changed = ", ".join(f"{name} + {shift} AS {name}" for name in ("seq", "key_time", "time"))
        changed += f", concat(substring(id, 1, 33), '{copy:03}') AS id, conversation_key + {copy} AS conversation_key"
        for day in days:
            within = f"key_time >= {day * DAY} AND key_time < {(day + 1) * DAY}"
            some = f"(SELECT * FROM event WHERE {within})"
            store.connection.command(f"INSERT INTO event SELECT * REPLACE ({changed}) FROM {some}")
    return missing / (time.perf_counter() - began)


def growth(directory: Path, sizes: list[int]) -> None:
    """Print what queries take as the store grows. A size that the store has passed is measured as it is."""
    names = [*QUERIES, *BESIDE]
    with server(directory) as (url, _), clickhouse.opened(f"{url}/growth") as store:
        engine = ClickHouseEngine(store.connection, store)
        print(
            f"{'events':>9} {'events/s':>9} {'GB':>6} {'parts':>6}" + "".join(f"{name:>9}" for name in names) + "  ms"
        )
        stored = engine.count(parse_query("").filter)
        for size in sizes:
            grow = multiply if size > COPIED_FROM else fill
            rate = grow(store, size - stored, size) if size > stored else 0.0
            stored = engine.count(parse_query("").filter)
            assert stored >= size, f"{stored} events instead of {size}"
            settle(store)
            took = [best(ask(engine, text)) for text in (QUERIES | BESIDE).values()]
            parts = store.connection.rows("SELECT count() FROM system.parts WHERE active AND table = 'event'")[0][0]
            size_on_disk = store.status().bytes / 1e9
            figures = "".join(f"{each:9.1f}" for each in took)
            print(f"{size:9} {rate:9.0f} {size_on_disk:6.2f} {parts:6}{figures}", flush=True)


def settle(store: ClickHouseStore, seconds: float = 120.0) -> None:
    """Wait until no merge runs, as on a server some minutes after the load."""
    deadline = time.monotonic() + seconds
    while store.connection.rows("SELECT count() FROM system.merges")[0][0] and time.monotonic() < deadline:
        time.sleep(1)


def ask(engine: ClickHouseEngine, text: str) -> Callable[[], object]:
    """Return what runs the query."""
    query = parse_query(text)
    return lambda: engine.aggregate(query) if query.measures else engine.events(query)


def under_fire(directory: Path, count: int, outage: float) -> None:
    """Have clients write to four replicas, of which two are killed, and stop the store; print what is stored."""
    with clickhouse.embedded(directory / "engine") as engine:
        store = engine.url("insights")
        with replicas.replicas(directory, store, 4) as running:
            writers = replicas.Writers([replica.url for replica in running], count)
            thread = threading.Thread(target=writers.run)
            began = time.perf_counter()
            thread.start()
            wrong = disturb(running, writers, engine, outage)
            while thread.is_alive():
                wrong += check(running[3], writers)
                thread.join(1.0)
            took = time.perf_counter() - began
            used = sum(processor(replica.process.pid) for replica in running if replica.process)
            counts = [replica.count() for replica in running]
        with clickhouse.opened(store) as opened:
            ids = [event_id for (event_id,) in opened.connection.rows("SELECT id FROM event FINAL")]
            found = opened.verify()
    lost, strange = writers.acknowledged - {*ids}, {*ids} - writers.acknowledged
    print(f"{count} events with 5% duplicates in {took:.0f} s ({count / took:.0f}/s), outage {outage:.0f} s included")
    print(f"acknowledged {len(writers.acknowledged)}, stored {len(ids)}, twice {len(ids) - len({*ids})}, ", end="")
    print(f"lost {len(lost)}, not acknowledged {len(strange)}; queries found {counts}, wrong answers {wrong}")
    print(f"requests that had to be sent again: {writers.retries}; chains: {found.problem or 'verified'}")
    print(f"processor time of the replicas since their last start: {used:.1f} s")


def disturb(
    running: list[replicas.Replica], writers: replicas.Writers, engine: clickhouse.Server, outage: float
) -> int:
    """Kill two replicas one after the other, start them again, then stop the store; return wrong answers."""
    wrong = 0
    for number, replica in enumerate(running[:2]):
        while len(writers.acknowledged) < (number + 1) * len(writers.ids) // 5:
            wrong += check(running[3], writers)
            time.sleep(0.2)
        replica.end()
        wrong += check(running[3], writers)
        replica.start()
    engine.kill()
    time.sleep(outage)
    engine.start()
    return wrong


def check(replica: replicas.Replica, writers: replicas.Writers) -> int:
    """Return 1 if a query counts fewer events than were acknowledged before it, or more than were sent by its end."""
    least = len(writers.acknowledged)
    try:
        found = replica.count()
    except OSError:
        return 0  # the store is away, or just back
    return int(not least <= found <= len(writers.sent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("inserts", "growth", "replicas"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--outage", type=float, default=30.0)
    parser.add_argument("--directory", type=Path, help="kept, and used again; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.directory or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        if options.what == "inserts":
            inserts(directory)
        elif options.what == "growth":
            growth(directory, options.sizes)
        else:
            under_fire(directory, options.count, options.outage)


if __name__ == "__main__":
    main()
