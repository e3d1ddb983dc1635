"""What every page needs: the services that answer it, and one visit of a browser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import HTMLResponse, RedirectResponse, Response

from ainsights.server.pages.view import render
from ainsights.server.query import Query, to_params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ainsights.server.keys import Authorization
    from ainsights.server.pages.links import Links
    from ainsights.server.pages.saved_views import ViewStore
    from ainsights.server.pages.sessions import Session, Sessions
    from ainsights.server.query.engine import Engine
    from ainsights.server.store import Limits, Store

OWN = frozenset(
    (
        "after", "chart", "columns", "compare", "erased", "format", "name", "open",
        "percent", "sort", "tab", "token", "url", "verify",
    )
)  # fmt: skip
"""Parameters that are a page's own, and no part of the query."""

KEPT = ("columns", "chart", "compare", "percent", "sort", "tab")
"""Those that the links of a page to itself keep."""

SEE_OTHER = 303


class Site(NamedTuple):
    """The services that answer the pages.

    Attributes:
        is_sample: whether what is stored is a generated sample; every page then shows a note.
    """

    store: Store
    engine: Engine
    authorization: Authorization
    sessions: Sessions
    saved_views: ViewStore
    limits: Limits
    is_sample: bool = False


@dataclass(frozen=True)
class Visit:
    """One request for a page.

    Attributes:
        path: of the page.
        item: what follows the path of a page of items: the id of an insight, the name of a user.
        query: as the URL has it.
        own: parameters of the page's own.
        form: what a form sent; empty unless the method is POST.
        links: the links of the page, which keep the query.
        section: the entry of the navigation that the page belongs to.
        origin: of the endpoint, as the browser knows it.
    """

    site: Site
    session: Session
    path: str
    item: str
    query: Query
    own: Mapping[str, str]
    links: Links
    section: str
    origin: str
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> Engine:
        """What answers queries."""
        return self.site.engine

    @property
    def is_admin(self) -> bool:
        """Whether the visitor may erase."""
        return self.session.role == "admin"

    def page(self, template: str, http_status: int = 200, /, **context: Any) -> HTMLResponse:
        """Return the page that ``template`` makes of ``context``."""
        return HTMLResponse(render(template, **shell(self), **context), http_status)

    def redirect(self, url: str) -> Response:
        """Return an answer that leads to ``url``."""
        return RedirectResponse(url, SEE_OTHER)


def shell(visit: Visit, filter_text: str | None = None, problem: str | None = None) -> dict[str, Any]:
    """Return what the frame of every page shows.

    Args:
        visit: who looks at what.
        filter_text: what stands in the search field; None: the filter of the query.
        problem: what is wrong with it.
    """
    params = dict(to_params(visit.query))
    kept = {name: params[name] for name in ("show", "by", "order", "limit") if name in params}
    return {
        "visit": visit,
        "links": visit.links,
        "filter_text": params.get("q", "") if filter_text is None else filter_text,
        "since": params.get("since", ""),
        "until": params.get("until", ""),
        "kept_params": [*kept.items(), *visit.links.kept.items()],
        "problem": problem,
        "session": visit.session,
        "section": visit.section,
        "is_sample": visit.site.is_sample,
    }
