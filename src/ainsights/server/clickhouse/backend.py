"""The store on ClickHouse with all that an endpoint needs beside it."""

from __future__ import annotations

import hashlib
import hmac
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ainsights.errors import ConfigurationError
from ainsights.server.clickhouse import audit_key, migrations
from ainsights.server.clickhouse.address import parse
from ainsights.server.clickhouse.connection import Connection
from ainsights.server.clickhouse.engine import ClickHouseEngine
from ainsights.server.clickhouse.keys import KeyTable
from ainsights.server.clickhouse.source import ClickHouseSource
from ainsights.server.clickhouse.store import ClickHouseStore
from ainsights.server.clickhouse.views import ViewTable
from ainsights.server.store import StoreError
from ainsights.server.store.audit_key import audit_key as key_in_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ainsights.server.clickhouse.address import Address
    from ainsights.server.store import Limits


class ClickHouseBackend(NamedTuple):
    """What an endpoint needs, open."""

    store: ClickHouseStore
    engine: ClickHouseEngine
    keys: KeyTable
    views: ViewTable
    session_secret: bytes


@contextmanager
def opened(url: str, limits: Limits, audit_key_file: Path) -> Iterator[ClickHouseBackend]:
    """Open the store for the length of the block.

    Args:
        url: its address.
        limits: how long events are kept.
        audit_key_file: where the key of the hash chains is, unless a variable has it.

    Raises:
        ConfigurationError: it cannot be used.
    """
    if limits.max_bytes is not None:
        raise ConfigurationError("--max-bytes: is for SQLite; on ClickHouse give --keep-days")
    address = parse(url, os.environ)
    key = find_audit_key(address, audit_key_file)
    try:
        with ClickHouseStore(address, key, limits) as store:
            keys = KeyTable(store.connection)
            keys.open()
            try:
                secret = hmac.digest(key, b"sessions", hashlib.sha256)
                engine = ClickHouseEngine(store.connection, store)
                yield ClickHouseBackend(store, engine, keys, ViewTable(store.connection), secret)
            finally:
                keys.close()
    except StoreError as error:
        raise ConfigurationError(f"store {address.name}: {error}") from error


@contextmanager
def opened_store(url: str, audit_key_file: Path) -> Iterator[ClickHouseStore]:
    """Yield the store alone.

    Raises:
        ConfigurationError: it cannot be used.
    """
    address = parse(url, os.environ)
    key = find_audit_key(address, audit_key_file)
    with ClickHouseStore(address, key) as store:
        yield store


@contextmanager
def opened_source(url: str) -> Iterator[ClickHouseSource]:
    """Yield the events of a store, to read.

    Raises:
        ConfigurationError: it cannot be used.
    """
    with _connected(parse(url, os.environ)) as connection:
        yield ClickHouseSource(connection)


@contextmanager
def opened_keys(url: str) -> Iterator[KeyTable]:
    """Yield the keys of a store.

    Raises:
        ConfigurationError: it cannot be used.
    """
    with _connected(parse(url, os.environ)) as connection:
        yield KeyTable(connection)


def find_audit_key(address: Address, file: Path) -> bytes:
    """Return the audit key: from the variable, else from the file, which is made for a store that has none yet.

    Raises:
        ConfigurationError: there is none, or the store cannot be used.
    """
    given = os.environ.get(audit_key.VARIABLE)
    if given:
        return audit_key.parse(given)
    try:
        with _connected(address) as connection:
            is_new = not audit_key.is_known(connection)
            if not is_new and not file.exists():
                raise ConfigurationError(
                    f"audit key file {file}: missing, and store {address.name} has a key already; copy it from the "
                    f"first replica, or give it in {audit_key.VARIABLE} or --audit-key-file"
                )
            return key_in_file(file, address.name, is_new=is_new)
    except StoreError as error:
        raise ConfigurationError(f"store {address.name}: {error}") from error


@contextmanager
def _connected(address: Address) -> Iterator[Connection]:
    """Yield a connection to a store whose tables this version knows."""
    connection = Connection(address)
    try:
        connection.check()
        migrations.check(connection)
        yield connection
    finally:
        connection.close()
