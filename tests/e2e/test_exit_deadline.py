"""The exit of a process: one deadline for all clients, and a last line that counts every lost event."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from support.endpoints import running_endpoint
from support.programs import run, settings

if TYPE_CHECKING:
    from pathlib import Path

SHARED = 3.5
"""Seconds that an exit takes at the most, on a busy machine, if all share one second; one after the other takes 4."""

TIMED = """
import atexit, time
began = []
atexit.register(lambda: print("exit took", time.monotonic() - began[0]))
"""
"""Registered first, so called last."""

FOUR = """
import ainsights, sys
def slow(insight):
    time.sleep(0.3)
    return insight
options = [{"spool_dir": f"{sys.argv[1]}/{number}", "before_send": slow} if sys.argv[1:] else {} for number in range(4)]
clients = [ainsights.Insights(**each) for each in options]
for client in clients:
    for number in range(20):
        client.capture(response=COMPLETION, messages=str(number))
began.append(time.monotonic())
"""

NO_THREADS = """
import ainsights, threading
ainsights.instrument()
client().chat.completions
def no_threads():
    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")
    threading.Thread.start = refuse
    began.append(time.monotonic())
    call()
atexit.register(no_threads)
"""
"""As Python 3.12 and later do at the end of the interpreter."""


def exit_seconds(out: str) -> float:
    found = re.search(r"exit took ([\d.]+)", out)
    assert found is not None
    return float(found[1])


def test_four_clients_of_a_hanging_endpoint_share_one_deadline() -> None:
    with running_endpoint(lambda handler: handler.hang()) as endpoint:
        ran = run(TIMED + FOUR, **settings(endpoint.url, exit_timeout="1"))
    assert ran.status == 0
    assert 0.9 < exit_seconds(ran.out) < SHARED
    assert ran.err.count("20 events lost at shutdown: ") == 4


def test_four_clients_with_a_slow_before_send_share_one_deadline(tmp_path: Path) -> None:
    with running_endpoint() as endpoint:
        ran = run(TIMED + FOUR, str(tmp_path), **settings(endpoint.url, exit_timeout="1"))
        assert ran.status == 0
        assert exit_seconds(ran.out) < SHARED
        lost = [int(count) for count in re.findall(r"(\d+) events? lost at shutdown", ran.err)]
        assert len(lost) == 4
        assert sum(lost) + len(endpoint.times_stored) <= 80


def test_client_that_must_work_on_the_exiting_thread_keeps_the_deadline() -> None:
    with running_endpoint(lambda handler: handler.hang()) as endpoint:
        ran = run(TIMED + NO_THREADS, **settings(endpoint.url, exit_timeout="1", timeout="30"))
    assert ran.status == 0
    assert exit_seconds(ran.out) < SHARED
    assert "1 event lost at shutdown: " in ran.err


LATE_CALLS = """
import ainsights, threading, time
ainsights.instrument()
call()

def late():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    for _ in range(5):
        call()

threading.Thread(target=late, daemon=True).start()
"""


def test_calls_of_daemon_threads_that_end_during_the_exit_are_counted_in_the_last_line() -> None:
    with running_endpoint(lambda handler: handler.hang()) as endpoint:
        ran = run(LATE_CALLS, **settings(endpoint.url, exit_timeout="1"))
    assert ran.status == 0
    assert "6 events lost at shutdown: " in ran.err.splitlines()[-1]


def test_calls_of_daemon_threads_that_end_during_the_exit_are_delivered() -> None:
    def slow(handler: object) -> bool:
        endpoint.released.wait(0.5)
        return handler.answer(200)  # type: ignore[attr-defined,no-any-return]

    with running_endpoint(slow) as endpoint:
        ran = run(LATE_CALLS, **settings(endpoint.url, exit_timeout="10"))
        assert (ran.status, ran.err) == (0, "")
        assert len(endpoint.stored) == 6


FORKS = """
import ainsights, os, signal, sys, threading

def paused_reader(client, lines):
    '''A thread that reads the statistics and stops at a line of the module that counts.'''
    paused, resumed = threading.Event(), threading.Event()
    def step(frame, event, arg):
        nonlocal lines
        lines -= 1
        if lines == 0:
            paused.set()
            resumed.wait()
        return step
    def read():
        sys.settrace(lambda frame, *_: step if frame.f_code.co_filename.endswith("counters.py") else None)
        client.stats()
    thread = threading.Thread(target=read)
    thread.start()
    while not paused.wait(0.001) and thread.is_alive():
        pass
    return thread, paused, resumed

used, unused = ainsights.Insights(), ainsights.Insights()
used.capture(response=COMPLETION, messages="parent")
assert used.flush()
for client in (used, unused):
    for line in range(1, 100):
        thread, paused, resumed = paused_reader(client, line)
        child = os.fork()
        if not child:
            signal.alarm(20)
            client.stats()
            client.capture(response=COMPLETION, messages="child")
            os._exit(not client.flush(15))
        resumed.set()
        thread.join()
        assert os.waitpid(child, 0)[1] == 0, line
        if not paused.is_set():
            break
print(line)
"""


def test_child_of_a_fork_reads_and_counts_wherever_another_thread_was() -> None:
    with running_endpoint() as endpoint:
        ran = run(FORKS, **settings(endpoint.url))
        assert ran.status == 0, ran.err
        assert int(ran.out) > 5
        assert len(endpoint.stored) > 10
