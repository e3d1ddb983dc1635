"""The file of schema 1, while it is copied.

Schema 1 kept all in one table, `insight`, with the number of arrival as its id. When such a file is opened, it is
set aside under another name, and a new database takes its place, so that ingestion goes on at once. Its rows keep their
numbers. They are copied in small steps, the reading of both files is one view, and the old file is deleted at the end.
Each moment of this may be the last of the process: the next start goes on from there.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from ainsights.errors import ConfigurationError
from ainsights.server import files
from ainsights.server.store import schema

if TYPE_CHECKING:
    from pathlib import Path

CODEC = -1
"""Of a body that still stands in the old file, as text."""

ATTACH = "ATTACH ? AS legacy"

VIEW = """
CREATE TEMP VIEW stored AS
SELECT event.seq AS seq, event_id, received_at, codec, content FROM event JOIN body ON body.seq = event.seq
"""

VIEW_WITH_LEGACY = f"""{VIEW}
UNION ALL SELECT id, event_id, received_at, {CODEC}, body FROM legacy.insight
WHERE id > (SELECT through FROM main.migration)
"""  # noqa: S608  our own constants


def path_of(database: Path) -> Path:
    """Return the name of the old file while it is copied."""
    return database.with_name(f"{database.name}.v1")


def uri(database: Path, mode: str) -> str:
    """Return what :data:`ATTACH` takes."""
    return f"{path_of(database).absolute().as_uri()}?mode={mode}"


def set_aside(database: Path) -> int | None:
    """Give a file of schema 1 its other name; return the highest number in it, or None if there is none to copy.

    Raises:
        ConfigurationError: two files of schema 1 are in the way of each other, or one is not ours.
        OSError, sqlite3.Error: it cannot be done.
    """
    old = path_of(database)
    if schema.version_of(database) == 1:
        if files.check_ours(old, "database"):
            raise ConfigurationError(f"database {old}: is in the way of the migration of {database}; move it away")
        _close_log(database)
        database.rename(old)
        files.sync_directory(database)
    if not files.check_ours(old, "database") or schema.version_of(database) > 1:
        return None
    with closing(sqlite3.connect(uri(database, "ro"), uri=True)) as connection:
        last: int | None = connection.execute("SELECT max(id) FROM insight").fetchone()[0]
    return last or 0


def remove_if_copied(database: Path, *, pending: bool) -> None:
    """Delete the old file when nothing in it is needed any more."""
    if not pending:
        with suppress(OSError):
            path_of(database).unlink(missing_ok=True)


def seconds(received_at: str) -> float:
    """Return a time of the old file in seconds since the epoch."""
    return datetime.fromisoformat(received_at.removesuffix("Z") + "+00:00").timestamp()


def _close_log(database: Path) -> None:
    with closing(sqlite3.connect(database, timeout=schema.BUSY_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        mode = connection.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
    if mode != "delete":
        raise ConfigurationError(f"database {database}: in use by another program")
