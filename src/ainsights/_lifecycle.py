"""The life of the process around us: its end in all its forms, its forks, and SIGTERM."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from ainsights._internal_errors import capture_internal_errors
from ainsights._logging import log_rate_limited

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

OURS = "is_ainsights"
"""The attribute that marks a signal handler as ours, so that it is not put over itself."""

_ending = capture_internal_errors("delivering at the end of the process")
_forking = capture_internal_errors("standing still for a fork")


def at_end(close: Callable[[], None]) -> None:
    """Call ``close`` when the interpreter ends. Made early, it runs after the handlers that the program adds later."""
    atexit.register(_contained(close, _ending))


def at_end_of_child(close: Callable[[], None]) -> None:
    """Call ``close`` when a child of multiprocessing or of billiard (celery) ends, which skips the interpreter's end.

    To be called when something is there to be delivered: such a child forgets what was registered before it.
    """
    for family in ("multiprocessing", "billiard"):
        process, util = sys.modules.get(f"{family}.process"), sys.modules.get(f"{family}.util")
        if process is not None and util is not None and process.current_process().name != "MainProcess":
            util.Finalize(None, _contained(close, _ending), exitpriority=0)


def at_fork(*, before: Callable[[], None], in_parent: Callable[[], None], in_child: Callable[[], None]) -> None:
    """Call these around each fork. Where there is no fork, never."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_contained(before, _forking),
            after_in_parent=_contained(in_parent, _forking),
            after_in_child=in_child,
        )


def on_sigterm(flush: Callable[[], object], patience: Callable[[], float]) -> None:
    """Call ``flush`` on SIGTERM, for ``patience`` seconds at the most; then the signal does what it did before.

    Only from the main thread: elsewhere Python takes no handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        log_rate_limited(
            "warning", "sigterm", "AINSIGHTS_HANDLE_SIGTERM needs instrument() to be called on the main thread"
        )
        return
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_IGN or before is None or hasattr(before, OURS):
        return

    def handle(number: int, frame: FrameType | None) -> Any:
        # on a thread of its own, since the main thread may hold, right now, what flushing needs
        flushing = threading.Thread(target=_contained(flush, _ending), name="ainsights-sigterm", daemon=True)
        flushing.start()
        flushing.join(patience())
        if callable(before):
            return before(number, frame)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return None

    setattr(handle, OURS, True)
    signal.signal(signal.SIGTERM, handle)


def _contained(action: Callable[[], object], containing: capture_internal_errors) -> Callable[[], None]:
    def run() -> None:
        with containing:
            action()

    return run
