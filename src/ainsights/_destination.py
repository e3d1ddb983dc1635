"""Destination: one endpoint under one set of settings, and the pipeline to it.

Loading the pipeline and its modules takes some 15 ms, which the user's first call must not pay. A background thread
does it; what is captured meanwhile waits here.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from ainsights._delivery.counters import Counters
from ainsights._internal_errors import capture_internal_errors

if TYPE_CHECKING:
    from ainsights._config import Settings
    from ainsights._delivery.pipeline import Pipeline
    from ainsights._delivery.receipt import Receipt
    from ainsights._instrumentation.exchange import Exchange
    from ainsights._processing.manual import Record
    from ainsights._processing.pending import PendingResponses

LOADING_DELAY = 0.02
"""Seconds before loading begins: the call that causes it has then been sent, and waits for its answer."""

LOADING_PATIENCE = 1.0
"""Seconds at the most that a fork or the exit waits for the pipeline to be loaded."""

REFUSED = "the event was dropped: the queue is full or closed"

OUT_OF_TIME = "dropped_exit"
"""How events are counted that were not delivered before the client was closed."""

_starting = capture_internal_errors("starting the pipeline")
_moving = capture_internal_errors("queueing an event")


class Destination:
    """Where the events of a client go, as long as its settings stay the same."""

    pipeline: Pipeline | None = None
    """Made with the first event."""

    _loading: threading.Event | None = None
    """Set when the attempt to make the pipeline is over; None before there is one."""

    def __init__(self, settings: Settings, pending: PendingResponses) -> None:
        self.settings = settings
        self._pending = pending
        self.counters = Counters()
        self._waiting: deque[tuple[Exchange | Record, Receipt | None]] = deque()
        self._awaited = threading.Event()
        """Set when somebody waits for the pipeline."""
        self._closed = False

    @property
    def is_started(self) -> bool:
        """Whether the pipeline is made, or being made."""
        return self._loading is not None

    @property
    def is_refused(self) -> bool:
        """Whether the endpoint refuses all events, for a wrong key or URL."""
        return self.pipeline is not None and bool(self.pipeline.held)

    @property
    def events(self) -> int:
        """Events that are held in memory."""
        return (self.pipeline.queued if self.pipeline is not None else 0) + len(self._waiting)

    # On the user's thread

    def open(self) -> None:
        """See to it that there is a pipeline with a worker, or will soon be. Not to be called from a finaliser."""
        pipeline = self.pipeline
        if pipeline is None:
            self._start()
        elif not pipeline.workers:
            pipeline.start()

    def put(self, item: Exchange | Record, receipt: Receipt | None = None) -> bool:
        """Queue ``item``; ``receipt`` reports its outcome. False if dropped. Never blocks; safe in a finaliser."""
        if self.pipeline is None:
            if len(self._waiting) >= self.settings.max_queue_events:
                self.counters.add(captured=1, dropped_full=1)
                if receipt is not None:
                    receipt.on_dropped(REFUSED)
                return False
            self._waiting.append((item, receipt))
            if self.pipeline is not None or self._closed:  # since we looked
                self._move("dropped_closed")
            return True
        return self.pipeline.put(item, item.size, receipt)

    # Loading the pipeline

    def _start(self) -> None:
        loading = threading.Event()
        if self._closed or vars(self).setdefault("_loading", loading) is not loading:  # atomic; a lock could stop
            return  # a greenlet, where gevent patches late
        if "gevent" in sys.modules:  # which may patch, at any moment, the locks of an import that is under way
            self._load()
            return
        try:
            threading.Thread(target=self._load_soon, name="ainsights-start", daemon=True).start()
        except RuntimeError:  # the interpreter ends, and starts no more threads
            self._load()

    def _load_soon(self) -> None:
        self._awaited.wait(LOADING_DELAY)
        if "gevent" not in sys.modules:
            self._load()
            return
        loading = self._loading  # the next thread that needs the pipeline loads it
        vars(self).pop("_loading", None)
        if loading is not None:
            loading.set()

    def _load(self) -> None:
        loading = self._loading
        try:
            with _starting:
                self._make()
        finally:
            if self.pipeline is None:
                vars(self).pop("_loading", None)  # the next call tries again
            self._move("dropped_failed" if self.pipeline is None else OUT_OF_TIME)
            if loading is not None:
                loading.set()

    def _make(self) -> None:
        from ainsights._delivery.pipeline import Pipeline  # noqa: PLC0415  a process that makes no call needs none

        pipeline, settings = Pipeline(self.counters), self.settings
        self._configure(pipeline)
        self.pipeline = pipeline
        if self.settings is not settings:  # they changed meanwhile
            self._configure(pipeline)
        pipeline.start()
        if self._closed:  # meanwhile, too
            pipeline.close(0.0)

    def _configure(self, pipeline: Pipeline) -> None:
        from ainsights._delivery.http_sender import senders  # noqa: PLC0415  the same
        from ainsights._processing.attributes import sdk  # noqa: PLC0415  the same
        from ainsights._processing.processor import Processor  # noqa: PLC0415  the same

        settings = self.settings
        key = settings.api_key.get_secret_value() if settings.api_key else None
        connect = senders(settings.base_url, key, settings.timeout, settings.path)
        pipeline.configure(Processor(settings, sdk(), self._pending).process, connect, settings)

    def _move(self, otherwise: str) -> None:
        """Hand what waits to the pipeline. Without one, or once we are closed, it is lost.

        Args:
            otherwise: as what it is counted then.
        """
        while True:
            try:
                item, receipt = self._waiting.popleft()  # whoever gets it moves it
            except IndexError:
                return
            with _moving:
                if self.pipeline is not None and not self._closed:
                    self.pipeline.put(item, item.size, receipt)
                    continue
                self.counters.add(captured=1, **{otherwise: 1})
            if receipt is not None and otherwise == OUT_OF_TIME:
                receipt.on_left("time ran out before the event was delivered")
            elif receipt is not None:
                receipt.on_dropped(REFUSED)

    def loaded(self, timeout: float = LOADING_PATIENCE) -> Pipeline | None:
        """Return the pipeline, if need be once it is loaded."""
        loading = self._loading
        if loading is not None:
            self._awaited.set()
            loading.wait(timeout)
        pipeline = self.pipeline  # read once: another thread may make it at any moment
        if loading is not None and pipeline is not None:
            loading.wait(LOADING_PATIENCE)  # for the milliseconds that it takes to move what waits to the pipeline
        if pipeline is None and self._waiting and not self._closed:
            self._start()
        return pipeline

    # Afterwards

    def change(self, settings: Settings) -> None:
        """Work by other settings from now on, also for what waits."""
        self.settings = settings
        if self.pipeline is not None:
            self._configure(self.pipeline)

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before is delivered, or refused for good. False if that took too long."""
        deadline = time.monotonic() + timeout
        pipeline = self.loaded(timeout)
        if pipeline is None:
            return not self._waiting and not self.is_started  # it may find events in the spool
        return pipeline.flush(max(deadline - time.monotonic(), 0.0))

    def begin_close(self, timeout: float) -> None:
        """Start to deliver what is queued, for a close that follows within ``timeout`` seconds. Does not wait."""
        if self.pipeline is not None:
            self.pipeline.begin_close(timeout)

    def close(self, timeout: float) -> int:
        """Deliver what can be delivered in time, end the workers, and return how many events are lost."""
        deadline = time.monotonic() + timeout
        patience = (
            LOADING_PATIENCE if self.settings.spool_dir else 0.0
        )  # the spool keeps what time does not suffice for
        pipeline = self.loaded(max(timeout, patience))
        if pipeline is None:
            self._closed = True
            pipeline = self.loaded(0.0)  # made since
        lost = pipeline.close(max(deadline - time.monotonic(), 0.0)) if pipeline is not None else 0
        self._closed = True
        self._move(OUT_OF_TIME)
        return lost + self.counters.newly_lost()

    def before_fork(self, patience: float) -> None:
        """Let the workers leave; a module that is being imported while the process forks never loads in the child."""
        pipeline = self.loaded()
        if pipeline is not None:
            pipeline.pause(patience)

    def after_fork_in_parent(self) -> None:
        """Let the workers come back."""
        if self.pipeline is not None:
            self.pipeline.resume()

    def after_fork_in_child(self) -> None:
        """Leave everything to the parent."""
        self._closed = True
        self._waiting.clear()
        if self.pipeline is not None:
            self.pipeline.reset_after_fork()
