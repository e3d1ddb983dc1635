"""Conversations of responses that continue one another by their ids.

Such an event (`previous`) waits in a conversation that is named after the response that it continues. Where that
response is there, or arrives, all events that wait for it move to its conversation, and so do those that wait for them.
The conversation of a chain is that of its first response; it depends on which events there are, not on their order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb


class _Conversation(NamedTuple):
    key: int
    name: str


def chain(cursor: duckdb.DuckDBPyConnection) -> None:
    """Move events to the conversations of the responses that they continue, after `incoming` came into `event`."""
    found = cursor.execute("SELECT 1 FROM incoming WHERE reply IS NOT NULL OR previous IS NOT NULL LIMIT 1").fetchall()
    if not found:
        return
    rows = cursor.execute(
        """
        SELECT hash, arg_min(conversation_key, seq), arg_min(conversation, seq)
        FROM event JOIN (
            SELECT DISTINCT conversation_key AS hash FROM event
            WHERE previous IS NOT NULL AND conversation_key IN (
                SELECT previous FROM incoming WHERE previous IS NOT NULL
                UNION SELECT reply FROM incoming WHERE reply IS NOT NULL)
        ) ON reply = hash GROUP BY hash
        """
    ).fetchall()
    _move(cursor, _ends({hash_: _Conversation(key, name) for hash_, key, name in rows}))


def move_followers(cursor: duckdb.DuckDBPyConnection) -> None:
    """Move the events that continue responses in `late`, which content is about to move to other conversations."""
    rows = cursor.execute(
        """
        SELECT DISTINCT conversation_key, late.hash, lower(lpad(to_hex(late.hash), 16, '0'))
        FROM event JOIN late USING (seq) WHERE event.reply IS NOT NULL
        """
    ).fetchall()
    _move(cursor, {key: _Conversation(new, name) for key, new, name in rows})


def orphan_followers(cursor: duckdb.DuckDBPyConnection) -> None:
    """Note the events that continue others of a conversation from which those in `gone` are about to be removed."""
    cursor.execute(
        """
        INSERT INTO orphan SELECT seq FROM event
        WHERE previous IS NOT NULL AND seq NOT IN (SELECT seq FROM orphan) AND conversation_key IN (
            SELECT conversation_key FROM event SEMI JOIN gone USING (seq) WHERE reply IS NOT NULL)
        """
    )


def _ends(steps: Mapping[int, _Conversation]) -> dict[int, _Conversation]:
    """Return where each step leads in the end. Steps in a circle, which only wrong ids make, end at the least of it."""
    ends: dict[int, _Conversation] = {}
    for start in steps:
        path: dict[int, _Conversation] = {}
        at = start
        while at in steps and at not in ends and at not in path:
            path[at] = steps[at]
            at = steps[at].key
        if at in ends:
            end = ends[at]
        elif at in path:
            places = list(path)
            end = min(path[place] for place in places[places.index(at) :])
        else:
            end = path[next(reversed(path))]
        ends.update(dict.fromkeys(path, end))
    return ends


def _move(cursor: duckdb.DuckDBPyConnection, ends: Mapping[int, _Conversation]) -> None:
    if not ends:
        return
    cursor.execute(
        """
        UPDATE event SET conversation_key = moved.key, conversation = moved.name
        FROM (SELECT unnest(?::UBIGINT[]) AS hash, unnest(?::UBIGINT[]) AS key, unnest(?::VARCHAR[]) AS name) moved
        WHERE event.previous IS NOT NULL AND event.conversation_key = moved.hash
        """,
        [list(ends), [end.key for end in ends.values()], [end.name for end in ends.values()]],
    )
