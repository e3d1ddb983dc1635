"""The lock of the one server process that owns a database."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ainsights.errors import ConfigurationError
from ainsights.server import files

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

_LONGEST_NOTE = 500


class ProcessLock:
    """Held from the beginning of the ``with`` block until its end, or that of the process, however it ends."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._path = database.with_name(f"{database.name}.lock")
        self._file = -1

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            ConfigurationError: another process holds it, or the lock file is not ours.
        """
        try:
            self._file = files.open_ours(self._path, "lock file", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise ConfigurationError(f"database {self._database}: {error.strerror}") from error
        if not files.lock(self._file):
            owner = os.read(self._file, _LONGEST_NOTE).decode(errors="replace").strip() or "unknown"
            self.__exit__()
            raise ConfigurationError(f"database {self._database}: in use by another server ({owner})")
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        os.ftruncate(self._file, 0)
        os.write(self._file, f"process {os.getpid()} on {socket.gethostname()} since {since}\n".encode())
        return self

    def __exit__(self, *_: object) -> None:
        if self._file >= 0:
            with suppress(OSError):
                os.close(self._file)
        self._file = -1
