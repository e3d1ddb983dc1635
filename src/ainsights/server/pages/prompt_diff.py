"""What became of a prompt template: the final prompt with its inputs marked, or a diff of the two. Pure."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ainsights.server.events.messages import message_list, text_of
from ainsights.server.events.reading import as_dict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_WORDS = 3000
"""Words of a template and a prompt that are compared; longer ones are shown side by side."""

MAX_MESSAGES = 50
_INPUT = re.compile(r"\{\{\s*(\w{1,100})\s*\}\}|\{(\w{1,100})\}")
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


class Piece(NamedTuple):
    """A piece of text: ``same``, ``input`` (of the input called ``name``), ``removed`` or ``added``."""

    kind: str
    text: str
    name: str = ""


class Compared(NamedTuple):
    """One message of the template, and what became of it."""

    role: str
    pieces: list[Piece]


def compare(insight: dict[str, Any]) -> list[Compared]:
    """Return each message of the template with the final prompt; empty without a template."""
    template, inputs = message_list(insight.get("template")), as_dict(insight.get("inputs"))
    final = message_list(insight.get("messages"))
    found: list[Compared] = []
    for number, message in enumerate(template[:MAX_MESSAGES]):
        source = text_of(message.get("content"))
        if not source:
            continue
        role = str(message.get("role") or "user")
        target = _counterpart(number, role, source, final)
        found.append(Compared(role, _filled(source, inputs) if target is None else pieces(source, target, inputs)))
    return found


def pieces(source: str, target: str, inputs: dict[str, Any]) -> list[Piece]:
    """Return how ``target`` came of the template ``source``."""
    filled = _filled(source, inputs)
    if "".join(piece.text for piece in filled) == target:
        return filled
    before, after = _WORD.findall(source), _WORD.findall(target)
    if max(len(before), len(after)) > MAX_WORDS:
        return [Piece("removed", source), Piece("added", target)]
    return list(_changes(before, after))


def _counterpart(number: int, role: str, source: str, final: Sequence[dict[str, Any]]) -> str | None:
    """Return the message of the final prompt that a message of the template became; None if there is none."""
    if number < len(final) and str(final[number].get("role") or "user") == role:
        return text_of(final[number].get("content"))
    same = [text for each in final if each.get("role") == role and (text := text_of(each.get("content")))]
    start = source[:20]
    return next((text for text in same if text.startswith(start)), None)


def _filled(source: str, inputs: dict[str, Any]) -> list[Piece]:
    found: list[Piece] = []
    at = 0
    for match in _INPUT.finditer(source):
        name = match[1] or match[2]
        if name not in inputs:
            continue
        found += [Piece("same", source[at : match.start()]), Piece("input", str(inputs[name]), name)]
        at = match.end()
    return [piece for piece in (*found, Piece("same", source[at:])) if piece.text or piece.kind == "input"]


def _changes(before: list[str], after: list[str]) -> Iterator[Piece]:
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, first, last, start, end in matcher.get_opcodes():
        if kind == "equal":
            yield Piece("same", "".join(after[start:end]))
            continue
        if last > first:
            yield Piece("removed", "".join(before[first:last]))
        if end > start:
            yield Piece("added", "".join(after[start:end]))
