"""The end of ``ainsights demo`` on a terminal: the Insight Explorer on a generated sample, until Ctrl-C."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights.server.sample import Sample
    from ainsights.server.store import SQLiteStore

EVENTS = 2000
DAYS = 14


def is_wanted(*, no_serve: bool) -> bool:
    """Return whether somebody is there who can look, and end it."""
    return not no_serve and sys.stdout.isatty() and sys.stdin is not None and sys.stdin.isatty()


def show() -> None:
    """Serve the sample until Ctrl-C."""
    from ainsights import server  # noqa: PLC0415  an extra

    with tempfile.TemporaryDirectory(prefix="ainsights-sample-") as directory:
        database = Path(directory) / "insights.db"
        fill(database)
        with server.running(server.Options(database, is_sample=True)) as endpoint:
            print(f"\nThe Insight Explorer on a generated sample of {EVENTS:,} insights; open it within ten minutes:")
            print(f"  {endpoint.explorer}\nCtrl-C ends it.", flush=True)
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
        print()


def fill(database: Path, count: int = EVENTS, until: float | None = None) -> None:
    """Store a sample of ``count`` insights of the last days."""
    from ainsights.server.sample import generate  # noqa: PLC0415  an extra
    from ainsights.server.store import SQLiteStore  # noqa: PLC0415  the same

    with SQLiteStore(database) as store:
        asyncio.run(_put(store, generate(count, until=time.time() if until is None else until, days=DAYS)))


async def _put(store: SQLiteStore, events: Iterable[Sample]) -> None:
    await asyncio.gather(*(store.put(*event) for event in events))
