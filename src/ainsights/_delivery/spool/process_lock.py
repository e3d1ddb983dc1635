"""Owner: the mark of a living process in a directory that processes share."""

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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SILENCE = 60.0
"""Seconds without a touch after which an owner counts as dead, where files cannot be locked."""


class Owner:
    """Holds a lock on a file of its own until this process ends, however it ends."""

    def __init__(self, directory: Path) -> None:
        self.name = uuid.uuid4().hex
        self._path = _path(directory, self.name)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._touched = time.monotonic()
        _try_lock(self._file)

    def touch(self) -> None:
        """Show that this process lives, where the lock cannot."""
        if time.monotonic() - self._touched > SILENCE / 4:
            self._touched = time.monotonic()
            os.utime(self._path)

    def close(self) -> None:
        """Take the mark away."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        with contextlib.suppress(OSError):
            os.close(self._file)

    def forget(self) -> None:
        """Let go of a mark that a fork inherited: it is its parent's."""
        with contextlib.suppress(OSError):
            os.close(self._file)

    @staticmethod
    @contextlib.contextmanager
    def exclusively(directory: Path) -> Iterator[None]:
        """Keep the other processes out for the length of the block."""
        file = os.open(directory / "spool.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


def sweep(directory: Path) -> None:
    """Take away the marks that the dead left behind; not the latest, which may not be locked yet."""
    for path in directory.glob("owner-*.lock"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > SILENCE:
                is_dead(directory, path.stem.removeprefix("owner-"))


def is_dead(directory: Path, name: str) -> bool:
    """Tell whether the process that goes by ``name`` is no more."""
    path = _path(directory, name)
    try:
        file = os.open(path, os.O_RDWR)
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
