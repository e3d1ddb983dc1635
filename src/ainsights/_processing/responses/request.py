"""The request of a response -> messages as a chat completion has them. Pure.

``instructions`` come first, as a system message, then the items of ``input``. A message keeps its fields, and its parts
become those of a chat: texts, images, audio and files. Calls of functions and of custom tools that follow one another
become one message of the assistant, the outputs of tools one message each. Any other item, and any part that a chat
does not have, stays as it is; encrypted content is replaced by its size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ainsights._processing.responses.items import CALLS, tool_call, without_encrypted

if TYPE_CHECKING:
    from ainsights._processing.responses.items import Fields

_OUTPUTS = frozenset(["function_call_output", "custom_tool_call_output"])
_TEXTS = frozenset(["input_text", "output_text", "summary_text"])
_FILE = ("file_data", "file_id", "filename")


def to_messages(instructions: Any, given: Any) -> list[Fields]:
    """Return the messages of a request.

    Args:
        instructions: what the request has as such, if it has any.
        given: its ``input``: a text, or items.
    """
    messages: list[Fields] = []
    if instructions is not None:
        messages += (
            to_messages(None, instructions)
            if instructions.__class__ is list
            else [{"role": "system", "content": instructions}]
        )
    if given.__class__ is not list:
        return messages if given is None else [*messages, {"role": "user", "content": given}]
    calls: list[Fields] | None = None
    """Those of the message that the next call joins."""
    for item in given:
        if item.__class__ is dict and str(item.get("type")) in CALLS:
            if calls is None:
                calls = []
                messages.append({"role": "assistant", "content": None, "tool_calls": calls})
            calls.append(_call(item))
        else:
            calls = None
            messages.append(_message(item))
    return messages


def _message(item: Any) -> Fields:
    if item.__class__ is not dict:
        return {"role": "user", "content": item}
    kind = item.get("type")
    if str(kind) in _OUTPUTS:
        used = ("type", "call_id", "output")
        message = {"role": "tool", "tool_call_id": item.get("call_id"), "content": _content(item.get("output"))}
        return message | {key: value for key, value in item.items() if key not in used}
    if "role" not in item or kind not in ("message", None):
        return without_encrypted(item)
    return {key: _content(value) if key == "content" else value for key, value in item.items() if key != "type"}


def _call(item: Fields) -> Fields:
    _, text = CALLS[item["type"]]
    used = ("type", "call_id", "name", text)
    rest = {"item_id" if key == "id" else key: value for key, value in item.items() if key not in used}
    return tool_call(item) | rest


def _content(value: Any) -> Any:
    return [_part(part) if part.__class__ is dict else part for part in value] if value.__class__ is list else value


def _part(part: Fields) -> Fields:
    kind = str(part.get("type"))
    if kind in _TEXTS:
        return part | {"type": "text"}
    if kind == "input_image" and part.get("image_url").__class__ is str:
        image = {"url": part["image_url"]} | ({"detail": part["detail"]} if "detail" in part else {})
        return _without(part, "detail") | {"type": "image_url", "image_url": image}
    if kind == "input_file" and not part.get("file_url"):
        return _without(part, *_FILE) | {"type": "file", "file": {key: part[key] for key in _FILE if key in part}}
    return part


def _without(fields: Fields, *names: str) -> Fields:
    return {key: value for key, value in fields.items() if key not in names}
