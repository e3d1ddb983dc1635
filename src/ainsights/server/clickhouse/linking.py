"""Conversations by content and by ids: which stored event a new one continues, in whatever order they arrive.

An event continues the event whose end is the shortest of its message prefixes, or the response that its request names
(as `index.linking` and `index.chaining` have it). All events that wait for one hash share all that precedes it, so that
a conversation moves as a whole when its true beginning arrives late: its rows are written once more with the other key,
in a higher version.

Links are written before the events, and looked up again after them: of two replicas that store two parts of one
conversation at the same time, at least one finds the other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ainsights.server.clickhouse import links
from ainsights.server.clickhouse.links import ARRIVED, WAITS, Link, Links, Target, unnamed
from ainsights.server.clickhouse.schema import EVENT_COLUMNS, REVISION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ainsights.server.clickhouse.connection import Connection
    from ainsights.server.clickhouse.rows import Row


class Linked(NamedTuple):
    """The conversations of a batch by seq, and the links to write."""

    targets: dict[int, Target]
    links: list[Link]


def find(connection: Connection, rows: Sequence[Row]) -> Linked:
    """Return the conversations of the events as far as they are known before they are stored."""
    by_content = [row for row in rows if row.event.conversation is None and row.event.previous is None]
    by_id = [row for row in rows if row.event.conversation is None and row.event.previous is not None]
    wanted = {prefix for row in by_content for prefix in row.event.prefixes}
    known = links.look_up(connection, wanted | {row.event.previous for row in by_id if row.event.previous})
    for row in by_content:
        if row.event.turn:
            known.arrived.setdefault(row.event.turn, unnamed(row.event.turn))
    linked = Linked({row.stored.seq: row.own for row in rows}, [])
    for row in by_content:
        _link_content(linked, row, known)
    for row in rows:
        if row.event.reply is not None:
            known.arrived.setdefault(row.event.reply, linked.targets[row.stored.seq])
    for row in by_id:
        target = known.target(row.own.key) or row.own
        linked.targets[row.stored.seq] = target
        if target.key not in known.arrived:
            linked.links.append(Link(target.key, WAITS, target.key, target.name, row.stored.seq))
    linked.links.extend(
        Link(row.event.reply, ARRIVED, *linked.targets[row.stored.seq], row.stored.seq)
        for row in rows
        if row.event.reply is not None and linked.targets[row.stored.seq].key != row.event.reply
    )
    return linked


def _link_content(linked: Linked, row: Row, known: Links) -> None:
    prefixes, seq = row.event.prefixes, row.stored.seq
    at = next((at for at, prefix in enumerate(prefixes) if prefix in known.arrived), len(prefixes))
    target = unnamed(prefixes[at]) if at < len(prefixes) else row.own
    linked.targets[seq] = target
    if row.event.turn:
        linked.links.append(Link(row.event.turn, ARRIVED, *target, seq))
    linked.links.extend(Link(prefix, WAITS, *target, seq) for prefix in prefixes[:at])


def write(connection: Connection, linked: Linked) -> None:
    """Write the links."""
    links.write(connection, dict.fromkeys(linked.links))


def settle(connection: Connection, linked: Linked) -> list[str]:
    """Move the conversations whose beginning arrived with these events, or at the same time elsewhere.

    Returns:
        the ids of the events that were moved, and of those that were in these conversations before.
    """
    if not linked.links:
        return []
    known = links.look_up(connection, {link.hash for link in linked.links})
    moves: dict[int, Target] = {}
    for link in linked.links:
        target = known.target(link.hash)
        if target is None:
            continue
        for key in {link.key} if link.kind == WAITS else known.waiting.get(link.hash, set()):
            moves.setdefault(key, target)
    final = links.resolved({key: target for key, target in moves.items() if key != target.key}, known)
    final = {key: target for key, target in final.items() if key != target.key}
    links.write(connection, (Link(key, ARRIVED, *target, 0) for key, target in final.items()))
    keys_of: dict[Target, list[int]] = {}
    for key, target in final.items():
        keys_of.setdefault(target, []).append(key)
    for target, keys in keys_of.items():
        _move(connection, keys, target)
    return [event_id for target in keys_of for (event_id,) in connection.rows(_MOVED, {"end": target.key})]


def _move(connection: Connection, keys: Sequence[int], target: Target) -> None:
    """Give the events of conversations to the one with which theirs truly begins."""
    columns = ", ".join(f'"{name}"' for name in EVENT_COLUMNS)
    changed = ", ".join(_CHANGED.get(name, f'"{name}"') for name in EVENT_COLUMNS)
    for at in range(0, len(keys), KEYS_AT_ONCE):
        some = keys[at : at + KEYS_AT_ONCE]
        listed, names = ", ".join(map(str, some)), ", ".join(f"'{links.name_of(key)}'" for key in some)
        connection.command(
            f"INSERT INTO event ({columns}) SELECT {changed} FROM event FINAL "  # noqa: S608  names and numbers of our own
            f"WHERE conversation_key IN ({listed}) AND conversation IN ({names})",
            {"end": target.key, "name": target.name},
            **connection.durably,
        )


KEYS_AT_ONCE = 2000
"""Conversations that one statement moves."""

_MOVED = "SELECT DISTINCT id FROM event WHERE conversation_key = {end:UInt64}"

_CHANGED = {
    "version": f"version + {REVISION}",
    "conversation": "{name:String}",
    "conversation_key": "{end:UInt64}",
}
