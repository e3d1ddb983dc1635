"""Named keys in the table ``api_key``: made and revoked once for all replicas."""

from __future__ import annotations

import math
import secrets
import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ainsights.errors import ConfigurationError
from ainsights.server.keys import NamedKey, Role
from ainsights.server.keys.key_file import EVERY_ROLE, FIRST, PREFIX, check_name, digest
from ainsights.server.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights.server.clickhouse.connection import Connection

REFRESH_SECONDS = 1.0
"""How old the keys may be that a replica knows: a key that is revoked is refused by all of them within two seconds."""

COLUMNS = ("name", "digest", "roles", "created_at", "revoked", "changed_at")
_KEYS = "SELECT name, digest, roles, created_at FROM api_key FINAL WHERE NOT revoked ORDER BY created_at, name"

_CHANGED = "SELECT max(changed_at) FROM api_key WHERE digest = {digest:String}"


class KeyTable:
    """The keys of a store. :meth:`find` answers from memory, which a thread refreshes between open and close."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_digest: dict[str, NamedKey] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ainsights-server-keys", daemon=True)

    def open(self) -> None:
        """Read the keys, and start the thread.

        Raises:
            ConfigurationError: they cannot be read.
        """
        self._refresh()
        self._thread.start()

    def close(self) -> None:
        """End the thread. Twice is harmless."""
        self._stopping.set()
        if self._thread.ident:
            self._thread.join()

    def read(self) -> list[NamedKey]:
        """See :class:`ainsights.server.keys.KeyStore`."""
        try:
            rows = self._connection.rows(_KEYS)
        except StoreError as error:
            raise ConfigurationError(f"keys in {self._connection.address.name}: {error}") from error
        return [
            NamedKey(name, frozenset(map(Role, roles)), key_digest, created_at)
            for name, key_digest, roles, created_at in rows
        ]

    def add(self, name: str, roles: Iterable[Role | str]) -> str:
        """See :class:`ainsights.server.keys.KeyStore`."""
        check_name(name, (key.name for key in self.read()))
        key = PREFIX + secrets.token_urlsafe(32)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._write(NamedKey(name, frozenset(map(Role, roles)), digest(key), now), revoked=False)
        self._refresh()
        return key

    def revoke(self, name: str) -> bool:
        """See :class:`ainsights.server.keys.KeyStore`."""
        found = [key for key in self.read() if key.name == name]
        for key in found:
            self._write(key, revoked=True)
        self._refresh()
        return bool(found)

    def first(self) -> str | None:
        """See :class:`ainsights.server.keys.KeyStore`. Of replicas that start at once each may make one."""
        return None if self.read() else self.add(FIRST, EVERY_ROLE)

    def find(self, key_digest: str) -> NamedKey | None:
        """See :class:`ainsights.server.keys.KeyStore`."""
        return self._by_digest.get(key_digest)

    def _write(self, key: NamedKey, *, revoked: bool) -> None:
        roles = sorted(role.value for role in key.roles)
        try:
            known = self._connection.rows(_CHANGED, {"digest": key.digest})[0][0]
            changed_at = max(time.time(), math.nextafter(known, math.inf))  # however the clocks of two machines differ
            row = (key.name, key.digest, roles, key.created_at, revoked, changed_at)
            self._connection.insert("api_key", COLUMNS, [row])
        except StoreError as error:
            raise ConfigurationError(f"keys in {self._connection.address.name}: {error}") from error

    def _refresh(self) -> None:
        self._by_digest = {key.digest: key for key in self.read()}

    def _run(self) -> None:
        while not self._stopping.wait(REFRESH_SECONDS):
            with suppress(ConfigurationError):  # ClickHouse is away, as the writer logs: the keys known so far count
                self._refresh()
