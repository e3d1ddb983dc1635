"""What the endpoint needs of a store, whichever database holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from ainsights.errors import InsightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class StoreError(InsightsError):
    """The store failed this time: a full disk, a locked, damaged or deleted file."""


class StoreUnavailableError(StoreError):
    """The store cannot be reached at the moment, or is too busy.

    Attributes:
        retry_after: seconds after which to try again.
    """

    def __init__(self, message: str, retry_after: int = 2) -> None:
        super().__init__(message)
        self.retry_after = retry_after


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


class Put(NamedTuple):
    """One event to store."""

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


class Access(NamedTuple):
    """One line of the access log."""

    at: float
    key_name: str
    action: str
    detail: str


class Anchor(NamedTuple):
    """Number and MAC of an entry of the hash chain, as noted outside of the database."""

    number: int
    mac: str


class Verification(NamedTuple):
    """What a verification found.

    Attributes:
        problem: what is wrong first, in words; None if nothing is.
        seq: the event that it concerns, where it is one.
        events: events that are proven to be as they were stored.
        entries: entries of the chain that were checked.
        head: MAC of the latest entry, in hexadecimal; note it elsewhere, with `entries`, as the next anchor.
    """

    problem: str | None
    seq: int | None
    events: int
    entries: int
    head: str


class StoreStatus(NamedTuple):
    """How the store is.

    Attributes:
        last_seq: the last event's number.
        bytes: its size on disk.
        to_migrate: events of an older schema that are still to be copied.
        problem: why it cannot store at the moment; None if it can.
        free_bytes: what is left of the disk.
        total_bytes: the size of the disk.
        erased: events that are erased for every reader, and still have to be removed from the disk.
    """

    last_seq: int
    bytes: int
    to_migrate: int
    problem: str | None
    free_bytes: int
    total_bytes: int
    erased: int = 0


class Store(Protocol):
    """Keeps bodies. Every method but :meth:`put` blocks, may be called from any thread, and raises `StoreError`.

    A body that was removed is in none of the answers.
    """

    @property
    def name(self) -> str:
        """Where the events are, as people know it, without a password."""
        ...

    @property
    def problem(self) -> str | None:
        """Why nothing can be stored at the moment, in words; None if it can."""
        ...

    @property
    def lost(self) -> str | None:
        """What happened to stored events that are on disk no more; None if all are."""
        ...

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

    def status(self) -> StoreStatus:
        """Return how the store is."""
        ...

    def log_access(self, key_name: str, action: str, detail: str) -> None:
        """Note in the access log who did what; it is stored soon. Erasures are logged by themselves."""

    def accesses(self, before: int | None = None, limit: int = 100) -> list[tuple[int, Access]]:
        """Return lines of the access log with their numbers, latest first.

        Args:
            before: a number: only lines before it.
            limit: how many at the most.
        """
        ...

    def verify(self, anchor: Anchor | None = None, progress: Callable[[int], None] | None = None) -> Verification:
        """Check that no event was changed, added or removed since it was stored.

        Args:
            anchor: an entry that the chain must have: it shows whether the chain was cut off or put back.
            progress: is called with the number of events checked so far.
        """
        ...


class ObservableStore(Store, Protocol):
    """A store that notifies an index in the same process of changes."""

    def removals_after(self, number: int, limit: int) -> list[Removal]:
        """Return the first ``limit`` entries of the log of removals that follow ``number`` (0: from the beginning)."""
        ...

    def add_commit_listener(self, listener: Callable[[int], None]) -> None:
        """Have ``listener`` called with the last seq after each commit, on the writer's thread; it must not block."""

    def add_removal_listener(self, listener: Callable[[Sequence[int]], None]) -> None:
        """Have ``listener`` called with the numbers that were removed, after they were."""
