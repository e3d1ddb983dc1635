"""Building the index, or one shard of it, from the store alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from ainsights.server.index.build_process import BuildProcess
from ainsights.server.index.shards import first_seq, shard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from ainsights.server.index.columns import Columns
    from ainsights.server.index.shards import TextIndex
    from ainsights.server.store import ObservableStore, StoredBody

CHUNK = 4096
LOAD = 32_768
"""Events that DuckDB loads at once: half the work for each of what it is with chunks."""


class RebuildStoppedError(Exception):
    """The index is being closed."""


class Rebuild:
    """Reads the store up to ``last_seq`` in parallel, and fills columns and text index."""

    def __init__(  # noqa: PLR0913, PLR0917  what it reads, what it writes, how
        self,
        store: ObservableStore,
        directory: Path,
        columns: Columns,
        text: TextIndex,
        conversation_keys: Sequence[str],
        stopping: threading.Event,
    ) -> None:
        self._store = store
        self._directory = directory
        self._columns = columns
        self._text = text
        self._keys = conversation_keys
        self._stopping = stopping
        self._lock = threading.Lock()
        self._done = 0

    def run(self, last_seq: int, processes: int, progress: Callable[[float], None]) -> None:
        """Build everything up to ``last_seq``.

        Args:
            last_seq: the last event of the store to read.
            processes: how many build at once.
            progress: called with the done part, 0 to 1.

        Raises:
            RebuildStoppedError: the index was closed meanwhile.
        """
        numbers = iter(range(shard_of(last_seq) + 1))

        def build_some(_: int) -> None:
            with BuildProcess(self._keys) as process:
                while (number := self._next(numbers)) is not None:
                    self._build(process, number, last_seq, lambda: progress(self._done / max(1, last_seq)))

        with ThreadPoolExecutor(processes, "ainsights-index-build") as pool:
            for _ in pool.map(build_some, range(processes)):
                pass

    def shard(self, number: int, last_seq: int) -> None:
        """Rebuild one shard of the text index without events that were removed since."""
        with BuildProcess(self._keys) as process:
            self._build_text(process, number, last_seq, None)

    def _next(self, numbers: Iterator[int]) -> int | None:
        with self._lock:
            return next(numbers, None)

    def _build(self, process: BuildProcess, number: int, last_seq: int, progress: Callable[[], None]) -> None:
        path = self._directory / f"build-{number}.ndjson"

        def load(events: int) -> None:
            with self._lock:
                self._columns.load(path)
                self._done += events
            path.unlink()
            progress()

        try:
            self._build_text(process, number, last_seq, (path, load))
        finally:
            path.unlink(missing_ok=True)

    def _build_text(
        self, process: BuildProcess, number: int, last_seq: int, columns: tuple[Path, Callable[[int], None]] | None
    ) -> None:
        built = self._directory / f"build-{number}.db"
        built.unlink(missing_ok=True)
        process.begin(built)
        written = 0
        for bodies in self._bodies(number, last_seq):
            process.add(bodies, columns[0] if columns else None)
            written += len(bodies)
            if columns and written >= LOAD:
                columns[1](written)
                written = 0
        if columns and written:
            columns[1](written)
        process.end()
        with self._lock:
            self._text.install(number, built)

    def _bodies(self, number: int, last_seq: int) -> Iterator[list[StoredBody]]:
        after, end = first_seq(number) - 1, min(first_seq(number + 1) - 1, last_seq)
        while after < end:
            if self._stopping.is_set():
                raise RebuildStoppedError
            bodies = [body for body in self._store.bodies_after(after, CHUNK) if body.seq <= end]
            if not bodies:
                return
            after = bodies[-1].seq
            yield bodies
