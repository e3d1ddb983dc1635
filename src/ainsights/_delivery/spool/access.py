"""Who else could read or write a spool: its directory and files have to be this user's alone, and no symbolic links.

Whoever can write there can make this process deliver events of theirs under its key, or write into another file. What
is above the directory is not checked: in a container, a volume that all can write often has a directory of one's own.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

FILES = ("spool.db", "spool.db-wal", "spool.db-shm", "spool.lock")


class UnsafeSpoolError(PermissionError):
    """The spool could be read or written by another user.

    Args:
        reason: why.
        remedy: what to do about it.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}: {remedy}")
        self.reason = reason
        self.remedy = remedy


def check_access(directory: Path) -> None:
    """Check the directory, as far as it exists, and the files in it. Creates nothing.

    Raises:
        UnsafeSpoolError: another user could read or write them; the message has the remedy.
        OSError: they could not be looked at.
    """
    if os.name != "posix":
        return  # access is not by modes there
    directory = Path(os.path.abspath(directory))  # noqa: PTH100  resolve() would follow the links that are looked for
    status = _look(directory, stat.S_IFDIR, "directory")
    if status is None:
        return
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        shared = status.st_mode & stat.S_ISVTX  # as /tmp is, which everybody needs as it is
        remedy = f"name a directory of its own, such as {directory}/spool" if shared else f"chmod 700 {directory}"
        raise UnsafeSpoolError(f"{directory} can be written by other users", remedy)
    within_reach = status.st_mode & (stat.S_IXGRP | stat.S_IXOTH)
    for path in [directory / name for name in FILES] + list(directory.glob("owner-*.lock")):
        file = _look(path, stat.S_IFREG, "regular file")
        if file is not None and within_reach and file.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UnsafeSpoolError(f"{path} can be read or written by other users", f"chmod 600 {path}")


def _look(path: Path, expected: int, kind: str) -> os.stat_result | None:
    """Return the status of ``path``; None if it does not exist."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        raise UnsafeSpoolError(f"{path} is a symbolic link", f"name the {kind} that it leads to, or remove it")
    if stat.S_IFMT(status.st_mode) != expected:
        raise UnsafeSpoolError(f"{path} is not a {kind}", "choose another directory")
    if status.st_uid != os.geteuid():
        raise UnsafeSpoolError(
            f"{path} belongs to the user with the id {status.st_uid}, and this process runs as {os.geteuid()}",
            "choose a directory that this user alone may write to",
        )
    return status
