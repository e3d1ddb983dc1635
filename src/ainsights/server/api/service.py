"""What the routes share: store, engine, and the threads that call them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from ainsights.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from ainsights.server.query.engine import Engine
    from ainsights.server.store import Store

P = ParamSpec("P")
T = TypeVar("T")

QUERY_THREADS = 8
TASK_THREADS = 2
"""Erasures and verifications at the same time: they take long, and queries do not wait for them."""

MAX_WAITING = 256
"""Calls that wait for a thread; further ones are answered 503."""


class Service:
    """Calls engine and store, which block, on a bounded number of threads. Use it as a context manager.

    Attributes:
        stopping: set when the server begins to end; who streams stops then.
    """

    def __init__(self, store: Store, engine: Engine) -> None:
        self.store = store
        self.engine = engine
        self.stopping = asyncio.Event()
        self._queries = ThreadPoolExecutor(QUERY_THREADS, "ainsights-query")
        self._tasks = ThreadPoolExecutor(TASK_THREADS, "ainsights-task")
        self._waiting = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._queries.shutdown(cancel_futures=True)
        self._tasks.shutdown(cancel_futures=True)

    async def query(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``work`` returns, on a thread for queries.

        Raises:
            Problem: 503, because too many calls wait.
        """
        return await self._run(self._queries, lambda: work(*args, **kwargs))

    async def task(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what ``work`` returns, on a thread for what takes long.

        Raises:
            Problem: 503, because too many calls wait.
        """
        return await self._run(self._tasks, lambda: work(*args, **kwargs))

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise Problem(503, "too many queries are waiting", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        finally:
            self._waiting -= 1
