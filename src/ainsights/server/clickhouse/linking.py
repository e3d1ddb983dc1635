"""Conversations by content: which stored event a new one continues, in whatever order they arrive.

An event continues the event whose end is the shortest of its message prefixes (as `index.linking` has it). The table
``link`` knows the ends of all events, and which conversation waits for an end that has not arrived. Events that wait
for an end share all that precedes it, so that a conversation moves as a whole when its true beginning arrives late:
its rows are written once more with the other key, in a higher version.

Links are written before the events, and looked up again after them: of two replicas that store two parts of one
conversation at the same time, at least one finds the other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.clickhouse.rows import REVISION, name_of
from ainsights.server.clickhouse.schema import EVENT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ainsights.server.clickhouse.connection import Connection
    from ainsights.server.clickhouse.rows import Row

AT_ONCE = 5000
"""Hashes in one statement."""

END = 0
"""The key of a link that says: an event ends there."""


class Links(NamedTuple):
    """What the table knows of some hashes: the ends of events, and the conversations that wait, by hash."""

    ends: set[int]
    waiting: dict[int, set[int]]


class Linked(NamedTuple):
    """The conversations of a batch: keys by seq, and the links to write."""

    keys: dict[int, int]
    links: list[tuple[int, int]]


def find(connection: Connection, rows: Sequence[Row]) -> Linked:
    """Return the conversations of the events as far as they are known before they are stored."""
    rows = [row for row in rows if row.event.conversation is None]
    ends = {row.event.turn for row in rows if row.event.turn}
    known = look_up(connection, {prefix for row in rows for prefix in row.event.prefixes} - ends).ends | ends
    keys: dict[int, int] = {}
    links: dict[tuple[int, int], None] = {}
    for row in rows:
        prefixes = row.event.prefixes
        at = next((at for at, prefix in enumerate(prefixes) if prefix in known), len(prefixes))
        key = prefixes[at] if at < len(prefixes) else row.own_key
        keys[row.stored.seq] = key
        if row.event.turn:
            links[row.event.turn, END] = None
        links.update(((prefix, key), None) for prefix in prefixes[:at])
    return Linked(keys, [*links])


def write(connection: Connection, linked: Linked) -> None:
    """Write the links."""
    if linked.links:
        connection.insert("link", ("hash", "key"), linked.links)


def settle(connection: Connection, linked: Linked) -> None:
    """Move the conversations whose beginning arrived with these events, or at the same time elsewhere."""
    if not linked.links:
        return
    found = look_up(connection, {link for link, _ in linked.links})
    ours = {end for end, key in linked.links if key == END}
    moves = {(key, end) for end in ours for key in found.waiting.get(end, ())}
    moves |= {(key, prefix) for prefix, key in linked.links if key != END and prefix in found.ends}
    for key, end in moves:
        _move(connection, key, end)


def look_up(connection: Connection, hashes: Iterable[int]) -> Links:
    """Return what is known of the hashes."""
    wanted, ends, waiting = sorted(hashes), set[int](), dict[int, set[int]]()
    for at in range(0, len(wanted), AT_ONCE):
        listed = ", ".join(map(str, wanted[at : at + AT_ONCE]))
        sql = f"SELECT DISTINCT hash, key FROM link WHERE hash IN ({listed})"  # noqa: S608  numbers
        for found, key in connection.rows(sql):
            if key == END:
                ends.add(found)
            else:
                waiting.setdefault(found, set()).add(key)
    return Links(ends, waiting)


def _move(connection: Connection, key: int, end: int) -> None:
    """Give the events of one conversation to the one that ends at ``end``, which is where theirs truly begins."""
    columns = ", ".join(f'"{name}"' for name in EVENT_COLUMNS)
    changed = ", ".join(_CHANGED.get(name, f'"{name}"') for name in EVENT_COLUMNS)
    connection.command(
        f"INSERT INTO event ({columns}) SELECT {changed} FROM event FINAL "  # noqa: S608  names of our own
        "WHERE conversation_key = {key:UInt64} AND conversation = {former:String}",
        {"key": key, "former": name_of(key), "end": end, "name": name_of(end)},
        async_insert=0,
    )


_CHANGED = {
    "version": f"version + {REVISION}",
    "conversation": "{name:String}",
    "conversation_key": "{end:UInt64}",
}
