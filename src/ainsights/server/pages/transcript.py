"""A stored body -> the conversation as people read it. Pure, and never an exception: anyone may have sent the body."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ainsights.server.events.messages import message_list, render
from ainsights.server.events.reading import as_dict, as_list, as_scalar_text, as_text

MAX_SHOWN = 100_000
"""Characters of one part that are shown; the raw JSON has all."""

MAX_MESSAGES = 200


class Part(NamedTuple):
    """A part of a message: ``text``, ``refusal``, ``reasoning``, ``image``, ``audio``, ``file`` or ``other``."""

    kind: str
    text: str


class Call(NamedTuple):
    """A call of a tool."""

    id: str
    name: str
    arguments: str


class Message(NamedTuple):
    """One message.

    Attributes:
        is_answer: whether it is the response, not part of the request.
        note: further facts, such as the finish reason.
    """

    role: str
    name: str
    parts: list[Part]
    calls: list[Call]
    answers_call: str
    is_answer: bool = False
    note: str = ""


def request_messages(insight: dict[str, Any]) -> list[Message]:
    """Return the messages of the request."""
    found = message_list(insight.get("messages")) or render(insight.get("template"), as_dict(insight.get("inputs")))
    return [_message(each) for each in found[-MAX_MESSAGES:]]


def answers(insight: dict[str, Any]) -> list[Message]:
    """Return the message of each choice of the response."""
    choices = [as_dict(choice) for choice in as_list(as_dict(insight.get("response")).get("choices"))]
    found = []
    for number, choice in enumerate(choices[:MAX_MESSAGES], 1):
        finish = as_text(choice.get("finish_reason")) or ""
        note = " · ".join(filter(None, [f"choice {number} of {len(choices)}" if len(choices) > 1 else "", finish]))
        message = {"role": "assistant", **as_dict(choice.get("message"))}
        found.append(_message(message)._replace(is_answer=True, note=note))
    return found


def pretty(value: Any) -> str:
    """Return a JSON value, or a text that holds one, on lines of its own."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)[:MAX_SHOWN]
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)[:MAX_SHOWN]
    except (ValueError, RecursionError):
        return repr(value)[:MAX_SHOWN]


def scalar(value: Any) -> str:
    """Return a value of meta or of the arguments as text."""
    text = as_scalar_text(value)
    return pretty(value) if text is None else text


def _message(message: dict[str, Any]) -> Message:
    role = as_text(message.get("role")) or "user"
    reasoning = next((message[key] for key in ("reasoning_content", "reasoning") if message.get(key)), None)
    parts = [Part("reasoning", _text(reasoning))] if reasoning else []
    parts += _parts(message.get("content"))
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        parts.append(Part("refusal", _text(message["refusal"])))
    if message.get("audio"):
        parts.append(Part("audio", _media("audio", as_dict(message["audio"]), "data")))
    if role in ("tool", "function"):
        parts = [Part("text", pretty(part.text)) if part.kind == "text" else part for part in parts]
    return Message(
        role, as_text(message.get("name")) or "", parts, _calls(message), as_text(message.get("tool_call_id")) or ""
    )


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else pretty(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}… ({len(text):,} characters; the JSON has all)"


def _parts(content: Any) -> list[Part]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [Part("text", _text(content))]
    return [_part(part) for part in content] if isinstance(content, list) else [Part("text", _text(content))]


def _part(part: Any) -> Part:
    part = {"type": "text", "text": part} if isinstance(part, str) else as_dict(part)
    kind = as_text(part.get("type")) or "text"
    if kind in ("text", "input_text", "output_text", "refusal"):
        return Part("refusal" if kind == "refusal" else "text", _text(part.get("text", part.get("refusal", ""))))
    if kind in ("image_url", "input_image"):
        source = part.get("image_url")
        return Part("image", _media("image", source if isinstance(source, dict) else {"url": source}, "url"))
    if kind == "input_audio":
        return Part("audio", _media("audio", as_dict(part.get("input_audio")), "data"))
    if kind in ("file", "input_file"):
        return Part("file", _media("file", as_dict(part.get("file")) or part, "file_data"))
    if kind in ("reasoning", "thinking"):
        return Part("reasoning", _text(part.get("text", part.get("thinking", part))))
    return Part("other", _text(part))


def _media(kind: str, source: dict[str, Any], key: str) -> str:
    """Return type and size of media, never the media themselves: nothing is loaded from elsewhere."""
    name = as_text(source.get("filename")) or as_text(source.get("file_id")) or as_text(source.get("id")) or ""
    data = source.get(key)
    if not isinstance(data, str):
        return " ".join(filter(None, [kind, name])) if name else f"{kind}: {pretty(source)}"
    if not data.startswith("data:"):
        where = data if kind == "image" else f"{as_text(source.get('format')) or ''} {_size(len(data))}".strip()
        return " ".join(filter(None, [name, where[:500]]))
    head, _, encoded = data.partition(",")
    return " ".join(filter(None, [name, head[5:].partition(";")[0] or kind, _size(len(encoded))]))


def _size(base64_characters: int) -> str:
    size = base64_characters * 3 // 4
    return f"{size / 1024:,.0f} KiB" if size >= 1024 else f"{size} bytes"  # noqa: PLR2004  a KiB


def _calls(message: dict[str, Any]) -> list[Call]:
    calls = [as_dict(call) for call in as_list(message.get("tool_calls"))]
    if message.get("function_call"):
        calls.append({"function": message["function_call"]})
    found = []
    for call in calls[:MAX_MESSAGES]:
        function = as_dict(call.get("function")) or as_dict(call.get("custom"))
        arguments = function.get("arguments", function.get("input", ""))
        found.append(Call(as_text(call.get("id")) or "", as_text(function.get("name")) or "?", pretty(arguments)))
    return found
