"""Files that only their owner may read."""

from __future__ import annotations

import logging
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("ainsights.server")

MODE = 0o600
OTHERS = 0o077


def create(path: Path, content: bytes = b"") -> bool:
    """Create ``path`` with ``content``; return False, and change nothing, if it exists.

    Raises:
        OSError: it cannot be created.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    return True


def tighten(path: Path, what: str) -> None:
    """Take from others what they may do with ``path``, and say so.

    Raises:
        OSError: the mode cannot be changed, as of a file of another user.
    """
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & OTHERS:
        path.chmod(MODE)
        log.warning("%s %s was open to other users of this machine; its mode is now 0600", what, path)
