"""WorkerPool: the threads that send, each over a connection of its own, and how many of them are useful."""

from __future__ import annotations

import _thread
import contextlib
import threading
import time
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, Protocol

from ainsights._delivery.concurrency_limit import ConcurrencyLimit
from ainsights._internal_errors import capture_internal_errors
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from ainsights._delivery.http_sender import Sender
    from ainsights._delivery.retry import Answer

IDLE_SECONDS = 5.0
"""A worker without work for so long ends; the last one stays."""

FAILURE_PAUSE = 0.1
"""Seconds that a worker pauses after a failure of ours, so that a lasting one does not take a whole core."""

TURN = 0.05
"""Seconds that a caller who does the work of a worker waits for an event, before it looks whether it is done."""

_working = capture_internal_errors("delivering an event")
_growing = capture_internal_errors("starting a worker")


class NextJob(Protocol):
    """Waits for a job up to ``wait`` seconds and returns it; None if there is none, or workers are to leave."""

    def __call__(self, wait: float) -> Any:
        """Return a job."""


class WorkerPool:
    """Threads that take jobs and do them.

    Args:
        next_job: waits for a job.
        work: does a job, with a sender.
        put_back: gets each job that was begun, and takes back those that were not finished.
        waiting: the number of jobs that could be done now.
    """

    def __init__(
        self,
        next_job: NextJob,
        work: Callable[[Sender, Any], None],
        put_back: Callable[[Any], None],
        waiting: Callable[[], int],
    ) -> None:
        self._next_job = next_job
        self._work = work
        self._put_back = put_back
        self._waiting = waiting
        self._connect: Callable[[], Sender] | None = None
        self._limit = ConcurrencyLimit()
        self.threads: set[threading.Thread] = set()
        """Those that run. A worker signs off itself, however it ends."""
        self._lock = threading.Lock()
        self._thread_start = _thread.start_new_thread
        self._stopped = False
        self._paused = False

    def configure(self, connect: Callable[[], Sender], most: int) -> None:
        """Set what makes a connection and how many there may be; workers change over with their next job."""
        self._connect = connect
        self._limit.most = most

    @property
    def leaving(self) -> bool:
        """Whether workers are to end, for good or for the moment."""
        return self._stopped or self._paused

    def start(self) -> None:
        """Start a worker if there is none. Never waits: that could stop all greenlets, where gevent patches late."""
        if not self.threads and self._lock.acquire(blocking=False):
            try:
                self._start_one()
            finally:
                self._lock.release()

    def stop(self) -> None:
        """Let the workers leave for good, once they are woken."""
        self._stopped = True

    def pause(self) -> None:
        """Let the workers leave for the moment, once they are woken."""
        self._paused = True

    def resume(self) -> bool:
        """Undo :meth:`pause`. False if there is nothing to undo."""
        paused, self._paused = self._paused, False
        return paused

    def join(self, deadline: float) -> None:
        """Wait for the workers to end; those that do not in time are left alone, they are daemons."""
        if not self._lock.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            return
        threads = tuple(self.threads)  # under the lock: one that is just being started could not be waited for
        self._lock.release()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(deadline - time.monotonic(), 0.0))

    def run_on_this_thread(self, done: Callable[[], bool], deadline: float) -> None:
        """Work on the calling thread until ``done()``, or the deadline is over."""
        with WorkerConnection(lambda: self._connect) as connection:
            while not done() and not self.leaving and (remaining := deadline - time.monotonic()) > 0:
                job = self._next_job(min(TURN, remaining))
                if job is not None:
                    connection.time_limit = deadline - time.monotonic()
                    with _working, contextlib.ExitStack() as stack:
                        stack.callback(self._put_back, job)
                        self._do(connection, job)

    # On a worker's thread

    def _run(self) -> None:
        me, left, died = threading.current_thread(), False, True
        try:
            with WorkerConnection(lambda: self._connect) as connection:
                while not self.leaving and not left:
                    left = self._turn(connection, me)
            died = False
        finally:
            with self._lock:
                self.threads.discard(me)
            if died:
                log_rate_limited("error", "dead worker", "a worker thread of ainsights died; another one replaces it")
            if not left:
                self._grow()  # unless all are to leave, still

    def _turn(self, connection: Sender, me: threading.Thread) -> bool:
        """Wait for a job and do it. True if there was none for long, and this worker is not needed."""
        try:
            job = self._next_job(IDLE_SECONDS)
            if job is None:
                return self._may_leave(me)
            try:
                with _growing:
                    self._grow_if_useful()
                self._do(connection, job)
            finally:
                self._put_back(job)
        except Exception as error:
            if not _working.caught(error):
                raise
            time.sleep(FAILURE_PAUSE)
        return False

    def _may_leave(self, me: threading.Thread) -> bool:
        with self._lock:
            if len(self.threads) > 1:
                self.threads.discard(me)
                return True
        return False

    def _do(self, connection: Sender, job: Any) -> None:
        started = time.monotonic()
        self._limit.on_start(started)
        self._work(connection, job)
        now = time.monotonic()
        self._limit.on_end(now, now - started)

    def _grow_if_useful(self) -> None:
        if self._thread_start is not _thread.start_new_thread:  # gevent has patched since: we would start greenlets,
            return  # on a thread that is not theirs
        if self._waiting() and len(self.threads) < self._limit.useful(time.monotonic()):
            self._grow()

    def _grow(self) -> None:
        with self._lock:
            self._start_one()

    def _start_one(self) -> None:
        """Start one more worker, with the lock held. Where no thread can be started, whoever flushes does the work."""
        if self.leaving or len(self.threads) >= self._limit.most:
            return
        thread = threading.Thread(target=self._run, name="ainsights", daemon=True)
        self.threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self.threads.discard(thread)


def are_threads() -> bool:
    """Return whether new threads are threads, not gevent's greenlets: to start or join one of those is to switch."""
    return isinstance(_thread.start_new_thread, BuiltinFunctionType)


class WorkerConnection:
    """A worker's own connection, made when it is needed and again when the settings change.

    Args:
        connect: returns what makes a connection by the present settings.
    """

    def __init__(self, connect: Callable[[], Callable[[], Sender] | None]) -> None:
        self._connect = connect
        self._made_by: Callable[[], Sender] | None = None
        self._sender: Sender | None = None
        self.time_limit: float | None = None
        """Seconds that a request may take, if less than the setting."""

    def send(self, body: bytes, time_limit: float | None = None) -> Answer:
        """See :class:`Sender`. What keeps a connection from being made is the outcome of the event at hand."""
        connect = self._connect()
        if self._sender is None or self._made_by is not connect:
            self.close()
            if connect is None:
                raise RuntimeError("a worker was started before it was configured")
            self._sender, self._made_by = connect(), connect
        return self._sender.send(body, self.time_limit if time_limit is None else time_limit)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
