"""Views that people saved: a name and a URL each, in one small file beside the database."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ainsights.server import files
from ainsights.server.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_VIEWS = 100
MAX_NAME, MAX_URL = 80, 4000


class SavedView(NamedTuple):
    """A view: ``url`` is a path of ours with its query."""

    name: str
    url: str


class ViewStore(Protocol):
    """Keeps the views, for all who look at the same insights. Every method blocks, and raises `StoreError`."""

    def read(self) -> list[SavedView]:
        """Return all views, by name."""
        ...

    def add(self, name: str, url: str) -> bool:
        """Save a view, in place of one of the same name; return False if it is none, or there are too many."""
        ...

    def remove(self, name: str) -> None:
        """Remove the view called ``name``."""


class SavedViews:
    """The views of the database at ``database``, shared by all who look at it."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}.views")
        self._lock = threading.Lock()

    def read(self) -> list[SavedView]:
        """Return all views, by name. A file that is damaged has none."""
        try:
            content = json.loads(files.read_ours(self._path, "saved views"))
            return sorted(SavedView(str(each["name"]), str(each["url"])) for each in content if is_ours(each["url"]))
        except (OSError, ValueError, TypeError, KeyError):
            return []

    def add(self, name: str, url: str) -> bool:
        """Save a view, in place of one of the same name; return False if it is none, or there are too many."""
        view = checked(name, url)
        with self._lock:
            others = [each for each in self.read() if view and each.name != view.name]
            if view is None or len(others) >= MAX_VIEWS:
                return False
            self._write([*others, view])
        return True

    def remove(self, name: str) -> None:
        """Remove the view called ``name``."""
        with self._lock:
            self._write([view for view in self.read() if view.name != name])

    def _write(self, views: Sequence[SavedView]) -> None:
        try:
            files.replace(self._path, json.dumps([view._asdict() for view in sorted(views)], indent=1).encode())
        except OSError as error:
            raise StoreError(f"saved views {self._path}: {error.strerror}") from error


def checked(name: str, url: str) -> SavedView | None:
    """Return the view to save; None if it is none of ours, or too long."""
    name = " ".join(name.split())[:MAX_NAME]
    return SavedView(name, url) if name and is_ours(url) and len(url) <= MAX_URL else None


def is_ours(url: object) -> bool:
    """Whether ``url`` is a page of ours, so that a saved view cannot lead elsewhere."""
    return isinstance(url, str) and (url == "/ui/" or url.startswith(("/ui/?", "/ui/"))) and "\\" not in url
