"""ProcessLock: shows in a directory that processes share which of them live."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from ainsights._delivery.descriptors import move_high

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SILENCE = 60.0
"""Seconds without a touch after which a process counts as dead, where files cannot be locked."""


class ProcessLock:
    """Holds a lock on a file of its own until this process ends, however it ends."""

    def __init__(self, directory: Path) -> None:
        self.name = uuid.uuid4().hex
        self._path = _path(directory, self.name)
        self._file = _open(self._path, os.O_CREAT | os.O_EXCL)
        self._touched = time.monotonic()
        _try_lock(self._file)

    def touch(self) -> None:
        """Show that this process lives, where the lock cannot."""
        if time.monotonic() - self._touched > SILENCE / 4:
            self._touched = time.monotonic()
            os.utime(self._path)

    def close(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        with contextlib.suppress(OSError):
            os.close(self._file)

    def reset_after_fork(self) -> None:
        """Close the inherited file, in the child of a fork: it is its parent's."""
        with contextlib.suppress(OSError):
            os.close(self._file)


@contextlib.contextmanager
def exclusively(directory: Path) -> Iterator[None]:
    """Keep the other processes out for the length of the block."""
    file = _open(directory / "spool.lock", os.O_CREAT)
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def sweep(directory: Path) -> None:
    """Remove the files of dead processes; not the latest, which may not be locked yet."""
    for path in directory.glob("owner-*.lock"):
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > SILENCE:
                is_dead(directory, path.stem.removeprefix("owner-"))


def is_dead(directory: Path, name: str) -> bool:
    """Return whether the process that is called ``name`` has ended."""
    path = _path(directory, name)
    try:
        file = _open(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        locked = _try_lock(file)
        if locked is None:
            return time.time() - os.fstat(file).st_mtime > SILENCE
        if locked:
            with contextlib.suppress(OSError):
                path.unlink()
        return locked
    finally:
        os.close(file)


def _path(directory: Path, name: str) -> Path:
    return directory / f"owner-{name}.lock"


def _open(path: Path, flags: int = 0) -> int:
    return move_high(os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | flags, 0o600))


def _try_lock(file: int) -> bool | None:
    """Lock ``file`` unless another process has; None if this file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
