"""Insights, and the one that ``instrument()`` makes for the process: wires capture, decoding and delivery together."""

from __future__ import annotations

import platform
import random
import sys
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ainsights import _context, _patch
from ainsights import _process as _process_life
from ainsights._contain import contained, failures, forget_said, logger, say
from ainsights._exchange import Exchange, open_exchanges
from ainsights._settings import HOSTED, PREFIX, Settings, load
from ainsights._version import __version__
from ainsights.delivery.tally import Stats, Tally
from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Self

    from ainsights.delivery.pipeline import Pipeline

FORK_PATIENCE = 0.02
"""Seconds that a fork waits for the workers to leave. Idle ones do at once."""

_started: set[Insights] = set()
"""Those that have a pipeline, to be closed at exit and started anew after a fork."""

_generation = 0
"""How often this process is a fork: what began before the last one is the parent's to report."""


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
        self._tally = Tally()
        self._adopt(load(**settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ainsights.Insights {self.settings.base_url} {self.stats().state}>"

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until every call that has ended by now is delivered, or refused for good.

        Args:
            timeout: seconds; ``exit_timeout`` if None, so that it never waits for ever.

        Returns:
            Whether all of them are; False if time ran out.
        """
        pipeline = self._pipeline
        with contained("flushing"):
            return pipeline is None or pipeline.flush(self.settings.exit_timeout if timeout is None else timeout)
        return False

    def close(self, timeout: float | None = None) -> bool:
        """Deliver what can be delivered within ``timeout`` seconds and end the threads.

        What is left is counted and logged. Calls that end later are counted as dropped. Closing twice is harmless.

        Args:
            timeout: seconds; ``exit_timeout`` if None.

        Returns:
            Whether nothing was left.
        """
        pipeline = self._pipeline
        if pipeline is None:
            return True
        left = pipeline.close(self.settings.exit_timeout if timeout is None else timeout)
        _started.discard(self)
        if left:
            self._tally.add(events=-left, dropped_exit=left)
            reason = pipeline.last_error or "time ran out"
            logger.error("%d events were not delivered before the end, and are lost: %s", left, reason)
        return not left

    def stats(self) -> Stats:
        """Return what became of the events so far."""
        counts, pipeline = self._tally.snapshot(), self._pipeline
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
            state=f"off: {self._off}" if self._off else pipeline.state if pipeline else "idle",
        )

    # What the patches call, on the user's thread, and contain

    def begin(self, _client: Any) -> Exchange | None:
        """Return the exchange to note a call in, or None if it is not to be captured."""
        context = _context.current.get()
        if self._off or (context is not None and not context.captured):
            return None
        rate = self.settings.sample_rate
        if rate < 1 and random.random() >= rate:  # noqa: S311  sampling, not a secret
            return None
        pipeline = self._pipeline
        if pipeline is None or not pipeline.workers:
            self._start().start()
        return Exchange(self._submit, context, _generation)

    def _submit(self, exchange: Exchange) -> None:
        if exchange.generation != _generation:
            return
        pipeline = self._pipeline
        if pipeline is not None:
            pipeline.put(exchange, exchange.size)

    # Putting the parts together

    def _adopt(self, settings: Settings) -> None:
        """Work by ``settings`` from now on; what is queued under earlier ones is flushed first."""
        if self._pipeline is not None and self._tally["events"]:
            self.flush()
        self.settings = settings
        self._off = _why_off(settings)
        if settings.log_level:
            logger.setLevel(settings.log_level.upper())
        if self._pipeline is not None:
            self._equip(self._pipeline)

    def _start(self) -> Pipeline:
        from ainsights.delivery.pipeline import Pipeline  # noqa: PLC0415  needed only once there is a call

        settings, made = self.settings, Pipeline(self._tally)
        self._equip(made)
        pipeline: Pipeline = vars(self).setdefault("_pipeline", made)  # atomic; a lock could stop a patched greenlet
        if pipeline is made:
            _started.add(self)
            _process_life.at_end_of_child(_close_all)
            if self.settings is not settings:
                self._equip(made)
        return pipeline

    def _equip(self, pipeline: Pipeline) -> None:
        from ainsights.delivery.encode import Encoding  # noqa: PLC0415  the same
        from ainsights.delivery.sender import senders  # noqa: PLC0415  the same

        settings = self.settings
        key = settings.api_key.get_secret_value() if settings.api_key else None
        pipeline.equip(Encoding(settings, sdk()), senders(settings.base_url, key, settings.timeout), settings)

    def _pause(self) -> None:
        if self._pipeline is not None:
            self._pipeline.pause(FORK_PATIENCE)

    def _resume(self) -> None:
        if self._pipeline is not None:
            self._pipeline.resume()

    def _forget(self) -> None:
        """Start afresh in the child of a fork: its parent has the events, the threads and the connections."""
        if self._pipeline is not None:
            self._pipeline.forget()
        self._tally = Tally()
        vars(self).pop("_pipeline", None)


def _why_off(settings: Settings) -> str | None:
    if not settings.enabled:
        return f"{PREFIX}ENABLED is false"
    if settings.content == "none":
        return f"{PREFIX}CONTENT is none"
    if settings.api_key is None and settings.base_url == HOSTED:
        problem = f"no API key for {HOSTED}: set {PREFIX}API_KEY (or REQUESTY_API_KEY)"
        if settings.strict:
            raise ConfigurationError(problem + ".")
        say("warning", "no key", "%s. Nothing is captured until then.", problem)
        return "no API key"
    return None


def sdk() -> str:
    """Return who captures: ``ainsights/0.1.0 openai/3.54.0 python/3.11``."""
    openai = getattr(sys.modules.get("openai"), "__version__", None)
    python = ".".join(platform.python_version_tuple()[:2])
    return " ".join([f"ainsights/{__version__}", *([f"openai/{openai}"] if openai else []), f"python/{python}"])


# The one of the process

_process: Insights | None = None
_process_lock = threading.Lock()


def instrument(**settings: Any) -> Insights:
    """Capture every OpenAI chat completion of this process from now on, whatever client makes it.

    Calling it again with the same settings changes nothing; with others, what is queued is flushed and the new ones
    hold from then on. openai may be imported before or after.

    Args:
        settings: see the table of settings; what is not given comes from the environment.

    Returns:
        The process's :class:`Insights`.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    global _process  # noqa: PLW0603  there is one process
    with _process_lock:
        if _process is None:
            _process = Insights(**settings)
        elif (wanted := load(**settings)) != _process.settings:
            _process._adopt(wanted)  # noqa: SLF001  the two are one module's business
        _patch.install(_process)
        if _process.settings.handle_sigterm:
            _process_life.on_sigterm(flush, _exit_timeout)
        return _process


def _exit_timeout() -> float:
    return _process.settings.exit_timeout if _process is not None else 0.0


def uninstrument() -> None:
    """Restore openai exactly. What was captured is still delivered, and streams that are open end well."""
    with _process_lock:
        _patch.uninstall()


def flush(timeout: float | None = None) -> bool:
    """Do :meth:`Insights.flush` for the process; True if nothing is instrumented."""
    return _process is None or _process.flush(timeout)


def shutdown(timeout: float | None = None) -> bool:
    """Restore openai and do :meth:`Insights.close` for the process; True if nothing is instrumented."""
    global _process
    uninstrument()
    with _process_lock:
        process, _process = _process, None
    return process is None or process.close(timeout)


def stats() -> Stats:
    """Return what became of this process's events so far; after a shutdown, nothing."""
    return _process.stats() if _process is not None else Stats(state="off: not instrumented")


# The end of a process, and its beginning as a fork


def _close_all() -> None:
    for exchange in tuple(open_exchanges):
        with contained("ending a stream at exit"):
            exchange.end("collected")
    for insights in tuple(_started):
        with contained("closing at exit"):
            insights.close()


def _stand_still() -> None:
    for insights in tuple(_started):
        insights._pause()  # noqa: SLF001  the same module


def _go_on() -> None:
    for insights in tuple(_started):
        insights._resume()  # noqa: SLF001  the same module


def _begin_anew() -> None:
    global _generation, _process_lock  # noqa: PLW0603
    _generation += 1
    _process_lock = threading.Lock()
    open_exchanges.clear()
    forget_said()
    failures.clear()
    for insights in tuple(_started):
        insights._forget()  # noqa: SLF001
    _started.clear()


_process_life.at_end(_close_all)
_process_life.at_fork(before=_stand_still, in_parent=_go_on, in_child=_begin_anew)
