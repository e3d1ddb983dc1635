"""A deadline for work that has none of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def run_with_deadline(seconds: float, work: Callable[[], T]) -> T:
    """Return the result of ``work``, or raise a TimeoutError.

    On a thread of its own, so that Ctrl-C ends the wait.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
            errors.append(error)

    thread = threading.Thread(target=run, name="ainsights-doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"nothing within {seconds:g} s")
    return results[0]
