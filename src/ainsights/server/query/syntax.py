"""The lexical rules that parser and printer share: quoting, names of meta keys, reserved words."""

from __future__ import annotations

import re

from ainsights.server.query.fields import META_PREFIX

QUOTED = r'"(?:[^"\\]|\\.)*"'
META_KEY = r'[^\s":<>=,*\\]+'
NAME = re.compile(rf"meta\.(?:{QUOTED}|{META_KEY})|[A-Za-z_][A-Za-z0-9_]*", re.DOTALL)
"""The name of a field."""

BARE_VALUE = re.compile(r'[^\s",*\\]+')
BARE_WORD = re.compile(r"\w+")
RESERVED = ("AND", "OR", "NOT")
"""Words of other query languages: an error with what to write instead, unless quoted."""


def quote(text: str) -> str:
    """Return ``text`` in quotes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """Return what is in the quotes."""
    return re.sub(r'\\(["\\])', r"\1", text[1:-1])


def read_name(text: str) -> str:
    """Return the name of the field that is written as ``text``: ``meta."a b"`` is the key ``a b``."""
    return META_PREFIX + unquote(text[len(META_PREFIX) :]) if text.startswith(f'{META_PREFIX}"') else text


def write_name(name: str) -> str:
    """Return the field's name as :func:`read_name` takes it."""
    key = name[len(META_PREFIX) :]
    if not name.startswith(META_PREFIX) or re.fullmatch(META_KEY, key):
        return name
    return META_PREFIX + quote(key)
