"""Store: where events are kept besides memory: nowhere, or in the spool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ainsights._delivery.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ainsights._delivery.counters import Counters


class Store(Protocol):
    """Keeps events until they are delivered. Used on the background threads, by several at a time."""

    persistent: bool
    """Whether events survive this process."""

    @property
    def count(self) -> int:
        """The events that are kept and not delivered. Safe on any thread."""

    def add(self, envelopes: Sequence[Envelope]) -> None:
        """Keep events, as far as there is room, and set their place."""

    def claim(self, count: int) -> list[Envelope]:
        """Return events that no living process is about to deliver: this one is, from now on."""

    def has_unclaimed(self) -> bool:
        """Return whether there are events to be claimed."""

    def acknowledge(self, envelope: Envelope) -> None:
        """Delete an event that was delivered."""

    def reject(self, envelope: Envelope, reason: str) -> None:
        """Make an event that was rejected for good a dead letter."""

    def release(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """Let any process claim these events, and return those that are not in the store any more."""

    def maintain(self) -> None:
        """Do what is due now and then."""

    def close(self) -> None:
        """Let any process claim what is left, and close. A later use opens again."""

    def reset_after_fork(self) -> None:
        """Leave everything to the parent, in the child of a fork."""


class MemoryStore:
    """Keeps nothing: events are in memory alone."""

    persistent = False
    count = 0

    def add(self, envelopes: Sequence[Envelope]) -> None:
        """See :class:`Store`."""

    def claim(self, count: int) -> list[Envelope]:  # noqa: ARG002  the protocol's
        """See :class:`Store`."""
        return []

    def has_unclaimed(self) -> bool:
        """See :class:`Store`."""
        return False

    def acknowledge(self, envelope: Envelope) -> None:
        """See :class:`Store`."""

    def reject(self, envelope: Envelope, reason: str) -> None:
        """See :class:`Store`."""

    def release(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """See :class:`Store`."""
        return list(envelopes)

    def maintain(self) -> None:
        """See :class:`Store`."""

    def close(self) -> None:
        """See :class:`Store`."""

    def reset_after_fork(self) -> None:
        """See :class:`Store`."""


class SpoolStore:
    """Keeps events in a spool, and counts the dead letters that had to make room for them.

    Args:
        directory: of the spool.
        max_bytes: the limit for its events.
        counters: get the dead letters that were evicted.
    """

    persistent = True

    def __init__(self, directory: Path, max_bytes: int, counters: Counters) -> None:
        from ainsights._delivery.spool.spool import Spool  # noqa: PLC0415  loading SQLite takes milliseconds

        self._spool = Spool(directory, max_bytes)
        self._counters = counters

    @property
    def count(self) -> int:
        """See :class:`Store`."""
        return self._spool.count

    def add(self, envelopes: Sequence[Envelope]) -> None:
        """See :class:`Store`."""
        for envelope, row in zip(envelopes, self._spool.add([each.body for each in envelopes]), strict=True):
            if row is not None:
                envelope.store, envelope.row = self, row
        self._counters.add(dropped_dead_letter=self._spool.evicted())

    def claim(self, count: int) -> list[Envelope]:
        """See :class:`Store`."""
        return [Envelope.stored(body, self, row) for row, body in self._spool.claim(count)]

    def has_unclaimed(self) -> bool:
        """See :class:`Store`."""
        return self._spool.has_unclaimed()

    def acknowledge(self, envelope: Envelope) -> None:
        """See :class:`Store`."""
        self._spool.acknowledge(envelope.row)

    def reject(self, envelope: Envelope, reason: str) -> None:
        """See :class:`Store`."""
        self._spool.reject(envelope.row, reason)

    def release(self, envelopes: Sequence[Envelope]) -> list[Envelope]:
        """See :class:`Store`."""
        there = self._spool.release([each.row for each in envelopes])
        gone = [each for each in envelopes if each.row not in there]
        for envelope in gone:
            envelope.store = envelope.row = None
        return gone

    def maintain(self) -> None:
        """See :class:`Store`."""
        self._spool.maintain()

    def close(self) -> None:
        """See :class:`Store`."""
        self._spool.close()

    def reset_after_fork(self) -> None:
        """See :class:`Store`."""
        self._spool.reset_after_fork()
