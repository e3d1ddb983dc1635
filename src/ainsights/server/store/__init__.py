"""The truth: every body that the endpoint answered 200 for, in order of arrival."""

from __future__ import annotations

from ainsights.server.store.protocol import (
    Access,
    Anchor,
    ObservableStore,
    Put,
    Removal,
    Store,
    StoredBody,
    StoreError,
    StoreStatus,
    StoreUnavailableError,
    Verification,
)
from ainsights.server.store.retention import Limits
from ainsights.server.store.sqlite import SQLiteStore

__all__ = [
    "Access",
    "Anchor",
    "Limits",
    "ObservableStore",
    "Put",
    "Removal",
    "SQLiteStore",
    "Store",
    "StoreError",
    "StoreStatus",
    "StoreUnavailableError",
    "StoredBody",
    "Verification",
]
