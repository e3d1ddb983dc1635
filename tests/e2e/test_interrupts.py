"""Ctrl-C while the process exits: it ends at once, quietly, and counts what is lost."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from support.endpoints import Endpoint, running_endpoint
from support.programs import run, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPT_EXIT = """
import ainsights, os, signal, sys, threading, time
main = threading.main_thread().ident

def waits_for_us():
    frame = sys._current_frames().get(main)  # none between the program and the handlers of its exit
    while frame is not None and "_lifecycle" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None

def interrupt():
    while not waits_for_us():
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)

ainsights.instrument()
call()
call()
while ainsights.stats().in_flight < 2:
    time.sleep(0.001)  # a loop without a pause would keep the lock of the interpreter from the threads that deliver
threading.Thread(target=interrupt, daemon=True).start()
"""
LONG = "60"
"""Seconds that the exit would wait for the endpoint."""


@pytest.fixture
def hanging() -> Iterator[Endpoint]:
    with running_endpoint(lambda handler: handler.hang()) as endpoint:
        yield endpoint


def test_interrupt_during_the_exit_ends_it_with_one_line(hanging: Endpoint) -> None:
    ran = run(INTERRUPT_EXIT, timeout=40, **settings(hanging.url, exit_timeout=LONG))
    assert (ran.status, ran.out) == (0, "")
    assert ran.err == "2 events lost at shutdown: interrupted\n"


def test_second_interrupt_adds_one_line_to_the_first(hanging: Endpoint) -> None:
    ran = run(
        INTERRUPT_EXIT + "os.kill(os.getpid(), signal.SIGINT)",
        timeout=40,
        **settings(hanging.url, exit_timeout=LONG),
    )
    assert ran.status == -signal.SIGINT
    assert ran.err.endswith("KeyboardInterrupt\n2 events lost at shutdown: interrupted\n")
    assert ran.err.count("Traceback") == 1
    assert "ainsights" not in ran.err


def test_handlers_that_run_after_ours_can_be_interrupted(hanging: Endpoint) -> None:
    first = """
    import atexit, signal
    atexit.register(lambda: print(signal.getsignal(signal.SIGINT) is signal.default_int_handler))
    """
    program = "\n".join(line.strip() for line in first.splitlines()) + INTERRUPT_EXIT
    ran = run(program, timeout=40, **settings(hanging.url, exit_timeout=LONG))
    assert ran.out == "True\n"
