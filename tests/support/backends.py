"""The two stores of an endpoint, for tests that must hold on both: a file of SQLite, and a database on ClickHouse."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from ainsights.server import Options
from ainsights.server.clickhouse.connection import Connection
from ainsights.server.clickhouse.keys import KeyTable
from ainsights.server.keys import KeyFile
from support import clickhouse
from support.serving import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ainsights.server.keys import KeyStore

STORES = ["sqlite", pytest.param("clickhouse", marks=clickhouse.needs_engine)]


@contextmanager
def options_of(kind: str, server: Callable[[], str], directory: Path) -> Iterator[Options]:
    """Yield the options of an endpoint over an empty store of this kind; its files are in ``directory``.

    Args:
        kind: ``sqlite`` or ``clickhouse``.
        server: returns the address of a ClickHouse server, without a database.
        directory: for files.
    """
    database = directory / "insights.db"
    if kind == "sqlite":
        yield Options(database, api_key=KEY)
        return
    with clickhouse.new_database(server()) as url:
        clickhouse.migrations.migrate(clickhouse.address(url))
        yield Options(database, api_key=KEY, store=url)


@contextmanager
def keys_of(options: Options) -> Iterator[KeyStore]:
    """Yield the named keys. An endpoint that runs on ClickHouse learns of changes within a second."""
    if options.store is None:
        yield KeyFile(options.database)
        return
    connection = Connection(clickhouse.address(options.store))
    yield KeyTable(connection)
    connection.close()
