"""The table ``link``: which hashes have arrived and to which conversation they lead, and which conversations wait.

A hash is that of the texts up to the end of an event, or of the id of a response that another one can continue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ainsights.server.clickhouse.connection import Connection

AT_ONCE = 5000
"""Hashes in one statement."""

MAX_STEPS = 50
"""From hash to conversation to the conversation that it moved to, and so on."""

ARRIVED = 0
WAITS = 1
COLUMNS = ("hash", "kind", "key", "name", "seq")


class Target(NamedTuple):
    """A conversation."""

    key: int
    name: str


class Link(NamedTuple):
    """One row.

    Attributes:
        kind: :data:`ARRIVED`: the hash leads to the conversation; :data:`WAITS`: the conversation waits for the hash.
        seq: of the event that wrote it.
    """

    hash: int
    kind: int
    key: int
    name: str
    seq: int


class Links:
    """What is known of some hashes.

    Attributes:
        arrived: the conversations to which hashes lead.
        waiting: the keys of the conversations that wait for a hash.
    """

    def __init__(self) -> None:
        self.arrived: dict[int, Target] = {}
        self.waiting: dict[int, set[int]] = {}

    def target(self, start: int) -> Target | None:
        """Return the conversation to which the hash leads in the end, over all that it moved to; None if to none.

        Steps in a circle, which only wrong ids make, end at the least of it.
        """
        path: dict[int, Target] = {}
        at = start
        while at in self.arrived and at not in path:
            path[at] = self.arrived[at]
            at = path[at].key
        if not path:
            return None
        if at in path and path[at].key != at:
            places = [*path]
            return min(path[place] for place in places[places.index(at) :])
        return path[next(reversed(path))]


def name_of(key: int) -> str:
    """Return the name of a conversation that was found by content."""
    return f"{key:016x}"


def unnamed(key: int) -> Target:
    """Return the conversation with this key that has no name of its own."""
    return Target(key, name_of(key))


def look_up(connection: Connection, hashes: Iterable[int]) -> Links:
    """Return what is known of the hashes, and of the conversations to which they lead."""
    found, wanted, seen = Links(), {*hashes}, set[int]()
    for _ in range(MAX_STEPS):
        if not wanted:
            break
        seen |= wanted
        keys: set[int] = set()
        for link in _read(connection, sorted(wanted)):
            if link.kind == WAITS:
                found.waiting.setdefault(link.hash, set()).add(link.key)
            elif link.hash not in found.arrived or found.arrived[link.hash].key == link.hash:
                found.arrived[link.hash] = Target(link.key, link.name)
                keys.add(link.key)
        wanted = keys - seen
    return found


def write(connection: Connection, links: Iterable[Link]) -> None:
    """Write links."""
    rows = [*links]
    if rows:
        connection.insert("link", COLUMNS, rows)


def _read(connection: Connection, hashes: list[int]) -> Iterable[Link]:
    for at in range(0, len(hashes), AT_ONCE):
        listed = ", ".join(map(str, hashes[at : at + AT_ONCE]))
        sql = f"SELECT {', '.join(COLUMNS)} FROM link WHERE hash IN ({listed}) ORDER BY seq"  # noqa: S608  numbers
        yield from (Link(*row) for row in connection.rows(sql))


def resolved(targets: Mapping[int, Target], known: Links) -> dict[int, Target]:
    """Return where each conversation of ``targets`` moves in the end, given that all of them move."""
    moving = Links()
    moving.arrived = known.arrived | dict(targets)
    return {key: moving.target(key) or target for key, target in targets.items()}
