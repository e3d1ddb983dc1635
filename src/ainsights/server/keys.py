"""The API key of the local endpoint: given, or made once and kept beside the database."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from ainsights.errors import ConfigurationError
from ainsights.server import files

PREFIX = "ainsights_"

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


def key_file(database: Path) -> Path:
    """Return where the key of ``database`` is kept."""
    return Path(f"{database}.key")


def checked(key: str) -> str:
    """Return ``key`` if an HTTP header can carry it.

    Raises:
        ConfigurationError: it is empty, or has spaces or other than printable ASCII characters.
    """
    if not _HEADER_SAFE.fullmatch(key):
        raise ConfigurationError("the API key takes printable ASCII characters, without spaces, at least one")
    return key


def kept(database: Path) -> str:
    """Return the key of ``database``; the first time, a new one, then stored for its owner only.

    Raises:
        ConfigurationError: the key file cannot be made or read, or holds no key.
    """
    path = key_file(database)
    fresh = PREFIX + secrets.token_urlsafe(32)
    try:
        if files.create(path, f"{fresh}\n".encode()):
            return fresh
        key = files.read_ours(path, "key file").decode()
    except OSError as error:
        raise ConfigurationError(f"key file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"key file {path}: not a text file") from error
    try:
        return checked(key)
    except ConfigurationError as error:
        raise ConfigurationError(f"key file {path}: holds no key; delete it, and the next start makes one") from error
