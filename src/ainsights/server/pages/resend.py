"""The request of an insight in the terms of the API that was called. Pure, and never an exception.

An insight holds messages as a chat completion has them, whichever API was called.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ainsights.server.events.messages import message_list, render, text_of
from ainsights.server.events.reading import as_dict, as_list, as_text
from ainsights.server.events.responses import RESPONSES, api_of

COMPLETIONS = "completions"
_NOT_SENT = ("extra_headers", "extra_query", "timeout", "stream_options")


class Call(NamedTuple):
    """How the request is sent again.

    Attributes:
        path: below the base URL of the model API.
        method: of openai's client.
        request: the arguments.
    """

    path: str
    method: str
    request: dict[str, Any]


def call_of(insight: dict[str, Any]) -> Call:
    """Return the call."""
    args = {key: value for key, value in as_dict(insight.get("args")).items() if key not in _NOT_SENT}
    messages = message_list(insight.get("messages")) or render(insight.get("template"), as_dict(insight.get("inputs")))
    model = as_text(args.get("model")) or as_text(as_dict(insight.get("response")).get("model")) or "gpt-4o"
    rest = {key: value for key, value in args.items() if key != "model"}
    api = api_of(as_dict(insight.get("meta")))
    if api == RESPONSES:
        return Call("/responses", "responses.create", {"model": model, "input": _input(messages)} | rest)
    if api == COMPLETIONS:
        prompts = [text_of(message.get("content")) for message in messages]
        prompt = prompts[0] if len(prompts) == 1 else prompts
        return Call("/completions", "completions.create", {"model": model, "prompt": prompt} | rest)
    return Call("/chat/completions", "chat.completions.create", {"model": model, "messages": messages} | rest)


def _input(messages: list[dict[str, Any]]) -> list[Any]:
    """Return messages as the items of a response's input: calls of tools and their outputs are items of their own."""
    items: list[Any] = []
    for message in messages:
        role = message.get("role")
        if role == "tool":
            output = {"type": "function_call_output", "call_id": message.get("tool_call_id")}
            items.append(output | {"output": _content(message.get("content"), "input_text")})
        elif not isinstance(role, str):
            items.append(message)
        else:
            calls = [as_dict(call) for call in as_list(message.get("tool_calls"))]
            if message.get("content") is not None or not calls:
                kind = "output_text" if role == "assistant" else "input_text"
                items.append({"role": role, "content": _content(message.get("content"), kind)})
            items += map(_item, calls)
    return items


def _item(call: dict[str, Any]) -> dict[str, Any]:
    custom, function = as_dict(call.get("custom")), as_dict(call.get("function"))
    if custom:
        return {"type": "custom_tool_call", "call_id": call.get("id"), **custom}
    return {"type": "function_call", "call_id": call.get("id"), **function}


def _content(content: Any, kind: str) -> Any:
    if not isinstance(content, list):
        return "" if content is None else content
    return [_part(part, kind) if isinstance(part, dict) else part for part in content]


def _part(part: dict[str, Any], kind: str) -> dict[str, Any]:
    if part.get("type") == "text":
        return {**part, "type": kind}
    image = part.get("image_url")
    if part.get("type") == "image_url" and isinstance(image, dict):
        return {"type": "input_image", "image_url": image.get("url"), "detail": image.get("detail", "auto")}
    if part.get("type") == "file":
        return {"type": "input_file", **as_dict(part.get("file"))}
    return part
