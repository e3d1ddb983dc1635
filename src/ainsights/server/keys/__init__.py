"""API keys: their names and roles, where they are kept, and who may do what."""

from __future__ import annotations

from ainsights.server.keys.authorization import Authorization
from ainsights.server.keys.key_file import KeyFile, NamedKey, Role, check_key
from ainsights.server.keys.store import KeyStore

__all__ = ["Authorization", "KeyFile", "KeyStore", "NamedKey", "Role", "check_key"]
