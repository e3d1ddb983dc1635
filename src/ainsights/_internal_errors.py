"""Internal errors: exceptions of ours are contained, counted and logged, and never reach the user's program."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ainsights._logging import is_user_interrupt, log_rate_limited

if TYPE_CHECKING:
    from types import TracebackType

failures: Counter[str] = Counter()
"""How often each step of ours has failed in this process, by its name."""

raising = False
"""Set by the tests: a contained failure is counted and then raised, so that none goes unnoticed there."""


class capture_internal_errors:  # noqa: N801  it reads as a word: with capture_internal_errors("recording a request")
    """A block of ours whose exceptions must not reach the user's program.

    It has no state of its own: make one for a step and enter it as often as needed, also within itself.
    KeyboardInterrupt and its like are not ours and pass.
    """

    __slots__ = ("step",)

    def __init__(self, step: str) -> None:
        self.step = step

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return isinstance(error, Exception) and self.caught(error)

    def caught(self, error: BaseException) -> bool:
        """Count and log ``error``; false if it has to be raised after all, as Ctrl-C has.

        For the few blocks that every call goes through, where ``try`` costs nothing and ``with`` does.
        """
        if is_user_interrupt(error):
            return False
        failures[self.step] += 1
        log_rate_limited(
            "error", f"failed: {self.step}", "internal error while %s; your call is unaffected", self.step, error=error
        )
        return not raising
