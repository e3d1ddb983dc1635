"""The description of ``PUT /insight`` in the OpenAPI document: exactly what is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights.server import problems

if TYPE_CHECKING:
    from collections.abc import Sequence

_OBJECT = {"type": "object"}
_MESSAGES = [
    {"type": "string"},
    {"type": "array", "items": {"type": "string"}},
    {"type": "array", "items": _OBJECT},
]
_MESSAGES_OR_NULL = {"anyOf": [*_MESSAGES, {"type": "null"}]}

INSIGHT = {
    "title": "Insight",
    "description": "One chat completion. `messages` may be null only when `template` and `inputs` are given.",
    "type": "object",
    "properties": {
        "response": {**_OBJECT, "description": "The ChatCompletion, as the model API returned it."},
        "messages": {**_MESSAGES_OR_NULL, "description": "The messages passed to the client."},
        "template": {**_MESSAGES_OR_NULL, "description": "The prompt template before formatting."},
        "inputs": {**_OBJECT, "description": "The template's variables."},
        "args": {**_OBJECT, "description": "The request without its messages."},
        "user_id": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "The end user."},
        "meta": {**_OBJECT, "description": "Free metadata; keys of ainsights begin with `ainsights.`."},
    },
    "required": ["response"],
    "additionalProperties": False,
    "anyOf": [
        {"required": ["messages"], "properties": {"messages": {"anyOf": _MESSAGES}}},
        {"required": ["template", "inputs"], "properties": {"template": {"anyOf": _MESSAGES}}},
    ],
}

OPERATION: dict[str, Any] = {
    "summary": "Store one insight",
    "description": "Answers 200 when it is on disk. The same `ainsights.event_id` in `meta` again is answered 200, and "
    "stored once. The body may be compressed with gzip.",
    "operationId": "put_insight",
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Insight"}}},
    },
    "responses": {
        "200": {
            "description": "It is on disk.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"success": {"const": True, "type": "boolean"}},
                        "required": ["success"],
                    }
                }
            },
        },
        **{
            str(status): answer
            for status, answer in problems.documented(400, 401, 403, 408, 413, 415, 422, 429, 431, 500, 503).items()
        },
    },
}


def describe(document: dict[str, Any], security: list[dict[str, list[str]]], paths: Sequence[str]) -> None:
    """Add the route, which is at each of ``paths``, to ``document``."""
    routes = {}
    for number, path in enumerate(paths, 1):
        operation = OPERATION["operationId"] + (f"_{number}" if number > 1 else "")
        routes[path] = {"put": {**OPERATION, "operationId": operation, "security": security}}
    document["paths"] = {**routes, **document["paths"]}
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Insight"] = INSIGHT
    schemas["ProblemDocument"] = problems.ProblemDocument.model_json_schema()
