"""What arrives, as soon as the index has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ainsights.server.query.engine import Engine
    from ainsights.server.query.model import Filter
    from ainsights.server.store import Store


class EmbeddedFollower:
    """See :class:`ainsights.server.query.engine.Follower`. One thread stores, so that numbers come in order."""

    def __init__(self, engine: Engine, store: Store, wanted: Filter, after: int | None) -> None:
        self._engine = engine
        self._store = store
        self._wanted = wanted
        self.after = store.last_seq() if after is None else after

    @property
    def is_due(self) -> bool:
        """Whether something was stored that :meth:`next` has not shown."""
        return self._store.last_seq() > self.after

    def next(self, limit: int) -> list[int]:
        """Return the next events that arrived."""
        status = self._engine.status()
        if status.state != "ready" or status.indexed_seq <= self.after:
            return []
        seqs = self._engine.seqs(self._wanted, self.after, limit)
        self.after = seqs[-1] if len(seqs) == limit else max(status.indexed_seq, *seqs, self.after)
        return seqs
