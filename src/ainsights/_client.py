"""Insights: a client of one endpoint; decides what is captured, and owns its delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights import _lifecycle
from ainsights._channel import Channel
from ainsights._config import NO_KEY, PREFIX, Settings, load
from ainsights._context.scope import current
from ainsights._delivery.spool.access import UnsafeSpoolError, check_access
from ainsights._instrumentation.exchange import Exchange
from ainsights._instrumentation.open_streams import OpenStreams
from ainsights._instrumentation.routing import router
from ainsights._internal_errors import capture_internal_errors
from ainsights._logging import log_rate_limited, logger
from ainsights._processing.pending import PendingResponses
from ainsights._random import generator
from ainsights._stats import collect_stats, last_error
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ainsights._delivery.receipt import Receipt
    from ainsights._delivery.stats import Stats
    from ainsights._instrumentation.routes import Route
    from ainsights._instrumentation.routing import Client
    from ainsights._processing.manual import CaptureArguments, Record

PENDING_SHARE = 4
"""The share of ``max_queue_bytes`` that responses may hold which are not at their end: a quarter."""

_flushing = capture_internal_errors("flushing")


class Insights:
    """A client of one endpoint: captures calls of its own, and delivers them from background threads.

    It works by itself, beside :func:`ainsights.instrument` or without it. What is queued is delivered when the process
    exits, also if nobody closes it::

        with ainsights.Insights(base_url="https://audit.example.com", api_key="...") as audit:
            client = audit.watch(openai.OpenAI())
            client.chat.completions.create(...)

    Args:
        settings: the keyword arguments of :func:`ainsights.instrument`; the others come from the environment.

    Raises:
        ConfigurationError: a setting is wrong; the message names it and what it accepts.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = load(**settings)
        _check_spool(self.settings)
        self._off = self._apply_settings()
        self._open_streams = OpenStreams(self.settings.max_queue_bytes)
        self._pending = self._no_pending()
        self._channel = Channel(self.settings, self._pending)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ainsights.Insights {self.settings.base_url} {self.stats().state}>"

    def watch(self, client: Client) -> Client:
        """Capture the calls of one openai client, and of every copy that it makes of itself, here and nowhere else.

        ::

            audit = ainsights.Insights(base_url="https://audit.example.com", api_key="...")
            client = audit.watch(openai.OpenAI())

        Args:
            client: any client of openai's, made before or after.

        Returns:
            The same client.

        Raises:
            ConfigurationError: ``client`` is not a client of openai.
        """
        if not (hasattr(type(client), "with_options") and hasattr(type(client), "post")):
            raise ConfigurationError(f"client=... is a {type(client).__name__}. It takes a client of openai's.")
        return router.set_for_client(client, self)

    def capture(self, **arguments: Unpack[CaptureArguments]) -> None:
        """Record a chat completion yourself: one that openai's client did not make, or one that was stored.

        It is recorded as it is now: later changes of the arguments have no effect. The :func:`ainsights.context` around
        it holds too; arguments go before it::

            audit.capture(response=completion, messages=messages, args={"model": "gpt-4o"}, user_id="ann")

        Args:
            response: a ChatCompletion, a Response, or a dict with the fields of one.
            messages: the prompt: a text, several texts, or messages as dicts or as openai's objects. They may be left
                out only where ``template`` and ``inputs`` are given.
            args: the model arguments: the request without its messages.
            meta: free metadata.
            user_id: the end user.
            template: the prompt before formatting: a :class:`Template`, a text, or messages.
            inputs: the template's variables.

        Raises:
            ConfigurationError: an argument is of a wrong type, or missing; it is named.
        """
        from ainsights._processing.manual import Record  # noqa: PLC0415  few programs do this

        self.submit(Record(**arguments))

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until every call that has ended by now is delivered, or refused for good.

        For functions-as-a-service, whose process may be frozen after each request::

            def handler(event, context):
                answer = ask(event)
                audit.flush(2)
                return answer

        Args:
            timeout: seconds; ``exit_timeout`` if None, so that it never waits for ever.

        Returns:
            Whether all of them are; False if time ran out.
        """
        with _flushing:
            return self._channel.flush(self.settings.exit_timeout if timeout is None else timeout)
        return False

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what can be delivered in time and end the threads.

        What is left is counted and logged, unless there is a spool, which keeps it. Calls that end later count as
        dropped. Closing twice is harmless.

        ::

            audit.close(timeout=10)

        Args:
            timeout: seconds; ``exit_timeout`` if None.

        Returns:
            Whether nothing was lost.
        """
        return self._close(self.settings.exit_timeout if timeout is None else timeout)

    def _close(self, timeout: float, *, interrupted: bool = False) -> bool:
        router.release_clients(self)
        self._pending.close()
        late = "captured after the client was closed" if self._channel.is_closed else None
        lost = self._channel.close(timeout)
        _lifecycle.unregister(self)
        if lost:
            reason = "interrupted" if interrupted else late or last_error(self._channel.pipelines) or "time ran out"
            logger.error("%d event%s lost at shutdown: %s", lost, "s" if lost > 1 else "", reason)
        return not lost

    def stats(self) -> Stats:
        """Return what happened to the events so far, and how delivery is now.

        Example::

            if audit.stats().state != "running":
                warn(str(audit.stats()))
        """
        return collect_stats(self._channel, len(self._pending), self._off)

    # What the patches call on the user's thread, where it must not fail or wait

    def begin(self, _client: Any, route: Route, *, in_background: bool = False) -> Exchange | None:
        """Return the exchange to note a call in, or None if it is not to be captured."""
        context = current.get()
        if self._off:
            return None
        if route.api not in self.settings.capture:
            if not route.looks_up and (context is None or context.captured):
                self._channel.count_uncaptured(route.name)
            return None
        is_muted = (context is not None and not context.captured) or (not route.looks_up and self._is_sampled_out())
        if is_muted and not in_background:
            return None
        channel = self._open()
        exchange = Exchange(self._put_muted if is_muted else channel.put, context, self._open_streams, route)
        exchange.is_muted = is_muted
        return exchange

    def _put_muted(self, exchange: Exchange) -> None:
        self._pending.note_muted(exchange)
        self._channel.put(exchange)

    def submit(self, record: Record, receipt: Receipt | None = None) -> None:
        """Queue ``record``; ``receipt`` gets the outcome."""
        if self._off or not record.context.captured:
            why = f"nothing is captured: {self._off or 'excluded by the context'}"
        elif self._is_sampled_out():
            why = f"the event was dropped: {PREFIX}SAMPLE_RATE"
        else:
            self._open().put(record, receipt)
            return
        if receipt is not None:
            receipt.on_dropped(why)

    def _is_sampled_out(self) -> bool:
        rate = self.settings.sample_rate
        return rate < 1 and generator.random() >= rate

    def _open(self) -> Channel:
        channel = self._channel
        if not channel.has_worker:
            _lifecycle.register(self)
            channel.open()
        return channel

    # Settings

    def start_delivery(self) -> None:
        """Deliver what waits in the spool, without an event of this process."""
        self._open()

    def reconfigure(self, settings: Settings) -> None:
        """Work by ``settings`` from now on. What is queued is delivered in the background, as it was to be."""
        _check_spool(settings)
        self.settings = settings
        self._off = self._apply_settings()
        self._open_streams.resize(settings.max_queue_bytes)
        self._channel.change(settings)

    def _apply_settings(self) -> str | None:
        """Apply what concerns the log, and return why nothing is captured, if nothing is."""
        settings = self.settings
        if settings.disabled_reason == NO_KEY:
            log_rate_limited("warning", "no key", "%s. Nothing is captured until then.", NO_KEY)
        if settings.log_level:
            logger.setLevel(settings.log_level.upper())
        return settings.disabled_reason

    # The life of the process: see PipelineOwner

    def end_streams(self) -> None:
        """Report the streams that are open, and the responses that are not at their end."""
        self._open_streams.end_all()
        self._pending.close()

    def begin_close(self) -> None:
        """Start to deliver what is queued; the time to exit runs from now."""
        self._channel.begin_close(self.settings.exit_timeout)

    def close_at_exit(self, elapsed: float | None) -> None:
        """Close within what is left of ``exit_timeout``; at once if the user interrupts the exit."""
        remaining = 0.0 if elapsed is None else max(self.settings.exit_timeout - elapsed, 0.0)
        self._close(remaining, interrupted=elapsed is None)

    def before_fork(self) -> None:
        """Let the threads leave."""
        self._channel.before_fork()

    def after_fork_in_parent(self) -> None:
        """Let the threads come back."""
        self._channel.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Start afresh: the events, the threads and the connections are the parent's."""
        for exchange in self._open_streams.exchanges():
            if exchange.is_muted:
                self._pending.note_muted(exchange)
        self._open_streams = OpenStreams(self.settings.max_queue_bytes)
        self._channel.after_fork_in_child()
        pending = self._no_pending()
        pending.after_fork(self._pending)
        self._pending = pending
        self._channel = Channel(self.settings, self._pending)

    def _no_pending(self) -> PendingResponses:
        bound = self.settings.max_queue_bytes // PENDING_SHARE
        return PendingResponses(self._requeue, self._open_streams, bound, self._is_sampled_out)

    def _requeue(self, exchange: Exchange) -> None:
        self._channel.put(exchange)


def _check_spool(settings: Settings) -> None:
    """Refuse a spool that another user can read or write. Any other problem with one costs no event, and is logged."""
    if settings.spool_dir is None:
        return
    try:
        check_access(settings.spool_dir)
    except UnsafeSpoolError as error:
        raise ConfigurationError(f"{PREFIX}SPOOL_DIR={str(settings.spool_dir)!r} is wrong: {error}.") from None
    except OSError:
        return
