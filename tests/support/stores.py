"""Filling and spoiling stores in tests."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ainsights.server.store import SQLiteStore

SCHEMA_1 = """
BEGIN IMMEDIATE;
CREATE TABLE insight (
  id INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, received_at TEXT NOT NULL, time TEXT NOT NULL, model TEXT,
  user_id TEXT, status TEXT, latency_ms REAL, prompt_tokens INTEGER, completion_tokens INTEGER, total_tokens INTEGER,
  body TEXT NOT NULL
);
CREATE INDEX insight_by_time ON insight (time);
CREATE INDEX insight_by_model ON insight (model, time);
CREATE INDEX insight_by_user ON insight (user_id, time);
CREATE INDEX insight_by_status ON insight (status, time);
PRAGMA application_id = 0x41494E53;
PRAGMA user_version = 1;
COMMIT;
"""
"""What the first version made."""


def put(store: SQLiteStore, events: Iterable[tuple[str, bytes]], at: float | None = None) -> None:
    """Put events, all at the same time, and wait until they are stored."""

    async def put_all() -> None:
        received_at = time.time() if at is None else at
        await asyncio.gather(*(store.put(event_id, received_at, body) for event_id, body in events))

    asyncio.run(put_all())


def body(text: str, size: int = 0) -> bytes:
    """Return the body of an insight; what fills it up to ``size`` can't be compressed much."""
    filler = random.Random(text).randbytes(size // 2).hex()
    return json.dumps(
        {"response": {}, "messages": [{"role": "user", "content": text}], "inputs": {"x": filler}}
    ).encode()


def make_schema_1(path: Path, count: int, size: int = 0) -> None:
    """Make a database as the first version did, with events ``old 1`` to ``old {count}``."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA_1)
        at = "2025-01-31T23:59:59.500000Z"
        sql = "INSERT INTO insight (event_id, received_at, time, body) VALUES (?, ?, ?, ?)"
        numbers = range(1, count + 1)
        connection.executemany(sql, ((f"old {n}", at, at, body(f"old {n}", size).decode()) for n in numbers))
        connection.commit()


def bytes_of(database: Path) -> bytes:
    """Return what stands in the files of the database, log included."""
    return b"".join(path.read_bytes() for path in sorted(database.parent.glob(f"{database.name}*")))


def change(database: Path, sql: str, *values: object) -> None:
    """Change the database as somebody who can write to the file."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(sql, values)
        connection.commit()
