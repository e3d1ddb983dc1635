"""The output items of a response that no message has a place for, as people read them. Pure, and never an exception."""

from __future__ import annotations

from typing import Any, NamedTuple

from ainsights.server.events.reading import as_dict, as_list, as_text
from ainsights.server.events.responses import output_items
from ainsights.server.pages.transcript import MAX_SHOWN, pretty, scalar

MAX_ITEMS = 200

_SUMMARIES = {
    "web_search_call": ("action.query", "action.url", "action.pattern", "action.queries"),
    "file_search_call": ("queries",),
    "code_interpreter_call": ("code",),
    "image_generation_call": ("revised_prompt",),
    "computer_call": ("action.type",),
    "mcp_call": ("name", "arguments"),
    "mcp_list_tools": ("server_label",),
    "mcp_approval_request": ("name", "arguments"),
    "local_shell_call": ("action.command",),
    "shell_call": ("action.commands",),
    "apply_patch_call": ("operation.type", "operation.path"),
    "tool_search_call": ("arguments",),
    "program": ("code",),
    "program_output": ("result",),
}
"""Of each type, where what it is about stands; those that are there are shown."""

_SUMMARY_LENGTH = 200


class Item(NamedTuple):
    """An output item.

    Attributes:
        kind: its type, without underscores.
        status: how it ended, if known.
        summary: what it is about, in a line.
        details: all of it, as JSON.
    """

    kind: str
    status: str
    summary: str
    details: str


def items(insight: dict[str, Any]) -> list[Item]:
    """Return the items in the order of the output."""
    found = output_items(as_dict(insight.get("response")))
    return [_item(each) for each in found[:MAX_ITEMS]]


def state(insight: dict[str, Any]) -> list[tuple[str, str]]:
    """Return how the response ended, if it did not simply complete."""
    response = as_dict(insight.get("response"))
    status = as_text(response.get("status"))
    reason = as_text(as_dict(response.get("incomplete_details")).get("reason"))
    return [(name, value) for name, value in (("Status", status), ("Incomplete", reason)) if value]


def _item(item: dict[str, Any]) -> Item:
    kind = as_text(item.get("type")) or "item"
    known = [_at(item, path) for path in _SUMMARIES.get(kind, ())]
    summary = " ".join(text for text in known if text)
    shown = " ".join(summary[: 2 * _SUMMARY_LENGTH].split())[:_SUMMARY_LENGTH]
    return Item(kind.replace("_", " "), as_text(item.get("status")) or "", shown, pretty(item)[:MAX_SHOWN])


def _at(item: dict[str, Any], path: str) -> str:
    value: Any = item
    for name in path.split("."):
        value = as_dict(value).get(name)
    texts = [each for each in as_list(value) if isinstance(each, str)]
    return " ".join(texts) if texts else scalar(value) if value is not None else ""
