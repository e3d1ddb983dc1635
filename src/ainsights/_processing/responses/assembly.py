"""Assembly: the output items of a stream that was cut, put together from the events that came. Pure."""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ainsights._processing.responses.items import Fields

Path: TypeAlias = "tuple[str | int, ...]"


@dataclass(frozen=True, slots=True)
class _Text:
    """Where the deltas of a kind of event go.

    Attributes:
        item: the type of the item.
        path: the names on the way to the text; ``#`` stands for an index.
        index: the name of the index in the event.
        part: the type of the part that has the text.
    """

    item: str
    path: tuple[str, ...]
    index: str = ""
    part: str = ""

    @property
    def name(self) -> str:
        """The name of the whole text in the event that ends it."""
        return "command" if self.path[-1] == "#" else self.path[-1]


_TEXTS = {
    "response.output_text": _Text("message", ("content", "#", "text"), "content_index", "output_text"),
    "response.refusal": _Text("message", ("content", "#", "refusal"), "content_index", "refusal"),
    "response.reasoning_text": _Text("reasoning", ("content", "#", "text"), "content_index", "reasoning_text"),
    "response.reasoning_summary_text": _Text("reasoning", ("summary", "#", "text"), "summary_index", "summary_text"),
    "response.function_call_arguments": _Text("function_call", ("arguments",)),
    "response.custom_tool_call_input": _Text("custom_tool_call", ("input",)),
    "response.mcp_call_arguments": _Text("mcp_call", ("arguments",)),
    "response.mcp_call.arguments": _Text("mcp_call", ("arguments",)),
    "response.code_interpreter_call_code": _Text("code_interpreter_call", ("code",)),
    "response.code_interpreter_call.code": _Text("code_interpreter_call", ("code",)),
    "response.shell_call_command": _Text("shell_call", ("action", "commands", "#"), "command_index"),
    "response.apply_patch_call_operation_diff": _Text("apply_patch_call", ("operation", "diff")),
}
"""By the name of the event without its last word, which is ``delta`` or ``done``."""
_PARTS = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}
_BESIDE = {"response.audio": "data", "response.audio.transcript": "transcript"}
"""Texts that belong to the response, not to an item."""
_STATES = frozenset(
    ["calling", "completed", "failed", "generating", "in_progress", "incomplete", "interpreting", "searching"]
)
_SHELL_OUTPUT = "response.shell_call_output_content"
_PARTIAL_IMAGE = "response.image_generation_call.partial_image"
_ANNOTATION = "response.output_text.annotation"


@dataclass(slots=True)
class _Item:
    """One item so far: what began it, its parts by their places, and its texts in the pieces that came."""

    fields: Fields
    done: bool = False
    parts: dict[tuple[str, int], Fields] = field(default_factory=dict)
    texts: dict[Path, list[str]] = field(default_factory=dict)
    whole: dict[Path, Any] = field(default_factory=dict)
    """Values that are final, by their places."""
    lists: dict[Path, dict[int, Any]] = field(default_factory=dict)
    """Entries of lists, by their places and indexes: annotations, logprobs, images, outputs."""
    part_types: dict[tuple[str, int], str] = field(default_factory=dict)

    def plain(self) -> Fields:
        item = dict(self.fields)
        places = self._place_parts(item)
        for path in sorted(self.texts.keys() | self.whole.keys()):
            place = _placed(path, places)
            value = self.whole.get(path)
            if value is None:
                before = _get(item, place)
                value = (before if before.__class__ is str else "") + "".join(self.texts[path])
            _put(item, place, value)
        for path, entries in self.lists.items():
            _put(item, _placed(path, places), [entries[index] for index in sorted(entries)])
        return item

    def _place_parts(self, item: Fields) -> dict[tuple[Any, ...], int]:
        """Put the parts into ``item``, and return their positions: where one is missing, those that follow move up."""
        places: dict[tuple[Any, ...], int] = {}
        for key, index in sorted(self.part_types.keys() | self.parts.keys()):
            before = item.get(key)
            parts = list(before) if before.__class__ is list else []
            place = places[key, index] = min(index, len(parts))
            if place == len(parts):
                parts.append({"type": self.part_types.get((key, index))})
            if (key, index) in self.parts:
                parts[place] = dict(self.parts[key, index])
            item[key] = parts
        return places


@dataclass(slots=True)
class Assembly:
    """The output items of a response so far, by their output indexes."""

    _items: dict[int, _Item] = field(default_factory=dict)
    _indexes: dict[str, int] = field(default_factory=dict)
    """By the ids of the items."""
    _beside: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, event: Fields) -> None:
        """Add an event of the type ``kind`` that brings no response."""
        event = {key: value for key, value in event.items() if not key.endswith("_index") or _is_index(value)}
        stem, _, word = kind.rpartition(".")
        if stem == "response.output_item":
            self._begin(event, done=word == "done")
        elif stem in _PARTS:
            self._add_part(*_PARTS[stem], event, done=word == "done")
        elif stem in _TEXTS:
            self._add_text(_TEXTS[stem], word, event)
        elif stem in _BESIDE and event.get("delta").__class__ is str:
            self._beside.setdefault(_BESIDE[stem], []).append(event["delta"])
        else:
            self._add_other(kind, stem, word, event)

    def output(self) -> list[Fields]:
        """Return the items."""
        return [self._items[index].plain() for index in sorted(self._items)]

    def beside(self) -> Fields:
        """Return what belongs to the response itself."""
        return {"audio": {key: "".join(pieces) for key, pieces in self._beside.items()}} if self._beside else {}

    def _begin(self, event: Fields, *, done: bool) -> None:
        fields = event.get("item")
        if fields.__class__ is not dict:
            return
        item = self._item(event | {"item_id": fields.get("id") or event.get("item_id")}, "")
        if item.done:
            return
        item.fields, item.done = fields, done
        if done:
            for kept in (item.parts, item.texts, item.whole, item.lists, item.part_types):
                kept.clear()

    def _item(self, event: Fields, kind: str) -> _Item:
        """Return the item of an event: a new one of the type ``kind`` if it is the first of it."""
        index, identity = event.get("output_index"), event.get("item_id")
        known = self._indexes.get(identity) if identity.__class__ is str else None
        if index.__class__ is not int:
            index = known if known is not None else max(self._items, default=-1) + 1
        if identity.__class__ is str:
            self._indexes.setdefault(identity, index)
        if index not in self._items:
            named = {"id": identity} if identity.__class__ is str else {}
            self._items[index] = _Item({"type": kind} | named)
        return self._items[index]

    def _add_part(self, key: str, index_name: str, event: Fields, *, done: bool) -> None:
        part, index = event.get("part"), event.get(index_name)
        item = self._item(event, "message" if key == "content" else "reasoning")
        if part.__class__ is not dict or index.__class__ is not int or item.done:
            return
        item.parts[key, index] = part
        if done:
            for kept in (item.texts, item.whole, item.lists):
                for path in [each for each in kept if each[:2] == (key, index)]:
                    del kept[path]

    def _add_text(self, text: _Text, word: str, event: Fields) -> None:
        item, index = self._item(event, text.item), event.get(text.index) if text.index else 0
        value = event.get("delta" if word == "delta" else text.name)
        if item.done or index.__class__ is not int or value.__class__ is not str:
            return
        path: Path = tuple(index if name == "#" else name for name in text.path)
        if text.part:
            item.part_types.setdefault((text.path[0], index), text.part)
        if word == "done":
            item.whole[path] = value
        elif word == "delta" or path not in item.texts:
            item.texts.setdefault(path, []).append(value)
        logprobs = event.get("logprobs")
        if logprobs.__class__ is list and logprobs:
            entries = item.lists.setdefault((*path[:-1], "logprobs"), {})
            if word == "done":
                entries.clear()
            entries.update(enumerate(logprobs, len(entries)))

    def _add_other(self, kind: str, stem: str, word: str, event: Fields) -> None:
        if stem == _ANNOTATION:
            self._add_entry(
                "message", ("content", event.get("content_index"), "annotations"), "annotation_index", event
            )
        elif kind == _PARTIAL_IMAGE:
            image = event | {"entry": _description(event.get("partial_image_b64"))}
            self._add_entry("image_generation_call", ("partial_images",), "partial_image_index", image, "entry")
        elif stem == _SHELL_OUTPUT:
            self._add_shell_output(word, event)
        elif word in _STATES and ("output_index" in event or "item_id" in event):
            item = self._item(event, stem.partition(".")[2])
            if not item.done and "status" in item.fields:
                item.fields = item.fields | {"status": word}

    def _add_entry(
        self, kind: str, path: tuple[Any, ...], index_name: str, event: Fields, value_name: str = "annotation"
    ) -> None:
        item, index = self._item(event, kind), event.get(index_name)
        if item.done or index.__class__ is not int or any(each is None for each in path):
            return
        if len(path) > 1:
            item.part_types.setdefault((path[0], path[1]), "output_text")
        item.lists.setdefault(path, {})[index] = event.get(value_name)

    def _add_shell_output(self, word: str, event: Fields) -> None:
        item, index, delta = self._item(event, "shell_call_output"), event.get("command_index"), event.get("delta")
        if item.done or index.__class__ is not int:
            return
        entries = item.lists.setdefault(("output",), {})
        if word == "delta" and delta.__class__ is dict:
            before = entries.get(index, {})
            entries[index] = before | {key: _added(before.get(key), text) for key, text in delta.items() if text}
        elif word == "done" and event.get("output").__class__ is list:
            entries.update(zip([index], event["output"], strict=False))


def _is_index(value: Any) -> bool:
    return value.__class__ is int and value >= 0


def _added(before: Any, value: Any) -> Any:
    """Return ``value``, a piece of a text after what came before it; any other value replaces that."""
    return before + value if before.__class__ is str and value.__class__ is str else value


def _description(base64: Any) -> str:
    """Return the size and the hash of an image."""
    try:
        data = binascii.a2b_base64(base64)
    except (ValueError, TypeError):
        return "[image]"
    return f"[image, {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}]"


def _placed(path: Path, places: Mapping[tuple[Any, ...], int]) -> Path:
    place = places.get(path[:2])
    return path if place is None else (path[0], place, *path[2:])


def _get(value: Any, path: Path) -> Any:
    for step in path:
        if value.__class__ is dict:
            value = value.get(step)
        else:
            value = value[step] if value.__class__ is list and step.__class__ is int and step < len(value) else None
    return value


def _put(fields: Fields, path: Path, value: Any) -> None:
    """Set the value at ``path``; an index beyond the end of its list is the next one. Copies what it changes."""
    into: Any = fields
    for name, following in zip(path, (*path[1:], None), strict=True):
        step: Any = name
        if into.__class__ is list and (name.__class__ is not int or step >= len(into)):
            into.append(None)
            step = len(into) - 1
        if following is None:
            into[step] = value
            return
        before = into.get(step) if into.__class__ is dict else into[step]
        kind = list if following.__class__ is int else dict
        into[step] = kind(before) if before.__class__ is kind else kind()
        into = into[step]
