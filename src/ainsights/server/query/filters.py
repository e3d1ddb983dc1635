"""The text of a filter -> Filter: ``model:gpt-4o -status:ok latency>2s since:7d "exact phrase" word -word``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from ainsights.server.query.fields import FIELDS, Kind, QueryError, get_field, suggest
from ainsights.server.query.model import Condition, Filter, Operator, Text, Value, When
from ainsights.server.query.syntax import BARE_VALUE, NAME, QUOTED, RESERVED, read_name, unquote
from ainsights.server.query.values import parse_flag, parse_number, parse_when

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPACE = re.compile(r"\s*")
_QUOTED = re.compile(QUOTED, re.DOTALL)
_OPERATOR = re.compile(r"[<>]=?|:|=")
_WORD = re.compile(r'[^\s"]+')
_VALUE = re.compile(rf"({QUOTED}|{BARE_VALUE.pattern}|(?=\*))(\*?)(?=[\s,]|$)", re.DOTALL)
_TIMES = ("since", "until")
MAX_TERMS = 100


def parse_filter(text: str) -> Filter:
    """Return the filter that ``text`` describes; all its parts must hold.

    ====================  ======================================================================
    ``model:gpt-4o``      equal to the value
    ``model:a,b``         equal to one of them; with ``gpt-4*``, beginning with it
    ``latency>2s``        also ``>=``, ``<``, ``<=``; a number of meta too: ``meta.score<0.5``
    ``has:cost``          the field is known
    ``since:7d``          began then or later; ``until:`` before; a date or RFC 3339 likewise
    ``word "a phrase"``   in the last user message or the answer
    ``-model:gpt-4o``     not so: a minus negates any word but those of time
    ====================  ======================================================================

    A value with spaces, commas or quotes stands in quotes; so does ``meta."a key"``.

    Raises:
        QueryError: it names the word at fault.
    """
    return _FilterReader(text).read()


class _FilterReader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._conditions: list[Condition] = []
        self._texts: list[Text] = []
        self._times: dict[str, When] = {}

    def read(self) -> Filter:
        self._take(_SPACE)
        while self._at < len(self._text):
            self._term()
            self._take(_SPACE)
            if len(self._conditions) + len(self._texts) > MAX_TERMS:
                raise QueryError(f"the filter has more than {MAX_TERMS} parts")
        return Filter(tuple(self._conditions), tuple(self._texts), **self._times)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self._text, self._at)
        if match:
            self._at = match.end()
        return match

    def _term(self) -> None:
        start = self._at
        negated = self._text.startswith("-", self._at) and not self._text[self._at + 1 : self._at + 2].isspace()
        self._at += negated
        if quoted := self._take(_QUOTED):
            self._end_of_term(start)
            self._texts.append(Text(unquote(quoted[0]), negated))
            return
        name = self._take(NAME)
        operator = self._take(_OPERATOR) if name else None
        if not name or not operator or self._text.startswith("://", operator.start()):
            self._at = start + negated
            self._word(start, negated=negated)
        else:
            self._named(read_name(name[0]), operator[0], start, negated=negated)

    def _word(self, start: int, *, negated: bool) -> None:
        word = self._take(_WORD)
        if not word:
            raise QueryError("a quote is not closed", self._text[start:])
        self._end_of_term(start)
        if word[0] in RESERVED:
            remedy = {"OR": "write model:a,b for one of several values", "AND": "all parts hold; leave it out"}
            raise QueryError(f"{word[0]}: {remedy.get(word[0], 'write -word')}; to search for it, quote it", word[0])
        self._texts.append(Text(word[0], negated))

    def _named(self, name: str, operator: str, start: int, *, negated: bool) -> None:
        if name == "has" and operator == ":":
            self._has(start, negated=negated)
            return
        values, starred = self._values(name, start)
        if name in _TIMES:
            self._time(name, operator, values, start, negated=negated)
            return
        if name not in FIELDS and not name.startswith("meta."):
            term = self._text[start : self._at]
            nearest = suggest(name, (*FIELDS, *_TIMES, "has"))
            raise QueryError(f"unknown field {name!r}{nearest}; to search for {term!r}, quote it", name)
        if operator == "=":
            raise QueryError(f"write {name}:{values[0]}", self._text[start : self._at])
        self._conditions.append(condition(name, operator, values, starred=starred, negated=negated))

    def _has(self, start: int, *, negated: bool) -> None:
        name = self._take(NAME)
        if not name:
            raise QueryError("write has:FIELD, such as has:cost", self._text[start:].split(maxsplit=1)[0])
        self._end_of_term(start)
        self._conditions.append(Condition(read_name(name[0]), "has", (), negated))

    def _values(self, name: str, start: int) -> tuple[list[str], bool]:
        values: list[str] = []
        stars: set[bool] = set()
        while True:
            value = self._take(_VALUE)
            if not value:
                shown = self._text[start:].split(maxsplit=1)[0]
                raise QueryError(f'{shown!r}: a value is missing, or needs quotes such as {name}:"a b"', shown)
            values.append(unquote(value[1]) if value[1].startswith('"') else value[1])
            stars.add(bool(value[2]))
            if not self._text.startswith(",", self._at):
                break
            self._at += 1
        if len(stars) > 1:
            raise QueryError(f"{name}: either all values end in * or none does", self._text[start : self._at])
        return values, stars.pop()

    def _time(self, name: str, operator: str, values: Sequence[str], start: int, *, negated: bool) -> None:
        term = self._text[start : self._at]
        if negated or operator != ":" or len(values) > 1:
            raise QueryError(f"{term!r}: write since:7d or until:2025-01-31", term)
        if name in self._times:
            raise QueryError(f"{name} is there twice", term)
        self._times[name] = parse_when(values[0])

    def _end_of_term(self, start: int) -> None:
        if self._at < len(self._text) and not self._text[self._at].isspace():
            shown = self._text[start:].split(maxsplit=1)[0]
            raise QueryError(f"{shown!r}: quote the whole of it", shown)


def condition(
    name: str, operator: str, values: Sequence[str], *, starred: bool = False, negated: bool = False
) -> Condition:
    """Return the condition on the field ``name``, with the values read as its kind needs.

    Raises:
        QueryError: the field is unknown, or takes no such operator or value.
    """
    if starred and list(values) == [""]:
        return Condition(get_field(name).name, "has", (), negated)
    kind = get_field(name).kind
    if operator != ":" and not kind.is_numeric:
        kind = Kind.NUMBER if name.startswith("meta.") else kind
    parsed: list[Value] = list(values)
    if kind.is_numeric and not starred:
        parsed = [parse_number(value, kind) for value in values]
    elif kind is Kind.FLAG and operator == ":":
        parsed = [parse_flag(value) for value in values]
    return Condition(name, cast("Operator", "*" if starred else operator), tuple(parsed), negated)
