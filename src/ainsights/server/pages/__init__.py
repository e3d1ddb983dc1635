"""The Insight Explorer: pages rendered on the server over the query engine. Captured text is hostile here.

``app`` (host, origin, session) → ``routes`` → a module for each page, which asks the engine and the store → ``view``
and ``templates`` (HTML, escaped), with ``charts`` (SVG) and ``links`` (the query in every URL).
"""

from __future__ import annotations

from ainsights.server.pages.app import Explorer
from ainsights.server.pages.site import Site

__all__ = ["Explorer", "Site"]
