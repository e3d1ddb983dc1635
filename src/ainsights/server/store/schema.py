"""The tables of the database, and how it is opened.

::

    event     seq            order of arrival; never reused
              event_id       unique
              received_at    seconds since the epoch
              mac            of all of the event, with the audit key (see `chain`)
    body      seq, codec, content: the body, compressed (see `codec`)
    chain     number, kind ("put", "removal"), first, last, detail (JSON), mac: one entry for each commit
    removal   number, seq, mac, id_mac: the tombstone of each event that was removed
    access    number, at, key_name, action, detail: who read and who erased what
    migration through, last: how far the file of the schema before is copied; empty when there is none

``application_id`` marks the file as ours, ``user_version`` is the version of its schema.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from ainsights.errors import ConfigurationError
from ainsights.server import files

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID = 0x41494E53
VERSION = 2
BUSY_SECONDS = 5.0
"""How long a put waits for another process that writes to the same file."""

CHECKPOINT_PAGES = 2000
JOURNAL_BYTES = 64 * 2**20
"""What is left of the write-ahead log's file after a burst."""

COMPANIONS = ("-wal", "-shm", "-journal")

SCHEMA = """
CREATE TABLE event (
  seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, received_at REAL NOT NULL, mac BLOB NOT NULL
);
CREATE TABLE body (seq INTEGER PRIMARY KEY, codec INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE chain (
  number INTEGER PRIMARY KEY, kind TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  detail TEXT NOT NULL, mac BLOB NOT NULL
);
CREATE TABLE removal (number INTEGER PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, mac BLOB NOT NULL, id_mac BLOB);
CREATE INDEX removal_by_event_id ON removal (id_mac) WHERE id_mac IS NOT NULL;
CREATE TABLE access (
  number INTEGER PRIMARY KEY, at REAL NOT NULL, key_name TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE migration (through INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE TABLE probe (content BLOB NOT NULL);
"""

_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"


def version_of(path: Path) -> int:
    """Return the schema version of the database at ``path``; 0 if there is none yet. Changes nothing.

    Raises:
        ConfigurationError: it is not a database of ours, or of a newer version.
        OSError: it cannot be read.
    """
    for name in COMPANIONS:
        files.check_ours(path.with_name(path.name + name), "database")
    if not files.check_ours(path, "database"):
        return 0
    descriptor = files.open_ours(path, "database")
    try:
        header = os.read(descriptor, _HEADER_BYTES)
    finally:
        os.close(descriptor)
    if not header:
        return 0
    if not header.startswith(_MAGIC):
        raise ConfigurationError(f"database {path}: file is not a database")
    application, version = _number(header, 68), _number(header, 60)
    if application != APPLICATION_ID and path.with_name(f"{path.name}-wal").exists():
        application, version = _from_log(path)  # what was written last stands there alone
    if application != APPLICATION_ID:
        raise ConfigurationError(f"database {path}: another program's; give a file that ainsights made, or a new one")
    if version > VERSION:
        raise ConfigurationError(
            f"database {path}: of a newer ainsights (schema {version}; this one knows up to {VERSION}); "
            "upgrade ainsights, or give another file"
        )
    return version


def restrict(path: Path) -> None:
    """Take all permissions on a database of ours from other users. Not to be called while this process has it open.

    Raises:
        ConfigurationError, OSError: the mode cannot be changed.
    """
    descriptor = files.open_ours(path, "database")
    try:
        files.restrict(descriptor, path, "database")
    finally:
        os.close(descriptor)


def create(path: Path, legacy_last: int | None = None) -> None:
    """Make the tables, unless they are there, in one transaction.

    Args:
        path: the database; made if it is not there.
        legacy_last: the highest number in the file of the schema before, if one is to be migrated.

    Raises:
        OSError, sqlite3.Error: it cannot be made.
    """
    if files.create(path):
        files.sync_directory(path)
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        migration = f"INSERT INTO migration VALUES (0, {legacy_last:d});" if legacy_last is not None else ""  # noqa: S608  a number
        ours = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
        # not in WAL mode yet, so that the header marks the file as ours from the beginning
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {migration} {ours} COMMIT;")


def connect(path: Path) -> sqlite3.Connection:
    """Return the writer's connection to the database at ``path``.

    A commit is on disk when it returns. What is deleted is overwritten with zeros.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            f"journal_size_limit = {JOURNAL_BYTES}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("SELECT max(seq) FROM event")
    except BaseException:
        connection.close()
        raise
    return connection


def _number(header: bytes, offset: int) -> int:
    return int.from_bytes(header[offset : offset + 4], "big")


def _from_log(path: Path) -> tuple[int, int]:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
            application, version = (
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
            return application, version
    except sqlite3.Error as error:
        raise ConfigurationError(f"database {path}: {error}") from error
