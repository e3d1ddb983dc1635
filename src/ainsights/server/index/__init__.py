"""The index over the store: columns (DuckDB) and words (SQLite's FTS5), derived and disposable.

A stored body walks this way: ``index`` (the thread that follows the store) → ``events`` → ``shards`` (words) and
``columns``. ``rebuild`` does it for all at once, with ``build_process``; ``removals`` goes the other way.
"""

from __future__ import annotations

from ainsights.server.index.index import Index, IndexOptions

__all__ = ["Index", "IndexOptions"]
