"""Erasing what a filter selects: a page that shows what will be removed, and the removal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.api.erasure import await_index
from ainsights.server.pages import panels
from ainsights.server.pages.live import lines
from ainsights.server.problems import Problem
from ainsights.server.query import Query, print_filter

if TYPE_CHECKING:
    from starlette.responses import Response

    from ainsights.server.pages.site import Visit
    from ainsights.server.query import Filter

AT_ONCE = 1000
EXAMPLES = 5
MEASURED = ("events", "users", "conversations", "tokens", "cost")


def ask(visit: Visit) -> Response:
    """Return the page that shows what will be removed."""
    wanted = _wanted(visit)
    rows = visit.engine.events(Query(wanted, limit=EXAMPLES)).rows
    return visit.page(
        "erase.html",
        wanted=print_filter(wanted),
        totals=panels.totals(visit.engine, wanted, MEASURED),
        lines=lines(visit, rows),
        unit_of=panels.unit_of,
    )


def erase(visit: Visit) -> Response:
    """Erase, and lead back."""
    wanted = _wanted(visit)
    if visit.form.get("confirm") != "yes":
        raise Problem(422, "Nothing was erased: tick the box to confirm it.")
    reason = visit.form.get("reason", "").strip()[:500] or f"erased in the Explorer: {print_filter(wanted)}"
    await_index(visit.site.store, visit.engine)
    erased, after = 0, 0
    while seqs := visit.engine.seqs(wanted, after, AT_ONCE):
        erased += visit.site.store.erase(seqs, by=visit.session.key, reason=reason)
        after = max(seqs)
    return visit.redirect(f"/ui/users?erased={erased}")


def _wanted(visit: Visit) -> Filter:
    if not visit.is_admin:
        raise Problem(403, "Erasing needs a key with the role admin.")
    wanted = visit.query.filter
    if not (wanted.conditions or wanted.texts):
        raise Problem(422, "Choose what to erase: a user, an insight, or any filter.")
    return wanted
