"""A local Insights endpoint: takes ``PUT /insight``, stores to SQLite or ClickHouse, answers questions.

It is the extra ``ainsights[server]``; on ClickHouse, ``ainsights[clickhouse]``.

A body walks this way: ``connections`` (bounds) → ``app`` → ``ingest`` (key, size, validation) → ``store`` (one writer's
thread, one commit for many requests) → disk; only then is it answered. ``run`` binds the socket and starts uvicorn,
``keys`` decides who may do what, ``api`` answers from engine and store, which ``backends`` opens: the ones in files
here (``embedded``, over ``index``), or those in ``clickhouse``.
"""

from __future__ import annotations

from ainsights.server.app import create_app
from ainsights.server.run import Endpoint, Options, running, serve
from ainsights.server.store import SQLiteStore, StoreError

__all__ = ["Endpoint", "Options", "SQLiteStore", "StoreError", "create_app", "running", "serve"]
