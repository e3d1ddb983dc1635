"""The file of the database by its name: opening it, and noticing that it is not the one that was opened."""

from __future__ import annotations

import os
import sqlite3
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ainsights._logging import log_rate_limited
from ainsights.errors import ConfigurationError
from ainsights.server.store import legacy, schema
from ainsights.server.store.ledger import Ledger
from ainsights.server.store.protocol import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Identity = tuple[int, int]


class DatabaseFile:
    """The database at ``path``.

    Attributes:
        path: its name.
        release: closes the other connections of this process.
        lost: what became of stored events with a file that was deleted while in use, in words; None if it never was.
    """

    def __init__(self, path: Path, key: bytes, release: Callable[[], None]) -> None:
        self.path = path
        self.lost: str | None = None
        self._key = key
        self.release = release
        self._log = path.with_name(f"{path.name}-wal")
        self._identities: dict[Path, Identity] = {}

    def open(self) -> Ledger:
        """Open the file at the start; make it if it is not there.

        Raises:
            ConfigurationError: it cannot be used.
        """
        try:
            if schema.version_of(self.path):
                schema.restrict(self.path)
            last = legacy.set_aside(self.path)
            schema.create(self.path, last)
            ledger = Ledger(self.path, self._key)
        except OSError as error:
            raise ConfigurationError(f"database {self.path}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise ConfigurationError(f"database {self.path}: {error}") from error
        self._note()
        return ledger

    def reopen(self) -> Ledger:
        """Open what has the name now; make a new database if nothing has.

        Raises:
            ConfigurationError, OSError, sqlite3.Error: it cannot be used.
        """
        version = schema.version_of(self.path)
        if version == 1:
            raise ConfigurationError("a database of schema 1 was put in its place; restart to migrate it")
        schema.create(self.path)
        ledger = Ledger(self.path, self._key)
        self._note()
        return ledger

    def check_in_place(self) -> None:
        """Make sure that what was written stands under the name.

        Raises:
            StoreError: the file was deleted, moved or replaced.
        """
        for path, identity in self._identities.items():
            if _identity(path) != identity:
                self._report(path)
                raise StoreError(f"{path.name} was deleted, moved or replaced while in use")

    def _note(self) -> None:
        self._identities = {
            path: identity for path in (self.path, self._log) if (identity := _identity(path)) is not None
        }

    def _report(self, path: Path) -> None:
        if path == self.path and self.lost is None:
            at = datetime.now(timezone.utc).isoformat(timespec="seconds")
            self.lost = f"the file {path} was deleted, moved or replaced at {at}, with all that was stored until then"
            message = "The database %s was deleted, moved or replaced while in use; what was stored in it went with it."
            log_rate_limited("error", f"lost {time.monotonic()}", message, path)


def _identity(path: Path) -> Identity | None:
    try:
        status = os.stat(path, follow_symlinks=False)  # noqa: PTH116  twice for each commit
    except OSError:
        return None
    return status.st_dev, status.st_ino
