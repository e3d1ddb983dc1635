"""Searching large texts a slice at a time. Pure.

A search in C holds the interpreter lock until it ends, and stops all other threads of the process. In slices each
search ends soon, whatever the text, and matches are the same as those of one search over the whole text.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

SLICE = 4096
"""Characters of a text in which one search may begin a match: about a millisecond where matches fail most slowly."""
_BLOCK = 65536
"""Characters for what takes about a nanosecond for each: runs of one class, small letters."""


def search(pattern: re.Pattern[str], text: str, start: int, longest: int) -> re.Match[str] | None:
    """Return ``pattern.search(text, start)``.

    Args:
        pattern: what is searched.
        text: where.
        start: the first position at which a match may begin.
        longest: the characters of the longest match, including those that it looks ahead at.
    """
    while True:
        following = start + SLICE
        found = pattern.search(text, start, following + longest)
        if following + longest >= len(text) or (found is not None and found.start() < following):
            return found
        start = following


def end_of_run(run: re.Pattern[str], text: str, start: int) -> int:
    """Return where ``run``, a character class with ``*``, ends that begins at ``start``."""
    while True:
        found = run.match(text, start, start + _BLOCK)
        end = found.end() if found is not None else start
        if end - start < _BLOCK:
            return end
        start = end


def contains(text: str, part: str) -> bool:
    """Return whether ``part`` is in ``text``."""
    wide = 16 * _BLOCK
    return any(text.find(part, start, start + wide + len(part)) >= 0 for start in range(0, len(text), wide))


def lower(text: str) -> str:
    """Return ``text`` in small letters, each in its place: a few letters would become two."""
    if len(text) <= _BLOCK:
        return _lower(text)
    return "".join(_lower(text[start : start + _BLOCK]) for start in range(0, len(text), _BLOCK))


def _lower(text: str) -> str:
    small = text.lower()
    return small if len(small) == len(text) else "".join(each.lower() if each.isascii() else each for each in text)


def substitute(
    pattern: re.Pattern[str], replacement: str | Callable[[re.Match[str]], str], text: str, longest: int
) -> str:
    """Return ``pattern.sub(replacement, text)``; ``replacement`` is taken literally."""
    if len(text) <= SLICE:
        return pattern.sub(replacement, text)
    kept, done = [], 0
    step = partial(search, pattern, text, longest=longest)
    while (found := step(done)) is not None:
        kept += [text[done : found.start()], replacement if isinstance(replacement, str) else replacement(found)]
        done = found.end()
    return "".join([*kept, text[done:]]) if kept else text
