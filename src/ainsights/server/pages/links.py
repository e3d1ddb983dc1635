"""Links between the pages: each holds the whole query in its URL, so that a filter survives every click. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from ainsights.server.query.model import Condition, Filter, Query
from ainsights.server.query.printer import print_condition, to_params

if TYPE_CHECKING:
    from ainsights.server.query.model import Text, Value, When


class Links:
    """The links of one page.

    Args:
        path: of the page.
        query: what the page shows.
    """

    def __init__(self, path: str, query: Query) -> None:
        self.path = path
        self.query = query

    def to(self, path: str, **extra: str) -> str:
        """Return the URL of another page with the same filter."""
        return url(path, Query(filter=self.query.filter), **extra)

    def here(self, wanted: Filter) -> str:
        """Return the URL of this page with another filter."""
        return url(self.path, replace(self.query, filter=wanted))

    def only(self, field: str, value: Value) -> str:
        """Return this page with ``field`` equal to ``value``, in place of what it was held to before."""
        held = tuple(c for c in self.query.filter.conditions if c.field != field or c.negated)
        wanted = replace(self.query.filter, conditions=held)
        return self.here(wanted.with_condition(Condition(field, ":", (value,))))

    def exclude(self, field: str, value: Value) -> str:
        """Return this page without the events whose ``field`` equals ``value``."""
        return self.here(self.query.filter.with_condition(Condition(field, ":", (value,), negated=True)))

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

    def insight(self, event_id: str) -> str:
        """Return the page of one insight, which knows its neighbours within the filter."""
        return self.to(f"/ui/insights/{quote(event_id, safe='')}")

    @property
    def chips(self) -> list[tuple[str, str]]:
        """Each part of the filter as text, with the link that takes it away."""
        conditions = [(print_condition(each), self.without(each)) for each in self.query.filter.conditions]
        texts = [
            (f"{'-' if each.negated else ''}“{each.text}”", self.without(each)) for each in self.query.filter.texts
        ]
        return conditions + texts


def url(path: str, query: Query, **extra: str) -> str:
    """Return ``path`` with ``query`` and further parameters."""
    params = urlencode([*to_params(query), *extra.items()])
    return f"{path}?{params}" if params else path
