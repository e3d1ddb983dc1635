"""Removing events from the index: from queries at once, then from its files."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from ainsights.server.events import build_event
from ainsights.server.index.shards import shard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ainsights.server.index.columns import Columns
    from ainsights.server.index.shards import TextIndex
    from ainsights.server.store import ObservableStore

PAGE = 5000
REST = 20
"""After a purge of the files, the next waits for that many times its duration: retention removes a little all the
time. A first erasure is purged at once."""


class Removals:
    """Follows the store's log of removals. The store's listener hides; the index's thread does the rest."""

    def __init__(self, store: ObservableStore, columns: Columns, text: TextIndex) -> None:
        self._store = store
        self._columns = columns
        self._text = text
        self._lock = threading.Lock()
        self._hidden: dict[int, None] = {}
        self._shards: set[int] = set()
        self._removed_through = 0
        self._next_purge = 0.0

    @property
    def hidden(self) -> Sequence[int]:
        """Events that were removed from the store, and not from the columns yet."""
        with self._lock:
            return tuple(self._hidden)

    @property
    def pending(self) -> bool:
        """Whether anything that was removed is still in the files."""
        return bool(self._hidden or self._shards)

    @property
    def seconds_to_purge(self) -> float | None:
        """How long until the next purge; None if none is due."""
        return max(0.0, self._next_purge - time.monotonic()) if self._shards else None

    def use(self, columns: Columns, text: TextIndex) -> None:
        """Work on other files, which are new."""
        self._columns, self._text = columns, text
        self._shards = set()

    def hide(self, seqs: Sequence[int]) -> None:
        """Keep events out of queries from now on."""
        with self._lock:
            self._hidden.update(dict.fromkeys(seqs))

    def last_number(self) -> int:
        """Return the number of the last entry in the store's log."""
        number = 0
        while page := self._store.removals_after(number, PAGE):
            number = page[-1].number
        return number

    def apply(self, rebuild_shard: Callable[[int, int], None], conversation_keys: Sequence[str]) -> None:
        """Remove what the log lists from the columns, and from the disk, if a purge is due."""
        self.hide_from_queries()
        self._relink(conversation_keys)
        if self._shards and time.monotonic() >= self._next_purge:
            self._purge(rebuild_shard)

    def hide_from_queries(self) -> None:
        """Remove what the log lists from the columns. Their files still hold it."""
        hidden = self.hidden
        number = max(self._removed_through, self._columns.state().removals)
        while page := self._store.removals_after(number, PAGE):
            seqs = [removal.seq for removal in page]
            self._columns.remove(seqs)
            self._shards.update(shard_of(seq) for seq in seqs)
            self._removed_through = number = page[-1].number
        with self._lock:
            for seq in hidden:
                self._hidden.pop(seq, None)

    def _relink(self, conversation_keys: Sequence[str]) -> None:
        while orphans := self._columns.orphans()[:PAGE]:
            bodies = self._store.bodies(orphans)
            self._columns.replace([build_event(*body, conversation_keys=conversation_keys) for body in bodies])

    def _purge(self, rebuild_shard: Callable[[int, int], None]) -> None:
        """Rewrite the files that held what was removed."""
        began, through = time.monotonic(), self._removed_through
        self._columns.compact()
        for number in sorted(self._shards & self._text.numbers):
            rebuild_shard(number, self._text.indexed_seq)
        self._columns.set_removals(through)
        self._shards = set()
        self._next_purge = time.monotonic() + REST * (time.monotonic() - began)
