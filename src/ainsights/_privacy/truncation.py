"""An event beyond the limit, cut where it is longest. Pure.

Each object and list gives its parts the room that it has: short ones stay whole, all others are cut to one length.
Where the parts are too many, those in the middle go, or those whose names the API does not know. A text that was cut
names in its middle the number of characters that are gone.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError

from ainsights._json import encode_in_steps, parse_json
from ainsights._model import META_KEYS, Insight, MetaKey
from ainsights._privacy.dropped import EventDropped
from ainsights._privacy.fields import API

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_NULL = 4
"""Bytes of the smallest part that may have to stay."""
_SMALLEST_ITEM, _SMALLEST_FIELD = 192, 64
"""Bytes below which the items of a list and the fields of an object are not cut: rather some of them go."""
_KNOWN = API | META_KEYS
_MAX_REPORTED = 20
_LONGEST_OWN = 256
_LONGEST_PATH = 200
_NEEDED = {
    ".logprobs.content": frozenset(["token", "logprob", "top_logprobs"]),
    ".logprobs.refusal": frozenset(["token", "logprob", "top_logprobs"]),
    ".top_logprobs": frozenset(["token", "logprob"]),
}
"""What the entries of a list need, by how its path ends."""


def truncate(body: bytes, limit: int) -> bytes:
    """Return the encoded insight ``body`` in at most ``limit`` bytes; ``ainsights.truncated`` names what was cut.

    Raises:
        EventDropped: the limit is so low that not even an empty insight fits.
    """
    fields: dict[str, Any] = parse_json(body)
    measure = _measure(fields)
    meta = fields["meta"]
    own = [key for key in meta if key in META_KEYS and key != MetaKey.TRUNCATED]
    longest = min(_LONGEST_OWN, limit // 3 // max(len(own), 1))
    ours = {key: meta[key] for key in own if measure(meta[key]) <= longest}
    before = meta.get(MetaKey.TRUNCATED)
    reported = before if isinstance(before, dict) else {}
    parts = fields | {"meta": {key: meta[key] for key in meta if key not in ours and key != MetaKey.TRUNCATED}}
    frame = dict.fromkeys(fields) | {"meta": ours | {MetaKey.TRUNCATED: None}}
    report_room = min(2048, limit // 8)
    cut = _Cut(measure)
    level = _level([measure(part) for part in parts.values()], limit - measure(frame) - report_room)
    fitted = {key: cut.value(part, max(level, 0) + _NULL, key) for key, part in parts.items()}
    fitted["meta"] |= ours | {MetaKey.TRUNCATED: _report(reported | cut.lengths, report_room, measure)}
    encoded = Insight.model_construct(**fitted).encode()
    if len(encoded) > limit:
        raise EventDropped("too_large", f"max_event_bytes={limit} is too low for any event")
    return encoded


class _Cut:
    """Cuts values, and notes by their paths how long they were."""

    def __init__(self, measure: Callable[[Any], int]) -> None:
        self.lengths: dict[str, int] = {}
        self._measure = measure

    def value(self, value: Any, room: int, path: str) -> Any:
        """Return ``value`` in at most ``room`` bytes, which are 4 at least."""
        if self._measure(value) <= room:
            return value
        if isinstance(value, str):
            self.lengths[path] = len(value)
            return self._text(value, room)
        if isinstance(value, dict):
            return dict(self._parts(list(value.items()), room - 2, path))
        if isinstance(value, list):
            items = [item for _, item in self._parts(list(enumerate(value)), room - 2, path)]
            return [item for item in items if _is_valid(item, path)]
        self.lengths[path] = self._measure(value)
        return None

    def _text(self, text: str, room: int) -> str:
        kept = len(text) * room // self._measure(text)
        while kept >= 0:
            begin = kept - kept // 3
            short = f"{text[:begin]}[… {len(text) - kept} characters cut …]{text[len(text) - (kept - begin) :]}"
            excess = self._measure(short) - room
            if excess <= 0:
                return short
            kept -= excess
        return ""

    def _parts(self, parts: list[tuple[Any, Any]], room: int, path: str) -> Iterable[tuple[Any, Any]]:
        sizes = [self._measure(item) for _, item in parts]
        beside = [self._measure(key) + 2 if isinstance(key, str) else 1 for key, _ in parts]
        enough = _enough(parts, room)
        least = [each + min(size, enough) for each, size in zip(beside, sizes, strict=True)]
        kept = sorted(_affordable(_by_weight(parts), least, room))
        if len(kept) < len(parts):
            self.lengths[path] = len(parts)
        level = _level([sizes[index] for index in kept], room - sum(beside[index] for index in kept))
        for index in kept:
            key, item = parts[index]
            yield key, item if sizes[index] <= level else self.value(item, level, f"{path}.{key}")


def _is_valid(item: Any, path: str) -> bool:
    """Return whether ``item``, of the list at ``path``, has kept all that a ChatCompletion needs of it."""
    if path.endswith(".tool_calls"):
        return _is_call(item)
    needed = next((fields for ending, fields in _NEEDED.items() if path.endswith(ending)), frozenset())
    return not needed or (isinstance(item, dict) and needed <= item.keys())


def _is_call(call: Any) -> bool:
    """Return whether ``call`` has kept all that a tool call needs to be valid."""
    called = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
    return isinstance(called, dict) and "name" in called and ("arguments" in called or "input" in called)


def _by_weight(parts: Sequence[tuple[Any, Any]]) -> list[int]:
    """Return the positions of ``parts``, those first that matter most: known names, or the ends of a list."""
    positions = range(len(parts))
    if parts and isinstance(parts[0][0], str):
        return sorted(positions, key=lambda position: parts[position][0] not in _KNOWN)
    return sorted(positions, key=lambda position: min(position, len(parts) - 1 - position))


def _enough(parts: Sequence[tuple[Any, Any]], room: int) -> int:
    are_fields = parts and isinstance(parts[0][0], str)
    return max(_NULL, min(_SMALLEST_FIELD, room // 8) if are_fields else min(_SMALLEST_ITEM, room // 2))


def _affordable(positions: Iterable[int], costs: Sequence[int], room: int) -> Iterable[int]:
    for position in positions:
        if costs[position] <= room:
            room -= costs[position]
            yield position


def _level(sizes: Sequence[int], room: int) -> int:
    """Return to what size all have to be cut that are larger, so that together they have ``room``."""
    left = len(sizes)
    for size in sorted(sizes):
        if size * left > room:
            return room // left
        room -= size
        left -= 1
    return max(sizes, default=0)


def _report(lengths: dict[str, int], room: int, measure: Callable[[Any], int]) -> dict[str, int]:
    """Return the largest of ``lengths`` that have ``room``, and as ``…`` how many others there are."""
    reported: dict[str, int] = {}
    room -= measure({"…": len(lengths)})
    for path, length in sorted(lengths.items(), key=lambda item: -item[1]):
        shown = path[:_LONGEST_PATH]
        cost = measure({shown: length})
        if cost <= room and shown not in reported and len(reported) < _MAX_REPORTED:
            reported[shown] = length
            room -= cost
    others = len(lengths) - len(reported)
    return reported | ({"…": others} if others else {})


def _measure(fields: dict[str, Any]) -> Callable[[Any], int]:
    """Return a function for the encoded size of a part; an insight with lone surrogates is encoded in another way."""
    try:
        encode_in_steps(fields)
    except PydanticSerializationError:
        return lambda value: len(json.dumps(value, separators=(",", ":")))
    return lambda value: len(encode_in_steps(value))
