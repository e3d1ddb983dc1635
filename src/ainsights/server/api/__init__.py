"""The HTTP routes over engine and store.

``parameters`` (URL -> Query) → ``service`` (threads that answer) → ``events``, ``analysis``, ``stream``, ``export``,
``erasure`` and ``administration`` (the routes) → ``answers`` (rows -> JSON).
"""

from __future__ import annotations

from ainsights.server.api.routes import add_routes
from ainsights.server.api.service import Service

__all__ = ["Service", "add_routes"]
