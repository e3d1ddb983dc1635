"""The process's Insights: ``instrument()`` and its kin, what drop-in clients share, the end and the forks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ainsights import _insights, _process, _router
from ainsights._insights import Insights
from ainsights._settings import load
from ainsights.delivery.tally import Stats

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ainsights._by_hand import Told

_shared: Insights | None = None
_lock = threading.Lock()


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
    with _lock:
        if _shared is None:
            _shared = Insights(**settings)
        elif (wanted := load(**settings)) != _shared.settings:
            _shared.adopt(wanted)
        _router.capture_everything(_shared)
        if _shared.settings.handle_sigterm:
            _process.on_sigterm(flush, _exit_timeout)
        return _shared


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
    _router.capture_some(classes, the_insights)


def uninstrument() -> None:
    """Restore openai exactly. What was captured is still delivered, and streams that are open end well.

    Drop-in clients are no longer captured either; those given to :meth:`Insights.watch` are.
    """
    with _lock:
        _router.release()


def capture(**told: Unpack[Told]) -> None:
    """Do :meth:`Insights.capture` for the process; ``instrument()`` is not needed for it."""
    from ainsights._by_hand import Record  # noqa: PLC0415  few programs do this

    record = Record(**told)
    taker = _router.instead
    (the_insights() if taker is None else taker).hand_over(record)


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


def the_insights() -> Insights:
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


def _begin_anew() -> None:
    global _lock  # noqa: PLW0603  the same
    _lock = threading.Lock()
    _insights.begin_anew()


_process.at_end(_insights.close_all)
_process.at_fork(before=_insights.stand_still, in_parent=_insights.go_on, in_child=_begin_anew)
