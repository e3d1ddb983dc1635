"""Text with the words that were searched for marked, and cut to what is around the first of them. Pure."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MARKS = 50
BEFORE = 30
"""A first hit that is further on moves the start of an excerpt."""


_CONTROLS = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n\r"} | {127: 0x2421}
"""Control characters, and the pictures of them that stand in their place."""


def visible(text: str) -> str:
    """Return ``text`` with pictures of its control characters in their place."""
    return text.translate(_CONTROLS)


def excerpt(text: str, words: Sequence[str], length: int = 160) -> Markup:
    """Return ``length`` characters of the text on one line, from the first hit, with hits marked."""
    text = visible(" ".join(text[: 100 * length].split()))
    folded = fold(text)
    first = min((at for word in words if word and (at := folded.find(fold(word))) >= 0), default=0)
    start = first - BEFORE // 2 if first > BEFORE else 0
    shown = text[start : start + length]
    before, after = "…" if start else "", "…" if len(text) > start + length else ""
    return Markup("{}{}{}").format(before, mark(shown, words), after)


def mark(text: str, words: Sequence[str]) -> Markup:
    """Return the whole text with hits marked."""
    text = visible(text)
    folded, at, parts = fold(text), 0, list[Markup]()
    wanted = [fold(word) for word in words if word]
    while wanted and len(parts) < 2 * MAX_MARKS:
        found = [(hit, len(word)) for word in wanted if (hit := folded.find(word, at)) >= 0]
        if not found:
            break
        hit, length = min(found, key=lambda each: (each[0], -each[1]))
        parts += [escape(text[at:hit]), Markup("<mark>{}</mark>").format(text[hit : hit + length])]
        at = hit + length
    return Markup("").join([*parts, escape(text[at:])])


def fold(text: str) -> str:
    """Return ``text`` without case and accents, character by character: positions stay the same."""
    return text.lower() if text.isascii() else "".join(map(_fold, text))


@lru_cache(10_000)
def _fold(character: str) -> str:
    base = unicodedata.normalize("NFKD", character)[:1] or character
    return base.casefold()[:1] or base
