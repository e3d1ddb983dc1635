"""The file of the API keys: names, roles and hashes; no key can be read from it.

A key is 256 bits of chance, so a plain SHA-256 of it can't be reversed. The server reads the file again when it has
changed: keys are added and revoked while it runs.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
import re
import secrets
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights._logging import log_rate_limited
from ainsights.errors import ConfigurationError
from ainsights.server import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

PREFIX = "ainsights_"
FIRST = "default"
"""Name of the key that the first start makes."""

VERSION = 1

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")


class Role(str, enum.Enum):
    """What a key allows."""

    WRITE = "write"
    """To send insights, and nothing else."""
    READ = "read"
    """To read, and to change nothing."""
    ADMIN = "admin"
    """To read and to erase."""


EVERY_ROLE = frozenset(Role)


class NamedKey(NamedTuple):
    """What is known of a key."""

    name: str
    roles: frozenset[Role]
    digest: str
    created_at: str

    def allows(self, role: Role) -> bool:
        """Whether the key has ``role``, or one that includes it."""
        return role in self.roles or (role is Role.READ and Role.ADMIN in self.roles)


def digest(key: str) -> str:
    """Return the hash by which ``key`` is known."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def check_key(key: str) -> str:
    """Return ``key`` if an HTTP header can carry it.

    Raises:
        ConfigurationError: it is empty, or has spaces or other than printable ASCII characters.
    """
    if not _HEADER_SAFE.fullmatch(key):
        raise ConfigurationError("the API key takes printable ASCII characters, without spaces, at least one")
    return key


def check_name(name: str, taken: Iterable[str] = ()) -> None:
    """Make sure that a new key can have this name.

    Raises:
        ConfigurationError: it is not a name, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"key name {name!r}: give at most 64 letters, digits and _.@-")
    if name in taken:
        raise ConfigurationError(f"key name {name!r}: is taken; revoke it first, or give another")


class KeyFile:
    """The keys of the database at ``database``."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(f"{database.name}.keys")
        self._lock = database.with_name(f"{database.name}.keys.lock")
        self._former = database.with_name(f"{database.name}.key")
        self._state: tuple[int, int, int] | None = None
        self._by_digest: dict[str, NamedKey] = {}

    def read(self) -> list[NamedKey]:
        """Return all keys, in order of their making.

        Raises:
            ConfigurationError: the file is not ours, or damaged.
        """
        try:
            content = files.read_ours(self.path, "key file")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigurationError(f"key file {self.path}: {error.strerror}") from error
        try:
            return [_decode(each) for each in json.loads(content)["keys"]]
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(f"key file {self.path}: damaged; delete it, and add the keys again") from error

    def add(self, name: str, roles: Iterable[Role | str]) -> str:
        """Make a key and return it. It cannot be shown again.

        Raises:
            ConfigurationError: the name is taken, or not a name; the file cannot be used.
        """
        key = PREFIX + secrets.token_urlsafe(32)
        check_name(name)
        with self._exclusively():
            self._append(name, map(Role, roles), key)
        return key

    def revoke(self, name: str) -> bool:
        """Remove the key called ``name``; return whether there was one.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        with self._exclusively():
            keys = self.read()
            kept = [key for key in keys if key.name != name]
            if len(kept) < len(keys):
                self._write(kept)
            return len(kept) < len(keys)

    def first(self) -> str | None:
        """Make the first key, with every role, and return it; None if there is a key file already.

        A key that an earlier version kept in readable form goes on working, as a hash.

        Raises:
            ConfigurationError: a file cannot be used.
        """
        key = PREFIX + secrets.token_urlsafe(32)
        with self._exclusively():
            if files.check_ours(self.path, "key file"):
                self.read()
                return None
            if files.check_ours(self._former, "key file"):
                self._take_over_former()
                return None
            self._append(FIRST, EVERY_ROLE, key)
        return key

    def find(self, key_digest: str) -> NamedKey | None:
        """Return the key with this hash as the file stands now. A file that can't be read has no keys."""
        try:
            status = os.stat(self.path, follow_symlinks=False)  # noqa: PTH116  for each request
            state = status.st_mtime_ns, status.st_size, status.st_ino
        except OSError:
            state = None
        if state != self._state:
            self._state = state
            self._by_digest = self._read_again()
        return self._by_digest.get(key_digest)

    def _read_again(self) -> dict[str, NamedKey]:
        try:
            return {key.digest: key for key in self.read()}
        except ConfigurationError as error:
            log_rate_limited("error", "key file", "No key of the key file works: %s", error)
            return {}

    def _take_over_former(self) -> None:
        try:
            key = check_key(files.read_ours(self._former, "key file").decode("ascii", "replace"))
            self._append(FIRST, EVERY_ROLE, key)
            self._former.unlink()
        except OSError as error:
            raise ConfigurationError(f"key file {self._former}: {error.strerror}") from error
        except ConfigurationError as error:
            raise ConfigurationError(
                f"key file {self._former}: {error}; delete it, and the next start makes one"
            ) from None
        message = "The API key in %s goes on working; it is kept as a hash in %s now, and cannot be shown again."
        log_rate_limited("warning", "former key", message, self._former, self.path)

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """Let no other process change the file between reading and writing it."""
        try:
            with files.exclusively(self._lock):
                yield
        except OSError as error:
            raise ConfigurationError(f"lock file {self._lock}: {error.strerror}") from error

    def _append(self, name: str, roles: Iterable[Role], key: str) -> None:
        keys = self.read()
        check_name(name, (each.name for each in keys))
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._write([*keys, NamedKey(name, frozenset(roles), digest(key), now)])

    def _write(self, keys: Iterable[NamedKey]) -> None:
        content = {"version": VERSION, "keys": [_encode(key) for key in keys]}
        try:
            files.check_ours(self.path, "key file")
            files.replace(self.path, json.dumps(content, indent=1).encode())
        except OSError as error:
            raise ConfigurationError(f"key file {self.path}: {error.strerror}") from error
        finally:
            with suppress(OSError):
                self.path.with_name(f"{self.path.name}.{os.getpid()}.new").unlink(missing_ok=True)


def _encode(key: NamedKey) -> dict[str, Any]:
    return {"name": key.name, "roles": sorted(key.roles), "sha256": key.digest, "created_at": key.created_at}


def _decode(entry: dict[str, Any]) -> NamedKey:
    roles = frozenset(map(Role, entry["roles"]))
    return NamedKey(str(entry["name"]), roles, str(entry["sha256"]), str(entry["created_at"]))
