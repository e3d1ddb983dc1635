"""Both engines over the same events: the index in this process, and ClickHouse."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from ainsights.server.clickhouse.engine import ClickHouseEngine, extent
from support import clickhouse, indexed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ainsights.server.query.engine import Engine
    from ainsights.server.store import Store
    from support.indexed import Body

ENGINES = ["embedded", pytest.param("clickhouse", marks=clickhouse.needs_engine)]
CONVERSATIONS = "SELECT seq, conversation FROM event"


class Answering(NamedTuple):
    """An engine, the store that it reads texts from, and the conversation of each event by its number."""

    engine: Engine
    store: Store
    conversations: dict[int, str]


@contextmanager
def answering(
    kind: str, request: pytest.FixtureRequest, directory: Path, bodies: Sequence[Body]
) -> Iterator[Answering]:
    """Yield an engine of this kind over these events. ClickHouse has them twice, and has not merged the copies."""
    if kind == "embedded":
        with indexed.serving(directory, bodies) as served, served.index.columns.cursor() as cursor:
            conversations = dict(cursor.execute(CONVERSATIONS).fetchall())
            yield Answering(served.engine, served.store, conversations)
        return
    with (
        pytest.MonkeyPatch.context() as patch,
        clickhouse.new_database(request.getfixturevalue("clickhouse_server")) as url,
        clickhouse.opened(url) as store,
    ):
        patch.setattr(extent, "FIRST_LOOK", 8)  # so that lists of few events take several looks
        store.connection.command("SYSTEM STOP MERGES event")
        indexed.put(store, bodies)
        indexed.put(store, bodies)
        conversations = dict(store.connection.rows(f"{CONVERSATIONS} FINAL"))
        yield Answering(ClickHouseEngine(store.connection, store), store, conversations)
