"""Links between the pages: each holds the whole query in its URL, so that a filter survives every click. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from ainsights.server.query.model import Condition, Filter, Order, Query
from ainsights.server.query.printer import print_condition, to_params
from ainsights.server.query.values import print_when

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ainsights.server.query.model import Text, Value, When

LIVE = "/ui/"


class Links:
    """The links of one page.

    Args:
        path: of the page.
        query: what the page shows.
        kept: parameters of the page's own that its links keep, such as the columns of a list.
    """

    def __init__(self, path: str, query: Query, kept: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.query = query
        self.kept = dict(kept or {})

    def to(self, path: str, **extra: str) -> str:
        """Return the URL of another page with the same filter."""
        return url(path, Query(filter=self.query.filter), **extra)

    def here(self, wanted: Filter) -> str:
        """Return the URL of this page with another filter."""
        return url(self.path, replace(self.query, filter=wanted), **self.kept)

    def with_own(self, **changes: str) -> str:
        """Return the URL of this page with other parameters of its own; an empty one goes."""
        own = {name: value for name, value in (self.kept | changes).items() if value}
        return url(self.path, self.query, **own)

    def ordered(self, name: str) -> str:
        """Return the URL of this page ordered by ``name``, the other way round if it is so already."""
        order = self.query.order
        wanted = order.reversed if order and order.name == name else Order(name)
        return url(self.path, replace(self.query, order=wanted), **self.kept)

    def only(self, field: str, value: Value | None) -> str:
        """Return this page with ``field`` equal to ``value``, in place of what it was held to before."""
        return self.here(held_to(self.query.filter, field, value))

    def exclude(self, field: str, value: Value | None) -> str:
        """Return this page without the events whose ``field`` equals ``value``."""
        return self.here(self.query.filter.with_condition(replace(equal(field, value), negated=value is not None)))

    def events(self, *conditions: Condition, since: When | None = None, until: When | None = None) -> str:
        """Return the list of the events that meet further conditions, within another time range if one is given."""
        wanted = self.query.filter.with_condition(*conditions)
        if since or until:
            wanted = replace(wanted, since=since, until=until)
        return url(LIVE, Query(filter=wanted))

    def events_with(self, field: str, value: Value | None) -> str:
        """Return the list of the events whose ``field`` equals ``value``."""
        return url(LIVE, Query(filter=held_to(self.query.filter, field, value)))

    def without(self, part: Condition | Text) -> str:
        """Return this page without one part of the filter."""
        wanted = self.query.filter
        return self.here(
            replace(
                wanted,
                conditions=tuple(each for each in wanted.conditions if each is not part),
                texts=tuple(each for each in wanted.texts if each is not part),
            )
        )

    def between(self, since: When | None, until: When | None) -> str:
        """Return this page for another time range."""
        return self.here(replace(self.query.filter, since=since, until=until))

    def item(self, path: str, name: str) -> str:
        """Return the page of one thing, such as a user, below ``path``."""
        return self.to(path + quote(name, safe=""))

    def insight(self, event_id: str) -> str:
        """Return the page of one insight, which knows its neighbours within the filter and the order."""
        path = f"/ui/insights/{quote(event_id, safe='')}"
        order = self.query.order if not self.query.measures else None
        return url(path, Query(filter=self.query.filter, order=order), **self.kept)

    @property
    def chips(self) -> list[tuple[str, str, str]]:
        """Each part of the filter as text, the link that takes it away, and the link that negates it."""
        wanted = self.query.filter
        parts: Sequence[Condition | Text] = (*wanted.conditions, *wanted.texts)
        chips = [(_shown(part), self.without(part), self._negated(part)) for part in parts]
        if isinstance(wanted.since, datetime) or wanted.until:
            chips.append((_range(wanted), self.between(None, None), ""))
        return chips

    def _negated(self, part: Condition | Text) -> str:
        wanted = self.query.filter
        conditions = (replace(each, negated=not each.negated) if each is part else each for each in wanted.conditions)
        texts = (replace(each, negated=not each.negated) if each is part else each for each in wanted.texts)
        return self.here(replace(wanted, conditions=tuple(conditions), texts=tuple(texts)))


def equal(field: str, value: Value | None) -> Condition:
    """Return the condition that ``field`` equals ``value``; None: that it is unknown."""
    return Condition(field, "has", negated=True) if value is None else Condition(field, ":", (value,))


def held_to(wanted: Filter, field: str, value: Value | None) -> Filter:
    """Return the filter with ``field`` equal to ``value``, in place of what it was held to before."""
    others = tuple(each for each in wanted.conditions if each.field != field or each.negated)
    return replace(wanted, conditions=(*others, equal(field, value)))


def url(path: str, query: Query, **extra: str) -> str:
    """Return ``path`` with ``query`` and further parameters."""
    params = urlencode([*to_params(query), *extra.items()])
    return f"{path}?{params}" if params else path


def _shown(part: Condition | Text) -> str:
    if isinstance(part, Condition):
        return print_condition(part)
    return f"{'-' if part.negated else ''}“{part.text}”"


def _range(wanted: Filter) -> str:
    since, until = (print_when(when) if when else "" for when in (wanted.since, wanted.until))
    if since and until:
        return f"{since} to {until}"
    return f"since {since}" if since else f"until {until}"
