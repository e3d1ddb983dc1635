"""The responses before and after one, where they continue one another by their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights._model import MetaKey
from ainsights.server.events.reading import as_dict, as_text, parse_body
from ainsights.server.query import Condition, Filter, Query
from ainsights.server.query.engine import IndexUnavailableError

if TYPE_CHECKING:
    from ainsights.server.events import Event
    from ainsights.server.pages.site import Visit
    from ainsights.server.query.engine import EventRow

_LOOKED_THROUGH = 20
"""Insights before this one among which the one that it continues is looked for; it is nearly always the last."""


class Chain(NamedTuple):
    """What is known of a response's place.

    Attributes:
        previous: the id of the response that it continues; empty if it continues none.
        insight: the id of the insight that holds that response; None if it is not found.
        following: a link to the insights that continue it; empty if none can.
    """

    previous: str
    insight: str | None
    following: str


def chain(visit: Visit, insight: dict[str, Any], event: Event) -> Chain:
    """Return what is known of the place of the response in ``insight``, of which ``event`` was read."""
    meta, args = as_dict(insight.get("meta")), as_dict(insight.get("args"))
    previous = as_text(meta.get(MetaKey.PREVIOUS_RESPONSE_ID)) or as_text(args.get("previous_response_id")) or ""
    own = as_text(as_dict(insight.get("response")).get("id")) if event.reply is not None else None
    following = visit.links.events_with(f"meta.{MetaKey.PREVIOUS_RESPONSE_ID}", own) if own else ""
    return Chain(previous, _insight_of(visit, event, previous) if previous else None, following)


def _insight_of(visit: Visit, event: Event, previous: str) -> str | None:
    try:
        rows = _before(visit, event)
    except IndexUnavailableError:  # the insight itself can be shown
        return None
    ids = {row.seq: row.id for row in rows}
    for stored in visit.site.store.bodies(list(ids)):
        response = as_dict(parse_body(stored.body).get("response"))
        if response.get("id") == previous:
            return ids[stored.seq]
    return None


def _before(visit: Visit, event: Event) -> list[EventRow]:
    """Return the insights of the conversation that precede this one, as far as they are looked through."""
    own = Query(Filter((Condition("id", ":", (event.id,)),)), limit=1)
    rows = visit.engine.events(own).rows
    if not rows or not rows[0].conversation:
        return []
    found = visit.engine.conversation(rows[0].conversation)
    places = [place for place, row in enumerate(found) if row.seq == event.seq]
    return found[max(places[0] - _LOOKED_THROUGH, 0) : places[0]] if places else []
