"""The words of a text. Pure.

Chinese, Japanese and Thai write no spaces. There each character is a word of its own, and a search a phrase of them.
"""

from __future__ import annotations

import re
import unicodedata

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


class _Folding(dict[int, str]):
    """Maps each character to the one that it is searched by: without case and accents."""

    def __missing__(self, code: int) -> str:
        decomposed = unicodedata.normalize("NFD", chr(code))
        plain = _ACCENTS.sub("", decomposed)
        folded = chr(code) if plain == decomposed else unicodedata.normalize("NFC", plain)
        without_case = folded.casefold()
        self[code] = without_case if len(without_case) <= 1 else folded.lower()
        return self[code]


_ACCENTS = re.compile("[\u0300-\u036f]+")
_FOLDING = _Folding()
_WORD = re.compile(r"[^\W_]+")


def folded(text: str) -> str:
    """Return the words of ``text`` without case and accents, with one space between them: as FTS5 finds them."""
    plain = text.lower() if text.isascii() else spaced(text).translate(_FOLDING)
    return " ".join(_WORD.findall(plain))
