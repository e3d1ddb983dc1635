"""The engine over the index in this process.

``engine`` dispatches to ``pages`` (lists), ``tables`` (measures, facets), ``texts`` (questions, messages, words) and
``conversations``; all of them select events by ``selection``: columns and the matches of the text index.
"""

from __future__ import annotations

from ainsights.server.embedded.engine import EmbeddedEngine

__all__ = ["EmbeddedEngine"]
