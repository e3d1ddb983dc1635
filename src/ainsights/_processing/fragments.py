"""Fragments of a message -> what they make together: texts and lists in pieces, entries by index. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Collection

Fields: TypeAlias = "dict[str, Any]"
_TEXTS = frozenset(["arguments", "content", "data", "input", "refusal", "summary", "text", "transcript"])
_TEXT_PREFIXES = ("reasoning", "thinking", "thought")


def merge(into: Fields, fields: Fields) -> None:
    """Add the fragments ``fields`` to ``into``."""
    for key, value in fields.items():
        old = into.get(key)
        if old.__class__ is Pieces and value.__class__ is str:
            old.append(value)
        elif value is None:
            into.setdefault(key)
        else:
            into[key] = _merged(key, old, value)


def plain(value: Any) -> Any:
    """Return ``value`` as JSON values, with its pieces joined."""
    if value.__class__ is dict:
        return {key: plain(item) for key, item in value.items()}
    return value.plain() if isinstance(value, (Pieces, Items)) else value


def _is_text(key: str) -> bool:
    return key in _TEXTS or key.startswith(_TEXT_PREFIXES)


def _merged(key: str, old: Any, value: Any) -> Any:
    if value.__class__ is str:
        if _is_text(key):
            return Pieces([value] if old is None else [old, value])
        return value or old or value
    if not value and value in ({}, []):
        return value if old is None else old
    if old.__class__ is Pieces:
        old.append(value)
        return old
    if value.__class__ is dict:
        into = old if old.__class__ is dict else {}
        merge(into, value)
        return into
    return _extended(key, old, value) if value.__class__ is list else value


def _extended(key: str, old: Any, value: list[Any]) -> Any:
    if old.__class__ is not Items:
        if key != "tool_calls" and not any(item.__class__ is dict and "index" in item for item in value):
            return Pieces([value])
        old = Items(are_calls=key == "tool_calls")
    old.add(value)
    return old


class Pieces(list[Any]):
    """A text or a list in the pieces that came. Some vendors mix them: text and lists of content parts."""

    def plain(self) -> Any:
        try:
            text = "".join(self)
            text.encode()
        except TypeError:
            return self._parts()
        except UnicodeEncodeError:  # two chunks may each bring one half of a surrogate pair
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return text

    def _parts(self) -> Any:
        solid = [plain(piece) for piece in self if piece != ""]
        if len(solid) == 1:
            return solid[0]
        parts: list[Any] = []
        for kind, run in groupby(solid, type):
            if kind is str:
                parts.append({"type": "text", "text": "".join(run)})
            else:
                parts.extend(part for piece in run for part in (piece if kind is list else [piece]))
        return parts


@dataclass(slots=True)
class Items:
    """A list whose entries arrive in fragments: tool calls, or dicts that have an ``index``."""

    are_calls: bool
    entries: list[tuple[int, Any]] = field(default_factory=list)  # with their places
    known: dict[int | str | None, Fields] = field(default_factory=dict)  # by index, id and position
    latest: int | str | None = None  # of the keys that came with a fragment

    def add(self, fragments: list[Any]) -> None:
        for position, fragment in enumerate(fragments):
            if fragment.__class__ is dict:
                merge(self._entry(fragment, position, len(fragments)), fragment)
            elif fragment is not None:
                self.entries.append((len(self.entries), fragment))

    def _entry(self, fragment: Fields, position: int, among: int) -> Fields:
        index = fragment.pop("index", None) if self.are_calls else fragment.get("index")
        identity = fragment.get("id")
        keys: list[int | str] = [index] if index.__class__ is int else []
        if identity and identity.__class__ is str:
            keys.append(identity)
        if keys:
            self.latest = keys[0]
        elif self.are_calls:
            keys.append(position if among > 1 or self.latest is None else self.latest)
        entry = self.known.get(keys[0]) if keys else None
        if entry is None or self._begins_another(entry, fragment):
            entry = self._new(index, keys)
        return entry

    def _new(self, index: Any, keys: Collection[int | str]) -> Fields:
        entry: Fields = {}
        self.entries.append((index if index.__class__ is int else len(self.entries), entry))
        self.known.update((key, entry) for key in keys)
        self.known.setdefault(len(self.entries) - 1, entry)
        return entry

    def _begins_another(self, entry: Fields, fragment: Fields) -> bool:
        if not self.are_calls:
            old, new = entry.get("type"), fragment.get("type")
        elif not (name := _name_of(fragment)):
            return False
        elif entry.get("id") or fragment.get("id"):
            old, new = entry.get("id"), fragment.get("id")
        else:
            old, new = _name_of(entry), name
            if old == new and _has_whole_arguments(entry) and _has_whole_arguments(fragment):
                return True
        return bool(old and new and old != new)

    def cover(self, calls: list[Any], *, counted: bool, is_piece: bool) -> None:
        """Add what ``calls``, a whole list of tool calls, has beyond these."""
        for position, call in enumerate(calls):
            if call.__class__ is dict:
                index, identity = call.pop("index", None), call.get("id")
                entry = self._covered(index, identity, position)
                if entry is None:
                    keys = [key for key in (index, identity) if key.__class__ is int or (key and key.__class__ is str)]
                    merge(self._new(index, keys), call)
                else:
                    _cover_fields(entry, call, counted=counted, is_piece=is_piece)

    def _covered(self, index: Any, identity: Any, position: int) -> Fields | None:
        if identity and identity.__class__ is str and identity in self.known:
            return self.known[identity]
        entry = self.known.get(index) if index.__class__ is int else None
        if entry is None and position < len(self.entries):
            entry = sorted(self.entries, key=itemgetter(0))[position][1]
        if entry.__class__ is not dict or (identity and entry.get("id") not in (None, "", identity)):
            return None
        return entry

    def plain(self) -> list[Any]:
        return [plain(entry) for _, entry in sorted(self.entries, key=itemgetter(0))]


def _has_whole_arguments(call: Fields) -> bool:
    """Return whether the arguments are a JSON object that needs no more: one vendor sends each call whole."""
    called = call.get("function")
    arguments = plain(called.get("arguments")) if called.__class__ is dict else None
    try:
        return arguments.__class__ is str and from_json(arguments).__class__ is dict
    except ValueError:
        return False


def _name_of(call: Fields) -> Any:
    called = call.get("function") or call.get("custom")
    return called.get("name") if called.__class__ is dict else None


# Whole messages


def cover(into: Fields, message: Fields, by_delta: Collection[str]) -> None:
    """Add to the fragments ``into`` what ``message``, which has the text so far or a piece of it, has beyond them.

    Args:
        into: the fragments so far.
        message: a message that came beside, or in place of, a delta.
        by_delta: the fields that deltas have brought: of those only what goes on where the deltas end is added.
    """
    so_far, text = plain(into.get("content")) or "", message.get("content") or ""
    is_text = so_far.__class__ is str and text.__class__ is str
    is_piece = is_text and "content" not in by_delta and not text.startswith(so_far)
    for key, value in message.items():
        _cover_field(into, key, value, counted=key in by_delta, is_piece=is_piece)


def _cover_fields(into: Fields, fields: Fields, *, counted: bool, is_piece: bool) -> None:
    for key, value in fields.items():
        _cover_field(into, key, value, counted=counted, is_piece=is_piece)


def _cover_field(into: Fields, key: str, value: Any, *, counted: bool, is_piece: bool) -> None:
    old = into.get(key)
    if old is None or plain(old) == "":
        merge(into, {key: value})
    elif value.__class__ is str and _is_text(key):
        into[key] = _longer_text(old, value, counted=counted)
    elif value.__class__ is dict and old.__class__ is dict:
        _cover_fields(old, value, counted=counted, is_piece=is_piece)
    elif value.__class__ is list and old.__class__ is Items and old.are_calls:
        old.cover(value, counted=counted, is_piece=is_piece)
    elif value.__class__ is list:
        into[key] = _longer_list(key, old, value, counted=counted, is_piece=is_piece)
    elif value and not counted:
        into[key] = value


def _longer_text(old: Any, text: str, *, counted: bool) -> Any:
    so_far = plain(old)
    if so_far.__class__ is str and text.startswith(so_far):
        return Pieces([text])
    return old if counted else Pieces([*(old if old.__class__ is Pieces else [old]), text])


def _longer_list(key: str, old: Any, items: list[Any], *, counted: bool, is_piece: bool) -> Any:
    so_far = plain(old)
    if so_far.__class__ is list and items[: len(so_far)] == so_far:
        return _merged(key, None, items)
    if counted or not items:
        return old
    return _merged(key, old if is_piece else None, items)
