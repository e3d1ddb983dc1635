"""The built-in pattern ``api_key``: what keys, tokens and other credentials look like. Pure.

Each is found by a head of bounded length; where its end is, is found for each match alone.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ainsights._privacy.slices import contains, end_of_run, lower, search

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST_HEAD = 160
"""Characters that a head, and what it looks ahead at, has at the most."""


class _Form(NamedTuple):
    """What a kind of key looks like."""

    hint: str
    """Without it in a text, there is no such key."""
    head: re.Pattern[str]
    end: Callable[[str, int], int | None]
    """Returns from the end of the head where the key ends; None if it is not a key."""


def _run(characters: str) -> Callable[[str, int], int | None]:
    return partial(end_of_run, re.compile(f"[{characters}]*", re.ASCII))


_SEGMENT = re.compile(r"[\w-]*", re.ASCII)
_MOST_SEGMENTS = 4


def _end_of_web_token(text: str, start: int) -> int | None:
    end, segments = end_of_run(_SEGMENT, text, start), 0
    while segments < _MOST_SEGMENTS and text.startswith(".", end):
        begin = end + 1 + text.startswith(".", end + 1)
        following = end_of_run(_SEGMENT, text, begin)
        if following == begin:
            break
        end, segments = following, segments + 1
    return end if segments else None


_END_OF_PEM = re.compile(r"-----END[A-Z ]{0,40}PRIVATE KEY-----")


def _end_of_pem(text: str, start: int) -> int:
    found = search(_END_OF_PEM, text, start, _LONGEST_HEAD)
    return len(text) if found is None else found.end()


_FORMS = [
    _Form(hint, re.compile(head, re.ASCII), end if callable(end) else _run(str(end)))
    for hint, head, end in [
        (
            "sk-",
            r"sk-(?:(?<![A-Za-z0-9]sk-)(?=[A-Za-z_-]{0,99}[0-9*])[\w*-]{8}|(?:[a-z0-9]{1,10}-){0,3}\w{20})",
            r"\w*-",
        ),
        ("_live_", r"[rs]k_live_\w{8}", r"\w"),
        ("_test_", r"[rs]k_test_\w{8}", r"\w"),
        ("AKIA", r"AKIA[0-9A-Z]{16}", "0-9A-Z"),
        ("ASIA", r"ASIA[0-9A-Z]{16}", "0-9A-Z"),
        ("AIza", r"AIza[\w-]{30}", r"\w-"),
        ("ya29.", r"ya29\.[\w.-]{16}", r"\w.-"),
        ("github_pat_", r"github_pat_\w{16}", r"\w"),
        ("gh", r"gh[pousr]_\w{16}", r"\w"),
        ("glpat-", r"glpat-[\w-]{16}", r"\w-"),
        ("xox", r"xox[a-z]-[\w-]{8}", r"\w-"),
        ("xapp-", r"xapp-[\w-]{8}", r"\w-"),
        ("hf_", r"hf_(?<![A-Za-z0-9]hf_)\w{16}", r"\w"),
        ("gsk_", r"gsk_(?<![A-Za-z0-9]gsk_)\w{16}", r"\w"),
        ("npm_", r"npm_(?<![A-Za-z0-9]npm_)\w{16}", r"\w"),
        ("pypi-", r"pypi-[\w-]{16}", r"\w-"),
        ("SG.", r"SG\.[\w-]{16,64}\.[\w-]{16}", r"\w-"),
        ("eyJ", r"eyJ(?<![\w-]eyJ)[\w-]{8}", _end_of_web_token),
        ("PRIVATE KEY", r"-----BEGIN[A-Z ]{0,40}PRIVATE KEY-----", _end_of_pem),
    ]
]

_EQUALS = r"""["'\\]{0,4}\s{0,3}(?:[:=]|=>|is)\s{0,3}["'\\]{0,4}"""
_OF_VALUE = r"""[^\s"'\\,;<>(){}\[\]]"""
_KINDS = (
    "(?:" + "|".join(rf"(?<={kind}key)|(?<={kind}[ _-]key)" for kind in ("api", "access", "secret", "private")) + ")"
)
_TOKENS = "(?:" + "|".join(rf"(?<={kind}[ _-]token)" for kind in ("api", "auth", "access", "refresh", "bearer")) + ")"
_NAMED = [
    (hint, re.compile(rf"{pattern}(?P<value>{_OF_VALUE}{{4}})", re.ASCII))
    for hint, pattern in [
        ("key", rf"key{_KINDS}(?P<sure>\ provided)?{_EQUALS}"),
        ("token", rf"token{_TOKENS}{_EQUALS}"),
        ("secret", rf"secret(?<=client[ _-]secret){_EQUALS}"),
        ("authorization", rf"authorization{_EQUALS}(?:(?:basic|bearer|token)\s{{1,3}})?"),
        ("bearer", r"bearer\s{1,3}"),
    ]
]
"""Names after which a value is a key, if it looks like one; in small letters."""
_VALUE = re.compile(f"{_OF_VALUE}*", re.ASCII)
_SHORTEST_NAMED = 8
_NOT_OF_A_WORD = re.compile(r"\d|[^\w.:-]")


def api_key(text: str) -> str:
    """Return ``text`` without keys, tokens and other credentials."""
    for form in _FORMS:
        if contains(text, form.hint):
            text = _without(text, form)
    small = lower(text)
    for hint, pattern in _NAMED:
        if contains(small, hint):
            redacted = _without_named(text, small, pattern)
            if redacted is not text:
                text, small = redacted, lower(redacted)
    return text


def _without(text: str, form: _Form) -> str:
    kept, done, at = [], 0, 0
    while (found := search(form.head, text, at, _LONGEST_HEAD)) is not None:
        end = form.end(text, found.end())
        if end is None:
            at = found.start() + 1
        else:
            kept += [text[done : found.start()], "[api_key]"]
            done = at = end
    return "".join([*kept, text[done:]]) if kept else text


def _without_named(text: str, small: str, pattern: re.Pattern[str]) -> str:
    kept, done, at = [], 0, 0
    while (found := search(pattern, small, at, _LONGEST_HEAD)) is not None:
        begin, at = found.start("value"), end_of_run(_VALUE, small, found.end())
        if found.groupdict().get("sure") or _looks_like_a_key(small[begin:at]):
            kept += [text[done:begin], "[api_key]"]
            done = at
    return "".join([*kept, text[done:]]) if kept else text


def _looks_like_a_key(value: str) -> bool:
    return len(value) >= _SHORTEST_NAMED and search(_NOT_OF_A_WORD, value, 0, 1) is not None
