"""A local Insights endpoint: takes ``PUT /insight``, stores to SQLite, lists what it has. Extra ``ainsights[server]``.

A body walks this way: ``app`` (HTTP: key, size, answers) → ``rows`` (bytes -> row; pure) → ``store`` (one writer
thread, commits for many requests at once) → disk; only then is it answered. ``listing`` reads it back; ``run``
binds the socket and starts uvicorn, ``keys`` keeps the generated key.
"""

from __future__ import annotations

from ainsights.server.app import create_app
from ainsights.server.run import Endpoint, Options, running, serve
from ainsights.server.store import SQLiteStore, StoreError

__all__ = ["Endpoint", "Options", "SQLiteStore", "StoreError", "create_app", "running", "serve"]
