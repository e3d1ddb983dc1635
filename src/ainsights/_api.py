"""The process's Insights: ``instrument()`` and its kin, what drop-in clients share, the end and the forks."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from ainsights import _client, _lifecycle
from ainsights._client import Insights
from ainsights._config import load, unknown_variables
from ainsights._delivery.stats import Stats
from ainsights._instrumentation import routing
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ainsights._processing.manual import CaptureArguments

_shared: Insights | None = None
_lock = threading.Lock()
_reported: set[str] = set()
"""The unknown variables that were logged."""


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
    global _shared  # noqa: PLW0603  there is one process
    _report_unknown_variables()
    with _lock:
        if _shared is None:
            _shared = Insights(**settings)
        elif (wanted := load(**settings)) != _shared.settings:
            _shared.reconfigure(wanted)
        routing.set_default(_shared)
        if _shared.settings.handle_sigterm:
            _lifecycle.on_sigterm(flush, _exit_timeout)
        return _shared


def _report_unknown_variables() -> None:
    unknown = unknown_variables(os.environ)
    for variable in unknown.keys() - _reported:
        meant = f". Did you mean {unknown[variable]}?" if unknown[variable] else ""
        log_rate_limited("warning", f"unknown {variable}", "Unknown setting %s (ignored)%s", variable, meant)
        _reported.add(variable)


def instrument_unless_done() -> None:
    """Do :func:`instrument` by the settings of the environment, unless the program did so by its own."""
    if _shared is None:
        instrument()


def capture_classes(*classes: type) -> None:
    """Capture what clients of these classes ask, by the settings of the environment or of ``instrument()``.

    Raises:
        ConfigurationError: a setting of the environment is wrong.
    """
    if _shared is None:
        load()
    routing.set_for_classes(classes, get_default_client)


def uninstrument() -> None:
    """Restore openai exactly. What was captured is still delivered, and streams that are open end well.

    Drop-in clients are no longer captured either; those given to :meth:`Insights.watch` are.
    """
    with _lock:
        routing.release()


def capture(**told: Unpack[CaptureArguments]) -> None:
    """Do :meth:`Insights.capture` for the process; ``instrument()`` is not needed for it."""
    from ainsights._processing.manual import Record  # noqa: PLC0415  few programs do this

    record = Record(**told)
    taker = routing.recording_override
    (get_default_client() if taker is None else taker).submit(record)


def flush(timeout: float | None = None) -> bool:
    """Do :meth:`Insights.flush` for the process; True if nothing was captured."""
    return _shared is None or _shared.flush(timeout)


def shutdown(timeout: float | None = None) -> bool:
    """Restore openai and do :meth:`Insights.close` for the process; True if nothing was captured."""
    global _shared
    uninstrument()
    with _lock:
        ended, _shared = _shared, None
    return ended is None or ended.close(timeout)


def stats() -> Stats:
    """Return what became of this process's events so far; after a shutdown, nothing."""
    return _shared.stats() if _shared is not None else Stats(state="off: not instrumented")


def get_default_client() -> Insights:
    """Return the process's Insights; where there is none yet, one by the settings of the environment.

    Raises:
        ConfigurationError: one of them is wrong.
    """
    global _shared  # noqa: PLW0603  the same
    with _lock:
        if _shared is None:
            _shared = Insights()
        return _shared


def _exit_timeout() -> float:
    return _shared.settings.exit_timeout if _shared is not None else 0.0


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603  the same
    _lock = threading.Lock()
    _client.after_fork_in_child()


_lifecycle.at_end(_client.close_all)
_lifecycle.at_fork(before=_client.before_fork, in_parent=_client.after_fork_in_parent, in_child=_after_fork_in_child)
