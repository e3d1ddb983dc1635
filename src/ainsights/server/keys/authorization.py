"""Who sent a request, and whether they may do what it asks."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ainsights.server.keys.key_file import EVERY_ROLE, NamedKey, Role, digest
from ainsights.server.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from ainsights.server.keys.store import KeyStore

SINGLE = "environment"
"""Name of the key that is given at the start, and not kept."""

MAX_WRONG = 20
"""Wrong keys of one address within :data:`WINDOW` seconds; further ones are refused unseen."""

WINDOW = 60.0
MAX_ADDRESSES = 10_000
"""Addresses that are remembered; the oldest are forgotten."""


class Authorization:
    """Checks keys against the named keys and the key that was given at the start."""

    def __init__(
        self, keys: KeyStore | None, single_key: str | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the keys.

        Args:
            keys: named keys; None if only `single_key` counts.
            single_key: has every role.
            clock: seconds.
        """
        self._keys = keys
        single = NamedKey(SINGLE, EVERY_ROLE, digest(single_key), "") if single_key is not None else None
        self._single = {single.digest: single} if single else {}
        self._clock = clock
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, authorization: bytes | None, address: str, role: Role | None) -> NamedKey:
        """Return the key of a request that may do what ``role`` allows.

        Keys are looked up by their hash, so that the time it takes reveals nothing about a key.

        Args:
            authorization: the header of the request.
            address: where it comes from.
            role: what it needs; None: any key will do.

        Raises:
            Problem: 401 without a key or with a wrong one, 403 for a key without the role, 429 after many wrong keys.
        """
        if authorization is None:
            raise Problem(401, "no API key: send it as 'Authorization: Bearer <key>'")
        scheme, _, given = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise Problem(401, "no API key: send it as 'Authorization: Bearer <key>'")
        given_digest = digest(given.strip().decode("latin-1"))
        if address in self._wrong and (address, given_digest) not in self._good:
            self._refuse_if_guessing(address)
        key = self.find(given_digest)
        if key is None:
            self._note_wrong(address)
            raise Problem(401, "wrong API key: this endpoint does not know it")
        if role is not None and not key.allows(role):
            raise Problem(403, f"the API key {key.name!r} does not have the role {role.value!r}")
        if (address, given_digest) not in self._good:
            _remember(self._good, (address, given_digest), None)
        return key

    def find(self, key_digest: str) -> NamedKey | None:
        """Return the key with this hash, if it still counts."""
        return self._single.get(key_digest) or (self._keys and self._keys.find(key_digest)) or None

    def keys(self) -> list[NamedKey]:
        """Return all keys that count.

        Raises:
            ConfigurationError: the keys cannot be read.
        """
        return [*self._single.values(), *(self._keys.read() if self._keys else ())]

    def check_scope(self, scope: Any, headers: dict[bytes, bytes], role: Role | None) -> NamedKey:
        """Return the key of an ASGI request, as :meth:`check` does."""
        client = scope.get("client")
        return self.check(headers.get(b"authorization"), client[0] if client else "", role)

    def _refuse_if_guessing(self, address: str) -> None:
        now = self._clock()
        recent = [at for at in self._wrong[address] if now - at < WINDOW]
        self._wrong[address] = recent
        if len(recent) >= MAX_WRONG:
            wait = int(WINDOW - (now - recent[0])) + 1
            raise Problem(429, "too many wrong API keys from this address", headers={"Retry-After": str(wait)})

    def _note_wrong(self, address: str) -> None:
        times = self._wrong.get(address, [])
        _remember(self._wrong, address, [*times[-MAX_WRONG:], self._clock()])


def _remember(memory: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > MAX_ADDRESSES:
        memory.popitem(last=False)
