"""The texts of stored bodies, for lists of what is asked and answered most often. Pure."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from ainsights.server.events.messages import hash_message, message_list, render, text_of
from ainsights.server.events.reading import as_dict, parse_body
from ainsights.server.events.words import spaced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ainsights.server.events.event import Event

_SHORTEST = 4
_WORD = re.compile(r"\w+")


def message_with_hash(body: bytes, key: object) -> tuple[str, str]:
    """Return the text and the role of the message whose :func:`hash_message` is ``key``; empty if there is none."""
    insight = parse_body(body)
    inputs = as_dict(insight.get("inputs"))
    for message in message_list(insight.get("messages")) or render(insight.get("template"), inputs):
        if hash_message(message) == key:
            return text_of(message.get("content")), str(message.get("role") or "")
    return "", ""


def count_words(events: Iterable[Event]) -> list[tuple[str, int]]:
    """Return the words of last user messages and answers, and in how many events each occurs, the most frequent first.

    Words have four letters or more; in scripts without spaces, pairs of characters count.
    """
    counted: Counter[str] = Counter()
    for event in events:
        counted.update(_words_of(event.question) | _words_of(event.answer))
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def _words_of(text: str) -> set[str]:
    found: set[str] = set()
    for word in _WORD.findall(text.casefold()):
        if spaced(word) == word:
            found.update([word] if len(word) >= _SHORTEST and not word.isdigit() else [])
        else:
            found.update(word[at : at + 2] for at in range(len(word) - 1))
    return found
