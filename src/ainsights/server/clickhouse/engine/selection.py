"""Which events pass a filter: a condition on the columns, and one on the words of question and answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ainsights.server.clickhouse.rows import number_of
from ainsights.server.events.words import folded
from ainsights.server.query.dialects import clickhouse as dialect
from ainsights.server.query.dialects.sql import SQL, concat, join

if TYPE_CHECKING:
    from ainsights.server.query.model import Condition, Filter, Text

_FOUND = re.compile(r"[0-9a-f]{16}")
"""The name of a conversation that was found by content is its key."""


def matching(wanted: Filter) -> SQL:
    """Return the condition that the events of a resolved filter meet."""
    parts = [_text(text) for text in wanted.texts]
    parts += [_by_key(condition) for condition in wanted.conditions if _names_conversations(condition)]
    if wanted.conditions or wanted.since is not None or wanted.until is not None or not parts:
        parts.insert(0, dialect.where(wanted))
    return join(" AND ", parts)


def _names_conversations(condition: Condition) -> bool:
    return condition.field == "conversation" and condition.operator == ":" and not condition.negated


def _by_key(condition: Condition) -> SQL:
    """Return the same condition on the keys of conversations, which have an index."""
    names = [str(value) for value in condition.values]
    keys = {number_of(name) for name in names} | {int(name, 16) for name in names if _FOUND.fullmatch(name)}
    return SQL("conversation_key IN {:Array(UInt64)}", (sorted(keys),))


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
