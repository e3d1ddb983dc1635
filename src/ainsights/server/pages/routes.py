"""Which function answers which page. Pages of items have a path that ends in ``/``; the item follows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.pages import (
    conversations,
    cost,
    data,
    downloads,
    erasure,
    errors,
    explore,
    insight,
    live,
    login,
    performance,
    questions,
    templates_page,
    users,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.responses import Response

    from ainsights.server.pages.site import Visit

    Handler = Callable[[Visit], Response]

PAGES: Mapping[str, Handler] = {
    "/ui/": live.show,
    "/ui/insights/": insight.show,
    "/ui/explore": explore.show,
    "/ui/conversations": conversations.show,
    "/ui/conversations/": conversations.show_one,
    "/ui/users": users.show,
    "/ui/users/": users.show_one,
    "/ui/questions": questions.show,
    "/ui/templates": templates_page.show,
    "/ui/templates/": templates_page.show_one,
    "/ui/performance": performance.show,
    "/ui/errors": errors.show,
    "/ui/cost": cost.show,
    "/ui/data": data.show,
    "/ui/erase": erasure.ask,
    "/ui/export": downloads.events,
    "/ui/download": downloads.table,
}

ACTIONS: Mapping[str, Handler] = {
    "/ui/erase": erasure.erase,
    "/ui/views": live.save_view,
    "/ui/unsave": live.remove_view,
    "/ui/logout": login.sign_out,
}

LONG = frozenset((data.show, erasure.erase))
"""What may take long: it has threads of its own, so that other pages do not wait for it."""

SECTIONS: Mapping[str, str] = {
    "/ui/insights/": "/ui/",
    "/ui/conversations/": "/ui/conversations",
    "/ui/users/": "/ui/users",
    "/ui/templates/": "/ui/templates",
    "/ui/erase": "/ui/users",
}
"""The entry of the navigation that a page belongs to, where it is not its own."""


def find_handler(path: str, actions: Mapping[str, Handler] | None = None) -> Handler | None:
    """Return what answers ``path``; for a form, one of the ``actions``."""
    return (PAGES if actions is None else actions).get(path)
