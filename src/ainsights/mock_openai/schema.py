"""A small valid instance of a JSON schema, of those that structured outputs allow. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DEEP = 5
"""From this depth on, what is optional is left out, so that a recursive schema ends."""

_FORMATS = {
    "date": "2024-05-13",
    "date-time": "2024-05-13T12:00:00Z",
    "duration": "PT1S",
    "email": "ann@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def instance(schema: Mapping[str, Any], text: str = "café") -> Any:
    """Return a value that ``schema`` accepts. Patterns, and what no value can satisfy, are ignored.

    Args:
        schema: what OpenAI takes as a schema: https://platform.openai.com/docs/guides/structured-outputs
        text: the value of strings.
    """
    return _instance(schema, schema, text, 0)


def _instance(schema: Any, root: Mapping[str, Any], text: str, depth: int) -> Any:
    schema = _resolved(schema, root, depth)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    return _MAKERS.get(_type(schema), _string)(schema, root, text, depth)


def _resolved(schema: Any, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Return the schema with its references followed, one alternative chosen and all parts joined."""
    resolved: dict[str, Any] = {"properties": {}, "required": []}
    pending = [schema]
    for _ in range(100):
        if not pending:
            break
        part = pending.pop()
        if not isinstance(part, dict):
            continue
        pending += [_referred(part["$ref"], root)] if "$ref" in part else []
        pending += part.get("allOf", [])
        pending += [_chosen(part[key], depth) for key in ("anyOf", "oneOf") if part.get(key)]
        properties = part.get("properties", {}) | resolved["properties"]
        required = [*resolved["required"], *part.get("required", [])]
        resolved = part | resolved | {"properties": properties, "required": required}
    return resolved


def _referred(reference: str, root: Mapping[str, Any]) -> Any:
    target: Any = root
    for step in reference.removeprefix("#").strip("/").split("/") if reference != "#" else ():
        target = target.get(step.replace("~1", "/").replace("~0", "~"), {})
    return target


def _chosen(options: list[Any], depth: int) -> Any:
    simple = [option for option in options if isinstance(option, dict) and "$ref" not in option]
    return simple[-1] if depth >= _DEEP and simple else options[0]


def _type(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((str(one) for one in kind if one != "null"), "null")
    if kind is None:
        return "object" if schema["properties"] else "array" if "items" in schema else "string"
    return str(kind)


def _object(schema: dict[str, Any], root: Mapping[str, Any], text: str, depth: int) -> Any:
    known = schema["properties"]
    return {name: _instance(known.get(name, {}), root, text, depth + 1) for name in dict.fromkeys(schema["required"])}


def _array(schema: dict[str, Any], root: Mapping[str, Any], text: str, depth: int) -> Any:
    first = schema.get("prefixItems", [])
    least = 0 if depth >= _DEEP else 1
    size = min(max(schema.get("minItems", 0), len(first) or least), schema.get("maxItems", math.inf))
    kinds = [*first, *[schema.get("items", {})] * max(0, size - len(first))][:size]
    return [_instance(kind, root, text, depth + 1) for kind in kinds]


def _string(schema: dict[str, Any], root: Mapping[str, Any], text: str, depth: int) -> Any:  # noqa: ARG001
    value = _FORMATS.get(schema.get("format", ""), text).ljust(schema.get("minLength", 0), "é")
    return value[: schema.get("maxLength")]


def _number(schema: dict[str, Any], root: Mapping[str, Any], text: str, depth: int) -> Any:  # noqa: ARG001
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    step = schema.get("multipleOf") or (1 if _type(schema) == "integer" else None)
    if step is None:
        return 1 if low < 1 < high else _between(low, high)
    value = math.ceil(max(1, low) / step) * step
    value += step if value == schema.get("exclusiveMinimum") else 0
    below = math.floor(high / step) * step if high < value else value
    return below - step if below == schema.get("exclusiveMaximum") else below


def _between(low: float, high: float) -> float:
    return low + 1 if high == math.inf else high - 1 if low == -math.inf else (low + high) / 2


_MAKERS: dict[str, Callable[[dict[str, Any], Mapping[str, Any], str, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _number,
    "number": _number,
    "boolean": lambda *_: True,
    "null": lambda *_: None,
}
