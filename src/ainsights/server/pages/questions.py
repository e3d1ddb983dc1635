"""Questions: what is asked and mentioned most often, each with the way to its insights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ainsights.server.pages import panels
from ainsights.server.query import Condition, QueryError, Text

if TYPE_CHECKING:
    from starlette.responses import Response

    from ainsights.server.pages.links import Links
    from ainsights.server.pages.site import Visit
    from ainsights.server.query.engine import RepeatedText

TABS = {"questions": "Questions", "messages": "Recurring messages", "words": "Words", "urls": "URLs"}
TEXTS = 50
WORDS = 150
LONGEST = 300
"""Characters of a text that are searched for."""


def show(visit: Visit) -> Response:
    """Return the tab that is open."""
    tab = visit.own.get("tab", "")
    tab = tab if tab in TABS else "questions"
    query = replace(visit.query, measures=(), groups=(), order=None, limit=WORDS if tab == "words" else TEXTS)
    found: Any = getattr(visit.engine, tab)(query)
    texts: list[RepeatedText] = [] if tab == "words" else found
    return visit.page(
        "questions.html",
        tab=tab,
        tabs=[(name, title, visit.links.with_own(tab=name)) for name, title in TABS.items()],
        words=[(word, with_text(visit.links, word.word)) for word in found.words] if tab == "words" else [],
        sampled=(found.sampled, found.total) if tab == "words" else (0, 0),
        texts=[(text, _link(visit.links, tab, text)) for text in texts],
        most=max((text.events for text in texts), default=1),
        is_empty=panels.is_empty(visit.engine),
    )


def with_text(links: Links, text: str) -> str:
    """Return the list of the events that contain ``text``; of all, if it has no word."""
    wanted = links.query.filter
    if len(text) > LONGEST:
        text = text[:LONGEST].rpartition(" ")[0] or text[:LONGEST]
    try:
        return panels.compared(links, replace(wanted, texts=(*wanted.texts, Text(text)))).events()
    except QueryError:
        return links.events()


def _link(links: Links, tab: str, text: RepeatedText) -> str:
    if tab == "urls":
        return links.events(Condition("url", ":", (text.text,)))
    if text.role == "user":
        return with_text(links, text.text)
    return links.insight(text.last_id)
