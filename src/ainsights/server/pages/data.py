"""Data: how much is stored, how far the index is, what limits, keys, the access log, erasures, and the audit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from ainsights._version import __version__
from ainsights.server.pages import charts, panels
from ainsights.server.pages.links import Links
from ainsights.server.query import Filter, Query

if TYPE_CHECKING:
    from starlette.responses import Response

    from ainsights.server.pages.site import Visit
    from ainsights.server.store import Access

LINES = 50
LOOKED_AT = 2000
"""Lines of the access log among which erasures are looked for."""


class Erasure(NamedTuple):
    """One line of the access log that an erasure left."""

    at: float
    by: str
    events: int
    reason: str


def show(visit: Visit) -> Response:
    """Return the page; with ``verify``, check the hash chain first."""
    store, engine = visit.site.store, visit.engine
    stored = store.status()
    everything = Links("/ui/data", Query())
    accesses = [line for _, line in store.accesses(limit=LOOKED_AT)] if visit.is_admin else []
    return visit.page(
        "data.html",
        status=engine.status(),
        events=engine.count(Filter()),
        stored=stored,
        database=store.name,
        limits=visit.site.limits,
        keys=visit.site.authorization.keys() if visit.is_admin else [],
        accesses=[line for line in accesses if line.action != "erase"][:LINES],
        erasures=[_erasure(line) for line in accesses if line.action == "erase"][:LINES],
        growth=charts.columns(panels.wide(panels.over_time("Bytes received", everything, engine, ["size"]))),
        verification=store.verify() if visit.own.get("verify") else None,
        version=__version__,
        is_admin=visit.is_admin,
        is_empty=panels.is_empty(engine),
    )


def _erasure(line: Access) -> Erasure:
    try:
        detail = json.loads(line.detail)
        return Erasure(line.at, line.key_name, len(detail["seqs"]), str(detail["reason"]))
    except (ValueError, KeyError, TypeError):
        return Erasure(line.at, line.key_name, 0, line.detail)
