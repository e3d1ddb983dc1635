"""The process's default client: ``instrument()`` and its kin, and the client that drop-in clients share."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from ainsights import _lifecycle
from ainsights._client import Insights
from ainsights._config import load, unknown_variables
from ainsights._delivery.stats import Stats
from ainsights._instrumentation.routing import router
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ainsights._processing.manual import CaptureArguments


class DefaultClient:
    """Holds the process's Insights: made when it is first needed, replaced by none."""

    def __init__(self) -> None:
        self.insights: Insights | None = None
        self._reported: set[str] = set()
        """The unknown variables that were logged."""
        self._lock = threading.Lock()
        """Held for moments only: the first call of a drop-in client waits for it."""

    def configure(self, settings: dict[str, Any]) -> Insights:
        """Return the process's Insights, which works by ``settings`` from now on."""
        made = Insights(**settings)
        with self._lock:
            if self.insights is None:
                self.insights = made
            elif made.settings != self.insights.settings:
                self.insights.reconfigure(made.settings)
            return self.insights

    def get(self) -> Insights:
        """Return the process's Insights; where there is none yet, one by the settings of the environment.

        Raises:
            ConfigurationError: one of them is wrong.
        """
        with self._lock:
            if self.insights is None:
                self.insights = Insights()
            return self.insights

    def report_unknown_variables(self) -> None:
        """Log each variable that looks like a setting and is none; once."""
        unknown = unknown_variables(os.environ)
        for variable in unknown.keys() - self._reported:
            meant = f". Did you mean {unknown[variable]}?" if unknown[variable] else ""
            log_rate_limited("warning", f"unknown {variable}", "Unknown setting %s (ignored)%s", variable, meant)
            self._reported.add(variable)

    def take(self) -> Insights | None:
        """Return the process's Insights, and have none from now on."""
        with self._lock:
            insights, self.insights = self.insights, None
            return insights

    def after_fork_in_child(self) -> None:
        """Have a lock of our own: a thread of the parent may have held the other one."""
        self._lock = threading.Lock()


_default = DefaultClient()
_lifecycle.after_fork_in_child(_default.after_fork_in_child)


def instrument(**settings: Any) -> Insights:
    """Capture every OpenAI chat completion and response of this process from now on, whatever client makes it.

    Call it once at start-up, before or after openai is imported::

        import ainsights

        ainsights.instrument(user_id="batch-job", meta={"service": "summaries"})

    Calling it again with the same settings changes nothing. With others, the new ones hold from then on, and what was
    captured by the earlier ones is delivered in the background, where it was to go. It waits for no delivery.

    Args:
        settings: keyword arguments as in the table of settings; what is not given comes from the environment, and
            then from the defaults.

    Returns:
        The process's :class:`Insights`.

    Raises:
        ConfigurationError: a setting is wrong; the message names it and what it accepts.
    """
    _default.report_unknown_variables()
    insights = _default.configure(settings)
    router.set_default(insights)
    if insights.settings.handle_sigterm:
        _lifecycle.on_sigterm(flush, _exit_timeout)
    return insights


def instrument_unless_done() -> None:
    """Do :func:`instrument` by the settings of the environment, unless the program did so by its own."""
    if _default.insights is None:
        instrument()


def capture_classes(*classes: type) -> None:
    """Capture the calls of clients of these classes, by the settings of the environment or of ``instrument()``.

    Raises:
        ConfigurationError: a setting of the environment is wrong.
    """
    if _default.insights is None:
        load()
    router.set_for_classes(classes, _default.get)


def uninstrument() -> None:
    """Restore openai exactly. What was captured is still delivered, and open streams are captured to their end.

    Drop-in clients are no longer captured either; those given to :meth:`Insights.watch` are. Other libraries' wrappers
    stay in place::

        ainsights.instrument()
        ...
        ainsights.uninstrument()
    """
    router.release()


def capture(**arguments: Unpack[CaptureArguments]) -> None:
    """Record a chat completion yourself: one that openai's client did not make, or one that was stored.

    ``instrument()`` is not needed for it. Arguments and errors are those of :meth:`Insights.capture`::

        ainsights.capture(response=completion, messages=messages, user_id="ann")

    Raises:
        ConfigurationError: an argument is of a wrong type, or missing; it is named.
    """
    from ainsights._processing.manual import Record  # noqa: PLC0415  few programs do this

    record = Record(**arguments)
    override = router.override
    (_default.get() if override is None else override).submit(record)


def flush(timeout: float | None = None) -> bool:
    """Wait until every call of the process that has ended by now is delivered, or refused for good.

    ::

        if not ainsights.flush(5):
            print(ainsights.stats())

    Args:
        timeout: seconds; ``exit_timeout`` if None.

    Returns:
        Whether all of them are; True if nothing was captured, False if time ran out.
    """
    return _default.insights is None or _default.insights.flush(timeout)


def shutdown(timeout: float | None = None) -> bool:
    """Restore openai, deliver what can be delivered in time, and end the threads.

    A process does this by itself when it exits. To be called where it ends otherwise::

        ainsights.shutdown(5)
        os._exit(0)

    Args:
        timeout: seconds; ``exit_timeout`` if None.

    Returns:
        Whether nothing was lost; True if nothing was captured.
    """
    uninstrument()
    insights = _default.take()
    return insights is None or insights.close(timeout)


def stats() -> Stats:
    """Return what happened to this process's events so far, and how delivery is now; after a shutdown, nothing.

    ::

        print(ainsights.stats())
        # ainsights is running: 214 captured, 212 delivered, 2 queued (9 kB), 2 in flight
    """
    insights = _default.insights
    return insights.stats() if insights is not None else Stats(state="off: not instrumented")


def _exit_timeout() -> float:
    return _default.insights.settings.exit_timeout if _default.insights is not None else 0.0
