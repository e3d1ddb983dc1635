"""Files that only their owner may read, and that nobody else can have put there."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ainsights._logging import log_rate_limited
from ainsights.errors import ConfigurationError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODE = 0o600
OTHERS = 0o077
OTHERS_WRITE = 0o022

LONGEST = 2**20
"""Bytes that are read of a file."""

_FAR = 1 << 30
"""The byte that is locked on Windows, where a lock keeps others from reading: beyond what is in the file."""

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)


def create(path: Path, content: bytes = b"") -> bool:
    """Create ``path`` with ``content``; return False, and change nothing, if it exists.

    Raises:
        OSError: it cannot be created.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, MODE)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return True


def replace(path: Path, content: bytes) -> None:
    """Replace ``path`` atomically: a reader finds the old content or the new.

    Raises:
        OSError: it cannot be written.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    create(beside, content)
    beside.replace(path)
    sync_directory(path)


def sync_directory(path: Path) -> None:
    """Have the name of ``path`` survive a power failure."""
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def open_ours(path: Path, what: str, flags: int = os.O_RDONLY) -> int:
    """Open ``path`` if it is a regular file of this user; return the descriptor.

    Nothing is changed, whatever it is: a directory, a link, a device or another user's file is only looked at.

    Args:
        path: the file.
        what: how an error message names it, such as "database".
        flags: as for :func:`os.open`; a file made by ``O_CREAT`` is for its owner only.

    Raises:
        ConfigurationError: it is something else, or belongs to somebody else.
        OSError: it cannot be opened.
    """
    check_ours(path, what)
    descriptor = os.open(path, flags | _NO_FOLLOW | _CLOSE_ON_EXEC | getattr(os, "O_NONBLOCK", 0), MODE)
    try:
        _check(os.fstat(descriptor), path, what)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def check_ours(path: Path, what: str) -> bool:
    """Return whether ``path`` is there, and a regular file of this user.

    Raises:
        ConfigurationError: it is something else, or belongs to somebody else.
        OSError: it cannot be looked at.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    _check(status, path, what)
    return True


def check_our_directory(path: Path, what: str) -> None:
    """Make sure that ``path`` is not there, or a directory that only this user can write to. Nothing is changed.

    Raises:
        ConfigurationError: it is something else, or others can put files there.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"{what} {path}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigurationError(f"{what} {path}: is not a directory, but is in its way; move it away")
    if os.name == "posix" and (status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & OTHERS_WRITE):
        raise ConfigurationError(
            f"{what} {path}: other users can write to it; move it away, or chmod 700 it if it is yours"
        )


def lock(descriptor: int, *, wait: bool = False) -> bool:
    """Lock the open file until it is closed, or the process ends; return whether no other process had."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        return False
    return True


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Wait for other processes in such a block for the same ``path``, and keep them out until the end of this one.

    Raises:
        ConfigurationError: the lock file is not ours.
        OSError: it cannot be opened.
    """
    descriptor = open_ours(path, "lock file", os.O_RDWR | os.O_CREAT)
    try:
        lock(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)


def restrict(descriptor: int, path: Path, what: str) -> None:
    """Take all permissions from other users, and log it, if they have any.

    Raises:
        OSError: the mode cannot be changed.
    """
    if os.name == "posix" and stat.S_IMODE(os.fstat(descriptor).st_mode) & OTHERS:
        os.fchmod(descriptor, MODE)
        message = "The %s %s was open to other users of this machine; its mode is now 0600."
        log_rate_limited("warning", f"mode of {path}", message, what, path)


def _check(status: os.stat_result, path: Path, what: str) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise ConfigurationError(f"{what} {path}: is a symbolic link; give the file itself")
    if not stat.S_ISREG(status.st_mode):
        kind = "directory" if stat.S_ISDIR(status.st_mode) else "device, pipe or socket"
        raise ConfigurationError(f"{what} {path}: is a {kind}, not a file")
    if os.name == "posix" and status.st_uid != os.geteuid():
        raise ConfigurationError(f"{what} {path}: belongs to another user (uid {status.st_uid}); give a file of yours")


def read_ours(path: Path, what: str) -> bytes:
    """Return the content of ``path``, without white space around it, and take all permissions on it from other users.

    Raises:
        ConfigurationError: it is not a regular file of this user.
        FileNotFoundError: it is not there.
        OSError: it cannot be read.
    """
    descriptor = open_ours(path, what)
    with os.fdopen(descriptor, "rb") as file:
        restrict(descriptor, path, what)
        return file.read(LONGEST).strip()
