"""The slot of a replica: a small number that no other running replica has, and that is part of its events' numbers.

A replica takes a free slot by writing that it does; if it then sees that another one did the same, it gives the slot up
and takes another. Of two that take the same one at least one sees the other, so that two never keep it. One that was
not confirmed for a minute is free again; its replica stops using it after half of that.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from typing import TYPE_CHECKING

from ainsights.server.clickhouse.numbers import SLOTS
from ainsights.server.store import StoreUnavailableError

if TYPE_CHECKING:
    from ainsights.server.clickhouse.connection import Connection

FREE_AFTER = 60.0
USED_FOR = 30.0
BEAT_SECONDS = 10.0
ATTEMPTS = 50

_COLUMNS = ("slot", "token", "host", "released", "seen_at")
_LIVE = "SELECT slot, token FROM replica FINAL WHERE NOT released AND seen_at > {since:Float64} ORDER BY slot"


class Slot:
    """The slot of this process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._host = f"{socket.gethostname()} process {os.getpid()}"
        self._token = ""
        self._number = -1
        self._confirmed = float("-inf")
        self._lock = threading.RLock()

    @property
    def is_held(self) -> bool:
        """Whether the number may be used now."""
        return self._number >= 0 and time.monotonic() - self._confirmed < USED_FOR

    @property
    def is_first(self) -> bool:
        """Whether this is the replica with the lowest slot: the one that looks after the tables."""
        return self.is_held and self._live()[:1] == [(self._number, self._token)]

    def take(self) -> int:
        """Return the slot; take one if there is none, or if it was not confirmed for too long.

        Raises:
            StoreError: ClickHouse is away, or every slot is taken.
        """
        with self._lock:
            return self._number if self.is_held else self._take_free()

    def _take_free(self) -> int:
        for _ in range(ATTEMPTS):
            taken = {slot for slot, _ in self._live()}
            free = [slot for slot in range(SLOTS) if slot not in taken]
            if not free:
                raise StoreUnavailableError(f"there are {SLOTS} replicas already")
            number, token = secrets.choice(free), secrets.token_hex(8)
            began = time.monotonic()
            self._write(number, token, released=False)
            if [slot for slot, _ in self._live()].count(number) == 1:
                self._number, self._token, self._confirmed = number, token, began
                return number
            self._write(number, token, released=True)
        raise StoreUnavailableError("this replica cannot register: too many start at once")

    def confirm(self) -> None:
        """Keep the slot for another minute. One not confirmed in time is given up, and taken again when needed.

        Raises:
            StoreError: ClickHouse is away.
        """
        with self._lock:
            if not self.is_held:
                return
            began = time.monotonic()
            self._write(self._number, self._token, released=False)
            self._confirmed = began

    def release(self) -> None:
        """Give the slot up.

        Raises:
            StoreError: ClickHouse is away; the slot is free in a minute.
        """
        number, self._number = self._number, -1
        if number >= 0:
            self._write(number, self._token, released=True)

    def count(self) -> int:
        """Return how many replicas run."""
        return len(self._live())

    def _live(self) -> list[tuple[int, str]]:
        rows = self._connection.rows(_LIVE, {"since": self._connection.now() - FREE_AFTER})
        return [(int(slot), str(token)) for slot, token in rows]

    def _write(self, number: int, token: str, *, released: bool) -> None:
        row = (number, token, self._host, released, self._connection.now())
        self._connection.insert("replica", _COLUMNS, [row])
