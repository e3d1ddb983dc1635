"""The truth: every body that the endpoint answered 200 for, in order of arrival."""

from __future__ import annotations

from ainsights.server.store.protocol import Removal, Store, StoredBody, StoreError
from ainsights.server.store.retention import Limits
from ainsights.server.store.sqlite import SQLiteStore
from ainsights.server.store.verify import Anchor, Verification

__all__ = ["Anchor", "Limits", "Removal", "SQLiteStore", "Store", "StoreError", "StoredBody", "Verification"]
