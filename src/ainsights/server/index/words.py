"""Text as the full-text index takes it. Pure.

FTS5's tokenizer parts words at spaces, which Chinese, Japanese and Thai don't write. There each character becomes a
word of its own, and a search a phrase of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNSPACED = re.compile(
    "([\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "\uac00-\ud7a3])"  # Korean has spaces, but words with endings, which a search for the stem must find
)


def spaced(text: str) -> str:
    """Return ``text`` with a space around each character of the scripts that write none."""
    if text.isascii() or not _UNSPACED.search(text):
        return text
    return _UNSPACED.sub(r" \1 ", text)


def phrase(text: str) -> str:
    """Return ``text`` as a phrase of FTS5's query language."""
    return '"' + spaced(text).replace("\0", " ").replace('"', '""') + '"'


def match_expression(texts: Iterable[str]) -> str:
    """Return the FTS5 query that finds what contains all of ``texts``."""
    return " AND ".join(phrase(text) for text in texts)


def match_any(texts: Iterable[str]) -> str:
    """Return the FTS5 query that finds what contains any of ``texts``."""
    return " OR ".join(phrase(text) for text in texts)
