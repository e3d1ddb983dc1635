"""The engine over ClickHouse.

``engine`` dispatches to ``pages`` (lists), ``tables`` (measures), ``facets``, ``texts`` and
``conversations``; ``selection`` and ``source`` are what they select from.
"""

from __future__ import annotations

from ainsights.server.clickhouse.engine.engine import ClickHouseEngine

__all__ = ["ClickHouseEngine"]
