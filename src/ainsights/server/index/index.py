"""The index: columns and text of every stored event, derived from the store alone and kept up to date by one thread.

Its files may be deleted at any time before the server starts; they are then rebuilt. So they are when they are
damaged, of another version, or of another store.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from ainsights._logging import log_rate_limited
from ainsights.server.events import CONVERSATION_KEYS, build_event
from ainsights.server.index.checks import check_files
from ainsights.server.index.columns import Columns, IndexFormatError
from ainsights.server.index.directory import delete_files, delete_unfinished_files, prepare
from ainsights.server.index.lag import LagMeter
from ainsights.server.index.load import Load
from ainsights.server.index.rebuild import Rebuild, RebuildStoppedError
from ainsights.server.index.removals import Removals
from ainsights.server.index.shards import TextIndex
from ainsights.server.query.engine import IndexStatus
from ainsights.server.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from ainsights.server.store import ObservableStore

BATCH = 2000
PAUSE = 0.1
"""Seconds between two batches, so that events that arrive one by one are indexed together."""

LONGEST_WAIT = 5.0
IN_PARALLEL_FROM = 20_000
"""Events from which on a rebuild uses processes of its own."""

ATTEMPTS = 3


class IndexOptions(NamedTuple):
    """How the index is built.

    Attributes:
        conversation_keys: keys of meta that may name a conversation.
        processes: how many processes rebuild it.
        progress: called during a rebuild with the done part, 0 to 1, from any thread.
    """

    conversation_keys: Sequence[str] = CONVERSATION_KEYS
    processes: int = 2
    progress: Callable[[float], None] | None = None


class Index:
    """The files in ``directory``. Use it as a context manager, or open and close it; the store is open meanwhile.

    Attributes:
        is_open: whether queries may be asked.
    """

    def __init__(self, store: ObservableStore, directory: Path, options: IndexOptions | None = None) -> None:
        self.columns = Columns(directory)
        self.text = TextIndex(directory)
        self._store = store
        self._directory = directory
        self._options = options or IndexOptions()
        self._lag = LagMeter()
        self._removals = Removals(store, self.columns, self.text)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._indexed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._state = "rebuilding"
        self._indexed_seq = 0
        self._progress = 0.0
        self._error: str | None = None
        self._damage: str | None = None
        self.is_open = False
        store.add_commit_listener(self._on_commit)
        store.add_removal_listener(self._on_removal)

    @property
    def hidden(self) -> Sequence[int]:
        """Events that were removed, and that the columns still have for a moment."""
        return self._removals.hidden

    def open(self) -> None:
        """Start the thread. Queries fail until the files are open, and see a part of the events during a rebuild.

        Raises:
            ConfigurationError: the directory holds something else than an index of this user.
        """
        prepare(self._directory)
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="ainsights-index", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and close the files. Twice is harmless."""
        thread, self._thread = self._thread, None
        if thread:
            self._stopping.set()
            self._wake.set()
            thread.join()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self, timeout: float) -> bool:
        """Wait until all that is stored now is indexed, and all that was removed is gone; return whether it is."""
        deadline, last = time.monotonic() + timeout, self._store.last_seq()
        with self._indexed:
            while not (self._state == "ready" and self._indexed_seq >= last and not self._removals.pending):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._indexed.wait(min(left, PAUSE))
        return True

    def status(self) -> IndexStatus:
        """Return how far the index is."""
        size = sum(_size(path) for path in self._directory.glob("*"))
        last = self._store.last_seq()
        return IndexStatus(self._state, self._indexed_seq, last, self._lag.seconds, self._progress, size, self._error)

    def report_damage(self, error: Exception) -> None:
        """Have the index rebuilt: a query found its files damaged."""
        self._damage = str(error)
        self._wake.set()

    def _on_commit(self, last_seq: int) -> None:
        self._lag.stored(last_seq)
        self._wake.set()

    def _on_removal(self, seqs: Sequence[int]) -> None:
        self._removals.hide(seqs)
        self._wake.set()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            error = self._run_once(rebuild=failures >= ATTEMPTS)
            if error is None:
                failures = 0
            else:
                failures += not _is_of_others(error)
                self._stopping.wait(min(LONGEST_WAIT, 0.1 * 2**failures))

    def _run_once(self, *, rebuild: bool) -> Exception | None:
        """Open the files and follow the store; return what went wrong."""
        try:
            self._open_files("it failed several times" if rebuild else self._damage)
            self._follow()
        except RebuildStoppedError:
            return None
        except Exception as error:  # noqa: BLE001  the thread must live; the state has the error
            self._state, self._error = "failed", str(error)
            cause = None if _is_of_others(error) else error
            log_rate_limited("error", "index", "The index failed, and is opened again: %s", error, error=cause)
            return error
        finally:
            self._close_files()
        return None

    def _open_files(self, damage: str | None) -> None:
        try:
            self._open_as_they_are(damage)
        except (IndexFormatError, duckdb.Error, sqlite3.Error, OSError, ValueError) as error:
            log_rate_limited("warning", "index rebuild", "The index is rebuilt: %s", error)
            self._close_files()
            self._delete_files()
            self._open_as_they_are(None)
        self._damage = None
        self._removals.hide_from_queries()
        self.is_open = True
        if not self.columns.state().complete:
            self._rebuild()
        if self._indexed_seq < self._store.last_seq():
            self._lag.stored(self._store.last_seq())
        self._state, self._progress, self._error = "ready", 1.0, None

    def _open_as_they_are(self, damage: str | None) -> None:
        if damage:
            raise IndexFormatError(damage)
        delete_unfinished_files(self._directory)
        self.columns.open()
        self.text.open()
        check_files(self.columns, self.text, self._store)
        self._indexed_seq = self.columns.state().indexed_seq

    def _close_files(self) -> None:
        self.is_open = False
        self.columns.close()
        self.text.close()

    def _delete_files(self) -> None:
        delete_files(self._directory)
        self.columns = Columns(self._directory)
        self.text = TextIndex(self._directory)
        self._removals.use(self.columns, self.text)

    def _rebuild(self) -> None:
        self._state, self._progress = "rebuilding", 0.0
        last, removals = self._store.last_seq(), self._removals.last_number()
        if last >= IN_PARALLEL_FROM:
            self._builder().run(last, self._options.processes, self._on_progress)
            self.columns.set_complete(last, removals)
            self._indexed_seq = last
        else:
            self.columns.set_complete(0, removals)
            while self._indexed_seq < last and self._add_batch():
                self._on_progress(self._indexed_seq / last)

    def _builder(self) -> Rebuild:
        return Rebuild(
            self._store, self._directory, self.columns, self.text, self._options.conversation_keys, self._stopping
        )

    def _on_progress(self, done: float) -> None:
        self._progress = done
        if self._options.progress:
            self._options.progress(done)

    def _follow(self) -> None:
        load = Load(self.columns.use_threads)
        while not self._stopping.is_set():
            self._wake.clear()
            while (added := self._add_batch()) and not self._stopping.is_set():
                self._stopping.wait(load.pause(added))
            load.idle()
            self._removals.apply(self._builder().shard, self._options.conversation_keys)
            with self._indexed:
                self._indexed.notify_all()
            if self._damage:
                raise IndexFormatError(self._damage)
            self._wake.wait(load.patience(self._removals.seconds_to_purge))
            self._stopping.wait(PAUSE)

    def _add_batch(self) -> int:
        """Index the next events; return how many there were."""
        after = min(self._indexed_seq, self.text.indexed_seq) if self.text.numbers else self._indexed_seq
        last = self._store.last_seq()
        bodies = self._store.bodies_after(after, BATCH)
        if not bodies:  # those up to the last, if there are any, were removed
            self._note_indexed(last)
            return 0
        keys = self._options.conversation_keys
        events = [build_event(*body, conversation_keys=keys) for body in bodies]
        self.text.add(events)
        self.columns.add(events)
        self._note_indexed(bodies[-1].seq)
        return len(bodies)

    def _note_indexed(self, seq: int) -> None:
        with self._indexed:
            self._indexed_seq = max(self._indexed_seq, seq)
            self._indexed.notify_all()
        self._lag.indexed(self._indexed_seq)


def _is_of_others(error: Exception) -> bool:
    """Whether the cause is not in the index files but in the store, or a full disk."""
    return isinstance(error, StoreError) or any(word in str(error) for word in ("space", "full", "quota"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
