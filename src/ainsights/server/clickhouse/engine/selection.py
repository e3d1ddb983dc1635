"""Which events pass a filter: a condition on the columns, and one on the words of question and answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ainsights.server.events.words import folded
from ainsights.server.query.dialects import clickhouse as dialect
from ainsights.server.query.dialects.sql import SQL, concat, join

if TYPE_CHECKING:
    from ainsights.server.query.model import Filter, Text


def matching(wanted: Filter) -> SQL:
    """Return the condition that the events of a resolved filter meet."""
    texts = [_text(text) for text in wanted.texts]
    if not texts:
        return dialect.where(wanted)
    if not wanted.conditions and wanted.since is None and wanted.until is None:
        return join(" AND ", texts)
    return join(" AND ", [dialect.where(wanted), *texts])


def _text(text: Text) -> SQL:
    words = folded(text.text)
    found = concat("(", _in("question", words), " OR ", _in("answer", words), ")") if words else SQL("false")
    return concat("NOT ", found) if text.negated else found


def _in(column: str, words: str) -> SQL:
    """Return the condition that the words follow each other: the text index finds all of them, the text their order."""
    tokens = sorted(set(words.split()))
    found = SQL(f"hasAllTokens({column}, {{:Array(String)}})", (tokens,))
    if " " not in words:
        return found
    return concat("(", found, SQL(f" AND position({column}, {{:String}}) > 0)", (f" {words} ",)))
