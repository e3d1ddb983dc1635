"""Insights: captured calls on their way to one endpoint; wires capture, decoding and delivery together."""

from __future__ import annotations

import random
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ainsights import _lifecycle
from ainsights._config import NO_KEY, PREFIX, Settings, load
from ainsights._context.context import current
from ainsights._delivery.counters import Counters
from ainsights._delivery.stats import Stats
from ainsights._instrumentation import routing
from ainsights._instrumentation.exchange import Exchange
from ainsights._instrumentation.open_streams import OpenStreams
from ainsights._instrumentation.patch import lost_hooks
from ainsights._internal_errors import capture_internal_errors, failures
from ainsights._logging import log_rate_limited, logger, reset_rate_limits
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ainsights._delivery.pipeline import Pipeline
    from ainsights._delivery.receipt import Receipt
    from ainsights._instrumentation.routing import Client
    from ainsights._processing.manual import CaptureArguments, Record

FORK_PATIENCE = 0.02
"""Seconds that a fork waits for the workers to leave. Idle ones do at once."""

_started: set[Insights] = set()
"""Those that have a pipeline, to be closed at exit and started anew after a fork."""


class Insights:
    """Captured calls on their way to one endpoint.

    Args:
        settings: see the table of settings; what is not given comes from the environment.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    _pipeline: Pipeline | None = None
    """Made with the first event, by whoever is first."""

    def __init__(self, **settings: Any) -> None:
        self._counters = Counters()
        wanted = load(**settings)
        self._open_streams = OpenStreams(wanted.max_queue_bytes)
        self.reconfigure(wanted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ainsights.Insights {self.settings.base_url} {self.stats().state}>"

    def watch(self, client: Client) -> Client:
        """Capture what ``client`` asks, and every copy that it makes of itself, here and nowhere else.

        Args:
            client: any client of openai's, made before or after; it is returned.

        Raises:
            ConfigurationError: this is no client of openai's.
        """
        if not (hasattr(type(client), "with_options") and hasattr(type(client), "post")):
            raise ConfigurationError(f"client=... is a {type(client).__name__}. It takes a client of openai's.")
        return routing.set_for_client(client, self)

    def capture(self, **told: Unpack[CaptureArguments]) -> None:
        """Capture a chat completion by hand: one that openai's client did not make, or one that was kept.

        It is taken as it is now; what ``context()`` says around it holds too, and what is said here goes before that.

        Args:
            response: a ChatCompletion, or a dict with what one has.
            messages: what was asked: a text, several, or messages, as dicts or as openai's objects. Only where
                template and inputs are given may they be missing.
            args: the model arguments: the request without its messages.
            meta: free metadata.
            user_id: the end user.
            template: the prompt before formatting: a :class:`Template`, or a text or messages.
            inputs: the template's variables.

        Raises:
            ConfigurationError: an argument is of a wrong type, or missing; it is named.
        """
        from ainsights._processing.manual import Record  # noqa: PLC0415  few programs do this

        self.submit(Record(**told))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until every call that has ended by now is delivered, or refused for good.

        Args:
            timeout: seconds; ``exit_timeout`` if None, so that it never waits for ever.

        Returns:
            Whether all of them are; False if time ran out.
        """
        pipeline = self._pipeline
        with capture_internal_errors("flushing"):
            return pipeline is None or pipeline.flush(self.settings.exit_timeout if timeout is None else timeout)
        return False

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what can be delivered within ``timeout`` seconds and end the threads.

        What is left is counted and logged; calls that end later count as dropped. Closing twice is harmless.

        Args:
            timeout: seconds; ``exit_timeout`` if None.

        Returns:
            Whether nothing was left.
        """
        routing.release_clients(self)
        pipeline = self._pipeline
        if pipeline is None:
            return True
        left = pipeline.close(self.settings.exit_timeout if timeout is None else timeout)
        _started.discard(self)
        if left:
            self._counters.add(events=-left, dropped_exit=left)
            reason = pipeline.last_error or "time ran out"
            logger.error("events not delivered before the end, and lost: %d. Why: %s", left, reason)
        return not left

    def stats(self) -> Stats:
        """Return what became of the events so far."""
        counts, pipeline = self._counters.snapshot(), self._pipeline
        dropped = {name.removeprefix("dropped_"): n for name, n in counts.items() if name.startswith("dropped_") and n}
        delivered_at = pipeline.last_delivery if pipeline else None
        return Stats(
            captured=counts.get("captured", 0),
            queued_events=counts.get("events", 0),
            queued_bytes=counts.get("bytes", 0),
            in_flight=pipeline.in_flight if pipeline else 0,
            delivered=counts.get("delivered", 0),
            retried=counts.get("retried", 0),
            rejected=counts.get("rejected", 0),
            filtered=counts.get("filtered", 0),
            held=pipeline.held if pipeline else 0,
            spooled=pipeline.spooled if pipeline else 0,
            dropped=dropped,
            failures=dict(failures),
            last_error=pipeline.last_error if pipeline else None,
            last_delivery=datetime.fromtimestamp(delivered_at, timezone.utc).isoformat() if delivered_at else None,
            worker_alive=bool(pipeline.workers) if pipeline else False,
            lost_hooks=tuple(lost_hooks()),
            state=f"off: {self._off}" if self._off else pipeline.state if pipeline else "idle",
        )

    # What the patches call, on the user's thread, and contain

    def begin(self, _client: Any) -> Exchange | None:
        """Return the exchange to note a call in, or None if it is not to be captured."""
        context = current.get()
        if self._off or (context is not None and not context.captured):
            return None
        if self._sampled_out():
            return None
        self._ready()
        return Exchange(self._submit, context, self._open_streams)

    def _submit(self, exchange: Exchange) -> None:
        if exchange.open_streams is not self._open_streams:  # it began before a fork: the parent reports it
            return
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.put(exchange, exchange.size)

    def submit(self, record: Record, receipt: Receipt | None = None) -> None:
        """Queue ``record``; ``receipt`` is told what becomes of it."""
        record.receipt = receipt
        if self._off or not record.context.captured:
            why = f"nothing is captured: {self._off or 'the context says so'}"
        elif self._sampled_out():
            why = f"the event was dropped: {PREFIX}SAMPLE_RATE"
        elif self._ready().put(record, record.size):
            return
        else:
            why = "the event was dropped: the queue is full or closed"
        if receipt is not None:
            receipt.dropped(why)

    def _sampled_out(self) -> bool:
        rate = self.settings.sample_rate
        return rate < 1 and random.random() >= rate  # noqa: S311  sampling, not a secret

    # Putting the parts together

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline, made with the first event."""
        return self._pipeline or self._start()

    def _ready(self) -> Pipeline:
        pipeline = self._pipeline
        if pipeline is None or not pipeline.workers:
            pipeline = self.pipeline
            pipeline.start()
        return pipeline

    def reconfigure(self, settings: Settings) -> None:
        """Work by ``settings`` from now on; what is queued under earlier ones is flushed first."""
        if self._pipeline is not None and self._counters["events"]:
            self.flush()
        self.settings = settings
        self._open_streams.resize(settings.max_queue_bytes)
        self._off = settings.disabled_reason
        if self._off == NO_KEY:
            log_rate_limited("warning", "no key", "%s. Nothing is captured until then.", NO_KEY)
        if settings.log_level:
            logger.setLevel(settings.log_level.upper())
        if self._pipeline is not None:
            self._equip(self._pipeline)

    def _start(self) -> Pipeline:
        from ainsights._delivery.pipeline import Pipeline  # noqa: PLC0415  a process that makes no call needs none

        settings, made = self.settings, Pipeline(self._counters)
        self._equip(made)
        pipeline: Pipeline = vars(self).setdefault("_pipeline", made)  # atomic; a lock could stop a patched greenlet
        if pipeline is made:
            _started.add(self)
            _lifecycle.at_end_of_child(close_all)
            if self.settings is not settings:
                self._equip(made)
        return pipeline

    def _equip(self, pipeline: Pipeline) -> None:
        from ainsights._delivery.http_sender import senders  # noqa: PLC0415  the same
        from ainsights._processing.attributes import sdk  # noqa: PLC0415  the same
        from ainsights._processing.processor import Encoding  # noqa: PLC0415  the same

        settings = self.settings
        key = settings.api_key.get_secret_value() if settings.api_key else None
        pipeline.equip(Encoding(settings, sdk()), senders(settings.base_url, key, settings.timeout), settings)

    def _forget(self) -> None:
        """Start afresh in the child of a fork: its parent has the events, the threads and the connections."""
        if self._pipeline is not None:
            self._pipeline.forget()
        self._counters = Counters()
        self._open_streams = OpenStreams(self.settings.max_queue_bytes)
        vars(self).pop("_pipeline", None)


# The end of a process, and its beginning as a fork


def close_all() -> None:
    """Report the streams that are open, and deliver what can be within each one's ``exit_timeout``."""
    for insights in tuple(_started):
        insights._open_streams.end_all()  # noqa: SLF001  the same module
    for insights in tuple(_started):
        with capture_internal_errors("closing at exit"):
            insights.close()


def before_fork() -> None:
    """Let the workers leave before a fork."""
    for insights in tuple(_started):
        insights.pipeline.pause(FORK_PATIENCE)


def after_fork_in_parent() -> None:
    """Let them come back."""
    for insights in tuple(_started):
        insights.pipeline.resume()


def after_fork_in_child() -> None:
    """Start afresh in the child of a fork."""
    reset_rate_limits()
    failures.clear()
    for insights in tuple(_started):
        insights._forget()  # noqa: SLF001  the same module
    _started.clear()
