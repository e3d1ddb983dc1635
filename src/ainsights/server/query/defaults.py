"""What every engine takes where a query leaves it open."""

from __future__ import annotations

from ainsights.server.query.model import Order

NEWEST_FIRST = Order("time", descending=True)

PAGE = 50
"""Events or conversations of one page."""

ROWS = 1000
"""Rows of a table."""

TEXTS = 20
"""Questions, messages or URLs."""

WORDS = 100

FACETS = ("model", "api", "status", "error", "finish", "user", "host", "release", "template", "stream", "tool", "tag")
"""The fields whose values are counted if none is named."""

TEXT_LENGTH = 1000
"""Characters of a text in an answer."""

SAMPLE = 1000
"""Events whose words are counted."""

CONVERSATION_EVENTS = 1000
"""Events of one conversation that are shown."""

_LONGEST = (("minute", 3 * 3600), ("hour", 4 * 86_400), ("day", 120 * 86_400))
"""The finest bucket that ``auto`` takes, by the seconds of the time range."""


def auto_bucket(seconds: float) -> str:
    """Return the time bucket that ``auto`` means for a time range of this length."""
    return next((name for name, longest in _LONGEST if seconds <= longest), "week")
