"""The tables of the columns, and how events come into them, with the conversation of each.

Where meta does not name the conversation, content does: an event belongs to the event whose end (`turn`) is the
shortest of its message prefixes, else it begins a conversation. That depends on which events there are, not on their
order: when an event arrives late, the events that waited for it move over. A response that continues another by its id
belongs where that one does; see :mod:`ainsights.server.index.chaining`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.index.chaining import chain, move_followers

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

FORMAT = 2

MAX_LINE = 4 * 2**20
"""Bytes of one event's columns as JSON, whose texts and lists are bounded. DuckDB takes buffers of twice the size."""

LOADED = {
    "seq": "BIGINT",
    "id": "VARCHAR",
    "time": "BIGINT",
    "model": "VARCHAR",
    "api": "VARCHAR",
    "user": "VARCHAR",
    "status": "VARCHAR",
    "error": "VARCHAR",
    "finish": "VARCHAR",
    "release": "VARCHAR",
    "host": "VARCHAR",
    "template": "VARCHAR",
    "conversation": "VARCHAR",
    "reply": "UBIGINT",
    "previous": "UBIGINT",
    "prefixes": "UBIGINT[]",
    "turn": "UBIGINT",
    "stream": "BOOLEAN",
    "latency": "DOUBLE",
    "ttft": "DOUBLE",
    "tokens_per_second": "DOUBLE",
    "tokens": "BIGINT",
    "prompt_tokens": "BIGINT",
    "completion_tokens": "BIGINT",
    "cached_tokens": "BIGINT",
    "reasoning_tokens": "BIGINT",
    "cost": "DOUBLE",
    "cost_source": "VARCHAR",
    "size": "BIGINT",
    "tool": "VARCHAR",
    "input": "VARCHAR",
    "url": "VARCHAR",
    "tag": "VARCHAR",
    "meta": "MAP(VARCHAR, VARCHAR)",
    "messages": "UBIGINT[]",
    "question_hash": "UBIGINT",
}
"""The columns as they are loaded, and their types."""

_KEPT = [name for name in LOADED if name != "prefixes"]
_DEFINITIONS = ", ".join(f'"{name}" {LOADED[name]}' for name in _KEPT)
SCHEMA = f"""
CREATE TABLE event ({_DEFINITIONS}, conversation_key UBIGINT);
CREATE TABLE waiting (hash UBIGINT, seq BIGINT, depth BIGINT);
CREATE TABLE orphan (seq BIGINT);
CREATE TABLE state (format INTEGER, complete BOOLEAN, indexed_seq BIGINT, removals BIGINT);
INSERT INTO state VALUES ({FORMAT}, false, 0, 0);
"""  # noqa: S608  names of our own
_INSERTED = ", ".join("coalesce(i.conversation, name)" if name == "conversation" else f'i."{name}"' for name in _KEPT)
_STRUCT = ", ".join(f"\"{name}\": '{kind}'" for name, kind in LOADED.items())


def quoted(path: Path) -> str:
    """Return the path as it stands between quotes in a statement."""
    return str(path).replace("'", "''")


def stage(cursor: duckdb.DuckDBPyConnection, path: Path, where: str) -> None:
    """Read the file into the table ``incoming``. Events whose conversation meta names take no part in the linking."""
    cursor.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE incoming AS
        SELECT * REPLACE (if(conversation IS NULL, turn, NULL) AS turn,
                          if(conversation IS NULL, previous, NULL) AS previous)
        FROM read_json('{quoted(path)}', format = 'newline_delimited', columns = {{{_STRUCT}}},
                       maximum_object_size = {MAX_LINE})
        {where}
        """  # noqa: S608  names of our own
    )


def insert(cursor: duckdb.DuckDBPyConnection) -> None:
    """Move ``incoming`` into ``event``, with the conversation of each."""
    cursor.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE candidate AS
        SELECT seq, unnest(prefixes) AS hash, generate_subscripts(prefixes, 1) AS depth
        FROM incoming WHERE conversation IS NULL;

        CREATE OR REPLACE TEMP TABLE known AS
        SELECT DISTINCT turn AS hash FROM event WHERE turn IN (SELECT hash FROM candidate)
        UNION SELECT turn FROM incoming WHERE turn IN (SELECT hash FROM candidate);

        CREATE OR REPLACE TEMP TABLE root AS
        SELECT seq, arg_min(hash, depth) AS hash, min(depth) AS depth
        FROM candidate SEMI JOIN known USING (hash) GROUP BY seq;

        INSERT INTO event
        SELECT {_INSERTED},
               if(i.conversation IS NULL, key, md5_number_lower(i.conversation))
        FROM incoming i LEFT JOIN root USING (seq),
        LATERAL (SELECT coalesce(i.previous, root.hash, i.turn, md5_number_lower(i.id)) AS key) k,
        LATERAL (SELECT lower(lpad(to_hex(key), 16, '0')) AS name) n;

        INSERT INTO waiting
        SELECT c.hash, c.seq, c.depth FROM candidate c LEFT JOIN root r USING (seq)
        WHERE r.depth IS NULL OR c.depth < r.depth;

        CREATE OR REPLACE TEMP TABLE late AS
        SELECT seq, arg_min(hash, depth) AS hash, min(depth) AS depth FROM waiting
        WHERE hash IN (SELECT turn FROM incoming) GROUP BY seq
        """  # noqa: S608  names of our own
    )
    if cursor.execute("SELECT count(*) FROM late").fetchall()[0][0]:
        move_followers(cursor)
        cursor.execute(
            """
            UPDATE event SET conversation_key = late.hash, conversation = lower(lpad(to_hex(late.hash), 16, '0'))
            FROM late WHERE event.seq = late.seq;
            DELETE FROM waiting USING late WHERE waiting.seq = late.seq AND waiting.depth >= late.depth
            """
        )
    chain(cursor)
