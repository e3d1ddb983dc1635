"""The endpoint, which keeps of an event only whose it is and how often it was answered 200; and programs against it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.endpoints import OK, Handler, running_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = Path(__file__).with_name("program.py")
PATIENCE = 120.0
_EVENT = re.compile(rb'"ainsights\.event_id":"([^"]+)"')
_USER = re.compile(rb'"user_id":"([^"]+)"')


@dataclass
class Sink:
    """What arrived."""

    url: str = ""
    events: Counter[str] = field(default_factory=Counter)
    """How often each event was answered 200, by its id."""
    users: Counter[str] = field(default_factory=Counter)
    """The same by the name of the call."""
    ids: dict[str, set[str]] = field(default_factory=dict)
    """The ids under which each call arrived."""
    requests: int = 0
    times: list[float] = field(default_factory=list)

    @property
    def duplicates(self) -> int:
        """Events that were answered 200 more than once."""
        return sum(count > 1 for count in self.events.values())

    def take(self, handler: Handler, delay: float = 0.0) -> bool:
        """Keep the event, then answer 200."""
        if delay:
            time.sleep(delay)
        event, user = _EVENT.search(handler.body), _USER.search(handler.body)
        if event is None or user is None:
            raise ValueError("an event without id or user")
        with handler.endpoint.changed:
            self.events[event[1].decode()] += 1
            self.users[user[1].decode()] += 1
            self.ids.setdefault(user[1].decode(), set()).add(event[1].decode())
            self.times.append(time.monotonic())
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(OK), OK))
        return True


@contextmanager
def sink(behave: Callable[[Sink, Handler], bool] = Sink.take, port: int = 0) -> Iterator[Sink]:
    """Run an endpoint for the length of the block."""
    endpoint = Sink()

    def answer(handler: Handler) -> bool:
        endpoint.requests = handler.number
        return behave(endpoint, handler)

    with running_endpoint(answer, port) as served:
        endpoint.url = served.url
        yield endpoint


@dataclass
class Run:
    """The result of a program."""

    made: int = 0
    first: float = 0.0
    slowest: float = 0.0
    """Of the calls after the first."""
    flushed: dict[str, Any] = field(default_factory=dict)
    to_exit: float = 0.0
    errors: str = ""
    reports: list[dict[str, Any]] = field(default_factory=list)


def start(url: str, *options: str, **settings: Any) -> subprocess.Popen[str]:
    """Start the program; its insights go to ``url``."""
    environ = {"AINSIGHTS_BASE_URL": url, "AINSIGHTS_API_KEY": "key", "AINSIGHTS_LOG_LEVEL": "error"}
    environ |= {f"AINSIGHTS_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, str(PROGRAM), *options]
    return subprocess.Popen(
        command, env=os.environ | environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(process: subprocess.Popen[str]) -> Run:
    """Wait for the program's end and return its result."""
    try:
        out, errors = process.communicate(timeout=PATIENCE * 5)
    finally:
        process.kill()
    ended = time.time()
    reports = [json.loads(line) for line in out.splitlines() if line.endswith("}")]
    run = Run(errors=errors, reports=reports)
    for report in reports:
        run.made = report.get("made", run.made)
        run.first, run.slowest = report.get("first", run.first), report.get("slowest", run.slowest)
        run.flushed = report if "flushed" in report else run.flushed
        run.to_exit = ended - report["at"]
    return run


def ran(url: str, *options: str, **settings: Any) -> Run:
    """Run the program to its end."""
    return finished(start(url, *options, **settings))


def flush_spool(url: str, directory: str) -> None:
    """Let the command line deliver what is in a spool, which a program that was killed early may not have made."""
    if not (Path(directory) / "spool.db").exists():
        return
    environ = {"AINSIGHTS_BASE_URL": url, "AINSIGHTS_API_KEY": "key", "AINSIGHTS_SPOOL_DIR": directory}
    command = [sys.executable, "-m", "ainsights", "spool", "flush"]
    subprocess.run(command, env=os.environ | environ, stdout=subprocess.DEVNULL, check=True, timeout=PATIENCE * 5)


def spooled(directory: Path) -> dict[str, str]:
    """Return the events in a spool, the calls' names by their ids, as the file has them now."""
    import sqlite3  # noqa: PLC0415  few need it

    if not (directory / "spool.db").exists():
        return {}
    connection = sqlite3.connect(directory / "spool.db")
    try:
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'event'").fetchone()  # or killed before
        bodies = [row[0] for row in connection.execute("SELECT body FROM event")] if made else []
    finally:
        connection.close()
    found = [(_EVENT.search(body), _USER.search(body)) for body in bodies]
    return {event[1].decode(): user[1].decode() for event, user in found if event and user}
