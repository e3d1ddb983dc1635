"""Where named keys are kept: what authorization and the command line need, whichever store it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights.server.keys.key_file import NamedKey, Role


class KeyStore(Protocol):
    """Keeps keys by their hashes. Every method raises `ConfigurationError` where the keys cannot be used."""

    def read(self) -> list[NamedKey]:
        """Return all keys, in order of their making."""
        ...

    def add(self, name: str, roles: Iterable[Role | str]) -> str:
        """Make a key and return it. It cannot be shown again."""
        ...

    def revoke(self, name: str) -> bool:
        """Remove the key called ``name``; return whether there was one."""
        ...

    def first(self) -> str | None:
        """Make the first key, with every role, and return it; None if there are keys already."""
        ...

    def find(self, key_digest: str) -> NamedKey | None:
        """Return the key with this hash as things stand now. It is called on the event loop, and never blocks."""
        ...
