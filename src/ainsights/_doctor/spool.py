"""The spool: whether it can be used, and what waits in it."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from ainsights._config import PREFIX
from ainsights._delivery.spool.access import UnsafeSpoolError, check_access
from ainsights._delivery.spool.spool import Spool
from ainsights._doctor.finding import Finding, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ainsights._config import Settings
    from ainsights._delivery.spool.spool import SpoolStatus

LONG = 3600.0
"""Seconds after which an event that waits is worth a word."""

NEARLY_FULL = 0.8

_CHOOSE = f"export {PREFIX}SPOOL_DIR=<a directory that this user may write to>"


def check(settings: Settings, now: float) -> Iterator[Finding]:
    """Yield the findings about the spool at ``now``, in seconds since the epoch. Makes no directory."""
    if settings.spool_dir is None:
        yield ok("spool", "none: what cannot be delivered waits in memory, and ends with the process", used=False)
        return
    directory, limit = settings.spool_dir.absolute(), int(settings.spool_max_bytes)
    details = {"used": True, "directory": str(directory), "limit": limit}
    unsafe = _unsafe(directory)
    if unsafe is not None:
        yield problem("spool", f"it is not used: {unsafe.reason}", unsafe.remedy, usable=False, **details)
        return
    reason = _unusable(directory)
    if reason:
        yield problem("spool", f"{directory} cannot be used: {reason}", _CHOOSE, usable=False, **details)
        return
    if not (directory / "spool.db").exists():
        yield ok("spool", f"{directory} is empty, its limit is {_size(limit)}", usable=True, **details)
    else:
        yield from _filled(directory, limit, now, details)


def _unsafe(directory: Path) -> UnsafeSpoolError | None:
    try:
        check_access(directory)
    except UnsafeSpoolError as error:
        return error
    except OSError:  # it cannot be reached, which is reported otherwise
        return None
    return None


def _unusable(directory: Path) -> str | None:
    """Return what keeps us from writing in ``directory``, or from making it; None if nothing does."""
    there = next(path for path in (directory, *directory.parents) if path.exists())
    if not there.is_dir():
        return f"{there} is not a directory"
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:  # os.access() would let root pass everywhere
        return f"{there} is not writable ({error.strerror})"


def _filled(directory: Path, limit: int, now: float, details: dict[str, object]) -> Iterator[Finding]:
    spool = Spool(directory, limit)
    try:
        status = spool.status()
    finally:
        spool.close()
    if spool.problem or spool.set_aside:
        aside = f"it is damaged, and was set aside as {spool.set_aside}"
        message = f"{directory / 'spool.db'} could not be read: {spool.problem or aside}"
        yield problem("spool", message, "ainsights doctor, once more; if it stays: " + _CHOOSE, usable=False, **details)
        return
    age = None if status.oldest is None else max(0.0, now - status.oldest)
    counts = {
        "waiting": status.waiting,
        "claimed": status.claimed,
        "dead": status.dead,
        "bytes": status.bytes,
        "oldest_seconds": age,
    }
    details = details | counts
    oldest = "" if age is None else f", the oldest {_duration(age)} old"
    message = (
        f"{directory} has {status.waiting} waiting, {status.claimed} claimed, {status.dead} dead letters{oldest}; "
        f"{_size(status.bytes)} of {_size(limit)}"
    )
    yield ok("spool", message, usable=True, **details)
    yield from _problems(status, limit, age or 0.0, details)


def _problems(status: SpoolStatus, limit: int, age: float, details: dict[str, object]) -> Iterator[Finding]:
    if status.dead:
        message = f"the endpoint refused {status.dead}, the latest for: {' | '.join(status.reasons)}"
        yield warning("spool", message, "ainsights spool retry-rejected, once the cause is corrected", **details)
    if status.waiting and age > LONG:
        yield warning("spool", f"{status.waiting} wait that no process sends", "ainsights spool flush", **details)
    if status.bytes > NEARLY_FULL * limit:
        message = f"it is nearly full: {_size(status.bytes)} of {_size(limit)}"
        yield warning("spool", message, f"ainsights spool flush, or: export {PREFIX}SPOOL_MAX_BYTES=<more>", **details)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004  from one unit to the next
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} TiB"


def _duration(seconds: float) -> str:
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s"
