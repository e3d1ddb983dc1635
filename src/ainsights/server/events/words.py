"""The words of a text. Pure.

Chinese, Japanese and Thai write no spaces. There each character is a word of its own, and a search a phrase of them.
"""

from __future__ import annotations

import re

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
