"""Queries of FTS5, whose tokenizer parts words at spaces and punctuation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.events.words import spaced

if TYPE_CHECKING:
    from collections.abc import Iterable


def phrase(text: str) -> str:
    """Return ``text`` as a phrase of FTS5's query language."""
    return '"' + spaced(text).replace("\0", " ").replace('"', '""') + '"'


def match_expression(texts: Iterable[str]) -> str:
    """Return the FTS5 query that finds what contains all of ``texts``."""
    return " AND ".join(phrase(text) for text in texts)


def match_any(texts: Iterable[str]) -> str:
    """Return the FTS5 query that finds what contains any of ``texts``."""
    return " OR ".join(phrase(text) for text in texts)
