"""The thread that stores: it gathers what waits, stores it in one insert, and then answers all of it.

ClickHouse merges parts in the background, and every insert makes one: a replica makes ten a second at the most, and
waits at most 0.3 s for company. While ClickHouse is away, puts are refused at once; a look each second notices that it
is back.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ainsights._logging import log_rate_limited
from ainsights.server.store import StoreError, StoreUnavailableError
from ainsights.server.store.writer import settle_all

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from ainsights.server.store import Put

MAX_ROWS = 5000
MAX_BYTES = 64 * 2**20
GATHER_SECONDS = 0.3
QUIET_SECONDS = 0.02
"""If nothing more was put for so long, nothing more is waited for."""

INTERVAL_SECONDS = 0.1
"""From the beginning of one insert to that of the next, unless there is a full batch."""

MAX_WAITING = 40_000
MAX_WAITING_BYTES = 512 * 2**20
"""What waits at the most; further puts are refused."""

TICK_SECONDS = 1.0


class _Waiting(NamedTuple):
    put: Put
    stored: asyncio.Future[None]


class Writer:
    """Stores from :meth:`open` to :meth:`close`.

    Attributes:
        problem: why nothing can be stored, in words; None while it can.
    """

    def __init__(self, store: Callable[[Sequence[Put]], None], probe: Callable[[], None], name: str) -> None:
        """Take what it calls on its thread.

        Args:
            store: stores a batch, or raises `StoreError`.
            probe: raises `StoreError` while nothing can be stored.
            name: of the store, for log lines.
        """
        self.problem: str | None = None
        self._store = store
        self._probe = probe
        self._name = name
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._last_put = 0.0
        self._last_insert = 0.0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="ainsights-server-writer", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Store what was put, then end. Twice is harmless."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.ident:
            self._thread.join()

    def put(self, put: Put, stored: asyncio.Future[None]) -> None:
        """Have ``put`` stored; ``stored`` is done when it is durable, or has the `StoreError`.

        Raises:
            StoreUnavailableError: ClickHouse is away, or too much waits.
        """
        if self.problem is not None:
            raise StoreUnavailableError(f"cannot store: {self.problem}")
        with self._changed:
            if self._closing:
                raise StoreUnavailableError("the endpoint is shutting down")
            if len(self._waiting) >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES:
                raise StoreUnavailableError("too many insights wait to be stored")
            self._waiting.append(_Waiting(put, stored))
            self._bytes += len(put.body)
            self._last_put = time.monotonic()
            if len(self._waiting) == 1 or len(self._waiting) == MAX_ROWS:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            batch = self._next_batch()
            if batch:
                self._store_all(batch)
            elif self._closing:
                return
            elif self.problem is not None:
                self._look()

    def _next_batch(self) -> list[_Waiting]:
        """Wait for a batch; an empty one after a while without anything, or at the end."""
        with self._changed:
            if not self._waiting and not self._closing:
                self._changed.wait(TICK_SECONDS)
            if not self._waiting:
                return []
            self._gather()
            batch: list[_Waiting] = []
            size = 0
            while self._waiting and len(batch) < MAX_ROWS and size < MAX_BYTES:
                batch.append(self._waiting.popleft())
                size += len(batch[-1].put.body)
            self._bytes -= size
            return batch

    def _gather(self) -> None:
        began = time.monotonic()
        while not self._closing and len(self._waiting) < MAX_ROWS and self._bytes < MAX_BYTES:
            now = time.monotonic()
            due = max(self._last_insert + INTERVAL_SECONDS, min(began + GATHER_SECONDS, self._last_put + QUIET_SECONDS))
            if now >= due:
                return
            self._changed.wait(due - now)

    def _store_all(self, batch: Sequence[_Waiting]) -> None:
        self._last_insert = time.monotonic()
        error = self._attempt(batch)
        if error and len(batch) > 1 and not isinstance(error, StoreUnavailableError):
            half = len(batch) // 2  # one of them cannot be stored: the others are, and wait no longer for it
            self._store_all(batch[:half])
            self._store_all(batch[half:])
            return
        if error:
            self.fail(error)
        else:
            self._recovered()
        settle_all([each.stored for each in batch], error)

    def _attempt(self, batch: Sequence[_Waiting]) -> StoreError | None:
        """Store the batch; return why it could not be done."""
        try:
            self._store([each.put for each in batch])
        except StoreError as error:
            return error
        except Exception as error:  # noqa: BLE001  the thread must live, and those who wait must hear of it
            return StoreError(f"cannot store: {error!r}")
        return None

    def fail(self, error: StoreError) -> None:
        """Take note that an insert failed: while ClickHouse is away, nothing is taken, and it is looked for."""
        if isinstance(error, StoreUnavailableError):
            self.problem = str(error)
        message = "Cannot store insights (clients get 503 and try again): store %s: %s"
        log_rate_limited("error", f"store {str(error)[:80]}", message, self._name, error)

    def _recovered(self) -> None:
        if self.problem is not None:
            self.problem = None
            log_rate_limited("warning", "store recovered", "The store %s works again.", self._name)

    def _look(self) -> None:
        with suppress(StoreError):
            self._probe()
            self._recovered()
