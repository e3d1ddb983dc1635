"""The thread that writes: it takes all that wait, commits once, and then answers them all.

A sync of the disk is what costs most, and many requests share it. What cannot be committed is reported to those who
wait; the next commit reopens the file, so that the store recovers as soon as its file does.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ainsights._logging import log_rate_limited
from ainsights.errors import InsightsError
from ainsights.server.store.ledger import Ledger
from ainsights.server.store.protocol import Access, Put, StoreError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from ainsights.server.store.database_file import DatabaseFile

T = TypeVar("T")

MAX_BATCH = 1000
MAX_BATCH_BYTES = 64 * 2**20
GATHER_PART = 0.5
MAX_GATHER_SECONDS = 0.004
GATHER_STEP_SECONDS = 0.0002

MAX_ACCESSES = 100_000
"""Lines of the access log that wait for a disk that cannot be written; the oldest are dropped."""

TICK_SECONDS = 1.0
"""How often the store looks after its file when nothing is put."""


class _WaitingPut(NamedTuple):
    put: Put
    stored: asyncio.Future[None]


class _Command(NamedTuple):
    work: Callable[[Ledger], Any]
    done: Future[Any]


class Writer:
    """Owns the writing connection. Open it once; after :meth:`close` it takes nothing more.

    Attributes:
        problem: why the store cannot write, in words; None while it can.
    """

    def __init__(self, file: DatabaseFile, on_commit: Callable[[int], None]) -> None:
        self.problem: str | None = None
        self._file = file
        self._on_commit = on_commit
        self._ledger: Ledger | None = None
        self._queue: SimpleQueue[_WaitingPut | _Command | None] = SimpleQueue()
        self._accesses: deque[Access] = deque(maxlen=MAX_ACCESSES)
        self._expected = 0
        self._commit_seconds = 0.0
        self._gate = threading.Lock()
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Open the file and start the thread.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        self._ledger = self._file.open()
        self._thread = threading.Thread(target=self._run, name="ainsights-server-writer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write all that was put, then close the file. Twice is harmless."""
        with self._gate:
            thread, self._thread = self._thread, None
            if thread:
                self._queue.put(None)
        if thread:
            thread.join()

    def put(self, put: Put, stored: asyncio.Future[None]) -> None:
        """Have ``put`` written; ``stored`` is done when it is on disk, or has the `StoreError`."""
        self._submit(_WaitingPut(put, stored))

    def run(self, work: Callable[[Ledger], T]) -> T:
        """Run ``work`` on the writer's thread, and return its result.

        Raises:
            StoreError: it failed.
        """
        done: Future[T] = Future()
        self._submit(_Command(work, done))
        return done.result()

    def log_access(self, access: Access) -> None:
        """Have a line of the access log written with the next commit, within a second."""
        self._accesses.append(access)

    def _submit(self, item: _WaitingPut | _Command) -> None:
        with self._gate:
            if self._thread is None:
                raise StoreError("the store is closed")
            self._queue.put(item)

    def _run(self) -> None:
        item: _WaitingPut | _Command | None
        while True:
            try:
                item = self._queue.get(timeout=TICK_SECONDS)
            except Empty:
                self._tick()
                continue
            if isinstance(item, _WaitingPut):
                item = self._commit_with(item)
            if isinstance(item, _Command):
                self._execute(item)
            elif item is None:
                break
        self._tick()
        if self._ledger:
            with suppress(sqlite3.Error):
                self._ledger.scrub()
                self._ledger.close()

    def _commit_with(self, first: _WaitingPut) -> _WaitingPut | _Command | None:
        """Commit ``first`` and all puts that wait with it; return what ended them, which is next."""
        self._gather()
        waiting = [first]
        size = len(first.put.body)
        following: _WaitingPut | _Command | None = first
        while len(waiting) < MAX_BATCH and size < MAX_BATCH_BYTES:
            try:
                following = self._queue.get_nowait()
            except Empty:
                break
            if not isinstance(following, _WaitingPut):
                break
            waiting.append(following)
            size += len(following.put.body)
        error = None
        began = time.perf_counter()
        try:
            self._attempt(lambda ledger: self._append([each.put for each in waiting], ledger), proves=True)
        except StoreError as failure:
            error = failure
        if not error and self._ledger:
            self._on_commit(self._ledger.last_seq)  # first: who has an answer finds the event counted
        self._commit_seconds = time.perf_counter() - began
        self._expected = len(waiting) + self._queue.qsize()
        settle_all([each.stored for each in waiting], error)
        return following

    def _gather(self) -> None:
        """Wait a part of the time of a commit for those who put before: with them, one sync serves twice as many.

        Otherwise clients that wait for their answers fall into two halves, each of which waits for the other's sync.
        """
        deadline = time.perf_counter() + min(GATHER_PART * self._commit_seconds, MAX_GATHER_SECONDS)
        while self._queue.qsize() + 1 < self._expected and time.perf_counter() < deadline:
            time.sleep(GATHER_STEP_SECONDS)

    def _append(self, puts: Sequence[Put], ledger: Ledger) -> None:
        accesses = list(self._accesses)
        ledger.append(puts, accesses)
        for _ in accesses:
            self._accesses.popleft()

    def _execute(self, command: _Command) -> None:
        try:
            command.done.set_result(self._attempt(command.work))
        except StoreError as error:
            command.done.set_exception(error)

    def _tick(self) -> None:
        with suppress(StoreError):
            if self.problem:
                self._attempt(Ledger.probe, proves=True)
            elif self._accesses:
                self._attempt(lambda ledger: self._append((), ledger))
            else:
                self._attempt(lambda _: None)

    def _attempt(self, work: Callable[[Ledger], T], *, proves: bool = False) -> T:
        """Run ``work`` on a ledger that is open, and on the file that has the name; note whether it could be done.

        If ``proves``, success means that events can be stored (again).

        Raises:
            StoreError: it failed. Nothing was written, or nothing that counts.
        """
        try:
            if self._ledger is None:
                self._ledger = self._file.reopen()
            result = work(self._ledger)
            self._file.check_in_place()
        except Exception as error:  # the thread must live, and those who wait must hear of it
            self._fail(error)
            raise StoreError(f"cannot store: {error}") from error
        if proves and self.problem:
            self.problem = None
            log_rate_limited(
                "warning", f"recovered {time.monotonic()}", "The database %s works again.", self._file.path
            )
        return result

    def _fail(self, error: Exception) -> None:
        self.problem = str(error) if isinstance(error, (InsightsError, sqlite3.Error, OSError)) else repr(error)
        message = "Cannot store insights (clients get 500 and try again): database %s: %s"
        log_rate_limited(
            "error", f"store {type(error).__name__} {self.problem}"[:100], message, self._file.path, self.problem
        )
        ledger, self._ledger = self._ledger, None
        self._file.release()
        if ledger:
            with suppress(sqlite3.Error):
                if isinstance(
                    error, StoreError
                ):  # its log was deleted: what that holds still finds its way into the file
                    ledger.scrub()
                ledger.close()


def settle_all(futures: Sequence[asyncio.Future[None]], error: StoreError | None) -> None:
    """Wake those who wait: once for each event loop, since waking one costs a system call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for future in futures:
        by_loop.setdefault(future.get_loop(), []).append(future)
    for loop, waiting in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, waiting, error)


def _settle(futures: Sequence[asyncio.Future[None]], error: StoreError | None) -> None:
    for future in futures:
        if future.done():  # the client has gone
            continue
        if error:
            future.set_exception(error)
        else:
            future.set_result(None)
