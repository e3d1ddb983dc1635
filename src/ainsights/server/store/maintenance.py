"""The thread that copies an old file, removes what is beyond the limits, and gives space back.

It does nothing itself: it asks the writer for one small step after another, and pauses between them as long as they
take, so that ingestion goes on meanwhile.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from ainsights.server.store import retention
from ainsights.server.store.protocol import StoreError
from ainsights.server.store.retention import Limits, Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ainsights.server.store.ledger import Ledger
    from ainsights.server.store.writer import Writer

T = TypeVar("T")

CHECK_SECONDS = 5.0


class Maintenance:
    """Runs from :meth:`open` to :meth:`close`."""

    def __init__(
        self,
        writer: Writer,
        limits: Limits,
        on_removal: Callable[[Sequence[int]], None],
        on_migrated: Callable[[], None],
    ) -> None:
        self._writer = writer
        self._limits = limits
        self._on_removal = on_removal
        self._on_migrated = on_migrated
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ainsights-server-maintenance", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread after the step that it is at."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def wake(self) -> None:
        """Have it look at once whether there is something to do."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            with suppress(StoreError):  # the writer has logged it
                self._do_all()
            self._wake.wait(CHECK_SECONDS)

    def _do_all(self) -> None:
        migrating = self._writer.run(lambda ledger: ledger.migrating)
        if migrating:
            self._repeat(lambda ledger, amount: ledger.migrate(amount), Pace(50, 2000))
            if not self._stopping.is_set():
                self._on_migrated()
        removed = self._limits != Limits() and self._repeat(self._remove_some, Pace(10, 2000))
        if self._repeat(retention.release_pages, Pace(50, 5000)) or removed:
            self._writer.run(lambda ledger: ledger.scrub())

    def _remove_some(self, ledger: Ledger, at_most: int) -> list[int]:
        return retention.remove_some(ledger, self._limits, at_most)

    def _repeat(self, step: Callable[[Ledger, int], bool | list[int]], pace: Pace) -> bool:
        """Do ``step`` until there is nothing left; return whether there was something."""
        done = False
        while not self._stopping.is_set():
            took, result = self._writer.run(lambda ledger: _timed(step, ledger, pace.amount))
            if isinstance(result, list) and result:
                self._on_removal(result)
            if not result:
                break
            done = True
            pace.record_duration(took)
            self._stopping.wait(took)
        return done


def _timed(step: Callable[[Ledger, int], T], ledger: Ledger, amount: int) -> tuple[float, T]:
    began = time.perf_counter()
    result = step(ledger, amount)
    return time.perf_counter() - began, result
