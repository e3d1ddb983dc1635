"""All replicas of a store have the same audit key: the store knows its fingerprint."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ainsights.errors import ConfigurationError

if TYPE_CHECKING:
    from ainsights.server.clickhouse.connection import Connection

VARIABLE = "AINSIGHTS_AUDIT_KEY"
LEAST_BYTES = 16
_NAME = "audit key"
_KNOWN = "SELECT value FROM setting FINAL WHERE name = {name:String}"


def parse(text: str) -> bytes:
    """Return the key that the variable holds.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) < LEAST_BYTES:
        raise ConfigurationError(f"{VARIABLE}: give 64 hexadecimal digits")
    return key


def is_known(connection: Connection) -> bool:
    """Whether the store was written with an audit key already.

    Raises:
        StoreError: it cannot be read.
    """
    return bool(connection.rows(_KNOWN, {"name": _NAME}))


def check_audit_key(connection: Connection, key: bytes) -> None:
    """Make sure that all replicas use ``key``; the first one makes it the store's.

    Raises:
        ConfigurationError: the store was written with another one.
        StoreError: it cannot be read.
    """
    ours = hashlib.sha256(b"audit key fingerprint" + key).hexdigest()[:32]
    if not is_known(connection):
        first_wins = -connection.now()  # of two rows, the one with the higher version remains
        connection.insert("setting", ("name", "value", "changed_at"), [(_NAME, ours, first_wins)])
    if connection.rows(_KNOWN, {"name": _NAME}) != [(ours,)]:
        raise ConfigurationError(
            f"store {connection.address.name}: was written with another audit key; give all replicas the same one, by "
            f"--audit-key-file or {VARIABLE}"
        )
