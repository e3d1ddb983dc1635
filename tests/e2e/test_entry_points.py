"""Whatever captures an event, it is delivered exactly once, however its process ends and from whatever process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest
from support.programs import MODEL, settings

if TYPE_CHECKING:
    from pathlib import Path

    from support.endpoints import Endpoint

BY_HAND = "response=COMPLETION, messages=MESSAGES, user_id=user)"
WATCHED = "audit.watch(client()).chat.completions.create(model='m', messages=MESSAGES, user=user)"
DROP_IN = "http_client=http.Client(transport=http.MockTransport(answer)))"
ENTRY_POINTS = {
    "instrument": "ainsights.instrument()\ndo = lambda user: call(user=user)",
    "capture": f"do = lambda user: ainsights.capture({BY_HAND}",
    "watch": f"audit = ainsights.Insights()\ndo = lambda user: {WATCHED}",
    "Insights.capture": f"audit = ainsights.Insights()\ndo = lambda user: audit.capture({BY_HAND}",
    "AInsights": f"vendor = ainsights.AInsights.new_client()\ndo = lambda user: vendor.capture({BY_HAND}",
    "drop-in": f"""
        from ainsights.openai import OpenAI
        drop_in = OpenAI(api_key="sk-model", {DROP_IN}
        do = lambda user: drop_in.chat.completions.create(model="m", messages=MESSAGES, user=user)
    """,
    "run": "do = lambda user: call(user=user)",
    "testing": f"""
        ainsights.instrument()
        captured = ainsights.testing.capture()
        def do(user):
            ainsights.capture({BY_HAND}
            assert captured[-1].user_id == user
    """,
}
"""What each does with ``do(user)``. The last one keeps its events from being delivered."""


KINDS = {"instrument", "capture", "watch", "run"}
"""The process's client and one's own, calls that are captured or passed, and a program without a line of ours."""
ALL = [pytest.param(name, marks=[] if name in KINDS else pytest.mark.slow) for name in ENTRY_POINTS]


def run(endpoint: Endpoint, directory: Path, entry_point: str, scenario: str) -> subprocess.CompletedProcess[str]:
    """Run a program that uses ``entry_point`` as ``scenario`` describes."""
    imports = "" if entry_point == "run" else "import ainsights\n"
    program = MODEL + imports + textwrap.dedent(ENTRY_POINTS[entry_point]) + "\n" + textwrap.dedent(scenario)
    (directory / "program.py").write_text(program)
    command = [sys.executable, "program.py"]
    if entry_point == "run":
        command = [sys.executable, "-m", "ainsights", "run", *command]
    return subprocess.run(
        command,
        cwd=directory,
        env=os.environ | settings(endpoint.url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def delivered(endpoint: Endpoint, entry_point: str, *users: str) -> bool:
    """Tell whether the events of these users were delivered, each once; none of an entry point for tests."""
    stored = sorted(body["user_id"] for body in endpoint.stored)
    return stored == ([] if entry_point == "testing" else sorted(users))


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_events_are_delivered_at_a_plain_exit(endpoint: Endpoint, tmp_path: Path, entry_point: str) -> None:
    ran = run(endpoint, tmp_path, entry_point, "do('one')\ndo('two')")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert delivered(endpoint, entry_point, "one", "two")


@pytest.mark.parametrize("entry_point", ALL)
def test_events_are_delivered_after_an_uncaught_exception_and_by_a_fork_that_exits(
    endpoint: Endpoint, tmp_path: Path, entry_point: str
) -> None:
    scenario = """
    import os, sys
    do("parent before")
    if not os.fork():
        do("child")
        sys.exit(3)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
    do("parent after")
    raise KeyError("mine")
    """
    ran = run(endpoint, tmp_path, entry_point, scenario)
    assert ran.returncode == 1
    assert ran.stderr.endswith("KeyError: 'mine'\n")
    assert "ainsights" not in ran.stderr
    assert delivered(endpoint, entry_point, "parent before", "child", "parent after")


@pytest.mark.parametrize("entry_point", ALL)
def test_events_are_delivered_by_children_of_multiprocessing(
    endpoint: Endpoint, tmp_path: Path, entry_point: str
) -> None:
    scenario = """
    import multiprocessing
    def work(name):
        do(name)
    def start(method):
        child = multiprocessing.get_context(method).Process(target=work, args=(method,))
        child.start()
        child.join()
        assert child.exitcode == 0
    if __name__ == "__main__":
        start("fork")
        do("parent")
        start("fork")
        start("spawn")
    """
    ran = run(endpoint, tmp_path, entry_point, scenario)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert delivered(endpoint, entry_point, "fork", "fork", "spawn", "parent")


def test_fork_flushes_what_it_captured(endpoint: Endpoint, tmp_path: Path) -> None:
    scenario = """
    import os
    do("parent")
    if not os.fork():
        do("child")
        os._exit(0 if audit.flush(10) else 1)
    assert os.wait()[1] == 0
    """
    ran = run(endpoint, tmp_path, "watch", scenario)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert delivered(endpoint, "watch", "parent", "child")
