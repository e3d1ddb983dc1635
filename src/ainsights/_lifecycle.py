"""The life of the process: its exit in all its forms, its forks, and SIGTERM.

The hooks are registered once, when this module is imported, and what they act on registers itself. That is early: exit
handlers run in reverse order, so the calls that the program's own handlers make are delivered too. And it is before
any fork: of hooks that another thread registers while the process forks, Python runs the second half alone.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from types import BuiltinFunctionType
from typing import TYPE_CHECKING, Any, Protocol

from ainsights._internal_errors import capture_internal_errors, failures
from ainsights._logging import log_rate_limited, reset_rate_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


class PipelineOwner(Protocol):
    """What owns threads and undelivered events, and so takes part in the life of the process."""

    def end_streams(self) -> None:
        """Report the streams that are open."""

    def begin_close(self) -> None:
        """Start to deliver what is queued. Does not wait."""

    def close_at_exit(self, elapsed: float | None) -> None:
        """Deliver what can be delivered, end the threads, and count and log what is lost.

        Args:
            elapsed: seconds of its time to exit that are gone; None: all of it, since the user interrupts the exit.
        """

    def before_fork(self) -> None:
        """End the threads for the moment."""

    def after_fork_in_parent(self) -> None:
        """Let the threads come back."""

    def after_fork_in_child(self) -> None:
        """Start afresh: the events, threads and connections are the parent's."""


_owners: dict[PipelineOwner, None] = {}
"""In the order in which they registered."""

_reset: list[Callable[[], object]] = [reset_rate_limits, failures.clear]
"""What is called first in the child of a fork."""

_locks: list[threading.RLock] = []
_held: list[threading.RLock] = []
"""The locks that a fork waits for, and those that it holds right now."""

_child_hooked = False
"""Whether this child of multiprocessing calls us when it ends."""

_outlives_interpreter = False
"""Whether a thread forked this process, or one that it descends from. Such a process ends with its last thread, without
exit handlers, so that threads of ours would keep it for ever."""

_forked_by_thread = False
"""Whether the fork that is under way is by another thread than the main one."""

_watched = False
"""Whether a thread waits for the others to end, where there are no exit handlers."""

_exiting = capture_internal_errors("delivering at exit")
_forking = capture_internal_errors("pausing for a fork")


def register(owner: PipelineOwner) -> None:
    """Close ``owner`` when the process exits, and call it around forks. Cheap if it is registered."""
    if owner not in _owners:
        _owners[owner] = None
        _hook_child_of_multiprocessing()
        _watch_child_of_thread()


def unregister(owner: PipelineOwner) -> None:
    """Undo :func:`register`."""
    _owners.pop(owner, None)


def after_fork_in_child(reset: Callable[[], object]) -> None:
    """Call ``reset`` in the child of each fork, before the owners hear of it."""
    _reset.append(reset)


def hold_over_forks(lock: threading.RLock) -> None:
    """Let no fork happen while another thread holds ``lock``: the child inherits what it guards, and all of it."""
    _locks.append(lock)


def are_threads() -> bool:
    """Whether new threads are threads, and not gevent's greenlets: to start or join one of those is to switch."""
    return isinstance(_thread.start_new_thread, BuiltinFunctionType)


# Exit


def _close_all() -> None:
    """Close every owner. A user who presses Ctrl-C does not want to wait: what is left is then counted as lost."""
    began = time.monotonic()
    try:
        for owner in tuple(_owners):
            with _exiting:
                owner.end_streams()
                owner.begin_close()
        _close_owners(began)
    except KeyboardInterrupt:
        with _interrupts_ignored():
            _close_owners(None)


def _end_streams() -> None:
    for owner in tuple(_owners):
        with _exiting:
            owner.end_streams()


def _close_owners(began: float | None) -> None:
    """Close them one after another. Their workers deliver side by side, so the time of all runs from ``began``."""
    for owner in tuple(_owners):
        with _exiting:
            owner.close_at_exit(None if began is None else time.monotonic() - began)


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # on the main thread, which alone is interrupted
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _hook_child_of_multiprocessing() -> None:
    """Have us called when a child of multiprocessing or of billiard (celery) ends, which skips the interpreter's exit.

    Done with the first owner, not earlier: such a child forgets what was registered before it began.
    """
    global _child_hooked  # noqa: PLW0603  a process has one life
    if _child_hooked:
        return
    for family in ("multiprocessing", "billiard"):
        process, util = sys.modules.get(f"{family}.process"), sys.modules.get(f"{family}.util")
        if process is not None and util is not None and process.current_process().name != "MainProcess":
            util.Finalize(None, _close_all, exitpriority=0)
            _child_hooked = True


def _watch_child_of_thread() -> None:
    """Close every owner when the other threads have ended, in a process that a thread forked.

    Not in a child of multiprocessing, which has an end of its own.
    """
    global _watched  # noqa: PLW0603  the same
    if not _outlives_interpreter or _watched or _child_hooked or not are_threads():
        return
    _watched = True
    with contextlib.suppress(RuntimeError):  # the interpreter ends, which calls the exit handlers
        threading.Thread(target=_close_after_the_others, name="ainsights-exit", daemon=True).start()


def _close_after_the_others() -> None:
    while others := [thread for thread in threading.enumerate() if not thread.name.startswith("ainsights")]:
        for thread in others:
            thread.join()
    _close_all()
    os._exit(0)  # as the end of the last thread does; a thread of ours may still wait for an answer


# Forks


def _before_fork() -> None:
    global _forked_by_thread  # noqa: PLW0603  the same
    _forked_by_thread = threading.current_thread() is not threading.main_thread()
    for owner in tuple(_owners):
        with _forking:
            owner.before_fork()
    for lock in tuple(_locks):
        lock.acquire()
        _held.append(lock)


def _release_locks() -> None:
    while _held:
        _held.pop().release()


def _after_fork_in_parent() -> None:
    _release_locks()
    for owner in tuple(_owners):
        with _forking:
            owner.after_fork_in_parent()


def _after_fork_in_child() -> None:
    global _child_hooked, _outlives_interpreter, _watched  # noqa: PLW0603  the same
    _release_locks()
    _child_hooked = _watched = False
    _outlives_interpreter = _outlives_interpreter or _forked_by_thread
    owners = tuple(_owners)
    _owners.clear()
    for reset in _reset:
        reset()
    for owner in owners:
        with _forking:
            owner.after_fork_in_child()


# SIGTERM


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
    if before is signal.SIG_IGN or before is None or isinstance(before, _SigtermHandler):
        return
    signal.signal(signal.SIGTERM, _SigtermHandler(before, flush, patience))


class _SigtermHandler:
    """Flushes, and goes on to the handler that was there."""

    def __init__(
        self,
        before: Callable[[int, FrameType | None], Any] | int,
        flush: Callable[[], object],
        patience: Callable[[], float],
    ) -> None:
        self._before = before
        self._flush = flush
        self._patience = patience

    def __call__(self, number: int, frame: FrameType | None) -> Any:
        # on a thread of its own, since the main thread may hold, right now, what flushing needs
        flushing = threading.Thread(target=self._run, name="ainsights-sigterm", daemon=True)
        flushing.start()
        flushing.join(self._patience())
        if callable(self._before):
            return self._before(number, frame)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return None

    def _run(self) -> None:
        if not callable(self._before):  # the process ends
            _end_streams()
        with _exiting:
            self._flush()
            self._flush()  # what was in the queue may have left more to report: responses that are not at their end


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
