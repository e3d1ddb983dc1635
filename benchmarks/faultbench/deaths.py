"""Processes that are killed, reloaded and restarted while they share a spool."""

from __future__ import annotations

import json
import random
import signal
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from support.endpoints import free_port
from support.programs import MODEL, settings
from support.servers import BIN, get, running

from faultbench.row import Row, Size
from faultbench.sink import PATIENCE, Run, finished, flush_spool, sink, spooled, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

STEADY = ("--calls", "100000", "--pause", "0.001", "--report")
WEB = """
import ainsights, os
ainsights.instrument()
call(user="parent")

def app(environ, start_response):
    call(user=environ["PATH_INFO"].strip("/"))
    start_response("200 OK", [])
    return [b"ok"]
"""


def killed(process: subprocess.Popen[str], after: float) -> int:
    """Kill ``process`` so many seconds after its first call, and return how many calls it made."""
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    out, _ = process.communicate(timeout=PATIENCE)
    whole = [line for line in out.splitlines() if line.endswith("}")]
    return json.loads(whole[-1])["made"] if whole else 1


def kills(size: Size) -> Row:
    """Kill a program at a random moment, again and again: the next process delivers what had left the queue."""
    found = Row(f"SIGKILL, {size.kills} times, spool")
    windows, doubles = [], 0
    chance = random.Random(7)
    with (
        tempfile.TemporaryDirectory() as directory,
        sink(lambda endpoint, handler: endpoint.take(handler, 0.005)) as endpoint,
    ):
        for turn in range(size.kills):
            name = f"k{turn}"
            made = killed(start(endpoint.url, "--name", name, *STEADY, spool_dir=directory), chance.uniform(0.05, 0.8))
            kept, before = set(spooled(Path(directory)).values()), set(endpoint.users)
            flush_spool(endpoint.url, directory)
            found.expect("all that had left the queue is delivered", holds=kept <= set(endpoint.users))
            arrived = [number for number in range(made + 1) if f"{name}-{number}" in endpoint.users]
            found.expect("only the latest are missing", holds=arrived == list(range(len(arrived))))
            found.made += made
            windows.append(made - len(arrived))
            doubles = max(doubles, sum(endpoint.users[each] > 1 for each in before & kept))
        found.in_spool = len(spooled(Path(directory)))
        found.delivered, found.duplicates = len(endpoint.users), endpoint.duplicates
    found.expect("duplicates share their id", holds=all(len(ids) == 1 for ids in endpoint.ids.values()))
    found.expect("nothing is left", holds=found.in_spool == 0)
    found.dropped = {"in the queue at the kill": max(0, found.made - found.delivered)}
    windows.sort()
    middle, most = windows[len(windows) // 2], windows[-1]
    found.notes.append(f"window: {middle} events of 1 ms each in the middle, {most} at the most")
    return found


def gunicorn(size: Size) -> Row:
    """Reload gunicorn's workers in the middle of many requests."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory, sink() as endpoint:
        place = Path(directory)
        (place / "web.py").write_text(MODEL + WEB)
        options = ["--preload", "--workers", "4", "--bind", f"127.0.0.1:{port}", "--pid", "pid", "web:app"]
        with running(str(BIN / "gunicorn"), *options, cwd=place, **settings(endpoint.url)):
            get(f"http://127.0.0.1:{port}/first")
            reload = threading.Timer(0, lambda: signal_of(place / "pid"))
            with ThreadPoolExecutor(4) as pool:
                answers = []
                for number in range(size.requests):
                    answers.append(pool.submit(get, f"http://127.0.0.1:{port}/{number}"))
                    if number == size.requests // 2:
                        answers[-1].result()
                        reload.start()
                made = sum(answer.result() == "ok" for answer in answers)
            reload.join()
    made += 2  # the parent's own, and the first
    found = Row("gunicorn, 4 preloaded, reload", made, len(endpoint.events), endpoint.duplicates)
    found.expect("all requests are answered", holds=made == size.requests + 2)
    found.expect_all_once()
    return found


def signal_of(pid: Path) -> None:
    import os  # noqa: PLC0415  here only

    os.kill(int(pid.read_text()), signal.SIGHUP)


def shared(size: Size) -> Row:
    """Let four processes share one spool, kill two of them, and start these again."""
    calls = str(max(200, size.requests))
    options = ("--calls", calls, "--pause", "0.002", "--flush", "60")
    with (
        tempfile.TemporaryDirectory() as directory,
        sink(lambda endpoint, handler: endpoint.take(handler, 0.01)) as endpoint,
    ):
        stay = [start(endpoint.url, "--name", name, *options, spool_dir=directory) for name in ("a", "b")]
        die = {name: start(endpoint.url, "--name", name, *STEADY, spool_dir=directory) for name in ("c", "d")}
        made = {name: killed(process, 0.4) for name, process in die.items()}
        again = [start(endpoint.url, "--name", f"{name}2", *options, spool_dir=directory) for name in die]
        runs: list[Run] = [finished(process) for process in (*stay, *again)]
        flush_spool(endpoint.url, directory)
        left = spooled(Path(directory))
    found = Row(
        "4 share a spool, 2 killed",
        sum(run.made for run in runs) + sum(made.values()),
        len(endpoint.users),
        endpoint.duplicates,
    )
    found.in_spool = len(left)
    for name, count in zip(("a", "b", "c2", "d2"), (run.made for run in runs), strict=True):
        whole = all(f"{name}-{number}" in endpoint.users for number in range(count))
        found.expect(f"all of {name} arrive", holds=whole)
    for name, count in made.items():
        arrived = [number for number in range(count + 1) if f"{name}-{number}" in endpoint.users]
        found.expect(f"of {name} only the latest are missing", holds=arrived == list(range(len(arrived))))
    found.expect("duplicates share their id", holds=all(len(ids) == 1 for ids in endpoint.ids.values()))
    found.expect("nothing is left", holds=not left)
    found.dropped = {"in the queue at the kill": max(0, found.made - found.delivered)}
    return found


def rows(size: Size, _bare: float) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Return the scenarios of this kind, by name."""
    yield "kill", lambda: kills(size)
    yield "gunicorn", lambda: gunicorn(size)
    yield "shared", lambda: shared(size)
