"""Making and changing the tables: ``ainsights serve migrate``.

Each version is a list of statements that do nothing where they were done, so that any number of processes may migrate
at once, and a migration that was cut off goes on at the next call. A version is noted when its statements are through.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ainsights.errors import ConfigurationError
from ainsights.server.clickhouse import schema
from ainsights.server.clickhouse.connection import Connection
from ainsights.server.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ainsights.server.clickhouse.address import Address
    from ainsights.server.clickhouse.schema import Cluster

LEAST_SERVER = (26, 2)
"""Earlier servers have no text indexes that can be relied on."""

MIGRATIONS: Mapping[int, Callable[[Cluster], list[str]]] = {1: schema.statements}


def migrate(address: Address) -> list[int]:
    """Make the database and bring its tables to the version of this ainsights; return the versions applied.

    Raises:
        ConfigurationError: the server is too old, cannot be used, or has a schema of a newer ainsights.
    """
    try:
        _create_database(address)
        connection = Connection(address)
        try:
            return _apply(connection)
        finally:
            connection.close()
    except StoreError as error:
        raise ConfigurationError(f"store {address.name}: {error}") from error


def check(connection: Connection) -> None:
    """Make sure that the tables are of the version that this ainsights knows.

    Raises:
        ConfigurationError: they are not, or cannot be read.
    """
    name = connection.address.name
    try:
        version = _version(connection)
    except StoreError as error:
        raise ConfigurationError(f"store {name}: {error}") from error
    if version > schema.VERSION:
        raise ConfigurationError(
            f"store {name}: of a newer ainsights (schema {version}; this one knows {schema.VERSION}); upgrade ainsights"
        )
    if version < schema.VERSION:
        has = f"has schema {version}, and needs {schema.VERSION}" if version else "does not have ainsights' tables yet"
        raise ConfigurationError(f"store {name}: {has}; run: {connection.address.migrate_command}")


def _create_database(address: Address) -> None:
    server = Connection(replace(address, database="default"))
    try:
        _check_server(server, address.name)
        server.command(f"CREATE DATABASE IF NOT EXISTS `{address.database}`{address.cluster.clause}")
    finally:
        server.close()


def _check_server(server: Connection, name: str) -> None:
    version = str(server.rows("SELECT version()")[0][0])
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_SERVER:
        least = ".".join(map(str, LEAST_SERVER))
        raise ConfigurationError(f"store {name}: ClickHouse {version} is too old; needs {least} or later")


def _apply(connection: Connection) -> list[int]:
    cluster = connection.address.cluster
    connection.command(schema.migration_table(cluster))
    version = _version(connection)
    if version > schema.VERSION:
        check(connection)
    applied = []
    for number, statements in sorted(MIGRATIONS.items()):
        if number <= version:
            continue
        for statement in statements(cluster):
            connection.command(statement)
        connection.insert("migration", ("version", "applied_at"), [(number, time.time())])
        applied.append(number)
    return applied


def _version(connection: Connection) -> int:
    known = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'migration'"
    if not connection.rows(known)[0][0]:
        return 0
    return int(connection.rows("SELECT max(version) FROM migration")[0][0])
