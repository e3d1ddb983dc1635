"""What the endpoint needs of a store, whichever database holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from ainsights.errors import InsightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class StoreError(InsightsError):
    """The store failed this time: a full disk, a locked, damaged or deleted file."""


class StoredBody(NamedTuple):
    """One stored event.

    Attributes:
        seq: the order of arrival; strictly rising, never reused.
        event_id: the receiver's key against duplicates.
        received_at: seconds since the epoch.
        body: exactly as received (after decompression).
    """

    seq: int
    event_id: str
    received_at: float
    body: bytes


class Removal(NamedTuple):
    """One entry of the log of removals (erasures and retention).

    Attributes:
        number: the entry's place in the log; strictly rising.
        seq: the event that was removed.
    """

    number: int
    seq: int


class Store(Protocol):
    """Keeps bodies. Every method but :meth:`put` blocks, may be called from any thread, and raises `StoreError`.

    A body that was removed is in none of the answers.
    """

    async def put(self, event_id: str, received_at: float, body: bytes) -> None:
        """Store ``body``; return when it is on disk. A known event id is stored already, and changes nothing.

        Raises:
            StoreError: the event is not stored.
        """

    def bodies_after(self, seq: int, limit: int) -> list[StoredBody]:
        """Return bodies that follow ``seq`` (0: from the beginning), in order of seq.

        They are ``limit`` at the most, and fewer where they are large; there are no more only when there are none.
        """
        ...

    def bodies(self, seqs: Sequence[int]) -> list[StoredBody]:
        """Return the bodies with these numbers, in the order of ``seqs``; unknown ones are left out."""
        ...

    def find(self, event_id: str) -> StoredBody | None:
        """Return the body with this event id."""
        ...

    def last_seq(self) -> int:
        """Return the highest number given so far; 0 for an empty store."""
        ...

    def erase(self, seqs: Sequence[int], *, by: str, reason: str) -> int:
        """Remove these events from the disk, at once and for good; return how many there were.

        Each leaves a tombstone without content. The removal listeners are called before this returns.

        Args:
            seqs: which events.
            by: the name of the key that asked for it, for the log.
            reason: why, for the log.
        """
        ...

    def removals_after(self, number: int, limit: int) -> list[Removal]:
        """Return the first ``limit`` entries of the log of removals that follow ``number`` (0: from the beginning)."""
        ...

    def add_commit_listener(self, listener: Callable[[int], None]) -> None:
        """Have ``listener`` called with the last seq after each commit, on the writer's thread; it must not block."""

    def add_removal_listener(self, listener: Callable[[Sequence[int]], None]) -> None:
        """Have ``listener`` called with the numbers that were removed, after they were."""
