"""A process that stores and indexes events until it is killed: ``indexing_program.py DIRECTORY erase|store``.

It prints the id of each event that is stored, and of each that is erased with a minus before it.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path

from ainsights.server.index import Index
from ainsights.server.store.sqlite import SQLiteStore
from support.indexed import body


async def run(store: SQLiteStore, *, erasing: bool) -> None:
    first = store.last_seq() + 1
    for number in count(first):
        name = f"event-{number}"
        await store.put(*body(name, messages=f"question number{number}", user_id=f"user{number % 7}"))
        print(name, flush=True)
        stored = store.find(name)
        if erasing and number % 5 == 0 and stored:
            print(f"?{name}", flush=True)
            store.erase([stored.seq], by="test", reason="test")
            print(f"-{name}", flush=True)


def main() -> None:
    directory = Path(sys.argv[1])
    with SQLiteStore(directory / "insights.db") as store, Index(store, directory / "insights.index"):
        asyncio.run(run(store, erasing=sys.argv[2] == "erase"))


if __name__ == "__main__":
    main()
