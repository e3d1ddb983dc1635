"""Statements for many rows at a time.

Each step of a statement gives the interpreter to another thread, and getting it back takes up to the switch interval.
A batch of 32 events is two steps here, against 64, which more than halves its time beside a busy event loop.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

SIZES = (64, 16, 4, 1)
"""Rows of one statement: a few sizes, so that each is compiled once."""


def insert(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert ``rows`` into ``table``, whose columns they have all of."""
    for part in _parts(rows):
        connection.execute(_insert(table, len(part[0]), len(part)), [value for row in part for value in row])


def find(connection: sqlite3.Connection, table: str, column: str, values: Sequence[Any]) -> set[Any]:
    """Return those of ``values`` that ``column`` has."""
    found: set[Any] = set()
    for part in _parts(values):
        found.update(value for (value,) in connection.execute(_find(table, column, len(part)), part))
    return found


def _parts(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    at = 0
    for size in SIZES:
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size


@functools.cache
def _insert(table: str, width: int, count: int) -> str:
    row = f"({', '.join('?' * width)})"
    return f"INSERT INTO {table} VALUES {', '.join([row] * count)}"  # noqa: S608  names of our own


@functools.cache
def _find(table: str, column: str, count: int) -> str:
    return f"SELECT {column} FROM {table} WHERE {column} IN ({', '.join('?' * count)})"  # noqa: S608  the same
