"""Crew: the worker threads, and how many of them are of use."""

from __future__ import annotations

import _thread
import threading
import time
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, Protocol

from ainsights._internal_errors import capture_internal_errors
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from ainsights._delivery.http_sender import Sender
    from ainsights._delivery.retry import Answer

IDLE = 5.0
"""Seconds without work after which a worker ends; the last one stays."""

BREATH = 0.1
"""Seconds that a worker pauses after a failure of ours, lest it fail all the time."""

_working = capture_internal_errors("delivering an event")
_growing = capture_internal_errors("starting a worker")


class Next(Protocol):
    """Waits for work, so many seconds at the most, and returns it; None if there is none."""

    def __call__(self, wait: float) -> Any:
        """Return a job."""


class Crew:
    """Threads that take work and do it, each with its own connection.

    More of them help only while they wait for the network: under one interpreter lock, threads that compute
    together get in each other's way. So their number is bounded by a request's latency over its own CPU time.
    """

    def __init__(self, take: Next, do: Callable[[Sender, Any], None], waiting: Callable[[], int]) -> None:
        self._take = take
        self._do = do
        self._waiting = waiting
        self._connect: Callable[[], Sender] | None = None
        self._most = 1
        self.threads: set[threading.Thread] = set()
        """Those that run. A worker signs off itself, however it ends."""
        self._lock = threading.Lock()
        self._starts_by = _thread.start_new_thread
        self._pace = Pace()
        self.stopped = False
        self.paused = False

    def equip(self, connect: Callable[[], Sender], most: int) -> None:
        """Set what makes a connection and how many there may be; workers change over with their next job."""
        self._connect, self._most = connect, most

    @property
    def leaving(self) -> bool:
        """Whether workers are to end, for good or for the moment."""
        return self.stopped or self.paused

    def begin(self) -> None:
        """Start a worker, unless one is being started: to wait could stop all greenlets, where gevent patches late."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
            self.grow()

    def grow(self) -> None:
        """Start one more worker. Where no thread can be started, whoever flushes does the work."""
        with self._lock:
            if self.leaving or len(self.threads) >= self._most:
                return
            thread = threading.Thread(target=self._run, name="ainsights", daemon=True)
            self.threads.add(thread)
            try:
                thread.start()
            except RuntimeError:
                self.threads.discard(thread)

    def work_until(self, done: Callable[[], bool]) -> None:
        """Work on the calling thread until ``done()``."""
        with _Desk(self) as desk:
            while not done():
                job = self._take(0.05)
                if job is not None:
                    with _working:
                        self._work(desk, job)

    def join(self, timeout: float) -> None:
        """Wait for the workers to end; those that do not in time are left behind, they are daemons."""
        deadline = time.monotonic() + timeout
        with self._lock:  # one that is just being started could not be waited for
            threads = tuple(self.threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(deadline - time.monotonic(), 0.0))

    def _run(self) -> None:
        me, left, died = threading.current_thread(), False, True
        try:
            with _Desk(self) as desk:
                while not self.leaving and not left:
                    left = self._turn(desk, me)
            died = False
        finally:
            with self._lock:
                self.threads.discard(me)
            if died:
                log_rate_limited(
                    "error", "dead worker", "a worker thread of ainsights died; another one takes its place"
                )
            if not left:
                self.grow()  # unless all are to leave, still

    def _turn(self, desk: Sender, me: threading.Thread) -> bool:
        """Wait for work and do it. True if there was none for long, and this worker is not needed."""
        try:
            job = self._take(IDLE)
            if job is None:
                return self._may_leave(me)
            with _growing:
                self._grow_with(self._waiting())
            self._work(desk, job)
        except Exception as error:
            if not _working.caught(error):
                raise
            time.sleep(BREATH)
        return False

    def _may_leave(self, me: threading.Thread) -> bool:
        with self._lock:
            if len(self.threads) > 1:
                self.threads.discard(me)
                return True
        return False

    def _work(self, sender: Sender, job: Any) -> None:
        began, cpu = time.monotonic(), time.thread_time()
        self._pace.begins(began)
        self._do(sender, job)
        now = time.monotonic()
        self._pace.learn(now - began, time.thread_time() - cpu, now, time.process_time())

    def _grow_with(self, waiting: int) -> None:
        """Start another worker if jobs wait, and it would spend its time waiting for the network."""
        if self._starts_by is not _thread.start_new_thread:  # gevent has patched since: we would start greenlets,
            return  # on a thread that is not theirs
        if waiting and len(self.threads) < min(self._most, self._pace.useful(time.monotonic())):
            self.grow()


def are_threads() -> bool:
    """Tell whether new threads are threads, and not gevent's greenlets: to start or join one of those is to switch."""
    return isinstance(_thread.start_new_thread, BuiltinFunctionType)


class Pace:
    """How many workers are of use: a request's latency over its own CPU time, and few where the process is busy.

    The latency is the lowest of the last seconds, since what exceeds it may be waiting for one another; or the mean,
    while the process is calm, so that this can't be. It would still rise with the workers that it
    calls for where the interpreter lock is short; so a busy process gets few of them.
    """

    WINDOW = 5.0
    CALM, BUSY = 0.5, 0.8
    """The shares of a core below and above which the process counts as calm and as busy."""
    FEW = 4

    def __init__(self) -> None:
        self._lowest = [float("inf"), float("inf")]
        self._mean = 0.0
        self._cpu = 0.0
        self._busy = 0.0
        self._since = (0.0, 0.0)
        self._turned_at = 0.0
        self._first_at = 0.0

    def begins(self, now: float) -> None:
        """Note that a request begins; of the first one nothing else may be known for long."""
        self._first_at = self._first_at or now

    def learn(self, latency: float, cpu: float, now: float, process_cpu: float) -> None:
        """Note what a request took. Called by all workers without a lock: a lost update does no harm."""
        self._lowest[0] = min(self._lowest[0], latency)
        self._mean = self._mean + (latency - self._mean) * 0.1 if self._mean else latency
        self._cpu = self._cpu + (cpu - self._cpu) * 0.1 if self._cpu else cpu
        if now - self._turned_at > self.WINDOW:
            self._lowest, self._turned_at = [latency, self._lowest[0]], now
        wall = now - self._since[0]
        if wall > 0.01:  # noqa: PLR2004  seconds: shorter spans tell nothing
            self._busy, self._since = (process_cpu - self._since[1]) / wall, (now, process_cpu)

    def useful(self, now: float) -> int:
        """Return how many workers are of use."""
        if not self._cpu:
            return self.FEW if self._first_at and now - self._first_at > 0.01 else 2  # noqa: PLR2004  seconds
        latency = self._mean if self._busy < self.CALM else min(self._lowest)
        several = int(latency / self._cpu)
        return max(2, min(several, self.FEW) if self._busy > self.BUSY else several)


class _Desk:
    """A worker's own connection, made when it is needed and again when the settings change."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._made_by: Callable[[], Sender] | None = None
        self._sender: Sender | None = None

    def send(self, body: bytes) -> Answer:
        """See :class:`Sender`. What keeps a connection from being made is the outcome of the event at hand."""
        connect = self._crew._connect  # noqa: SLF001  a crew and its desks are one thing
        if self._sender is None or self._made_by is not connect:
            self.close()
            if connect is None:
                raise RuntimeError("a worker was started before it was equipped")
            self._sender, self._made_by = connect(), connect
        return self._sender.send(body)

    def close(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()
