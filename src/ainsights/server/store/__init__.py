"""The truth: every body that the endpoint answered 200 for, in order of arrival."""

from __future__ import annotations

from ainsights.server.store.protocol import Removal, Store, StoredBody, StoreError
from ainsights.server.store.sqlite import SQLiteStore

__all__ = ["Removal", "SQLiteStore", "Store", "StoreError", "StoredBody"]
