"""The key of the hash chain, in a file of its own: it is not part of the database."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ainsights.errors import ConfigurationError
from ainsights.server import files

if TYPE_CHECKING:
    from pathlib import Path

AUDIT_KEY_BYTES = 32


def audit_key(path: Path, database: object, *, is_new: bool) -> bytes:
    """Return the key in the file; make it for a database that has none yet.

    Args:
        path: the file.
        database: what was written with it, for messages.
        is_new: whether nothing was written with a key yet.

    Raises:
        ConfigurationError: it cannot be read or made, or the database was written with another one.
    """
    try:
        if not path.exists() and is_new:
            files.create(path, f"{secrets.token_hex(AUDIT_KEY_BYTES)}\n".encode())
            files.sync_directory(path)
        key = files.read_ours(path, "audit key file")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"audit key file {path}: missing; put it back: {database} was written with it. (Any 64 hexadecimal digits "
            "let the endpoint go on, but what is stored cannot be verified then.)"
        ) from error
    except OSError as error:
        raise ConfigurationError(f"audit key file {path}: {error.strerror}") from error
    try:
        return bytes.fromhex(key.decode("ascii"))
    except ValueError as error:
        raise ConfigurationError(f"audit key file {path}: holds no key of hexadecimal digits") from error
