"""Saved views in the table ``view``, shared by all replicas."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from ainsights.server.pages.saved_views import MAX_VIEWS, SavedView, checked, is_ours

if TYPE_CHECKING:
    from ainsights.server.clickhouse.connection import Connection

_COLUMNS = ("name", "url", "removed", "changed_at")
_VIEWS = "SELECT name, url FROM view FINAL WHERE NOT removed ORDER BY name"

_CHANGED = "SELECT max(changed_at) FROM view WHERE name = {name:String}"


class ViewTable:
    """See :class:`ainsights.server.pages.saved_views.ViewStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> list[SavedView]:
        """Return all views, by name."""
        return [SavedView(name, url) for name, url in self._connection.rows(_VIEWS) if is_ours(url)]

    def add(self, name: str, url: str) -> bool:
        """Save a view, in place of one of the same name; return False if it is none, or there are too many."""
        view = checked(name, url)
        if view is None or len([each for each in self.read() if each.name != view.name]) >= MAX_VIEWS:
            return False
        self._write(view, removed=False)
        return True

    def remove(self, name: str) -> None:
        """Remove the view called ``name``."""
        self._write(SavedView(name, ""), removed=True)

    def _write(self, view: SavedView, *, removed: bool) -> None:
        known = self._connection.rows(_CHANGED, {"name": view.name})[0][0]
        changed_at = max(time.time(), math.nextafter(known, math.inf))  # however the clocks of two replicas differ
        self._connection.insert("view", _COLUMNS, [(*view, removed, changed_at)])
